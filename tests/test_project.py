"""The project's frame holds together: packages, lock, licences, Makefile, setup, the closing report."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import report

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
TOPS = ("schemas", "strategies", "streams")
LOCKED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)(?: ; ([^\\]+?))? \\$", re.M)


def test_packages_are_those_of_the_tree() -> None:
    inits = (path for top in TOPS for path in ROOT.glob(f"{top}/**/__init__.py"))
    tree = sorted(".".join(path.parent.relative_to(ROOT).parts) for path in inits)
    assert PROJECT["tool"]["setuptools"]["packages"] == tree


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for top in TOPS for path in ROOT.glob(f"{top}/**/*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_data_files_are_shipped() -> None:
    data = PROJECT["tool"]["setuptools"]["package-data"]
    shipped = {path for top, globs in data.items() for glob in globs for path in (ROOT / top).glob(glob)}
    present = {path for top in TOPS for path in (ROOT / top).rglob("*") if path.is_file()}
    code = {path for path in present if path.suffix in {".py", ".pyc", ".nbi", ".nbc", ".md"}}
    assert sorted(map(str, present - code - shipped)) == []


def test_the_lock_has_a_hash_for_everything_and_no_address() -> None:
    blocks = re.split(r"(?m)^(?=[a-z0-9])", LOCK)[1:]
    assert len(blocks) > 50
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert re.search(r"://|--(?:extra-)?index-url|--find-links|--trusted-host| @ ", LOCK) is None


def test_the_lock_holds_every_declared_dependency() -> None:
    locked: dict[str, list[str]] = {}
    for name, version, _ in LOCKED.findall(LOCK):
        locked.setdefault(canonicalize_name(name), []).append(version)
    declared = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
    declared += PROJECT["build-system"]["requires"]
    for text in declared:
        requirement = Requirement(text)
        versions = locked.get(canonicalize_name(requirement.name), [])
        assert versions, f"{text} is not in requirements.lock: run make lock"
        assert all(requirement.specifier.contains(version) for version in versions), text


def test_this_environment_is_the_locked_one() -> None:
    wrong = []
    for name, version, marker in LOCKED.findall(LOCK):
        if marker and not Requirement(f"{name} ; {marker}").marker.evaluate():
            continue
        if metadata.version(name) != version:
            wrong.append(f"{name} {metadata.version(name)}, locked {version}")
    assert wrong == []


def _needed(names: list[str]) -> set[str]:
    """The distributions that a user's installation holds: the runtime dependencies and theirs."""
    found: set[str] = set()
    waiting = [(Requirement(text), {""}) for text in names]
    while waiting:
        requirement, extras = waiting.pop()
        if requirement.marker and not any(requirement.marker.evaluate({"extra": e}) for e in extras):
            continue
        name = canonicalize_name(requirement.name)
        if name in found and not requirement.extras:
            continue
        found.add(name)
        for text in metadata.requires(name) or []:
            waiting.append((Requirement(text), set(requirement.extras) | {""}))
    return found


def test_nothing_that_ships_is_under_the_gpl() -> None:
    needed = _needed(PROJECT["project"]["dependencies"])
    assert {"faust-streaming", "confluent-kafka", "aiokafka", "llvmlite", "pydantic-core"} <= needed
    gpl = {}
    for name in sorted(needed):
        about = metadata.metadata(name)
        fields = [about.get("License-Expression") or "", (about.get("License") or "").split("\n")[0]]
        fields += [c for c in about.get_all("Classifier") or [] if c.startswith("License ::")]
        texts = [text for text in fields if text]
        if any(re.search(r"GPL|General Public", text) for text in texts):
            gpl[name] = texts
        assert texts or about.get_all("License-File"), f"{name} names no licence"
    assert gpl == {}


def test_supported_pythons_are_said_once_everywhere() -> None:
    low, high = _match(r"^>=3\.(\d+),<3\.(\d+)$", PROJECT["project"]["requires-python"]).groups()
    minors = [str(minor) for minor in range(int(low), int(high))]
    classifiers = [c.rsplit(".", 1)[1] for c in PROJECT["project"]["classifiers"] if "Python :: 3." in c]
    assert classifiers == minors
    loops = re.findall(r"for python in (.*); do", _read("scripts/setup.sh"))
    assert [re.findall(r"python3\.(\d+)", loop) for loop in loops] == [minors[::-1]] * 2
    assert f"Python 3.{minors[0]} to 3.{minors[-1]} " in _read("scripts/setup.sh")
    workflow = _read(".github/workflows/test.yml")
    assert set(re.findall(r'"3\.(\d+)"', workflow)) == {minors[0], minors[-1]}


def _match(pattern: str, text: str) -> re.Match[str]:
    found = re.search(pattern, text, re.M)
    assert found, f"{pattern} is not in the text"
    return found


