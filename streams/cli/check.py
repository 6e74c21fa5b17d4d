"""`interlayer check` and `interlayer config`: is everything as it should be, and what is in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from strategies.cross_venue import explain
from streams import config as settings_module
from streams.admin import TopicAdmin, wanted
from streams.broker import find_broker
from streams.cli.judging import Asked, judge
from streams.cli.output import (
    BrokerOption,
    JsonOption,
    MarketsOption,
    PrefixOption,
    invocation,
    say,
    say_json,
    say_table,
    settings_of,
)
from streams.config import Settings, load_markets
from streams.errors import InterlayerError, RunError, UserError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `exit_code` is what a command would end with because of it."""

    what: str
    ok: bool
    detail: str
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Compared:
    """What is compared with one another in a group; `why_alone` says why nothing is, where nothing is."""

    group: str
    name: str
    venues: tuple[str, ...]
    why_alone: str

    @property
    def sentence(self) -> str:
        """For people."""
        if self.why_alone:
            return f"not compared: {self.why_alone}"
        return f"compared on {', '.join(self.venues)}"


def check(
    ctx: typer.Context,
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE...|TOPIC]",
            help="Captures to judge (the files of one capture together), or book.l1, book.l2, book.* of the "
            "broker.",
        ),
    ] = None,
    venue: Annotated[
        list[str] | None,
        typer.Option(
            "--venue",
            metavar="FEED|NAME=FEED",
            help="Whose rules the files follow: one for all, or one each (default: told from the file).",
        ),
    ] = None,
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", help="For captures that name none; one for all or one each."),
    ] = None,
    begin: Annotated[
        str | None,
        typer.Option("--from", metavar="OFFSET|TIME", help="Where to begin in each partition of a topic."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="OFFSET|TIME", help="Where to stop, exclusive.")
    ] = None,
    partition: Annotated[
        int | None, typer.Option("--partition", min=0, help="Only this partition of a topic.")
    ] = None,
    broker: BrokerOption = None,
    prefix: PrefixOption = None,
    markets: MarketsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check settings, markets file, broker and topics, and say what is compared; or judge recordings.

    With FILEs or a TOPIC: gaps, repeats, checksums, crossed books, clocks, depth against quotes, each fault
    with its place. Of files, ticks and lots are told from what they hold, unless --markets is given.

    Exit code 0: all is well, 1: Kafka, or a recording with faults, 2: a file.
    """
    asked = Asked(what or [], venue or [], symbol or [], begin, end, partition, markets is not None)
    if asked.words:
        judge(settings_of(ctx, broker=broker, prefix=prefix, markets=markets), asked, as_json)
        return
    asked.need_words()
    _set_up(ctx, as_json, broker=broker, prefix=prefix, markets=markets)


def _set_up(ctx: typer.Context, as_json: bool, **flags: object) -> None:
    findings = [_variables()]
    products: list[Compared] = []
    settings = _settings(findings, ctx, **flags)
    if settings is not None:
        findings.append(_try("markets", lambda: _markets(settings, products)))
        findings += _kafka(settings)
    if as_json:
        say_json(
            {
                "ok": all(found.ok for found in findings),
                "findings": [asdict(found) for found in findings],
                "products": [asdict(product) for product in products],
            }
        )
    else:
        for found in findings:
            say(f"{'ok   ' if found.ok else 'wrong'} {found.what:<9} {found.detail}")
        for product in products:
            say(f"      {product.group:<9} {product.name}: {product.sentence}")
    if code := max(found.exit_code for found in findings):
        raise typer.Exit(code)


def config(
    ctx: typer.Context,
    broker: BrokerOption = None,
    prefix: PrefixOption = None,
    markets: MarketsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every setting in force, where its value comes from, and what it means. Secrets are masked."""
    flags = {"broker": broker, "prefix": prefix, "markets": markets}
    values = settings_of(ctx, **flags).shown()
    origins = settings_module.sources(invocation(ctx).config, **flags)
    fields = Settings.model_fields
    if as_json:
        say_json({name: {"value": value, "source": origins[name]} for name, value in values.items()})
        return
    rows = [(name, _text(value), origins[name], fields[name].description) for name, value in values.items()]
    say_table(["setting", "value", "from", "meaning"], rows)


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _try(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except InterlayerError as error:
        return Finding(what, False, str(error), error.exit_code)


def _variables() -> Finding:
    unknown = settings_module.unknown_variables()
    if unknown:
        detail = f"{', '.join(unknown)}: no such setting; see `interlayer config`"
        return Finding("variables", False, detail, UserError.exit_code)
    return Finding("variables", True, "every INTERLAYER_* variable is a setting")


def _settings(findings: list[Finding], ctx: typer.Context, **flags: object) -> Settings | None:
    try:
        found = settings_of(ctx, **flags)
    except UserError as error:
        findings.append(Finding("settings", False, str(error), error.exit_code))
        return None
    path = settings_module.config_file(invocation(ctx).config)
    findings.append(Finding("settings", True, str(path) if path else "no file; environment and defaults"))
    return found


def _markets(settings: Settings, products: list[Compared]) -> str:
    found = load_markets(settings.markets)
    products += [
        Compared(one.group, one.name, tuple(i.venue for i in one.instruments), why)
        for one, why in explain(found)
    ]
    return (
        f"{settings.markets}: {len(found.venues)} venues, {len(found.instruments)} instruments, "
        f"groups {', '.join(found.group_names())}"
    )


def _kafka(settings: Settings) -> list[Finding]:
    limit_s = settings.broker_answer_ms / 1_000
    try:
        broker = find_broker(settings.broker, security=settings.kafka_config(), limit_s=limit_s)
    except InterlayerError as error:
        return [Finding("broker", False, str(error), error.exit_code)]
    topics = wanted(settings.prefix, settings.partitions, settings.replication, settings.min_isr)

    def look() -> str:
        differences = TopicAdmin(broker, limit_s).diff(topics)
        if differences:
            more = (
                f" (and {len(differences) - 1} more, see `interlayer topics diff`)" if differences[1:] else ""
            )
            raise RunError(f"{differences[0]}{more}")
        return f"all {len(topics)} are as they should be"

    able = ", ".join(sorted(broker.capabilities)) or "nothing beyond plain topics: workers start afresh"
    return [
        Finding("broker", True, f"{broker.kind} at {broker.bootstrap} (can do: {able})"),
        _try("topics", look),
    ]
