"""What may stop a signal: reason codes, the kill switch as a state machine, and approval as a type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import InitVar, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self

from strategies.markets import Limits
from strategies.signals import Action, Signal


class Reason(StrEnum):
    """Why nothing was published, or which limit was hit; `sentence` and `unit` say it to people."""

    NOT_SYNCED = "not_synced"
    STALE = "stale"
    NOTIONAL_CUT = "notional_cut"
    NOTIONAL_ABOVE_LIMIT = "notional_above_limit"
    EDGE_BELOW_MINIMUM_BPS = "edge_below_minimum_bps"
    EDGE_BELOW_MINIMUM_QUOTE = "edge_below_minimum_quote"
    HALTED = "halted"
    COMMANDS_UNCONFIRMED = "commands_unconfirmed"
    COMMANDS_LOG_CUT = "commands_log_cut"
    RESUME_UNKNOWN = "resume_unknown"
    KILLED = "killed"
    RESUMED = "resumed"
    GATE_CLOSED = "gate_closed"
    GATE_OPENED = "gate_opened"
    GAP = "gap"
    CROSSED_BOOK = "crossed_book"
    KEY_FRAME_DIFFERS = "key_frame_differs"
    CHECKSUM_WRONG = "checksum_wrong"
    DEPTH_LIMIT_HIT = "depth_limit_hit"
    CLOCK_JUMP = "clock_jump"
    LOG_START_JUMPED = "log_start_jumped"
    MERGE_LIMIT_HIT = "merge_limit_hit"
    SEQUENCE_REPEATED = "sequence_repeated"
    CONTRADICTION = "contradiction"

    @property
    def sentence(self) -> str:
        """What happened, in words."""
        return _MEANING[self][0]

    @property
    def unit(self) -> str:
        """Unit of a risk event's `value` and `limit` with this reason; empty where it has none."""
        return _MEANING[self][1]


_MEANING = MappingProxyType(
    {
        Reason.NOT_SYNCED: ("a leg's book is not in sync with its venue", ""),
        Reason.STALE: ("a leg's venue has been silent for longer than its max_age_ms", "ms"),
        Reason.NOTIONAL_CUT: ("the size was cut to max_notional", "quote currency"),
        Reason.NOTIONAL_ABOVE_LIMIT: ("the signal's notional is above max_notional", "quote currency"),
        Reason.EDGE_BELOW_MINIMUM_BPS: ("the net edge is below its minimum in bps", "bps"),
        Reason.EDGE_BELOW_MINIMUM_QUOTE: (
            "the net edge is below its minimum in quote currency",
            "quote currency",
        ),
        Reason.HALTED: ("a kill covers the group, the strategy or a leg's venue", ""),
        Reason.COMMANDS_UNCONFIRMED: (
            "the end of risk.command was not confirmed in time: a kill may be waiting there",
            "ms",
        ),
        Reason.COMMANDS_LOG_CUT: (
            "risk.command does not start at offset 0 on a broker that does not compact: a kill may be lost",
            "offset",
        ),
        Reason.RESUME_UNKNOWN: ("a resume names no kill that is in force, and was ignored", ""),
        Reason.KILLED: ("a kill came into force", ""),
        Reason.RESUMED: ("a kill was lifted", ""),
        Reason.GATE_CLOSED: ("nothing opens until the commands are known again", ""),
        Reason.GATE_OPENED: ("the commands are known to their end", ""),
        Reason.GAP: ("updates of a book were lost: it is untrusted until the next snapshot", "updates"),
        Reason.CROSSED_BOOK: ("a sequenced venue's bid is at or above its ask: the book is untrusted", "bps"),
        Reason.KEY_FRAME_DIFFERS: (
            "a key frame differs from the book that was built: it is untrusted",
            "levels",
        ),
        Reason.CHECKSUM_WRONG: ("the venue's checksum does not fit: the book is untrusted", ""),
        Reason.DEPTH_LIMIT_HIT: ("a book has more levels than are kept; the worst were dropped", "levels"),
        Reason.CLOCK_JUMP: ("receive time leapt further than its limit between two records", "ms"),
        Reason.LOG_START_JUMPED: (
            "records were deleted before they were read: their books have a gap",
            "records",
        ),
        Reason.MERGE_LIMIT_HIT: (
            "one topic did not wait any longer for the other: out of receive order",
            "ms",
        ),
        Reason.CONTRADICTION: ("an update's id is older than its book, but its sequence is not", ""),
        Reason.SEQUENCE_REPEATED: ("a feed's sequence came again with other content, or two feeds run", ""),
    }
)


def markdown_table() -> str:
    """The table of docs/operations.md."""
    rows = [f"| `{reason}` | {reason.sentence} | {reason.unit or '-'} |" for reason in Reason]
    return (
        "\n".join(("| reason | what happened | unit of value and limit |", "| --- | --- | --- |", *rows))
        + "\n"
    )


class CommandAction(StrEnum):
    """What a command does."""

    KILL = "kill"
    RESUME = "resume"


class Scope(StrEnum):
    """Reach of a kill."""

    ALL = "all"
    GROUP = "group"
    VENUE = "venue"
    STRATEGY = "strategy"


