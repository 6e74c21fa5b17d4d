"""How commands speak: JSON for machines, rich tables on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from streams.config import Settings, load_settings

JsonOption = Annotated[bool, typer.Option("--json", help="Answer as JSON, for machines.")]
BrokerOption = Annotated[
    str | None,
    typer.Option("--broker", help="embedded, jvm, auto or kafka://host:port (default: the settings')."),
]
PrefixOption = Annotated[
    str | None,
    typer.Option("--prefix", help="Set before the names of topics and groups (default: the settings')."),
]
MarketsOption = Annotated[
    Path | None,
    typer.Option("--markets", help="Venues, instruments and thresholds (default: the settings')."),
]


@dataclass(frozen=True, slots=True)
class Invocation:
    """What was said before the command's name."""

    config: Path | None = None
    debug: bool = False


def invocation(ctx: typer.Context) -> Invocation:
    """What was said before the command's name; nothing, where a family is run by itself."""
    found = ctx.find_object(Invocation)
    return found if found is not None else Invocation()


def settings_of(ctx: typer.Context, **flags: Any) -> Settings:
    """Settings with this command's flags over them; None means that a flag was not given."""
    return load_settings(invocation(ctx).config, **flags)


def is_terminal() -> bool:
    """Whether a person looks at standard output."""
    return sys.stdout.isatty()


def console() -> Console:
    """Where tables and live views go: standard output, as it is now (tests replace it)."""
    return Console(file=sys.stdout, highlight=False)


def say(text: str) -> None:
    """One line for people on standard output."""
    typer.echo(text)


def complain(text: str) -> None:
    """One line on standard error."""
    typer.echo(text, err=True)


def say_json(value: Any, *, lines: bool = False) -> None:
    """`value` as JSON: indented, or (`lines`) on one line so that a stream can be read line by line."""
    option = orjson.OPT_APPEND_NEWLINE if lines else orjson.OPT_APPEND_NEWLINE | orjson.OPT_INDENT_2
    sys.stdout.write(orjson.dumps(value, default=_plain, option=option).decode())
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal | Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def say_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """A rich table on a terminal; elsewhere one line a row, cells divided by tabs, the names first."""
    if not is_terminal():
        for row in (columns, *rows):
            say("\t".join(str(cell) for cell in row))
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console().print(table)


def iso(time_ns: int) -> str:
    """Nanoseconds since 1970 as UTC in ISO 8601, to the nanosecond: 2024-01-02T03:04:05.000000006Z."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
    except (ValueError, OverflowError, OSError):
        return f"{time_ns} ns"  # beyond the calendar: shown as it is


def scaled(value: int, exponent: int) -> str:
    """value x 10^exponent in plain decimals, no exponent and nothing rounded: (12345, -2) -> 123.45."""
    return f"{Decimal(value).scaleb(exponent):f}"
