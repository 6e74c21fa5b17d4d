"""Where recordings lie; a test that needs one is skipped where it is not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def recording(path: str) -> Path:
    """The recording `path` below INTERLAYER_DATA; skips the test where it is missing."""
    folder = Path(os.environ.get("INTERLAYER_DATA", "../shared/data"))
    found = folder / path
    if not found.exists():
        pytest.skip(f"no recording {path} -- set INTERLAYER_DATA to the folder that the README describes")
    return found
