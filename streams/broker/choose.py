"""A broker by its short name: kafka://host:port[,...], jvm, embedded or auto."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from streams.broker import address, local
from streams.broker.base import Broker
from streams.broker.embedded import start_embedded
from streams.broker.jvm import start_jvm
from streams.errors import InterlayerError, UserError

VARIABLE = "INTERLAYER_BROKER"
SPECS = "embedded, jvm, auto or kafka://host:port[,host:port]"


def open_broker(
    spec: str,
    *,
    topics: Mapping[str, int] | None = None,
    security: Mapping[str, str] | None = None,
    port: int = 0,
    data_dir: Path | None = None,
    limit_s: float = address.ANSWER_LIMIT_S,
) -> Broker:
    """A broker for this process: `kafka://` is connected to, the others are started and end with us.

    `auto` is the address in INTERLAYER_BROKER, else a JVM's Kafka, else an embedded one (the reason is kept
    in `Broker.note`). `topics` (name: partitions) are made by the embedded one alone; elsewhere see
    `streams.admin`. `security` is passed through to librdkafka for an address.
    Raises UserError or RunError with one line that says which step cannot be taken.
    """
    if spec == "auto":
        return _auto(topics, security, limit_s)
    if spec.startswith(address.SCHEME):
        return address.connect(spec, security, limit_s)
    if spec == "jvm":
        return start_jvm(port=port, data_dir=data_dir)
    if spec == "embedded":
        if port:
            raise UserError(
                "the embedded broker takes a port of its own choice; leave --port away, or use jvm"
            )
        if data_dir:
            raise UserError("the embedded broker keeps nothing (durable); leave --data away, or use jvm")
        return start_embedded(topics)
    raise UserError(f"broker {spec!r} is none of {SPECS}")


def find_broker(
    spec: str,
    *,
    security: Mapping[str, str] | None = None,
    state: Path = local.STATE_DIR,
    limit_s: float = address.ANSWER_LIMIT_S,
) -> Broker:
    """A broker that runs already: an address, or what `interlayer broker start` started here.

    Raises UserError where none runs or it is of another kind, RunError where it does not answer.
    """
    if spec == "auto":
        named = _from_environment()
        spec = named if named.startswith(address.SCHEME) else "auto"
    if spec.startswith(address.SCHEME):
        return address.connect(spec, security, limit_s)
    if spec not in ("jvm", "embedded", "auto"):
        raise UserError(f"broker {spec!r} is none of {SPECS}")
    running = local.running(state)
    if running is None:
        kind = "" if spec == "auto" else f" --kind {spec}"
        raise UserError(f"no broker runs here ({state}); start one with `interlayer broker start{kind}`")
    if spec not in ("auto", running.kind):
        raise UserError(
            f"the broker that runs here is {running.kind}, not {spec}; `interlayer broker stop` ends it"
        )
    found = address.connect(f"{address.SCHEME}{running.bootstrap}", None, limit_s)
    return running.broker(found.capabilities)


def _from_environment() -> str:
    named = os.environ.get(VARIABLE, "")
    return "" if named == "auto" else named


def _auto(topics: Mapping[str, int] | None, security: Mapping[str, str] | None, limit_s: float) -> Broker:
    named = _from_environment()
    if named:
        return open_broker(named, topics=topics, security=security, limit_s=limit_s)
    try:
        return start_jvm()
    except InterlayerError as error:
        broker = start_embedded(topics)
        broker.note = f"no real Kafka ({error}), so the embedded broker is used"
        return broker
