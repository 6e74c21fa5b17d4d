"""The built wheel, installed into a clean environment and run from another folder, shows the demo."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("schemas", "strategies", "streams")
HARNESS = ("INTERLAYER_", "PYTHON", "NUMBA_", "PYTEST_", "HYPOTHESIS_")  # a user's shell has none of these
DEMO_LIMIT_S = 200  # kernels are compiled for the first time here


def run(*command: str | Path, cwd: Path, timeout_s: float = 120) -> str:
    """What the command printed; its whole output where it fails."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(HARNESS)}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=timeout_s, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: nothing left in `build/` is shipped; without isolation: nothing is fetched."""
    source = tmp_path_factory.mktemp("source")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        source / "dist",
        source,
        cwd=source,
    )
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The `bin` of an environment that holds the wheel, and of this environment its dependencies alone."""
    clean = tmp_path_factory.mktemp("clean") / "env"
    run(sys.executable, "-m", "venv", "--without-pip", clean, cwd=wheel.parent)
    python = clean / "bin" / "python"
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-index",
        "--no-deps",
        wheel,
        cwd=clean,
    )
    (packages,) = clean.glob("lib/python3.*/site-packages")
    # A folder named in a .pth is searched, its own .pth files (our editable installation) are not.
    (packages / "locked.pth").write_text("\n".join(site.getsitepackages()))
    yield clean / "bin"
    shutil.rmtree(clean, ignore_errors=True)


def test_the_wheel_holds_the_packages_and_their_data_and_nothing_else(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    data = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    wanted = {path for top in PACKAGES for path in (ROOT / top).rglob("*.py")}
    wanted |= {path for top, globs in data.items() for glob in globs for path in (ROOT / top).glob(glob)}
    assert held == {path.relative_to(ROOT).as_posix() for path in wanted}
    assert {"schemas/Signal.avsc", "streams/py.typed"} <= held


def test_the_installed_code_is_the_wheels(installed: Path, tmp_path: Path) -> None:
    script = (
        "import schemas, strategies, streams; print(schemas.__file__, strategies.__file__, streams.__file__)"
    )
    places = run(installed / "python", "-c", script, cwd=tmp_path).split()
    assert [Path(place).is_relative_to(installed.parent) for place in places] == [True, True, True]


def test_the_command_line_explains_itself(installed: Path, tmp_path: Path) -> None:
    text = run(installed / "interlayer", "--help", cwd=tmp_path)
    for command in ("demo", "simulate", "play", "worker", "topics", "tail", "risk", "broker", "check"):
        assert command in text
    assert list(tmp_path.iterdir()) == []


def test_the_demo_runs_from_another_folder(installed: Path, tmp_path: Path) -> None:
    run(installed / "interlayer", "demo", "--seconds", "5", cwd=tmp_path, timeout_s=DEMO_LIMIT_S)
    measured = json.loads((tmp_path / "out" / "demo.json").read_text("utf-8"))
    assert measured["broker"] == "embedded"
    assert measured["updates"] > 0
    assert measured["signals"] > 0
    assert measured["rejects"] == 0
    assert set(measured) >= {"updates_per_s", "latency_ms", "episodes", "risk_events"}
