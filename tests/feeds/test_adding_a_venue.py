"""The guide to a new venue is followed to the letter, in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"<!-- file: (\S+) -->\n\s*```python\n(.*?)\n\s*```", re.DOTALL)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project as far as feeds and their kit need it."""
    ignore = shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc")
    for name in ("streams", "strategies", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)
    (tmp_path / "tests/feeds").mkdir(parents=True)
    for name in ("data.py", "feeds/kit.py", "feeds/conformance.py", "feeds/test_conformance.py"):
        shutil.copy(ROOT / "tests" / name, tmp_path / "tests" / name)
    shutil.copytree(ROOT / "tests/feeds/venue_rows", tmp_path / "tests/feeds/venue_rows", ignore=ignore)
    return tmp_path


def follow_the_guide(folder: Path) -> None:
    files = BLOCK.findall((ROOT / "docs/venues.md").read_text())
    assert [name for name, _ in files] == ["streams/feeds/acme.py", "tests/feeds/venue_rows/acme.py"]
    for name, code in files:
        (folder / name).write_text(textwrap.dedent(code) + "\n")
    registry = folder / "streams/feeds/registry.py"
    text = registry.read_text()
    text = text.replace(
        "from streams.feeds.binance", "from streams.feeds.acme import Acme\nfrom streams.feeds.binance", 1
    )
    registry.write_text(text.replace("    for venue in (\n", "    for venue in (\n        Acme,\n"))


def kit(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "acme or every_venue",
               "tests/feeds/test_conformance.py"]  # fmt: skip
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_one_file_and_one_row_are_all_it_takes(copy: Path) -> None:
    follow_the_guide(copy)
    done = kit(copy)
    assert done.returncode == 0, done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 10
    row = copy / "tests/feeds/venue_rows/acme.py"
    row.write_text(
        row.read_text()
        .replace("asked=True)", "asked=True, mutate=Answer.GAP)")
        .replace("import Row", "import Answer, Row")
    )
    promised_too_much = kit(copy)
    assert promised_too_much.returncode == 1
    assert "FAILED tests/feeds/test_conformance.py::test_one_mutated[acme]" in promised_too_much.stdout
