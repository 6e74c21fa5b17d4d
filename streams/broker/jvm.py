"""The jvm broker: Apache Kafka, KRaft, one node that is broker and controller, on the loopback address."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.broker.base import CAPABILITIES, Broker
from streams.broker.jars import jars, java
from streams.broker.process import (
    HOST,
    RELEASE,
    Handle,
    choose_port,
    handle_of,
    spawn,
    stop,
    until_listening,
    watch,
)
from streams.broker.security import Security, make_security
from streams.errors import InterlayerError, RunError, UserError

STARTUP_LIMIT_S = 60.0
FORMAT_LIMIT_S = 60.0
# Kafka 4.3.1 on Java 17, two idle cores: answers after 2.7 s, formatting included, and holds 230 MB then.
_JAVA_OPTIONS = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
)


def server_properties(port: int, controller: int, data: Path, security: Security | None) -> dict[str, str]:
    """The settings of a lone local node; a listener for SASL_SSL joins where `security` is given."""
    listeners = [f"PLAINTEXT://{HOST}:{port}"] + ([f"SASL_SSL://{HOST}:{security.port}"] if security else [])
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        # Static voters: with --standalone the controller's port is written into the log and could not change.
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "listeners": ",".join([*listeners, f"CONTROLLER://{HOST}:{controller}"]),
        "advertised.listeners": ",".join(listeners),
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "group.consumer.min.session.timeout.ms": "1000",
        "group.consumer.min.heartbeat.interval.ms": "100",
        "log.cleaner.dedupe.buffer.size": str(16 << 20),
        "num.network.threads": "2",
        "num.io.threads": "4",
        **(security.properties if security else {}),
    }


def start_jvm(
    *,
    port: int = 0,
    data_dir: Path | None = None,
    secure: bool = False,
    with_parent: bool = True,
    properties: Mapping[str, str] | None = None,
) -> Broker:
    """Start Apache Kafka on `port` (0: a free one), with what `data_dir` holds from before.

    Without `data_dir` the data is removed at the stop. With `with_parent` it is stopped when this process
    ends, however that ends; otherwise it outlives us, and `streams.broker.local` keeps track of it. `secure`
    adds a listener for TLS with SASL/SCRAM-SHA-512, to which address and configuration then belong.
    `properties` override server settings.

    Raises UserError (no Java 17, no Maven, port taken) or RunError (jars cannot be fetched, it does not start
    within STARTUP_LIMIT_S).
    """
    runtime = java()
    port = choose_port(port)
    command = [runtime, *_JAVA_OPTIONS, "-cp", f"{jars()}/*"]
    scratch = None if data_dir else Path(tempfile.mkdtemp(prefix="interlayer-kafka-"))
    home = (data_dir or Path(str(scratch))).resolve()
    home.mkdir(parents=True, exist_ok=True)
    log, settings = home / "kafka.log", home / "server.properties"
    controller = choose_port(besides={port})
    try:
        security = make_security(runtime, home, choose_port(besides={port, controller})) if secure else None
        values = server_properties(port, controller, home / "data", security) | dict(properties or {})
        settings.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        if not (home / "data" / "meta.properties").exists():
            _format(command, settings, log, security)
        node = _Node.start([*command, "kafka.Kafka", str(settings)], log, scratch)
        node.wait(port)
    except BaseException:
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)
        raise
    if not with_parent:
        node.release()
    bootstrap = f"{HOST}:{security.port if security else port}"
    return Broker(
        kind="jvm",
        bootstrap=bootstrap,
        config={"bootstrap.servers": bootstrap, **(security.client if security else {})},
        capabilities=CAPABILITIES["jvm"],
        pid=node.handle.pid,
        data_dir=home,
        log_file=log,
        on_stop=node.stop,
    )


@dataclass
class _Node:
    """Kafka's process and the watchdog that ends it when we are killed, while it starts in any case."""

    process: subprocess.Popen[bytes]
    handle: Handle
    log: Path
    log_begin: int
    scratch: Path | None
    watchdog: subprocess.Popen[bytes] | None

    @classmethod
    def start(cls, argv: list[str], log: Path, scratch: Path | None) -> Self:
        begin = log.stat().st_size if log.exists() else 0
        process = spawn(argv, log)
        handle = handle_of(process.pid) or Handle(process.pid, time.time())
        return cls(process, handle, log, begin, scratch, watch(handle, scratch))

    def wait(self, port: int) -> None:
        """Return when the broker answers a metadata request; where it does not, stop it and say why."""
        try:
            deadline = time.monotonic() + STARTUP_LIMIT_S
            if not (until_listening(port, self.process, deadline) and self._answers(port, deadline)):
                raise self._fault(port)
        except BaseException:
            self.stop()
            raise

    def _answers(self, port: int, deadline: float) -> bool:
        admin = AdminClient({"bootstrap.servers": f"{HOST}:{port}", "log_level": "0"})
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if admin.list_topics(timeout=1.0).brokers:
                    return True
            except KafkaException:
                time.sleep(0.05)
        return False

    def _fault(self, port: int) -> InterlayerError:
        if self.process.poll() is None:
            return RunError(f"the jvm broker does not answer after {STARTUP_LIMIT_S:g} s (log: {self.log})")
        reason = _reason(self.log, self.log_begin)
        if "already in use" in reason.lower():
            return UserError(f"the jvm broker ended at its start: port {port} on {HOST} is taken")
        return RunError(f"the jvm broker ended at its start: {reason} (log: {self.log})")

    def release(self) -> None:
        """Let it outlive us."""
        if self.watchdog is not None and self.watchdog.stdin is not None:
            self.watchdog.communicate(RELEASE)
        self.watchdog = None

    def stop(self) -> None:
        stop(self.handle)
        self.process.wait()
        if self.watchdog is not None:
            self.watchdog.communicate()
        if self.scratch is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)


def _format(command: list[str], settings: Path, log: Path, security: Security | None) -> None:
    cluster = "-"
    while cluster.startswith("-"):  # Kafka's tool would take it for an option; 1 of 64 begins so
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    argv = [*command, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(settings)]
    for user in security.scram if security else ():
        argv += ["--add-scram", user]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=FORMAT_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise RunError(
            f"the jvm broker's data folder was not formatted within {FORMAT_LIMIT_S:g} s"
        ) from None
    begin = log.stat().st_size if log.exists() else 0
    with log.open("a") as file:
        file.write(done.stdout + done.stderr)
    if done.returncode:
        raise RunError(
            f"the jvm broker's data folder cannot be formatted: {_reason(log, begin)} (log: {log})"
        )


def _reason(log: Path, begin: int) -> str:
    """The line of a JVM's log, from byte `begin` on, that tells why it ended."""
    text = log.read_bytes()[begin:].decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"Exception|Error|Caused by|already in use", line)]
    return (telling or lines or ["it said nothing"])[-1][:300]
