"""What the transport has seen, for metrics."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Totals since the start. Written by one thread each; reading needs no lock."""

    records: int = 0
    batches: int = 0
    dropped_records: int = 0  # behind our place, or of a partition or an epoch that is no longer ours
    gap_offsets: int = 0  # offsets that no record came for: transaction markers, compaction
    log_start_jumps: int = 0
    errors: int = 0  # of single messages and of the client; none of them fatal
    commits: int = 0
    commit_failures: int = 0
    rebalances: int = 0
    pauses: int = 0  # of partitions, because too much of theirs was not yet acked
