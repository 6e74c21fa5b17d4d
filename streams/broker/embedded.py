"""The embedded broker: librdkafka's mock cluster in a process of its own. Good for a demo and for tests."""

from __future__ import annotations

import json
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from streams.broker.base import CAPABILITIES, Broker
from streams.broker.process import Handle, handle_of, python_env, stop
from streams.errors import RunError

STARTUP_LIMIT_S = 20.0
ANSWER_LIMIT_S = 10.0
KEPT_BYTES = 5 << 20  # of each partition; what is older is dropped without a word (librdkafka 2.16)


def start_embedded(
    topics: Mapping[str, int] | None = None, *, log_file: Path | None = None, with_parent: bool = True
) -> Broker:
    """Start one with these topics (name: partitions).

    With `with_parent` it ends when this process ends, however that ends, and takes more topics through
    `Broker.add_topics`; otherwise it outlives us, and `streams.broker.local` keeps track of it.
    Raises RunError where it does not start within STARTUP_LIMIT_S.
    """
    scratch = None if log_file else Path(tempfile.mkdtemp(prefix="interlayer-embedded-"))
    log = log_file or Path(str(scratch)) / "embedded.log"
    process = _spawn(topics or {}, log, scratch, with_parent)
    answer = _read_line(process, STARTUP_LIMIT_S)
    handle = handle_of(process.pid)
    if not answer.startswith("{") or handle is None:
        process.kill()
        process.wait()
        last = (log.read_text(errors="replace").strip() or answer or "no answer").splitlines()[-1]
        raise RunError(f"the embedded broker did not start: {last} (log: {log})")
    bootstrap = json.loads(answer)["bootstrap"]
    return Broker(
        kind="embedded",
        bootstrap=bootstrap,
        config={"bootstrap.servers": bootstrap},
        capabilities=CAPABILITIES["embedded"],
        pid=process.pid,
        log_file=log,
        on_stop=lambda: _stop(process, handle, scratch),
        on_add_topics=(lambda more: _add_topics(process, more)) if with_parent else None,
    )


def _spawn(
    topics: Mapping[str, int], log: Path, scratch: Path | None, with_parent: bool
) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "streams.broker.mock_cluster"]
    for name, partitions in topics.items():
        argv += ["--topic", f"{name}={partitions}"]
    argv += ["--with-parent"] if with_parent else []
    argv += ["--remove", str(scratch)] if scratch else []
    with log.open("ab") as stderr:
        return subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if with_parent else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=python_env(),
            start_new_session=True,
        )


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def _read_line(process: subprocess.Popen[bytes], limit_s: float) -> str:
    """One line of the process's stdout, "" when it ended or said nothing for `limit_s`."""
    stream, line = _pipe(process.stdout), b""
    deadline = time.monotonic() + limit_s
    while not line.endswith(b"\n"):
        readable, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
        received = stream.read1(65_536) if readable else b""  # type: ignore[attr-defined]  # a BufferedReader
        if not received:
            return ""
        line += received
    return line.decode().strip()


def _add_topics(process: subprocess.Popen[bytes], topics: Mapping[str, int]) -> None:
    try:
        stdin = _pipe(process.stdin)
        stdin.write(json.dumps(dict(topics)).encode() + b"\n")
        stdin.flush()
        answer = _read_line(process, ANSWER_LIMIT_S)
    except OSError as error:
        answer = str(error)
    if answer != "ok":
        raise RunError(
            f"the embedded broker made no topics {sorted(topics)}: {answer or 'it does not answer'}"
        )


def _stop(process: subprocess.Popen[bytes], handle: Handle, scratch: Path | None) -> None:
    stop(handle)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    if scratch is not None:
        shutil.rmtree(scratch, ignore_errors=True)
