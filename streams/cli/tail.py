"""`interlayer tail`: what stands in a topic, readable, and what comes."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from typing import Annotated, Any

import typer
from confluent_kafka import Message

from schemas.codec import Unreadable
from streams.broker import find_broker
from streams.cli.describe import describe
from streams.cli.output import BrokerOption, JsonOption, PrefixOption, iso, say, say_json, settings_of
from streams.errors import UserError
from streams.reading import Reader
from streams.wire import SCHEMA_OF, Wire

DEFAULT_LINES = 10


def tail(
    ctx: typer.Context,
    topic: Annotated[
        str, typer.Argument(metavar="TOPIC", help=f"{', '.join(SCHEMA_OF)} (without the prefix).")
    ],
    lines: Annotated[
        int | None,
        typer.Option(
            "-n", "--lines", min=0, help="The last N records; with --from-start the first N, then end."
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End at the topic's end; do not wait for more.")
    ] = False,
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the oldest record.")] = False,
    broker: BrokerOption = None,
    prefix: PrefixOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the last records of a topic, decoded, and follow it until Ctrl-C."""
    settings = settings_of(ctx, broker=broker, prefix=prefix)
    name = _known(topic, settings.prefix)
    limit_s = settings.broker_answer_ms / 1_000
    found = find_broker(settings.broker, security=settings.kafka_config(), limit_s=limit_s)
    wire = Wire(settings)
    with Reader(found, settings.named(name), limit_s) as reader:
        try:
            for message in _records(reader, lines, once=once, from_start=from_start):
                _show(wire, name, message, as_json)
        except KeyboardInterrupt:  # the usual end of following
            return


def _known(topic: str, prefix: str) -> str:
    name = topic.removeprefix(prefix)
    if name not in SCHEMA_OF:
        close = get_close_matches(name, SCHEMA_OF, n=1)
        hint = f"; did you mean {close[0]}?" if close else f"; there are {', '.join(SCHEMA_OF)}"
        raise UserError(f"{topic} is no topic of ours{hint}")
    return name


def _records(reader: Reader, lines: int | None, *, once: bool, from_start: bool) -> Iterator[Message]:
    """The records asked for. Those that are there come in the order of their timestamps."""
    ends = reader.ends()
    stops = {number: end.end for number, end in ends.items()}
    if from_start:
        starts = {number: end.start for number, end in ends.items()}
        everything = reader.until(starts, stops) if once else _waiting(reader, starts)
        yield from everything if lines is None else islice(everything, lines)
        return
    count = DEFAULT_LINES if lines is None else lines
    starts = {number: max(end.start, end.end - count) for number, end in ends.items()}
    there = sorted(reader.until(starts, stops), key=_moment)
    yield from there[len(there) - min(count, len(there)) :]
    if not once:
        yield from _waiting(reader, stops)


def _waiting(reader: Reader, starts: dict[int, int]) -> Iterator[Message]:
    return (message for message in reader.follow(starts) if message is not None)


def _moment(message: Message) -> tuple[int, int, int]:
    return message.timestamp()[1], message.partition() or 0, message.offset() or 0


def _show(wire: Wire, name: str, message: Message, as_json: bool) -> None:
    record: dict[str, Any] | None = None
    fault: str | None = None
    try:
        record = wire.decode(name, message.value())
    except Unreadable as error:
        fault = str(error)
    key = message.key()
    text = key.decode("utf-8", "backslashreplace") if key is not None else None
    if as_json:
        place = {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()}
        time_ms = message.timestamp()[1]
        say_json(
            {**place, "timestamp_ms": time_ms, "key": text, "record": record, "fault": fault}, lines=True
        )
        return
    said = f"cannot be read: {fault}" if record is None else describe(SCHEMA_OF[name], record)
    if record is None:
        said = f"{iso(message.timestamp()[1] * 1_000_000)}  {said}"
    say(f"[{message.partition()}]@{message.offset()} {text or '-'}  {said}")
