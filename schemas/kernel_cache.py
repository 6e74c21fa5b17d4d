"""Where compiled kernels are kept, so that a second start takes seconds.

numba's cache looks at the file of a function alone: after an edit in another file, a cached caller would
go on with the old code inlined. So the folder is named by a hash of every kernel's source, numba and CPU.
"""

from __future__ import annotations

import hashlib
import os
import sys
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding  # for the name of the CPU

ROOT = Path(__file__).parent.parent
SOURCES = ("schemas/*.py", "strategies/kernels/*.py")
VARIABLE = "INTERLAYER_CACHE"


def fingerprint() -> str:
    """16 hex digits over the sources of all kernels, numba, Python and the CPU they are compiled for."""
    digest = hashlib.blake2b(digest_size=8)
    for pattern in SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    cpu = llvmlite.binding.get_host_cpu_name() + llvmlite.binding.get_host_cpu_features().flatten()
    digest.update(f"{version('numba')} {sys.version} {cpu}".encode())
    return digest.hexdigest()


def home() -> Path:
    """The folder for everything that can be made again: INTERLAYER_CACHE, else the user's cache folder."""
    if named := os.environ.get(VARIABLE):
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "interlayer"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "interlayer"


def prepare() -> None:
    """Point numba at our folder; must run before the first kernel is defined."""
    os.environ["NUMBA_CACHE_DIR"] = str(home() / "kernels" / fingerprint())
    if numba := sys.modules.get("numba"):
        numba.config.reload_config()


prepare()
