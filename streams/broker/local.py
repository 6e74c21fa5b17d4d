"""The local broker that outlives its command: started, found again and stopped through a folder of state."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from streams.broker.base import CAPABILITIES, Broker, Capability
from streams.broker.embedded import start_embedded
from streams.broker.jvm import start_jvm
from streams.broker.process import Handle, find, handle_of, stop
from streams.errors import RunError, UserError

STATE_DIR = Path(".interlayer") / "broker"
LocalKind = Literal["embedded", "jvm"]


@dataclass(frozen=True)
class Running:
    """What the state file says of the broker that runs. `started` is in s since 1970."""

    kind: LocalKind
    bootstrap: str
    pid: int
    started: float
    data_dir: str | None
    log_file: str

    def uptime_s(self) -> float:
        return max(0.0, time.time() - self.started)

    def broker(self, capabilities: frozenset[Capability] | None = None) -> Broker:
        """It as a broker that this process does not own: `Broker.stop` leaves it running."""
        return Broker(
            kind=self.kind,
            bootstrap=self.bootstrap,
            config={"bootstrap.servers": self.bootstrap},
            capabilities=CAPABILITIES[self.kind] if capabilities is None else capabilities,
            pid=self.pid,
            data_dir=Path(self.data_dir) if self.data_dir else None,
            log_file=Path(self.log_file),
        )


def running(state: Path = STATE_DIR) -> Running | None:
    """The broker started here if its very process still runs; what a dead one left behind does not count."""
    try:
        found = Running(**json.loads(_state_file(state).read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError):
        raise UserError(
            f"{_state_file(state)} is damaged; end the broker by hand and remove the file"
        ) from None
    return found if find(Handle(found.pid, found.started)) else None


def start(
    kind: LocalKind,
    *,
    topics: Mapping[str, int] | None = None,
    port: int = 0,
    data_dir: Path | None = None,
    state: Path = STATE_DIR,
) -> Running:
    """Start a broker that outlives this process. `topics` are made by the embedded one alone.

    Raises UserError where one runs already, where the kind cannot do what is asked (a port, a data folder),
    where the port is taken or Java is missing; RunError where it does not start.
    """
    if kind == "embedded" and (port or data_dir):
        what = (
            "a port of its own choice (--port)"
            if port
            else "no data folder, it is in memory (--data, durable)"
        )
        raise UserError(f"the embedded broker takes {what}; use --kind jvm")
    state.mkdir(parents=True, exist_ok=True)
    with _only_one(state):
        if there := running(state):
            raise UserError(
                f"the {there.kind} broker runs here already at {there.bootstrap} (pid {there.pid}); "
                "`interlayer broker stop` ends it"
            )
        if kind == "jvm":
            broker = start_jvm(port=port, data_dir=data_dir or state / "jvm", with_parent=False)
        else:
            broker = start_embedded(topics, log_file=(state / "embedded.log").resolve(), with_parent=False)
        return _remember(broker, kind, state)


def end(state: Path = STATE_DIR) -> tuple[Running, bool] | None:
    """Stop the broker started here: what it was, and whether SIGTERM was enough. None where none runs."""
    found = running(state)
    gentle = stop(Handle(found.pid, found.started)) if found else True
    for path in (_state_file(state), _pid_file(state)):
        path.unlink(missing_ok=True)
    return (found, gentle) if found else None


def _remember(broker: Broker, kind: LocalKind, state: Path) -> Running:
    handle = handle_of(broker.pid) if broker.pid else None
    if handle is None:
        raise RunError(f"the {kind} broker ended right after its start (log: {broker.log_file})")
    known = Running(
        kind=kind,
        bootstrap=broker.bootstrap,
        pid=handle.pid,
        started=handle.started,
        data_dir=str(broker.data_dir) if broker.data_dir else None,
        log_file=str(broker.log_file),
    )
    _write(_pid_file(state), f"{handle.pid}\n")
    _write(_state_file(state), json.dumps(asdict(known), indent=2) + "\n")
    broker.on_stop = None  # it stays
    return known


def _write(path: Path, text: str) -> None:
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.replace(path)


def _state_file(state: Path) -> Path:
    return state / "broker.json"


def _pid_file(state: Path) -> Path:
    return state / "broker.pid"


@contextlib.contextmanager
def _only_one(state: Path) -> Iterator[None]:
    """Two starts at once: the second is refused, not left to wait a minute."""
    # The broker must not inherit the lock: descriptors are closed in children by default.
    handle = os.open(state / "lock", os.O_CREAT | os.O_WRONLY, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UserError(f"another `interlayer broker start` is at work here ({state})") from None
    finally:
        os.close(handle)
