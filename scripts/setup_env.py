"""Make the virtual environment from the lock; standard library only, run by `scripts/setup.sh`.

Commands: `can` prints yes where this interpreter can make an environment, `whole FOLDER` exits 0 where
the one there is complete, `make FOLDER` makes it. The stamp in the folder is written last and holds all
that the environment depends on, so that whatever was interrupted, moved, or lost its interpreter is made
again. Exit codes: 0 done, 1 a step failed, 2 something is missing on this machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
PROJECT = ROOT / "pyproject.toml"
STAMP = "interlayer.stamp"
PIP_WITH_PYTHON_OPTION = (22, 3)
BASE = getattr(sys, "_base_executable", None) or sys.executable


def fail(message: str, code: int) -> NoReturn:
    """End with one line that says what is wrong and what to do."""
    print(f"make setup: {message}", file=sys.stderr)
    raise SystemExit(code)


def supported() -> tuple[tuple[int, int], tuple[int, int]]:
    """The oldest supported Python and the first that is not, from `requires-python`."""
    found = re.search(r'^requires-python = ">=(\d+)\.(\d+),<(\d+)\.(\d+)"', PROJECT.read_text("utf-8"), re.M)
    if found is None:
        fail("pyproject.toml has no requires-python of the form >=3.x,<3.y", 2)
    low_major, low_minor, high_major, high_minor = map(int, found.groups())
    return (low_major, low_minor), (high_major, high_minor)


def has_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def pip_of_base() -> bool:
    """Whether the base interpreter has a pip that can install into another environment."""
    done = subprocess.run([BASE, "-m", "pip", "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"pip (\d+)\.(\d+)", done.stdout)
    return found is not None and (int(found[1]), int(found[2])) >= PIP_WITH_PYTHON_OPTION


def way() -> str:
    """How this interpreter can make an environment: venv, uv, pip, or "" where it cannot."""
    if has_module("venv") and has_module("ensurepip"):
        return "venv"
    if shutil.which("uv"):
        return "uv"
    return "pip" if has_module("venv") and pip_of_base() else ""


def stamp_text(folder: Path) -> dict[str, str]:
    """What a complete environment depends on: the lock, the project file, its own place, its interpreter."""
    return {
        "lock": hashlib.sha256(LOCK.read_bytes()).hexdigest(),
        "project": hashlib.sha256(PROJECT.read_bytes()).hexdigest(),
        "folder": str(folder.absolute()),
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
    }


def read_stamp(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / STAMP).read_text("utf-8").splitlines()
    except OSError:
        return {}
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


def write_stamp(folder: Path, stamp: dict[str, str]) -> None:
    unfinished = folder / f"{STAMP}.new"
    unfinished.write_text("".join(f"{key} = {value}\n" for key, value in stamp.items()), "utf-8")
    unfinished.replace(folder / STAMP)


def interpreter_runs(folder: Path) -> bool:
    try:
        done = subprocess.run([str(folder / "bin" / "python"), "-c", ""], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def run(step: str, *command: str) -> None:
    """One step, silent unless it fails; its last lines are shown then."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, close_fds=False
    )
    if done.returncode:
        print(*done.stdout.splitlines()[-15:], sep="\n", file=sys.stderr)
        fail(f"{step} failed (above: its last lines); run `make setup` again when that is mended", 1)


def create(folder: Path, how: str) -> None:
    """A new and empty environment; whatever lay there goes first."""
    (folder / STAMP).unlink(missing_ok=True)  # first: an interrupted removal must not look whole
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        fail(f"{folder} cannot be removed; remove it by hand", 2)
    if how == "uv":
        run("uv venv", "uv", "venv", "--quiet", "--no-project", "--python", BASE, str(folder))
    elif how == "pip":
        run("python -m venv", BASE, "-m", "venv", "--without-pip", str(folder))
    else:
        run("python -m venv", BASE, "-m", "venv", str(folder))


def installer(folder: Path, how: str) -> list[str]:
    python = str(folder / "bin" / "python")
    if how == "uv":
        return ["uv", "pip", "install", "--quiet", "--python", python]
    if how == "pip":
        return [BASE, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    return [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def fill(folder: Path, how: str) -> None:
    """Everything in the lock, each file held to its hash."""
    print(f"Installing {LOCK.name} into {folder} (Python {sys.version.split()[0]}) ...", flush=True)
    run("installing the lock", *installer(folder, how), "--require-hashes", "-r", str(LOCK))


def add_project(folder: Path) -> None:
    """The project itself, in place; its build backend came with the lock, so nothing is fetched."""
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run("installing the project", *pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT))


def make(folder: Path) -> None:
    oldest, beyond = supported()
    have = "{}.{}".format(*sys.version_info[:2])
    if not oldest <= sys.version_info[:2] < beyond:
        newest = f"{beyond[0]}.{beyond[1] - 1}"
        fail(f"{sys.executable} is Python {have}; Interlayer needs {oldest[0]}.{oldest[1]} to {newest}", 2)
    wanted, have_stamp = stamp_text(folder), read_stamp(folder)
    sound = interpreter_runs(folder)
    if sound and have_stamp == wanted:
        return
    began = time.monotonic()
    how = way()
    if not how:
        fail(f"{sys.executable} lacks ensurepip: install it (Debian: apt install python{have}-venv) or uv", 2)
    parts = ("lock", "folder", "python")
    if not sound or any(have_stamp.get(key) != wanted[key] for key in parts):
        create(folder, how)
        fill(folder, how)
        write_stamp(folder, {key: wanted[key] for key in parts})  # not whole: the project is not in it yet
    add_project(folder)
    write_stamp(folder, wanted)
    print(f"{folder} is ready after {time.monotonic() - began:.0f} s.", flush=True)


def wait_for_turn() -> IO[str]:
    """Two `make setup` at once take turns, and so does one with what an interrupted one left running."""
    place = ROOT / ".interlayer" / "setup.lock"
    place.parent.mkdir(exist_ok=True)
    file = place.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another `make setup` is at work; waiting for it ...", flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
    os.set_inheritable(file.fileno(), True)  # held until the last child has ended
    return file


def main(arguments: list[str]) -> None:
    command = arguments[0] if arguments else ""
    if command == "can" and len(arguments) == 1:
        oldest, beyond = supported()
        print("yes" if oldest <= sys.version_info[:2] < beyond and way() else "no")
    elif command == "whole" and len(arguments) == 2:
        folder = Path(arguments[1])
        raise SystemExit(0 if read_stamp(folder) == stamp_text(folder) else 1)
    elif command == "make" and len(arguments) == 2:
        with wait_for_turn():
            make(Path(arguments[1]))
    else:
        fail("usage: setup_env.py can | whole FOLDER | make FOLDER", 2)


if __name__ == "__main__":
    os.chdir(ROOT)
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        fail("interrupted; run it again and it will be mended", 130)
