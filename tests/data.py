"""Where the recordings lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def recording(path: str) -> Path:
    """A file or folder under INTERLAYER_DATA; skips the test where it is not there."""
    folder = Path(os.environ.get("INTERLAYER_DATA") or ROOT.parent / "shared" / "data")
    found = folder / path
    if not found.exists():
        pytest.skip(f"needs the recording {path}, not found in {folder}; set INTERLAYER_DATA (see README)")
    return found
