"""The process of the embedded broker: librdkafka's mock cluster, through its public C functions.

`python -m streams.broker.mock_cluster --topic NAME=PARTITIONS ... [--with-parent]` prints one line of JSON,
{"bootstrap": "127.0.0.1:PORT"}, and runs until SIGTERM; with --with-parent also until its parent ends, and
it takes lines {"name": partitions, ...} of more topics on stdin, each answered by a line "ok" or the error.
Source of the calls: rdkafka_mock.h of librdkafka 2.16.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import select
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import confluent_kafka

POLL_S = 1.0
# The mock waits 3,000 ms for more members by default; a lone worker need not.
REBALANCE_DELAY_MS = 100
_PRODUCER = 0
_TOPIC_ALREADY_EXISTS = 36


def library_path() -> Path:
    """librdkafka inside the confluent-kafka wheel: beside the package on Linux, within it on macOS."""
    package = Path(confluent_kafka.__file__).parent
    places = (
        (package.parent / "confluent_kafka.libs", "librdkafka-*.so*"),
        (package / ".dylibs", "librdkafka*.dylib"),
    )
    for folder, pattern in places:
        for found in sorted(folder.glob(pattern)):
            return found
    raise FileNotFoundError(f"librdkafka is not in the confluent-kafka wheel at {package}")


def load() -> ctypes.CDLL:
    """librdkafka with the argument types of the calls used here."""
    lib = ctypes.CDLL(str(library_path()))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures: Mapping[str, tuple[object, list[object]]] = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_new": (pointer, [number, pointer, text, ctypes.c_size_t]),
        "rd_kafka_err2str": (text, [number]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, number]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_topic_create": (number, [pointer, text, number, number]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [pointer, ctypes.c_int32]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


class MockCluster:
    """One mock broker in this process. It lives until the process ends."""

    def __init__(self) -> None:
        self._lib = load()
        error = ctypes.create_string_buffer(512)
        self._client = self._lib.rd_kafka_new(_PRODUCER, self._lib.rd_kafka_conf_new(), error, len(error))
        if not self._client:
            raise OSError(f"librdkafka: {error.value.decode()}")
        self._cluster = self._lib.rd_kafka_mock_cluster_new(self._client, 1)
        if not self._cluster:
            raise OSError("librdkafka could not start its mock cluster: no port could be bound")
        self._lib.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, REBALANCE_DELAY_MS)
        self.bootstrap: str = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def create(self, topics: Mapping[str, int]) -> None:
        """Make topics (name: partitions) that are not there yet. Raises OSError with librdkafka's reason."""
        for name, partitions in topics.items():
            if partitions < 1:  # the mock would take it
                raise OSError(f"topic {name}: {partitions} partitions")
            code = self._lib.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
            if code not in (0, _TOPIC_ALREADY_EXISTS):
                raise OSError(f"topic {name}: {self._lib.rd_kafka_err2str(code).decode()}")


def _serve_parent(cluster: MockCluster, parent: int) -> None:
    pending = b""
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin], [], [], POLL_S)
        if not readable:
            continue
        received = os.read(sys.stdin.fileno(), 65_536)
        if not received:
            return
        *lines, pending = (pending + received).split(b"\n")
        for line in lines:
            try:
                cluster.create(json.loads(line))
                _say("ok")
            except (OSError, ValueError) as error:
                _say(str(error))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description="librdkafka's mock cluster")
    parser.add_argument("--topic", action="append", default=[], metavar="NAME=PARTITIONS")
    parser.add_argument("--with-parent", action="store_true")
    parser.add_argument("--remove", type=Path, metavar="DIR", help="removed when the parent is gone")
    arguments = parser.parse_args()
    ends = {signal.SIGTERM, signal.SIGINT}
    if arguments.with_parent:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    else:
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    parent = os.getppid()
    cluster = MockCluster()
    pairs = (item.rpartition("=") for item in arguments.topic)
    cluster.create({name: int(partitions) for name, _, partitions in pairs})
    _say(json.dumps({"bootstrap": cluster.bootstrap}))
    if arguments.with_parent:
        _serve_parent(cluster, parent)
        if arguments.remove:
            shutil.rmtree(arguments.remove, ignore_errors=True)
    else:
        signal.sigwait(ends)
    os._exit(0)  # nothing is kept: freeing what librdkafka holds would only take time


if __name__ == "__main__":
    main()
