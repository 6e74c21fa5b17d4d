"""What every test shares: where recordings lie, how hypothesis behaves."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import hypothesis

ROOT = Path(__file__).resolve().parent.parent

# Commands that a test starts inherit it. Compiled kernels are kept between runs where users keep them
# (schemas/kernel_cache.py), in a folder named by their sources.
os.environ.setdefault("INTERLAYER_DATA", str(ROOT.parent / "shared" / "data"))

# A failure must be the same for whoever runs it; a slow machine is not a failure.
hypothesis.settings.register_profile("default", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

pytest_plugins = [
    name for name in ("tests.report", "tests.brokers") if importlib.util.find_spec(name) is not None
]
