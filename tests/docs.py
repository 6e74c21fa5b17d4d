"""Tables of the documents that are made from the code: `make docs` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import typer
from pydantic_core import PydanticUndefined

from schemas import catalog
from schemas.topics import markdown_table
from streams.cli.main import app
from streams.config import DEMO_MARKETS, Settings

ROOT = Path(__file__).resolve().parent.parent


def commands(parent: typer.Typer = app, before: str = "") -> Iterator[tuple[str, str]]:
    """Every command (as it is typed after `interlayer`) and the first sentence of its help."""
    for command in parent.registered_commands:
        assert command.callback is not None
        assert command.callback.__doc__, f"{command.callback.__name__} has no help"
        name = command.name or command.callback.__name__
        yield before + name, " ".join(command.callback.__doc__.split("\n\n")[0].split())
    for group in parent.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, f"{before}{group.name} ")


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ("---",) * len(head), *rows))


def commands_table() -> str:
    return table(("command", "what it does"), ((f"`interlayer {n}`", text) for n, text in commands()))


def headers_table() -> str:
    rows = ((f"`{n}`", f"`{catalog.header(catalog.schema(n)).hex(' ')}`") for n in catalog.names())
    return table(("schema", "the ten bytes before the body"), rows)


def default_of(value: object) -> str:
    """A default as it stands in a table."""
    if value is PydanticUndefined or value is None or value in ("", {}):
        return "-"
    if value == DEMO_MARKETS:
        return "the demo's"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else f"{value}"


def settings_table() -> str:
    fields = Settings.model_fields.items()
    rows = ((f"`{n}`", default_of(field.default), str(field.description)) for n, field in fields)
    return table(("setting", "default", "meaning and unit"), rows)


TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    "commands": ("README.md", commands_table),
    "topics": ("README.md", markdown_table),
    "headers": ("README.md", headers_table),
    "settings": ("docs/guide.md", settings_table),
}


def between(name: str) -> re.Pattern[str]:
    """What stands between the marks of table `name`."""
    return re.compile(rf"(<!-- {name}: [^\n]*-->\n)(.*?)(<!-- end of {name} -->)", re.S)


def write() -> None:
    """Put every table into its document."""
    for name, (document, make) in TABLES.items():
        path = ROOT / document
        text = path.read_text("utf-8")
        place = between(name).search(text)
        assert place, f"{document} has no place for {name}"
        path.write_text(text[: place.start(2)] + make() + text[place.end(2) :], "utf-8")


if __name__ == "__main__":
    write()
