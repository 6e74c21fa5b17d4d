"""`interlayer check FILE...|TOPIC`: what a judge saw of recordings and topics, and where the faults are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from schemas.topics import BOOK_L1, BOOK_L2
from streams.broker import find_broker
from streams.cli.output import complain, say, say_json, say_table
from streams.config import Settings, load_markets
from streams.errors import UserError
from streams.inspect import report
from streams.inspect.capture import judge_files
from streams.inspect.judge import Judge
from streams.inspect.topic import Stretch, TopicReading, bound, topics_of
from streams.wire import SCHEMA_OF, Wire


@dataclass(frozen=True, slots=True)
class Asked:
    """What was given on the command line; `described`: --markets was."""

    words: list[str]
    venues: list[str]
    symbols: list[str]
    begin: str | None
    end: str | None
    partition: int | None
    described: bool

    def of_files(self) -> list[str]:
        """Options for files that were given."""
        return [n for n, given in (("--venue", self.venues), ("--symbol", self.symbols)) if given]

    def of_topics(self) -> list[str]:
        """Options for topics that were given."""
        values = (("--from", self.begin), ("--to", self.end), ("--partition", self.partition))
        return [name for name, value in values if value is not None]

    def need_words(self) -> None:
        """Raises UserError where an option speaks of a file or topic, and there is none."""
        if options := self.of_files() + self.of_topics():
            raise UserError(f"{options[0]}: of which file or topic? Name it")


def judge(settings: Settings, asked: Asked, as_json: bool) -> None:
    """Judge files or topics and tell; ends with exit code 1 where something is wrong. Raises UserError."""
    topics = [word for word in asked.words if _is_topic(word, settings.prefix)]
    if topics and len(topics) < len(asked.words):
        raise UserError(f"give files or topics, not both: {topics[0]} is a topic")
    wrong = asked.of_files() if topics else asked.of_topics()
    if wrong:
        raise UserError(f"{wrong[0]} is for {'files' if topics else 'topics'}")
    found = _topics(settings, asked) if topics else _files(settings, asked)
    _tell(found, as_json)
    if not found.ok:
        raise typer.Exit(1)


def _is_topic(word: str, prefix: str) -> bool:
    name = word.removeprefix(prefix)
    return not Path(word).exists() and (name in SCHEMA_OF or name in ("book", "book.*"))


def _files(settings: Settings, asked: Asked) -> Judge:
    for word in asked.words:
        if not Path(word).exists():
            raise UserError(
                f"{word}: no such file, nor a topic; topics are {BOOK_L1.name} and {BOOK_L2.name}"
            )
    markets = load_markets(settings.markets) if asked.described else None
    return judge_files([Path(word) for word in asked.words], asked.venues, asked.symbols, markets)


def _topics(settings: Settings, asked: Asked) -> Judge:
    names = topics_of(asked.words, settings.prefix)
    stretch = Stretch(bound("--from", asked.begin), bound("--to", asked.end), asked.partition)
    markets = load_markets(settings.markets)
    limit_s = settings.broker_answer_ms / 1_000
    broker = find_broker(settings.broker, security=settings.kafka_config(), limit_s=limit_s)
    reading = TopicReading(broker, Wire(settings), markets, settings.prefix, limit_s)
    return reading.read(names, stretch)


def _tell(found: Judge, as_json: bool) -> None:
    """JSON on standard output, and the faults' places on standard error; for people all on the former."""
    if as_json:
        say_json(report.as_json(found))
        for fault in found.findings(wrong=True):
            complain(str(fault))
        return
    say_table(("counted", ""), report.counts(found))
    say_table(("venue", "symbol", "state", "bid", "ask"), report.books(found))
    for fault in found.findings(wrong=True):
        say(f"wrong {fault}")
    for note in found.findings(wrong=False):
        say(f"note  {note}")
    say("ok    nothing is wrong" if found.ok else "wrong see above")
