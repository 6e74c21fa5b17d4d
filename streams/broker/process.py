"""Processes of local brokers: start, recognise, stop; ports."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types

from streams.errors import UserError

HOST = "127.0.0.1"
STOP_LIMIT_S = 15.0
RELEASE = b"r"  # said to a watchdog: what it watches may outlive us
# Below the ports that systems give to outgoing connections (Linux from 32768, macOS from 49152), so that
# none of those takes the port while the broker is still starting.
_PORTS = range(20_000, 32_000)


@dataclass(frozen=True)
class Handle:
    """A process: its id and its start (s since 1970), as ids are used again."""

    pid: int
    started: float


def handle_of(pid: int) -> Handle | None:
    """The process with this id, or None."""
    try:
        return Handle(pid, psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def find(handle: Handle) -> psutil.Process | None:
    """The very process of `handle` if it still runs."""
    try:
        found = psutil.Process(handle.pid)
        # create_time() moves by up to a second where the system clock was set meanwhile.
        same = abs(found.create_time() - handle.started) < 2.0
        return found if same and found.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def stop(handle: Handle, limit_s: float = STOP_LIMIT_S) -> bool:
    """SIGTERM, after `limit_s` SIGKILL. Returns whether SIGTERM was enough (or it was gone already)."""
    found = find(handle)
    if found is None:
        return True
    try:
        found.terminate()
        found.wait(limit_s)
        return True
    except psutil.TimeoutExpired:
        found.kill()
        found.wait(limit_s)
        return False
    except psutil.NoSuchProcess:
        return True


def spawn(
    argv: Sequence[str], log_file: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own (a Ctrl-C is for us alone), its output to `log_file`."""
    with log_file.open("ab") as log:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True
        )


def python_env() -> dict[str, str]:
    """An environment in which `python -m streams...` finds this very package."""
    root = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{inherited}" if inherited else root}


def watch(handle: Handle, remove: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a watchdog: when this process ends, however it ends, it stops `handle` and removes `remove`.

    Writing RELEASE to the returned process's stdin ends the watch; so does its closing, by which
    time the watched one should be stopped.
    """
    argv = [sys.executable, "-m", "streams.broker.watchdog", str(handle.pid), repr(handle.started)]
    return subprocess.Popen(
        argv + ([str(remove)] if remove else []),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=python_env(),
        start_new_session=True,
    )


def is_taken(port: int) -> bool:
    """Whether something listens on `port` of the loopback address, or it cannot be bound."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        if probe.connect_ex((HOST, port)) == 0:
            return True
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def choose_port(wanted: int = 0, besides: Set[int] = frozenset()) -> int:
    """`wanted` if it is free (0: any free one not in `besides`). Raises UserError where it is taken."""
    if wanted:
        if is_taken(wanted):
            raise UserError(
                f"port {wanted} on {HOST} is taken; stop what listens there or choose another --port"
            )
        return wanted
    for _ in range(100):
        port = random.choice(_PORTS)
        if port not in besides and not is_taken(port):
            return port
    raise UserError(f"no free port found between {_PORTS.start} and {_PORTS.stop} on {HOST}")


def until_listening(port: int, process: subprocess.Popen[bytes], deadline: float) -> bool:
    """Wait until `port` answers. False when the process ended or `deadline` (monotonic, s) passed."""
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((HOST, port)) == 0:
                return True
        time.sleep(0.05)
    return False