@dataclass(frozen=True, slots=True)
class Command:
    """A record of risk.command; mirrors RiskCommand.avsc.

    Raises ValueError where the id is empty, or scope and scope_name do not belong together.
    """

    command_id: str
    action: CommandAction
    scope: Scope = Scope.ALL
    scope_name: str = ""
    reason: str = ""
    issued_by: str = ""
    time_ns: int = 0

    def __post_init__(self) -> None:
        if not self.command_id:
            raise ValueError("command_id is empty")
        if (self.scope is Scope.ALL) != (self.scope_name == ""):
            raise ValueError(f"scope {self.scope} does not go with the name {self.scope_name!r}")

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """From a decoded record. Raises ValueError for what is no command."""
        return cls(
            command_id=record["command_id"],
            action=CommandAction(record["action"]),
            scope=Scope(record["scope"]),
            scope_name=record["scope_name"],
            reason=record["reason"],
            issued_by=record["issued_by"],
            time_ns=record["time_ns"],
        )

    def record(self) -> dict[str, Any]:
        """As fastavro takes it."""
        return {
            "command_id": self.command_id,
            "action": self.action.value,
            "scope": self.scope.value,
            "scope_name": self.scope_name,
            "reason": self.reason,
            "issued_by": self.issued_by,
            "time_ns": self.time_ns,
        }

    def covers(self, group: str, venue: str, strategy: str) -> bool:
        """Whether this scope reaches something of `group`, `venue` and `strategy`."""
        named = {Scope.GROUP: group, Scope.VENUE: venue, Scope.STRATEGY: strategy}
        return self.scope is Scope.ALL or named[self.scope] == self.scope_name

    @property
    def reach(self) -> str:
        """The scope as it is written on the command line: all, group:BTC, venue:x, strategy:y."""
        return self.scope.value if self.scope is Scope.ALL else f"{self.scope.value}:{self.scope_name}"


@dataclass(frozen=True, slots=True)
class Latch:
    """The kills in force. A kill stays until the resume with its id; the last command of an id decides."""

    kills: tuple[Command, ...] = ()

    def verdict(self, command: Command) -> Reason:
        """What `command` means now: KILLED, RESUMED, or RESUME_UNKNOWN, which changes nothing."""
        if command.action is CommandAction.KILL:
            return Reason.KILLED
        return Reason.RESUMED if self.kill(command.command_id) else Reason.RESUME_UNKNOWN

    def apply(self, command: Command) -> Latch:
        """The latch after `command`: the same kill twice counts once, a kill after its resume stops again."""
        others = tuple(kill for kill in self.kills if kill.command_id != command.command_id)
        if command.action is CommandAction.RESUME:
            return Latch(others)
        return Latch(tuple(sorted((*others, command), key=lambda kill: kill.command_id)))

    def kill(self, command_id: str) -> Command | None:
        """The kill with this id, if it is in force."""
        return next((kill for kill in self.kills if kill.command_id == command_id), None)

    def covers(self, group: str, venue: str, strategy: str) -> str | None:
        """Id of a kill that reaches this group, venue or strategy (the first by id), or None."""
        return next((k.command_id for k in self.kills if k.covers(group, venue, strategy)), None)

    def stops(self, signal: Signal) -> str | None:
        """Id of a kill that reaches the signal or one of its legs, or None."""
        venues = [leg.venue for leg in signal.legs] or [""]
        found = (self.covers(signal.group, venue, signal.strategy) for venue in venues)
        return next((kill_id for kill_id in found if kill_id is not None), None)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the guard knows of commands: the latch, and why the gate is closed (None: it is open).

    The gate begins closed: until risk.command was read to its end nothing opens.
    """

    latch: Latch = Latch()
    closed: Reason | None = Reason.COMMANDS_UNCONFIRMED


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason against a signal, with the value that met the limit, both in the reason's unit."""

    reason: Reason
    value: float | None = None
    limit: float | None = None
    detail: str = ""


_GUARD = object()


@dataclass(frozen=True, slots=True)
class Approved:
    """A signal that `guard` let through; it cannot be made elsewhere, and nothing else is published."""

    signal: Signal
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _GUARD:
            raise TypeError("only strategies.risk.guard approves signals")


@dataclass(frozen=True, slots=True)
class Refused:
    """A signal that must not be published, and every reason."""

    signal: Signal
    findings: tuple[Finding, ...]


def guard(
    signal: Signal, standing: Standing, limits: Limits, findings: tuple[Finding, ...] = ()
) -> Approved | Refused:
    """Let `signal` through or say why not.

    CLOSE always passes. `findings` are reasons that only the books know (not synced, stale, too old);
    any of them refuses.
    """
    if signal.action is Action.CLOSE:
        return Approved(signal, _GUARD)
    against = (*_commands(signal, standing), *findings, *_sizes(signal, limits))
    return Refused(signal, against) if against else Approved(signal, _GUARD)


def _commands(signal: Signal, standing: Standing) -> Iterator[Finding]:
    if standing.closed is not None:
        yield Finding(standing.closed, detail=standing.closed.sentence)
    kill_id = standing.latch.stops(signal)
    if kill_id is not None:
        yield Finding(Reason.HALTED, detail=f"kill {kill_id}")


def _sizes(signal: Signal, limits: Limits) -> Iterator[Finding]:
    # Written as "not within", so that a NaN is refused.
    if not signal.notional_quote <= limits.max_notional:
        yield Finding(Reason.NOTIONAL_ABOVE_LIMIT, signal.notional_quote, limits.max_notional)
    opening = signal.action is Action.OPEN
    least_bps = limits.min_net_edge_bps if opening else limits.close_edge_bps
    least_quote = limits.min_net_edge_quote if opening else 0.0
    if not signal.net_edge_bps >= least_bps:
        yield Finding(Reason.EDGE_BELOW_MINIMUM_BPS, signal.net_edge_bps, least_bps)
    if not signal.net_edge_quote >= least_quote:
        yield Finding(Reason.EDGE_BELOW_MINIMUM_QUOTE, signal.net_edge_quote, least_quote)
