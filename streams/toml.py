"""TOML files read for people: what is wrong is said with file, line and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from streams.errors import UserError

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:"[^"]*"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[\w-]+))*)\s*=""")
_PART = re.compile(r""""([^"]*)"|'([^']*)'|([\w-]+)""")

Location = tuple[str | int, ...]


def read(path: Path) -> tuple[dict[str, Any], str]:
    """Content of a TOML file, parsed and as text. Raises UserError with file (and line)."""
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text), text
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: is not valid TOML: {error}") from None


def line_of(text: str, location: Sequence[str | int]) -> int | None:
    """Line (from 1) at which `location` or the nearest table around it is written, if it is found.

    A scan of headers and keys, not a parser: a key within an inline table is found at its table.
    """
    wanted = tuple(location)
    best: tuple[int, int] | None = None
    for number, here in _places(text):
        if here == wanted[: len(here)] and (best is None or len(here) > best[0]):
            best = (len(here), number)
    return best[1] if best else None


def _places(text: str) -> Iterable[tuple[int, Location]]:
    table: Location = ()
    counts: dict[Location, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            name = _parts(header[2])
            # Within [[a]] a header [a.b] belongs to the last element of a.
            if name[:1] in counts and len(name) > 1:
                name = (*name[:1], counts[name[:1]] - 1, *name[1:])
            if header[1] == "[[":
                counts[name] = counts.get(name, 0) + 1
                name = (*name, counts[name] - 1)
            table = name
            yield number, table
        elif key := _KEY.match(line):
            yield number, (*table, *_parts(key[1]))


def _parts(dotted: str) -> Location:
    return tuple(a or b or c for a, b, c in _PART.findall(dotted))


def explain(path: Path, text: str, error: ValidationError, known: Iterable[str] = ()) -> UserError:
    """The first fault that pydantic found in `path`, as `file:line: key: reason`, and how many more.

    An unknown key goes first: it is most often the misspelt form of one that is missing.
    """
    faults = error.errors(include_url=False, include_context=False)
    first = min(faults, key=lambda fault: fault["type"] != "extra_forbidden")
    line = line_of(text, first["loc"])
    where = f"{path}:{line}" if line else str(path)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return UserError(f"{where}: {reason_of(first, known)}{more}")


def reason_of(fault: ErrorDetails, known: Iterable[str] = ()) -> str:
    """`key: reason` in plain words; never with the value, which may be a secret."""
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        close = get_close_matches(str(fault["loc"][-1]), list(known), n=1)
        return f"{key}: unknown key" + (f"; did you mean {close[0]}?" if close else "")
    if fault["type"] == "missing":
        return f"{key}: is missing"
    reason = fault["msg"].removeprefix("Value error, ")
    return f"{key}: {reason}" if key else reason
