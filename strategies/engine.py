"""One partition's engine: a function of its state and its inputs in their order, and of nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.batch import Batch
from schemas.catalog import schema
from schemas.columns import Decoder
from strategies import arrays, describe
from strategies.controls import Control, Elapsed, Gate, LogStartJumped, MergeLimitHit, Order
from strategies.cross_venue import STRATEGY
from strategies.kernels import cross_venue, layout, read, step
from strategies.markets import Markets
from strategies.risk import Approved, Reason, Refused, Scope, Standing, guard
from strategies.signals import RiskEvent, Signal

NS_PER_MS = 1_000_000
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Reading:
    """A batch, decoded and checked: `records` RECORD[n], `items` int64[m] in the products' exponents."""

    source: int  # layout.L1 or layout.L2: which topic
    records: npt.NDArray[Any]
    items: Ints
    refused: int  # how many records have a status other than 0

    def __len__(self) -> int:
        return len(self.records)


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a step or a control input puts out, in its order."""

    signals: list[Approved] = field(default_factory=list)
    risk_events: list[RiskEvent] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Limits that are no market's; units in their names."""

    receive_ahead_ms: int = 5_000
    time_jump_ms: int = 10_000
    levels_per_record: int = 5_000  # a side


class Engine:
    """Books, detection and guard of the groups that lie in one partition.

    `topics` are the full names of the l1 and the l2 topic. `epoch` is compared before the sequence of a
    signal and rises whenever an engine begins without state. `decoder` is one that knows a Schema
    Registry's ids, where one is used.
    """

    def __init__(
        self,
        markets: Markets,
        groups: Sequence[str],
        partition: int,
        epoch: int,
        topics: tuple[str, str] = ("book.l1", "book.l2"),
        limits: EngineLimits | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        limits = limits or EngineLimits()
        self.markets = markets
        self.partition = partition
        self.epoch = epoch
        self.topics = topics
        self.limits = limits
        self.plan = arrays.plan(markets, groups)
        self.state = arrays.state(markets, self.plan, limits.time_jump_ms * NS_PER_MS)
        self.standing = Standing()
        self.controls = 0  # number of the last control input
        self.fingerprint = markets.fingerprint()
        self._directory = arrays.directory(self.plan.books)
        self._decoder = decoder or Decoder(schema("BookUpdate"))
        self._slots = np.array([self._decoder.slots[name] for name in read.SLOTS], np.int64)
        self._room = arrays.room(len(self.plan.products))
        self._nothing = Reading(layout.L1, np.zeros(0, layout.RECORD), np.zeros(0, np.int64), 0)
        self._limits_of = {group: markets.limits_of(group) for group in self.plan.groups}

    def read(self, batch: Batch) -> Reading:
        """Decode and check a batch; has no effect on state."""
        source = self.topics.index(batch.topic)
        columns = self._decoder.decode(batch.values)
        records = np.zeros(len(batch), layout.RECORD)
        refused = read.read(
            columns.rows,
            columns.items,
            columns.status,
            self._slots,
            columns.data,
            batch.keys.data,
            batch.keys.starts,
            batch.keys.lengths,
            batch.offsets,
            batch.timestamps_ms,
            source,
            self._directory.slots,
            self._directory.names,
            self._directory.name_at,
            self.state.instruments,
            self.limits.receive_ahead_ms * NS_PER_MS,
            self.limits.levels_per_record,
            records,
        )
        return Reading(source, records, columns.items, int(refused))

    def records_of(self, reading: Reading | None) -> npt.NDArray[Any]:
        """RECORD[n] of a reading, of none without one."""
        return (reading or self._nothing).records

    def step(self, order: Ints, l1: Reading | None = None, l2: Reading | None = None) -> Outputs:
        """Take the records named by `order` (2 x index, plus 1 for those of `l2`)."""
        first, second = l1 or self._nothing, l2 or self._nothing
        outputs = Outputs()
        at = 0
        while at < len(order):
            at, n = step.step(
                self.state,
                order,
                at,
                len(order),
                first.records,
                first.items,
                second.records,
                second.items,
                self._room,
            )
            self._collect(n, outputs)
        return outputs

    def take(self, batch: Batch) -> Outputs:
        """Read and step one batch alone: for tests and tools that have a single topic at hand."""
        reading = self.read(batch)
        order = np.arange(len(reading), dtype=np.int64) * 2 + reading.source
        return self.step(order, **{("l1", "l2")[reading.source]: reading})

    def control(self, control: Control) -> Outputs:
        """Take a control input under the next number."""
        self.controls += 1
        outputs = Outputs()
        match control:
            case Elapsed(ns):
                clock = self.state.clock
                if clock["time"][0] > 0:
                    clock["time"][0] += ns
                self._close_overdue(outputs)
            case Order(command, _):
                reason = self.standing.latch.verdict(command)
                self._stand(Standing(self.standing.latch.apply(command), self.standing.closed), outputs)
                outputs.risk_events.append(describe.command_event(self, command, reason))
            case Gate(closed):
                if closed != self.standing.closed:
                    self._stand(Standing(self.standing.latch, closed), outputs)
                    outputs.risk_events.append(describe.gate_event(self, closed))
            case LogStartJumped(source, from_offset, to_offset):
                states = self.state.channels["state"][:, source]
                states[states != layout.EMPTY] = layout.GAP
                cross_venue.refresh(self.state)
                self._close_overdue(outputs)
                outputs.risk_events.append(
                    describe.control_event(
                        self,
                        Reason.LOG_START_JUMPED,
                        value=to_offset - from_offset,
                        detail=f"{self.topics[source]} [{self.partition}] begins at {to_offset}, "
                        f"{from_offset} was to come next",
                    )
                )
            case MergeLimitHit(source, behind, waited_ms):
                outputs.risk_events.append(
                    describe.control_event(
                        self,
                        Reason.MERGE_LIMIT_HIT,
                        value=float(behind),
                        limit=float(waited_ms),
                        detail=f"{self.topics[source]} [{self.partition}] is {behind} records behind",
                    )
                )
        return outputs

    def _close_overdue(self, outputs: Outputs) -> None:
        """Close what has expired or rests on a book that fell silent or broke."""
        n = cross_venue.sweep_deadlines(self.state, 0, layout.CONTROL, self.controls)
        self._collect(n, outputs)

    def _stand(self, standing: Standing, outputs: Outputs) -> None:
        """Put the latch and the gate in force, and close what they now cover."""
        self.standing = standing
        state, kills = self.state, standing.latch.kills
        everything = [k for k in kills if k.scope is Scope.ALL]
        everything += [k for k in kills if k.scope is Scope.STRATEGY and k.scope_name == STRATEGY]
        state.clock["halted"][0] = len(everything)
        for scope, names, flags in (
            (Scope.GROUP, self.plan.groups, state.groups["halted"]),
            (Scope.VENUE, self.plan.venues, state.venues_halted),
        ):
            halted = {k.scope_name for k in kills if k.scope is scope}
            flags[:] = [name in halted for name in names]
        state.clock["gate"][0] = standing.closed is None
        self._collect(cross_venue.halt(state, 0, self.controls), outputs)

    def _collect(self, n: int, outputs: Outputs) -> None:
        """Turn the first n rows of the kernel's events into values, past the guard."""
        for at in range(n):
            event = self.state.events[at]
            if event["what"] == layout.REFUSAL:
                outputs.risk_events.append(describe.refusal(self, event))
                continue
            signal = describe.signal(self, event, self.state.event_legs[at])
            verdict = guard(signal, self.standing, self._limits_of[signal.group])
            if isinstance(verdict, Approved):
                outputs.signals.append(verdict)
            else:
                outputs.risk_events.extend(_refusals(self, signal, verdict))


def _refusals(engine: Engine, signal: Signal, verdict: Refused) -> list[RiskEvent]:
    """The guard's second look found what the kernel let through."""
    return [describe.refused(engine, signal, finding) for finding in verdict.findings]
