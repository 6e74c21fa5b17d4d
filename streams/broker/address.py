"""A broker at an address that somebody else runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.broker.base import CAPABILITIES, Broker, Kind
from streams.errors import RunError, UserError

SCHEME = "kafka://"
ANSWER_LIMIT_S = 5.0
# librdkafka names the cluster id of its mock "mockCluster" and a number: whoever connects to one is told.
_MOCK = "mockCluster"


def parse(spec: str) -> str:
    """host:port[,host:port] of kafka://host:port[,...]. Raises UserError that shows the wrong part."""
    hosts = spec.removeprefix(SCHEME).rstrip("/")
    for host in hosts.split(","):
        match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})", host)
        if match is None or not 0 < int(match[2]) < 65_536:
            raise UserError(f"broker {spec}: `{host}` is no host:port; write kafka://host:port[,host:port]")
    return hosts


def connect(spec: str, security: Mapping[str, str] | None = None, limit_s: float = ANSWER_LIMIT_S) -> Broker:
    """The Kafka at `spec` (kafka://host:port[,...]), reached with librdkafka's settings `security`.

    Raises UserError for a wrong address or setting, RunError where nothing answers within `limit_s`.
    """
    bootstrap = parse(spec)
    config = {**(security or {}), "bootstrap.servers": bootstrap}
    faults: list[str] = []
    quiet: dict[str, Any] = {"log_level": 0, "error_cb": lambda error: faults.append(error.str())}
    try:
        admin = AdminClient({**config, **quiet})
    except KafkaException as error:
        raise UserError(f"broker {spec}: librdkafka refuses its settings: {error.args[0].str()}") from None
    try:
        cluster = admin.list_topics(timeout=limit_s).cluster_id or ""
    except KafkaException as error:
        admin.poll(0)
        reason = faults[0] if faults else error.args[0].str()
        raise RunError(f"no Kafka answers at {bootstrap} within {limit_s:g} s: {reason}") from None
    kind: Kind = "embedded" if cluster.startswith(_MOCK) else "kafka"
    return Broker(kind=kind, bootstrap=bootstrap, config=config, capabilities=CAPABILITIES[kind])
