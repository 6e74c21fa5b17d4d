"""The client over confluent-kafka's public interface."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.batch import Batch, Ints
from streams.errors import RunError
from streams.transport.batches import batch_of, cut, part, record_of, runs_of
from streams.transport.client import Assigned, Jump, Partition, Place, Records, Revoked, Run, Start
from streams.transport.counters import Counters
from streams.transport.faults import ADRIFT, NO_ACCESS, fault, unanswered
from streams.transport.logs import ClientLog, Rarely
from streams.transport.settings import TransportSettings

log = structlog.get_logger("streams.transport")

CONSUME = 10_000  # messages in one call: some 5 ms with the GIL held
AGAIN_S = 0.5  # between two attempts to find the new start of a log

_Offsets = frozenset[tuple[str, int, int]]


class ConfluentClient:
    """See `streams.transport.client.Client`."""

    def __init__(
        self, settings: TransportSettings, batched: Callable[[str], bool], counters: Counters
    ) -> None:
        self._settings = settings
        self._batched = batched
        self._counters = counters
        self._fatal: KafkaError | None = None
        self._rarely = Rarely()
        self._unanswered: dict[_Offsets, Callable[[bool], None]] = {}
        self._expected: dict[Partition, int] = {}  # of every partition that is ours: its next offset
        self._epochs: dict[Partition, int] = {}
        self._adrift: set[Partition] = set()  # their place is not in the log; librdkafka has stopped fetching
        self._paused: set[Partition] = set()
        self._mend_at = 0.0
        self._kept: list[Message] = []
        self._epoch = 0
        self._assignments = 0
        self._assigned: Assigned = lambda _: None
        self._revoked: Revoked = lambda _partitions, _lost: None
        config = {**settings.librdkafka(), "error_cb": self._on_error, "on_commit": self._on_commit}
        try:
            self._consumer = Consumer(config, logger=ClientLog())
        except KafkaException as error:
            raise RunError(f"Kafka client refuses its settings: {error.args[0].str()}") from None

    # The group

    def subscribe(self, topics: Collection[str], assigned: Assigned, revoked: Revoked) -> None:
        self._assigned, self._revoked = assigned, revoked
        self._consumer.subscribe(
            sorted(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        starts = self._starts_when_told([(p.topic, p.partition) for p in partitions])
        places = [TopicPartition(*partition, start.offset) for partition, start in starts.items()]
        if self._settings.incremental:
            consumer.incremental_assign(places)
        else:
            consumer.assign(places)
            self._forget(list(self._expected))
        for partition, start in starts.items():
            self._expected[partition], self._epochs[partition] = start.offset, start.epoch
        self._assignments += 1
        self._assigned(starts)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._give_up(consumer, partitions, lost=False)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        log.warning("partitions lost", count=len(partitions))
        self._give_up(consumer, partitions, lost=True)

    def _give_up(self, consumer: Consumer, partitions: list[TopicPartition], *, lost: bool) -> None:
        names = [(p.topic, p.partition) for p in partitions]
        try:
            self._revoked(names, lost)
        finally:
            self._forget(names)
            if self._settings.incremental:
                consumer.incremental_unassign(partitions)
            else:
                consumer.unassign()

    def _forget(self, partitions: Iterable[Partition]) -> None:
        for partition in partitions:
            self._expected.pop(partition, None)
            self._epochs.pop(partition, None)
            self._adrift.discard(partition)
            self._paused.discard(partition)
        self._kept = [m for m in self._kept if _partition_of(m) in self._expected]

    def _starts_when_told(self, partitions: Collection[Partition]) -> dict[Partition, Start]:
        """A broker may go away right after it has assigned: ask again, as long as a rebalance may take."""
        deadline = time.monotonic() + self._settings.rebalance_limit_ms / 1000
        while True:
            try:
                return self._starts(partitions)
            except RunError as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("start of partitions unknown", count=len(partitions), reason=str(error))
                time.sleep(AGAIN_S)

    def _starts(self, partitions: Collection[Partition]) -> dict[Partition, Start]:
        committed = self.committed(partitions)
        starts = {}
        for partition in partitions:
            self._epoch += 1
            offset = committed[partition]
            if offset is None:
                low, end = self.watermarks(partition)
                # A number, not librdkafka's "end": a later seek back must find the same place.
                starts[partition] = Start(
                    low if self._settings.start == "earliest" else end, None, self._epoch
                )
            else:
                starts[partition] = Start(offset, offset, self._epoch)
        return starts

    # Reading

    def poll(self, timeout_s: float) -> list[Run]:
        assignments = self._assignments
        messages, self._kept = self._kept, []
        if not messages and (first := self._consumer.poll(timeout_s)) is not None:
            messages.append(first)
        if messages:
            messages += self._consumer.consume(CONSUME, 0)
        if self._fatal is not None:
            raise fault(self._fatal)
        if assignments != self._assignments:
            # What lies before the rebalance in this list and what lies behind it cannot be told apart.
            self._reread({_partition_of(m) for m in messages if m.error() is None})
            messages = [m for m in messages if m.error() is not None]
        runs = self._runs(self._without_errors(messages))
        return runs + self._mend() if self._adrift else runs

    def serve(self, timeout_s: float) -> None:
        self._keep(self._consumer.poll(timeout_s))
        if self._fatal is not None:
            raise fault(self._fatal)

    def _keep(self, message: Message | None) -> None:
        if message is None:
            return
        if (error := message.error()) is not None:
            self._refuse(message, error)
        else:
            self._kept.append(message)

    def _reread(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            if partition in self._expected:
                self._seek(partition, self._expected[partition])

    def _without_errors(self, messages: list[Message]) -> Sequence[Message]:
        errors = list(map(Message.error, messages))
        if all(error is None for error in errors):
            return messages
        for message, error in zip(messages, errors, strict=True):
            if error is not None:
                self._refuse(message, error)
        return [m for m, error in zip(messages, errors, strict=True) if error is None]

    def _refuse(self, message: Message, error: KafkaError) -> None:
        partition = _partition_of(message)
        if error.code() in ADRIFT and partition in self._expected:
            self._adrift.add(partition)
        elif error.fatal() or error.code() in NO_ACCESS:
            raise fault(error)
        elif error.code() != KafkaError._PARTITION_EOF:
            self._counters.errors += 1
            log.warning(
                "consumer error",
                topic=partition[0],
                partition=partition[1],
                code=error.name(),
                reason=error.str(),
            )

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal() or error.code() in NO_ACCESS:
            self._fatal = error
        else:
            self._counters.errors += 1
            self._warn("client error", error)

    def _runs(self, messages: Sequence[Message]) -> list[Run]:
        found: list[Run] = []
        limits = self._settings.batch_max_records, self._settings.batch_max_bytes
        for partition, of_one in runs_of(messages).items():
            epoch = self._epochs.get(partition)
            if epoch is None:
                self._counters.dropped_records += len(of_one)
                continue
            end = self._cached(partition)[1]
            if not self._batched(partition[0]):
                records = tuple(record_of(m) for m in of_one)
                first = self._admit(partition, [r.offset for r in records])
                if first < len(records):
                    found.append(Records(*partition, records[first:], end, epoch))
                continue
            batch: Batch = batch_of(partition, of_one, end, epoch)
            first = self._admit(partition, batch.offsets)
            if first < len(batch):
                found += cut(part(batch, first, len(batch)) if first else batch, *limits)
        return found

    def _admit(self, partition: Partition, offsets: Sequence[int] | Ints) -> int:
        """Index of the first record that is not behind us; what is missing is counted."""
        expected = self._expected[partition]
        first = 0
        while first < len(offsets) and offsets[first] < expected:
            first += 1
        self._counters.dropped_records += first
        if first < len(offsets):
            following = int(offsets[-1]) + 1
            self._counters.gap_offsets += following - expected - (len(offsets) - first)
            self._expected[partition] = following
        return first

    def _mend(self) -> list[Run]:
        """Go on from the log's start wherever the log no longer holds our place."""
        if time.monotonic() < self._mend_at:
            return []
        jumps: list[Run] = []
        for partition in sorted(self._adrift):
            before = self._expected[partition]
            try:
                low, _ = self.watermarks(partition)
            except RunError as error:
                self._mend_at = time.monotonic() + AGAIN_S
                log.warning(
                    "log start unknown", topic=partition[0], partition=partition[1], reason=str(error)
                )
                continue
            self._restart(partition, low)
            if low != before:
                self._counters.log_start_jumps += 1
                jumps.append(Jump(*partition, before, low, self._epochs[partition]))
        return jumps

    # Places

    def pause(self, partitions: Collection[Partition]) -> None:
        ours = [p for p in partitions if p in self._expected]
        self._consumer.pause([TopicPartition(*p) for p in ours])
        self._paused.update(ours)

    def resume(self, partitions: Collection[Partition]) -> None:
        self._consumer.resume([TopicPartition(*p) for p in partitions if p in self._expected])
        self._paused.difference_update(partitions)

    def seek(self, partition: Partition, offset: int) -> int | None:
        self._seek(partition, offset)
        if partition not in self._expected:
            return None
        self._epoch += 1
        self._epochs[partition] = self._epoch
        return self._epoch

    def _seek(self, partition: Partition, offset: int) -> None:
        """Refused until the fetch has started: then poll, keep what comes, and ask again."""
        deadline = time.monotonic() + self._settings.answer_limit_ms / 1000
        while partition in self._expected:
            if partition in self._adrift:
                self._restart(partition, offset)
                return
            try:
                self._consumer.seek(TopicPartition(*partition, offset))
            except KafkaException as error:
                if time.monotonic() > deadline:
                    raise unanswered(f"seek {partition[0]}/{partition[1]} to {offset}", error) from None
                self._keep(self._consumer.poll(0.01))
                continue
            self._kept = [m for m in self._kept if m.error() is not None or _partition_of(m) != partition]
            self._expected[partition] = offset
            return

    def _restart(self, partition: Partition, offset: int) -> None:
        """Where fetching has stopped a seek is refused for ever: the partition is assigned anew.

        Under an eager protocol that can only be done with all of them; the others go on where they are.
        """
        self._adrift.discard(partition)
        self._expected[partition] = offset
        if self._settings.incremental:
            self._consumer.incremental_unassign([TopicPartition(*partition)])
            self._consumer.incremental_assign([TopicPartition(*partition, offset)])
            again = self._paused & {partition}
        else:
            self._consumer.assign([TopicPartition(*p, at) for p, at in self._expected.items()])
            again = self._paused
        if again:
            self._consumer.pause([TopicPartition(*p) for p in again])

    def commit(self, offsets: Mapping[Partition, int]) -> bool:
        asked = [TopicPartition(*partition, offset) for partition, offset in offsets.items()]
        try:
            answers = self._consumer.commit(offsets=asked, asynchronous=False)
        except KafkaException as error:
            failures = [error.args[0]]
        else:
            failures = [answer.error for answer in answers if answer.error is not None]
        return self._committed(failures)

    def commit_soon(self, offsets: Mapping[Partition, int], done: Callable[[bool], None]) -> None:
        asked = [TopicPartition(*partition, offset) for partition, offset in offsets.items()]
        self._unanswered[_offsets(asked)] = done
        try:
            self._consumer.commit(offsets=asked, asynchronous=True)
        except KafkaException as error:
            self._on_commit(error.args[0], asked)

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        # Commits that were waited for come by here too: nobody is to be told of them.
        done = self._unanswered.pop(_offsets(partitions), None)
        if done is not None:
            failures = [error] if error is not None else [p.error for p in partitions if p.error is not None]
            done(self._committed(failures))

    def _committed(self, failures: list[KafkaError]) -> bool:
        if failures:
            self._counters.commit_failures += 1
            self._warn("offsets not committed", failures[0])
        return not failures

    def _warn(self, what: str, error: KafkaError) -> None:
        left_out = self._rarely((what, error.code()))
        if left_out is not None:
            log.warning(what, code=error.name(), reason=error.str(), left_out=left_out)

    def committed(self, partitions: Collection[Partition]) -> dict[Partition, int | None]:
        asked = [TopicPartition(*p) for p in partitions]
        if not asked:
            return {}
        limit_s = self._settings.answer_limit_ms / 1000
        try:
            answers = self._consumer.committed(asked, timeout=limit_s)
        except KafkaException as error:
            raise unanswered(f"offsets of group {self._settings.group_id}", error) from None
        for answer in answers:
            if answer.error is not None:
                what = f"offset of {answer.topic}/{answer.partition}"
                raise unanswered(what, KafkaException(answer.error))
        return {(a.topic, a.partition): a.offset if a.offset >= 0 else None for a in answers}

    def position(self, partition: Partition) -> Place:
        expected = self._expected.get(partition, -1)
        low, end = self._cached(partition)
        if expected < 0 or self._kept:
            return Place(expected, low, end)
        # Past a transaction's marker the library's position is ahead of the last record's.
        return Place(max(expected, self._consumer.position([TopicPartition(*partition)])[0].offset), low, end)

    def _cached(self, partition: Partition) -> tuple[int, int]:
        low, end = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
        return max(low, -1), max(end, -1)

    def watermarks(self, partition: Partition) -> tuple[int, int]:
        limit_s = self._settings.answer_limit_ms / 1000
        try:
            return self._consumer.get_watermark_offsets(TopicPartition(*partition), timeout=limit_s)
        except KafkaException as error:
            raise unanswered(f"watermarks of {partition[0]}/{partition[1]}", error) from None

    def partitions(self, topic: str) -> int | None:
        try:
            # Of all topics: asking for one by name would make it where the broker makes topics by itself.
            known = self._consumer.list_topics(timeout=self._settings.answer_limit_ms / 1000).topics
        except KafkaException as error:
            raise unanswered(f"partitions of {topic}", error) from None
        return len(known[topic].partitions) if topic in known and known[topic].partitions else None

    def close(self) -> None:
        self._consumer.close()


def _partition_of(message: Message) -> Partition:
    topic, partition = message.topic(), message.partition()
    return topic or "", -1 if partition is None else partition


def _offsets(partitions: list[TopicPartition]) -> _Offsets:
    return frozenset((p.topic, p.partition, p.offset) for p in partitions)
