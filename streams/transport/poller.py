"""The one thread that owns the client: it polls, carries out what the event loop asks for, and holds back."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import structlog

from schemas.batch import Batch
from streams.errors import RunError
from streams.transport.batches import nbytes
from streams.transport.client import Client, Partition, Place, Records, Run, Start
from streams.transport.counters import Counters
from streams.transport.in_flight import InFlight
from streams.transport.settings import TransportSettings

log = structlog.get_logger("streams.transport")
T = TypeVar("T")

POLL_S = 0.02  # a call from the event loop waits this long at most; a record wakes the poll at once
PLACES_S = 0.1  # watermarks of partitions without records are looked at this often


class ClosedError(RunError):
    """The poll thread has ended."""


class Owner(Protocol):
    """What the poll thread tells, always on the event loop's thread and in the order it happened."""

    def note_arrived(self, runs: list[Run], places: Mapping[Partition, Place]) -> None: ...

    def note_started(self, starts: Mapping[Partition, Start]) -> None: ...

    def note_sought(self, partition: Partition, offset: int, epoch: int) -> None: ...

    def note_stopped(self, partitions: Collection[Partition]) -> None: ...

    def note_fault(self, error: BaseException) -> None: ...

    async def on_assigned(self) -> None: ...

    async def on_revoked(self, partitions: Collection[Partition], lost: bool) -> None: ...


class _Call:
    def __init__(self, work: Callable[[Client], Any], *, at_once: bool) -> None:
        self.work = work
        self.at_once = at_once  # may run while a rebalance callback waits for the event loop
        self.result: Future[Any] = Future()

    def run(self, client: Client) -> None:
        if not self.result.set_running_or_notify_cancel():
            return
        try:
            self.result.set_result(self.work(client))
        except BaseException as error:  # noqa: BLE001  it belongs to whoever asked
            self.result.set_exception(error)


