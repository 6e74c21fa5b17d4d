"""Start broker, worker and market, watch them, and judge what came out."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.live import Live

from streams.admin import TopicAdmin, wanted
from streams.broker import Broker, open_broker
from streams.broker.address import SCHEME
from streams.broker.process import RELEASE, choose_port, handle_of, python_env, spawn, stop, watch
from streams.cli.output import console, is_terminal, say
from streams.config import Settings
from streams.demo.score import Score, score
from streams.demo.view import Picture, draw, headline, percentiles
from streams.demo.watch import Watch, WorkerPort
from streams.errors import RunError, UserError
from streams.simulator.truth import read_truth

READY_LIMIT_S = 180.0  # the first start compiles the kernels
CATCH_UP_LIMIT_S = 30.0
END_LIMIT_S = 20.0
REFRESH_S = 0.25
PLAIN_EVERY_S = 5.0


@dataclass(frozen=True)
class Demo:
    """What a demonstration is told."""

    settings: Settings
    seconds: float
    seed: int
    rate: float
    folder: Path  # logs and the ground truth


@dataclass(frozen=True)
class Result:
    """What came out."""

    broker: str
    updates: int
    seconds: float
    latencies_ms: list[float]
    score: Score
    signals: int
    risk_events: int
    rejects: int
    reasons: dict[str, int]

    def record(self) -> dict[str, Any]:
        """As it stands in out/demo.json."""
        return {
            "broker": self.broker,
            "updates": self.updates,
            "updates_per_s": round(self.updates / self.seconds, 1),
            "latency_ms": percentiles(self.latencies_ms),
            "episodes": self.score.record(),
            "signals": self.signals,
            "risk_events": self.risk_events,
            "rejects": self.rejects,
            "reasons": self.reasons,
        }


def run(demo: Demo, quiet: bool) -> Result:
    """The whole demonstration; everything that it started has ended when it returns or raises."""
    _make(demo.folder)
    topics = wanted(
        demo.settings.prefix, demo.settings.partitions, demo.settings.replication, demo.settings.min_isr
    )
    counts = {topic.name: topic.partitions for topic in topics}
    if not quiet:
        spec = demo.settings.broker
        say(f"connecting to {spec}" if spec.startswith(SCHEME) else f"starting the {spec} broker")
    broker = open_broker(demo.settings.broker, topics=counts, security=demo.settings.kafka_config())
    with broker:
        if broker.note and not quiet:
            say(broker.note)
        if broker.kind != "embedded":
            TopicAdmin(broker).create(topics)
        watch = Watch(broker, demo.settings)
        try:
            return _with_worker(demo, broker, watch, quiet)
        finally:
            watch.stop()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}; choose another with --out") from None


def _with_worker(demo: Demo, broker: Broker, watch: Watch, quiet: bool) -> Result:
    port = choose_port()
    address = ["--broker", SCHEME + broker.bootstrap]
    if demo.settings.prefix:
        address += ["--prefix", demo.settings.prefix]
    address += ["--markets", str(demo.settings.markets)]
    log = demo.folder / "worker.log"
    with _child(["worker", *address, "--web-port", str(port)], log) as worker:
        web = WorkerPort(port)
        if not quiet:
            say("starting a worker (the first start compiles the kernels, which takes up to a minute)")
        _wait(READY_LIMIT_S, web.ready, worker, log, "the worker is not ready")
        before = web.stats().get("records", 0)
        truth = demo.folder / "truth.jsonl"
        market = ["simulate", *address, "--seconds", str(demo.seconds), "--seed", str(demo.seed)]
        market += ["--rate", str(demo.rate), "--truth", str(truth), "--json"]
        market_log = demo.folder / "simulate.log"
        with _child(market, market_log) as feed:
            stats = _show(demo, broker, watch, web, worker, feed, log, quiet)
            if feed.returncode:
                raise RunError(f"the market ended with exit code {feed.returncode}: {_last_line(market_log)}")
        if not stats:
            raise RunError(f"the worker's web port {port} never answered, see {log}")
        updates = int(stats["records"]) - before
        _end(worker, log)
    return _judge(demo, broker, watch, updates, truth)


def _judge(demo: Demo, broker: Broker, watch: Watch, updates: int, truth: Path) -> Result:
    """Wait until what the worker published last has arrived, then compare with the truth."""
    seen = -1
    while seen != sum(watch.counts.values()):
        seen = sum(watch.counts.values())
        time.sleep(REFRESH_S)
    return Result(
        broker=broker.kind,
        updates=updates,
        seconds=demo.seconds,
        latencies_ms=watch.latencies_ms,
        score=score(read_truth(truth), watch.signals),
        signals=watch.counts["signal"],
        risk_events=watch.counts["risk.event"],
        rejects=watch.counts["book.reject"],
        reasons=dict(sorted(watch.reasons.items())),
    )


def _show(
    demo: Demo,
    broker: Broker,
    watch: Watch,
    web: WorkerPort,
    worker: subprocess.Popen[bytes],
    feed: subprocess.Popen[bytes],
    log: Path,
    quiet: bool,
) -> dict[str, Any]:
    """Show what happens until the market has ended and the worker has caught up; the worker's last stats."""
    picture = Picture(f"the {broker.kind} broker", 0.0, demo.seconds)
    live = (
        Live(console=console(), refresh_per_second=4, transient=True) if is_terminal() and not quiet else None
    )
    began = last = said = time.monotonic()
    ended = 0.0
    gained = 0
    if live:
        live.start()
    try:
        while True:
            time.sleep(REFRESH_S)
            _alive(worker, log)
            now = time.monotonic()
            stats = web.stats()
            if stats:
                gained = stats["records"] - picture.stats.get("records", 0)
                picture.rate = gained / (now - last)
                picture.stats, last = stats, now
            if not picture.stats.get("records"):
                began = now  # the market's own process is still starting
            picture.elapsed_s = min(now - began, demo.seconds)
            if live:
                live.update(draw(picture, watch, live.console.height))
            elif not quiet and now - said >= PLAIN_EVERY_S:
                said = now
                say(headline(picture, watch))
            if feed.poll() is not None:
                ended = ended or now
                idle = bool(stats) and not gained and not stats["waiting"]
                if idle or now - ended > CATCH_UP_LIMIT_S:
                    return dict(picture.stats)
    finally:
        if live:
            live.stop()


