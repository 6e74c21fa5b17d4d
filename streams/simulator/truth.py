"""What was injected into a simulated market: the ground truth, and its file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import orjson

from streams.errors import UserError


class Kind(StrEnum):
    """What can be injected. Only an episode is an opportunity; all others are decoys."""

    EPISODE = "episode"  # an edge net of fees, on synced and fresh books
    BELOW_FEES = "below_fees"  # the books cross, but fees eat the edge
    TOO_SMALL = "too_small"  # an edge in bps that is worth less than the least gain in quote currency
    CROSSED = "crossed"  # one venue's own book is crossed
    GAP_SEEN = "gap_seen"  # the feed says that it lost the book; what comes next seems to cross
    GAP_LOST = "gap_lost"  # updates are lost behind the feed: only its sequence tells
    STALE = "stale"  # a feed says nothing, no heartbeat either, while the price moves elsewhere
    QUIET = "quiet"  # a book does not move, but heartbeats tell that it is alive


@dataclass(frozen=True, slots=True)
class Injection:
    """One injected stretch, in receive time.

    Nothing of it shows before `start_ns`, and from `end_ns` on nothing is left of it. The first of
    `venues` is the one it was injected into; the others are those it can be traded against. `edge_bps` is
    net of both taker fees, on average over the stretch, at most `edge_slack_bps` off at any moment (of a
    decoy: what a careless reader would see). `size` is in units of the base asset.
    """

    id: str
    kind: Kind
    group: str
    product: str
    symbol: str
    venues: tuple[str, ...]
    side: str
    start_ns: int
    end_ns: int
    edge_bps: float
    edge_slack_bps: float
    size: float
    notional_quote: float
    must_find: bool


def write_truth(path: Path, injections: Iterable[Injection]) -> None:
    """Write JSON lines, one an injection, in the order of their starts."""
    try:
        with path.open("wb") as file:
            for injection in injections:
                file.write(orjson.dumps(asdict(injection)) + b"\n")
    except OSError as fault:
        raise UserError(f"{path}: the ground truth cannot be written: {fault.strerror}") from None


def read_truth(path: Path) -> list[Injection]:
    """Read what `write_truth` wrote."""
    found = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as fault:
        raise UserError(f"{path}: the ground truth cannot be read: {fault.strerror}") from None
    for number, line in enumerate(lines, 1):
        try:
            values = orjson.loads(line)
            values["kind"] = Kind(values["kind"])
            values["venues"] = tuple(values["venues"])
            found.append(Injection(**values))
        except (ValueError, TypeError, KeyError) as fault:
            raise UserError(f"{path}, line {number}: no injection: {fault}") from None
    return found