class Poller(threading.Thread):
    """Everything on the client goes through here: from another thread it deadlocks while a callback runs."""

    def __init__(
        self,
        client: Callable[[], Client],
        owner: Owner,
        loop: asyncio.AbstractEventLoop,
        settings: TransportSettings,
        counters: Counters,
    ) -> None:
        super().__init__(name="kafka-poll", daemon=True)  # a broker that hangs must not hold the process
        self.in_flight = InFlight(settings.in_flight_max_records, settings.in_flight_max_bytes)
        self._new_client = client
        self._owner = owner
        self._loop = loop
        self._settings = settings
        self._counters = counters
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self._later: list[_Call] = []
        self._commits: deque[Callable[[bool], None]] = deque(maxlen=64)  # more cannot be open: one at a time
        self._in_callback = False
        self._closing = False
        self._wake = self.in_flight.released
        self._paused: set[Partition] = set()
        self._full_since: float | None = None
        self._places_at = 0.0
        self._client: Client

    # From the event loop

    async def ask(self, work: Callable[[Client], T], *, at_once: bool = True) -> T:
        """Run `work` in the poll thread. With `at_once=False` not inside a rebalance callback."""
        if self._closing:
            raise ClosedError("the Kafka client is closed")
        call = _Call(work, at_once=at_once)
        self._calls.put(call)
        self._wake.set()
        answer: T = await asyncio.wrap_future(call.result)
        return answer

    async def subscribe(self, topics: Collection[str]) -> None:
        await self.ask(lambda c: c.subscribe(topics, self._assigned, self._revoked), at_once=False)

    async def seek(self, partition: Partition, offset: int) -> None:
        """Epoch and the owner's place change in one go, in the thread that reads."""

        def work(client: Client) -> None:
            epoch = client.seek(partition, offset)
            if epoch is not None:
                self.in_flight.start(partition, epoch)
                self._tell(self._owner.note_sought, partition, offset, epoch)

        await self.ask(work, at_once=False)

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """Whether the group has taken the offsets, as far as that is known within `answer_limit_ms`."""
        answer: Future[bool] = Future()

        def done(good: bool) -> None:
            with suppress(InvalidStateError):  # given up, or answered for a rebalance
                answer.set_result(good)

        def work(client: Client) -> None:
            if self._in_callback:  # a rebalance: no poll would bring the answer
                done(client.commit(offsets))
            else:
                self._commits.append(done)
                client.commit_soon(offsets, done)

        limit_s = self._settings.answer_limit_ms / 1000
        try:
            async with asyncio.timeout(limit_s):
                await self.ask(work)
                return await asyncio.wrap_future(answer)
        except (TimeoutError, ClosedError):
            return False

    async def close(self) -> bool:
        """Leave the group; False where that took longer than the limit and was given up."""
        self._closing = True
        self._wake.set()
        limit_s = self._settings.close_limit_ms / 1000
        await asyncio.get_running_loop().run_in_executor(None, self.join, limit_s)
        return not self.is_alive()

    # In the thread

    def run(self) -> None:
        try:
            self._client = self._new_client()
        except BaseException as error:  # noqa: BLE001  it ends the worker, by way of the event loop
            self._closing = True
            self._fail_calls()
            self._tell(self._owner.note_fault, error)
            return
        try:
            while not self._closing:
                self._serve_calls()
                self._turn()
        except BaseException as error:  # noqa: BLE001  it ends the worker, by way of the event loop
            self._tell(self._owner.note_fault, error)
        finally:
            self._closing = True
            self._fail_calls()
            self._close_client()

    def _close_client(self) -> None:
        try:
            self._client.close()
        except Exception as error:  # noqa: BLE001  we are leaving; the broker gives us up by itself
            log.warning("client not closed cleanly", reason=str(error))

    def _fail_calls(self) -> None:
        while True:
            try:
                self._later.append(self._calls.get_nowait())
            except queue.Empty:
                break
        for call in self._later:
            if call.result.set_running_or_notify_cancel():
                call.result.set_exception(ClosedError("the Kafka client is closed"))

    def _tell(self, what: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(what, *args)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            self._closing = True

    def _serve_calls(self) -> None:
        if not self._in_callback and self._later:
            later, self._later = self._later, []
            for call in later:
                call.run(self._client)
        while True:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                return
            # Commits do not wait behind a seek: the event loop may need them to end this very rebalance.
            if self._in_callback and not call.at_once:
                self._later.append(call)
            else:
                call.run(self._client)

    def _turn(self) -> None:
        if self.in_flight.full and not self._paused and not self._stalled():
            self._wake.clear()
            if self.in_flight.full and self._calls.empty():
                self._wake.wait(POLL_S)
            return
        self._balance()
        if not self._paused or set(self.in_flight.partitions()) - self._paused:
            self._forward(self._client.poll(POLL_S))
        else:
            self._client.serve(POLL_S)
            self._forward([])

    def _stalled(self) -> bool:
        """Full, and nothing acked that would make room, for `stall_ms`."""
        now = time.monotonic()
        if self._full_since is None or self._wake.is_set():
            self._full_since = now
        return now - self._full_since >= self._settings.stall_ms / 1000

    def _balance(self) -> None:
        """Pause what holds more than its share; resume what is down to half of it.

        Pausing makes librdkafka throw away what it had fetched ahead, so it is done only after a stall.
        """
        self._full_since = None
        if not self._paused and not self.in_flight.full:
            return
        hogs = self.in_flight.over() - self._paused
        if hogs:
            self._client.pause(hogs)
            self._counters.pauses += len(hogs)
            self._paused |= hogs
        done = self._paused - self.in_flight.over(0.5)
        if done:
            self._client.resume(done)
            self._paused -= done

    def _forward(self, runs: list[Run]) -> None:
        touched: set[Partition] = set()
        for run in runs:
            partition = run.topic, run.partition
            touched.add(partition)
            if isinstance(run, Batch):
                self._counters.batches += 1
                self._count(partition, run.epoch, len(run), nbytes(run))
            elif isinstance(run, Records):
                self._count(partition, run.epoch, len(run.records), sum(r.nbytes for r in run.records))
        now = time.monotonic()
        if now >= self._places_at:
            self._places_at = now + PLACES_S
            touched.update(self.in_flight.partitions())
        if touched:
            self._tell(self._owner.note_arrived, runs, {p: self._client.position(p) for p in touched})

    def _count(self, partition: Partition, epoch: int, records: int, size: int) -> None:
        self._counters.records += records
        self.in_flight.add(partition, epoch, records, size)

    # In the thread, inside the client's callbacks

    def _assigned(self, starts: Mapping[Partition, Start]) -> None:
        self._counters.rebalances += 1
        for partition, start in starts.items():
            self.in_flight.start(partition, start.epoch)
        self._paused -= set(starts)
        self._tell(self._owner.note_started, starts)
        self._wait_for(self._owner.on_assigned)

    def _revoked(self, partitions: Collection[Partition], lost: bool) -> None:
        try:
            self._wait_for(lambda: self._owner.on_revoked(partitions, lost))
        finally:
            for partition in partitions:
                self.in_flight.stop(partition)
            self._paused -= set(partitions)
            self._tell(self._owner.note_stopped, partitions)

    def _wait_for(self, start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Let the event loop do it, and serve its calls meanwhile."""
        if self._closing:
            return
        # What the event loop waits for must not wait for this callback: these answers come in no poll now.
        for done in self._commits:
            done(False)
        self._commits.clear()
        self._in_callback = True
        try:
            self._wait_serving(start)
        finally:
            self._in_callback = False

    def _wait_serving(self, start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        coroutine = start()
        try:
            done = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError:  # the loop is closed
            coroutine.close()
            self._closing = True
            return
        done.add_done_callback(lambda _: self._wake.set())
        deadline = time.monotonic() + self._settings.rebalance_limit_ms / 1000
        while not done.done() and not self._closing:
            self._serve_calls()
            self._wake.wait(POLL_S)
            self._wake.clear()
            if time.monotonic() > deadline:
                done.cancel()
                raise RunError(
                    f"the worker did not finish a rebalance within {self._settings.rebalance_limit_ms} ms"
                )
        if done.done():
            done.result()