@contextmanager
def _child(arguments: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command of ours as a process of its own, its output in `log`; it ends with us, however we end."""
    log.unlink(missing_ok=True)
    process = spawn([sys.executable, "-m", "streams.cli", *arguments], log, python_env())
    handle = handle_of(process.pid)
    watchdog = watch(handle) if handle is not None else None
    try:
        yield process
    finally:
        if handle is not None:
            stop(handle, END_LIMIT_S)
        process.wait()
        if watchdog is not None:
            watchdog.communicate(RELEASE)


def _end(worker: subprocess.Popen[bytes], log: Path) -> None:
    """SIGTERM, and a clean end within the limit."""
    worker.send_signal(signal.SIGTERM)
    try:
        code = worker.wait(END_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise RunError(
            f"the worker did not end within {END_LIMIT_S:.0f} s after SIGTERM, see {log}"
        ) from None
    if code != 0:
        raise RunError(f"the worker ended with exit code {code}: {_last_line(log)} (see {log})")


def _alive(process: subprocess.Popen[bytes], log: Path) -> None:
    code = process.poll()
    if code is not None:
        raise RunError(f"the worker ended with exit code {code}: {_last_line(log)} (see {log})")


def _wait(limit_s: float, ready: Any, process: subprocess.Popen[bytes], log: Path, what: str) -> None:
    deadline = time.monotonic() + limit_s
    while not ready():
        _alive(process, log)
        if time.monotonic() > deadline:
            raise RunError(f"{what} after {limit_s:.0f} s, see {log}")
        time.sleep(0.1)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
