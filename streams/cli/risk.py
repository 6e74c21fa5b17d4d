"""`interlayer risk`: stop everything or a part of it, go on, and see what is halted."""

from __future__ import annotations

import getpass
import secrets
import socket
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from strategies.risk import Command, CommandAction, Latch, Scope
from streams.broker import Broker, find_broker
from streams.broker.client import producer_config
from streams.cli.output import (
    BrokerOption,
    JsonOption,
    PrefixOption,
    complain,
    iso,
    say,
    say_json,
    say_table,
    settings_of,
)
from streams.commands import TOPIC, CommandSeen, command_of
from streams.config import Settings, load_markets
from streams.errors import InterlayerError, RunError, UserError
from streams.reading import Ends, Reader
from streams.wire import Wire

app = typer.Typer(help="Stop signals, go on, and see what is halted.", no_args_is_help=True)

ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Why, in words; it stays in the log.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who says so (default: user@host).")]


@app.command()
def kill(
    ctx: typer.Context,
    reason: ReasonOption,
    scope: Annotated[
        str, typer.Option("--scope", "-s", metavar="SCOPE", help="all, group:BTC, venue:x or strategy:y.")
    ] = "all",
    by: ByOption = None,
    broker: BrokerOption = None,
    prefix: PrefixOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop new signals within the scope, in every worker; open episodes are closed. Prints the kill's id."""
    settings = settings_of(ctx, broker=broker, prefix=prefix)
    kind, name = parse_scope(scope)
    command = Command(
        command_id=new_id(),
        action=CommandAction.KILL,
        scope=kind,
        scope_name=name,
        reason=_said(reason),
        issued_by=by or _who(),
        time_ns=time.time_ns(),
    )
    offset = write(_broker(settings), settings, command)
    _warn_of_unknown(settings, kind, name)
    if as_json:
        say_json({"id": command.command_id, "scope": command.reach, "offset": offset})
    else:
        say(command.command_id)
        complain(f"{command.reach} is halted until: interlayer risk resume {command.command_id} --reason ...")


@app.command()
def resume(
    ctx: typer.Context,
    kill_id: Annotated[str, typer.Argument(metavar="ID", help="The kill's id, as `risk kill` printed it.")],
    reason: ReasonOption,
    by: ByOption = None,
    broker: BrokerOption = None,
    prefix: PrefixOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lift one kill; others that cover the same stay in force."""
    settings = settings_of(ctx, broker=broker, prefix=prefix)
    at = _broker(settings)
    latch, _, _ = read(at, settings)
    found = latch.kill(kill_id)
    if found is None:
        there = ", ".join(each.command_id for each in latch.kills) or "none"
        raise UserError(f"no kill {kill_id} is in force (in force: {there})")
    command = Command(
        command_id=kill_id,
        action=CommandAction.RESUME,
        scope=found.scope,
        scope_name=found.scope_name,
        reason=_said(reason),
        issued_by=by or _who(),
        time_ns=time.time_ns(),
    )
    offset = write(at, settings, command)
    left = [each.command_id for each in latch.apply(command).kills]
    if as_json:
        say_json({"id": kill_id, "scope": command.reach, "offset": offset, "in_force": left})
    else:
        say(f"{kill_id} ({command.reach}) is lifted; still in force: {', '.join(left) or 'none'}")


@app.command()
def status(
    ctx: typer.Context, broker: BrokerOption = None, prefix: PrefixOption = None, as_json: JsonOption = False
) -> None:
    """Say what is halted and why, from the topic alone."""
    settings = settings_of(ctx, broker=broker, prefix=prefix)
    at = _broker(settings)
    latch, ends, unreadable = read(at, settings)
    cut = ends.start > 0 and "compaction" not in at.capabilities
    if as_json:
        say_json(
            {
                "halted": bool(latch.kills) or cut,
                "kills": [_described(each, unreadable) for each in latch.kills],
                "log": {"topic": settings.named(TOPIC), "start": ends.start, "end": ends.end, "cut": cut},
            }
        )
        return
    if cut:
        say(f"{settings.named(TOPIC)} begins at offset {ends.start}: a kill may be lost, so nothing opens")
    if not latch.kills:
        say(f"no kill is in force ({ends.end - ends.start} records of {settings.named(TOPIC)} read)")
        return
    rows = [
        (each.command_id, each.reach, iso(each.time_ns) if each.time_ns else "-", each.issued_by, each.reason)
        for each in latch.kills
    ]
    say_table(["id", "halts", "since", "by", "reason"], rows)


def parse_scope(text: str) -> tuple[Scope, str]:
    """`all`, `group:NAME`, `venue:NAME` or `strategy:NAME`. Raises UserError."""
    kind, _, name = text.partition(":")
    if kind not in [*Scope] or (kind == Scope.ALL) != (name == ""):
        raise UserError(f"--scope {text}: write all, group:NAME, venue:NAME or strategy:NAME")
    return Scope(kind), name


def new_id() -> str:
    """An id to read out over a telephone: UTC to the second and six hex digits."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def read(broker: Broker, settings: Settings) -> tuple[Latch, Ends, dict[str, str]]:
    """All of risk.command: the kills in force, the log's ends, and why records could not be read, by id.

    Raises UserError where the topic is missing or has more than one partition, RunError where the
    broker does not answer.
    """
    decode = Wire(settings).decode
    with Reader(broker, settings.named(TOPIC), settings.broker_answer_ms / 1_000) as reader:
        ends = _one(reader)
        latch, unreadable = Latch(), dict[str, str]()
        for message in reader.until({0: ends.start}, {0: ends.end}):
            seen = _seen(message, decode)
            latch = latch.apply(seen.command)
            if seen.unreadable:
                unreadable[seen.command.command_id] = seen.unreadable
    return latch, ends, unreadable


def write(broker: Broker, settings: Settings, command: Command) -> int:
    """Write one command and return its offset when every in-sync replica has it.

    Raises UserError where the topic is missing or has more than one partition, RunError where it was
    not acknowledged within `broker_answer_ms`.
    """
    value = Wire(settings).encode(TOPIC, command.record())
    topic, limit_ms = settings.named(TOPIC), settings.broker_answer_ms
    with Reader(broker, topic, limit_ms / 1_000) as reader:
        _one(reader)  # otherwise workers, which read partition 0, might never see it
    delivered: list[tuple[KafkaError | None, int | None]] = []

    def report(fault: KafkaError | None, message: Message) -> None:
        delivered.append((fault, message.offset()))

    config = producer_config(broker, message_timeout_ms=limit_ms, linger_ms=0)
    producer = Producer({**config, "log_level": 0})  # what goes wrong is said in our own words
    try:
        producer.produce(topic, value, command.command_id, partition=0, on_delivery=report)
    except KafkaException as error:
        raise RunError(f"{topic}: not written: {error.args[0].str()}") from None
    producer.flush(limit_ms / 1_000 + 1)
    fault, offset = delivered[0] if delivered else (None, None)
    if fault is not None or offset is None:
        why = fault.str() if fault else f"no acknowledgement within {limit_ms} ms"
        raise RunError(
            f"{topic} at {broker.bootstrap}: not confirmed: {why}; look with `interlayer risk status`"
        )
    return offset


def _one(reader: Reader) -> Ends:
    ends = reader.ends()
    if len(ends) != 1:
        raise UserError(f"{reader.topic} has {len(ends)} partitions, not 1; see `interlayer topics check`")
    return ends[0]


def _seen(message: Message, decode: Any) -> CommandSeen:
    return command_of(message.key(), message.value(), message.offset() or 0, decode)


def _broker(settings: Settings) -> Broker:
    limit_s = settings.broker_answer_ms / 1_000
    return find_broker(settings.broker, security=settings.kafka_config(), limit_s=limit_s)


def _said(reason: str) -> str:
    if not reason.strip():
        raise UserError("--reason: say why, in words")
    return reason.strip()


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such user in a container
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _warn_of_unknown(settings: Settings, scope: Scope, name: str) -> None:
    """A misspelt name stops nothing; the kill is written first and the doubt said after."""
    if scope not in (Scope.GROUP, Scope.VENUE):
        return
    try:
        markets = load_markets(settings.markets)
    except InterlayerError as error:
        complain(f"warning: whether there is a {scope} {name} was not looked up: {error}")
        return
    known = markets.group_names() if scope is Scope.GROUP else tuple(sorted(markets.venues))
    if name not in known:
        complain(f"warning: {settings.markets} has no {scope} {name} (it has {', '.join(known)})")


def _described(kill: Command, unreadable: dict[str, str]) -> dict[str, Any]:
    return {
        "id": kill.command_id,
        "scope": kill.reach,
        "reason": kill.reason,
        "issued_by": kill.issued_by,
        "time": iso(kill.time_ns) if kill.time_ns else None,
        "unreadable": unreadable.get(kill.command_id),
    }
