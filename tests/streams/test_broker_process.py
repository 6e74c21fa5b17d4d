"""Ports, processes and the watchdog, without a broker."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from streams.broker import process
from streams.errors import UserError

STUBBORN = (
    "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
)


def eventually(true: Callable[[], bool], limit_s: float = 20.0) -> bool:
    deadline = time.monotonic() + limit_s
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


def test_a_taken_port_is_refused_and_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} on 127.0.0.1 is taken"):
            process.choose_port(port)
    assert process.choose_port(port) == port


def test_a_chosen_port_is_free_and_not_one_of_outgoing_connections() -> None:
    port = process.choose_port()
    assert 20_000 <= port < 32_000
    with socket.create_server(("127.0.0.1", port)):
        assert process.is_taken(port)


def test_a_process_is_known_by_its_start_and_not_by_its_id_alone() -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    handle = process.handle_of(sleeper.pid)
    assert handle is not None
    assert process.find(handle) is not None
    stranger = process.Handle(sleeper.pid, handle.started - 100)
    assert process.find(stranger) is None
    assert process.stop(stranger)
    assert sleeper.poll() is None, "another process of the same id must not be stopped"
    assert process.stop(handle)
    assert sleeper.wait(10) in (0, -signal.SIGTERM)
    assert process.find(handle) is None


def test_who_ignores_sigterm_is_killed_after_the_limit() -> None:
    stubborn = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert stubborn.stdout is not None
    with stubborn.stdout:
        stubborn.stdout.readline()
    handle = process.handle_of(stubborn.pid)
    assert handle is not None
    assert process.stop(handle, limit_s=0.2) is False
    assert not psutil.pid_exists(stubborn.pid) or stubborn.wait(10) == -signal.SIGKILL


STARTER = """
import subprocess, sys, time
from pathlib import Path
from streams.broker import process
child = process.spawn([sys.executable, "-c", "import time; time.sleep(60)"], Path(sys.argv[1]) / "log")
process.watch(process.handle_of(child.pid), Path(sys.argv[1]) / "data")
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_released_process_is_left_alone(tmp_path: Path) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    handle = process.handle_of(sleeper.pid)
    assert handle is not None
    dog = process.watch(handle, tmp_path)
    dog.communicate(process.RELEASE)
    assert dog.returncode == 0
    assert process.find(handle) is not None
    assert tmp_path.exists()
    process.stop(handle)


def test_a_watched_process_does_not_outlive_a_starter_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)], stdout=subprocess.PIPE, env=process.python_env()
    )
    assert starter.stdout is not None
    with starter.stdout:
        child = process.handle_of(int(starter.stdout.readline()))
    assert child is not None
    starter.kill()
    starter.wait()
    assert eventually(lambda: process.find(child) is None)
    assert eventually(lambda: not (tmp_path / "data").exists())
