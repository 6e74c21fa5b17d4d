"""What a command measured or proved, written as JSON under the out folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import orjson

from streams.errors import RunError


def write_json(folder: Path, name: str, value: Any) -> Path:
    """Write `value` to `folder`/`name`.json, whole or not at all; returns the file's path.

    A reader sees the old file or the new one, never a part. Raises RunError where it cannot be written.
    """
    path = folder / f"{name}.json"
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written: {error.strerror}; choose another folder with --out"
        ) from None
    return path


def _replace(path: Path, text: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp makes it private
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
