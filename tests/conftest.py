"""What every test shares: where recordings lie, where compiled kernels are kept, how hypothesis behaves."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from pathlib import Path

import hypothesis

ROOT = Path(__file__).resolve().parent.parent
CACHES_KEPT = 4  # each some MB; more than one, so that going back to a branch costs no compilation


def kernel_cache() -> Path:
    """A folder for compiled kernels that lasts between runs, named by the sources it was compiled from.

    numba looks at the file of a function alone: after an edit in another file a cached caller would return
    the old answer.
    """
    digest = hashlib.blake2b(digest_size=8)
    for source in sorted((*ROOT.glob("schemas/**/*.py"), *ROOT.glob("strategies/**/*.py"))):
        text = source.read_bytes()
        if b"numba" in text or "kernels" in source.parts:
            digest.update(str(source.relative_to(ROOT)).encode() + b"\0" + text)
    folder = ROOT / ".interlayer" / "tests" / f"numba-{digest.hexdigest()}"
    folder.mkdir(parents=True, exist_ok=True)
    folder.touch()
    caches = sorted(folder.parent.glob("numba-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in caches[CACHES_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


# Before anything imports numba; commands that a test starts inherit all of it.
os.environ.setdefault("INTERLAYER_DATA", str(ROOT.parent / "shared" / "data"))
if "NUMBA_CACHE_DIR" not in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = str(kernel_cache())

# A failure must be the same for whoever runs it; a slow machine is not a failure.
hypothesis.settings.register_profile("default", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("search", deadline=None, max_examples=1_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

pytest_plugins = [
    name for name in ("tests.report", "tests.brokers") if importlib.util.find_spec(name) is not None
]