def _read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def _make(*arguments: str) -> str:
    """What make prints, called as from a shell also where these tests run under make."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout


def test_each_target_of_the_makefile_is_in_its_help() -> None:
    phony = set(_match(r"^\.PHONY: (.*)$", _read("Makefile"))[1].split())
    assert set(re.findall(r"^  make (\w+)", _make("help"), re.M)) == phony - {"style", "types", "contracts"}


def test_the_demo_is_given_its_seconds_and_broker() -> None:
    printed = _make("--dry-run", "demo", "SECONDS=7", "BROKER=kafka://host:9092").splitlines()
    assert printed[-1] == ".venv/bin/interlayer demo --seconds 7 --broker kafka://host:9092"


# --- setup ------------------------------------------------------------------------------------------------


def _setup(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`scripts/setup.sh` as make calls it."""
    env = {**os.environ, "PYTHON": "", **environment}
    return subprocess.run(
        ["sh", str(ROOT / "scripts" / "setup.sh"), str(folder)],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip


def _path_with(folder: Path, **commands: str) -> str:
    """A PATH that holds only what a POSIX system must have, and the given commands."""
    folder.mkdir()
    for name in ("sh", "dirname"):
        (folder / name).symlink_to(shutil.which(name) or name)
    for name, text in commands.items():
        command = folder / name.replace("_", ".")
        command.write_text(f"#!/bin/sh\n{text}\n")
        command.chmod(0o755)
    return str(folder)


def test_setup_without_a_python_says_what_to_install(tmp_path: Path) -> None:
    done = _setup(tmp_path / "env", PATH=_path_with(tmp_path / "bin"))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "found no Python 3.11 to 3.14" in done.stderr


def test_setup_refuses_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    done = _setup(tmp_path / "env", PYTHON="python9.9")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no python9.9 on PATH" in done.stderr


def test_setup_refuses_an_interpreter_too_old_to_read_its_script(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\n[ $1 = -c ] && exit 1\necho Traceback >&2\n")
    old.chmod(0o755)
    done = _setup(tmp_path / "env", PYTHON=str(old))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "older than Python 3.11" in done.stderr


# An interpreter as Debian's python3 without python3-venv: no ensurepip, and a pip that is too old or none.
BARE = """
import sys, runpy
sys.argv = sys.argv[1:]
import importlib.util as u
find = u.find_spec
u.find_spec = lambda name, *a: None if name == "ensurepip" else find(name, *a)
sys._base_executable = "{base}"
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_setup_without_ensurepip_and_without_another_way_names_the_package(tmp_path: Path) -> None:
    bare = tmp_path / "bare.py"
    bare.write_text(BARE.format(base="/bin/false"))
    python = f'[ "$1" = -c ] && exit 0; exec {sys.executable} {bare} "$@"'
    minor = sys.version_info.minor
    path = _path_with(tmp_path / "bin", **{f"python3_{minor}": python})
    done = _setup(tmp_path / "env", PATH=path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"apt install python3.{minor}-venv" in done.stderr
    assert not (tmp_path / "env").exists()


def test_a_whole_environment_is_left_alone_and_a_moved_one_is_not(tmp_path: Path) -> None:
    """The stamp holds the folder's own place: a copy elsewhere would run the scripts of the first."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import setup_env
    finally:
        sys.path.pop(0)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    lines = [f"{key} = {value}\n" for key, value in setup_env.stamp_text(first).items()]
    (first / setup_env.STAMP).write_text("".join(lines))
    shutil.copytree(first, second)
    script = str(ROOT / "scripts" / "setup_env.py")
    whole = [
        subprocess.run([sys.executable, script, "whole", str(f)], check=False).returncode
        for f in (first, second)
    ]
    assert whole == [0, 1]
    (first / setup_env.STAMP).write_text("".join(lines[1:]))
    assert subprocess.run([sys.executable, script, "whole", str(first)], check=False).returncode == 1


# --- the closing report -----------------------------------------------------------------------------------


def test_skipped_tests_are_grouped_with_a_way_to_run_them() -> None:
    skipped = [
        ("Skipped: no recording x.gz", ["recording", "kafka"]),
        ("Skipped: no recording x.gz", ["recording"]),
        ("Skipped: this broker compacts nothing -- start Docker", ["needs_compaction"]),
        ("Skipped: odd", []),
    ]
    assert report.groups(skipped) == [
        (2, "no recording x.gz", report.WAYS["recording"]),
        (1, "odd", report.UNKNOWN),
        (1, "this broker compacts nothing", "start Docker"),
    ]


def test_every_marker_that_can_skip_names_a_way() -> None:
    markers = [text.split(":")[0] for text in PROJECT["tool"]["pytest"]["markers"]]
    assert set(markers) - {"prove"} == set(report.WAYS)


REPORTED = """
import types, pytest
@pytest.fixture
def broker(): return types.SimpleNamespace(kind="jvm")
@pytest.mark.recording
def test_a(): pytest.skip("no recording here")
def test_b(): pytest.skip("no daemon answers -- start one")
@pytest.mark.prove
def test_c(): raise AssertionError("must not run")
def test_d(broker): pass
"""


def test_the_report_says_what_was_not_run_and_ends_with_the_counts(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(REPORTED)
    command = [sys.executable, "-m", "pytest", "-p", "tests.report", "-c", str(ROOT / "pyproject.toml")]
    command += [str(tmp_path), "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 tests on jvm" in lines
    assert "1 skipped: no daemon answers. To run: start one." in lines
    assert f"1 skipped: no recording here. To run: {report.WAYS['recording']}." in lines
    assert "1 long proofs left out. To run: make prove." in lines
    assert re.fullmatch(r"=+ 1 passed, 2 skipped, 1 deselected in .*=+", lines[-1])


@pytest.mark.parametrize("name", ["LICENSE", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "README.md"])
def test_what_a_visitor_looks_for_is_there(name: str) -> None:
    assert _read(name).strip()
