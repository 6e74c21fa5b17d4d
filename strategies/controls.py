"""What enters an engine and is no book record. Each is numbered by the engine that takes it."""

from __future__ import annotations

from dataclasses import dataclass

from strategies.risk import Command, Reason


@dataclass(frozen=True, slots=True)
class Elapsed:
    """All was silent for `ns` nanoseconds: stream time goes on by as much."""

    ns: int


@dataclass(frozen=True, slots=True)
class Order:
    """A kill or a resume, read at `offset` of risk.command."""

    command: Command
    offset: int


@dataclass(frozen=True, slots=True)
class Gate:
    """The gate opens (`closed` is None) or closes, and why."""

    closed: Reason | None


@dataclass(frozen=True, slots=True)
class LogStartJumped:
    """Records of a book topic were gone before they were read: its books have a gap."""

    source: int  # layout.L1 or layout.L2
    from_offset: int
    to_offset: int


@dataclass(frozen=True, slots=True)
class MergeLimitHit:
    """A topic was not waited for any longer; `waited_ms` is the named limit."""

    source: int
    behind: int
    waited_ms: int


Control = Elapsed | Order | Gate | LogStartJumped | MergeLimitHit
