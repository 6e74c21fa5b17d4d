"""`interlayer demo` from end to end, as a stranger runs it: output, out/demo.json, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

LIMIT_S = 240.0  # kernels may be compiled for the first time here
EPISODES = {"injected", "found", "missed", "invented"}


def demo(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("INTERLAYER_")}
    env["INTERLAYER_CACHE"] = os.environ.get("INTERLAYER_CACHE", "")
    if not env["INTERLAYER_CACHE"]:
        del env["INTERLAYER_CACHE"]
    command = [sys.executable, "-m", "streams.cli", "demo", *words]
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def left_running(folder: Path) -> list[list[str]]:
    """Commands of ours that still work in `folder`."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        if process.info["cwd"] == str(folder):
            found.append(process.info["cmdline"])
    return found


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, demo(folder, "--seconds", "8", "--seed", "3")


@pytest.mark.kafka
def test_it_ends_well_and_says_what_came_out(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, said = done
    assert said.returncode == 0, said.stdout + said.stderr
    assert "\x1b" not in said.stdout, "no terminal, no colours"
    lines = said.stdout.splitlines()
    assert lines[0] == "starting the embedded broker"
    assert any(" s on the embedded broker: " in line for line in lines)
    table = dict(line.split("\t") for line in lines if "\t" in line)
    measured = json.loads((folder / "out" / "demo.json").read_text("utf-8"))
    assert table["broker"] == "embedded"
    assert table["book updates"] == f"{measured['updates']:,}"
    assert table["episodes found"] == str(measured["episodes"]["found"])
    assert lines[-1] == "written to out/demo.json"


@pytest.mark.kafka
def test_what_it_measured_is_written(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = done
    measured = json.loads((folder / "out" / "demo.json").read_text("utf-8"))
    assert set(measured["latency_ms"]) == {"p50", "p99"}
    assert 0 < measured["latency_ms"]["p50"] <= measured["latency_ms"]["p99"]
    assert set(measured["episodes"]) == EPISODES
    assert measured["broker"] == "embedded"
    assert measured["updates"] > 8 * 1_000
    assert measured["updates_per_s"] == pytest.approx(measured["updates"] / 8, rel=0.01)
    assert measured["signals"] >= 2 * measured["episodes"]["found"] > 0  # each opens and closes
    assert measured["risk_events"] == sum(measured["reasons"].values())
    assert measured["rejects"] == 0


@pytest.mark.kafka
def test_what_it_found_is_what_was_injected(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = done
    truth = [json.loads(line) for line in (folder / "out/demo/truth.jsonl").read_bytes().splitlines()]
    episodes = json.loads((folder / "out" / "demo.json").read_text("utf-8"))["episodes"]
    assert episodes["injected"] == sum(entry["must_find"] for entry in truth) > 0
    assert (episodes["missed"], episodes["invented"]) == (0, 0)


@pytest.mark.kafka
def test_it_leaves_nothing_but_out(done: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = done
    assert [path.name for path in folder.iterdir()] == ["out"]
    assert left_running(folder) == []


@pytest.mark.kafka
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_leaves_nothing_running_when_it_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "streams.cli", "demo", "--seconds", "120"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        truth = tmp_path / "out" / "demo" / "truth.jsonl"  # the last that starts is the market
        until(truth.exists)
        assert len(left_running(tmp_path)) >= 4
        running.send_signal(number)
        _, told = running.communicate(timeout=LIMIT_S)
    if number is not signal.SIGKILL:
        assert running.returncode == 1
        assert told == "interlayer: interrupted; all that was started has ended\n"
    until(lambda: not left_running(tmp_path))


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


BAD_MARKETS = "[venues.a]\nlayer = 'l9'\ntaker_fee_bps = 1\n"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--broker", "kafka://127.0.0.1:1"), 1, "no Kafka answers at 127.0.0.1:1"),
        (("--broker", "kafka://127.0.0.1"), 2, "`127.0.0.1` is no host:port"),
        (("--broker", "rabbit"), 2, "broker 'rabbit' is none of"),
        (("--markets", "none.toml"), 2, "none.toml: there is no such file"),
        (("--markets", "bad.toml"), 2, "bad.toml:2: venues.a.layer"),
        (("--out", "bad.toml/out"), 2, "choose another"),
        (("--prefix", "a b"), 2, "--prefix"),
    ],
)
def test_a_wrong_start_is_one_line_and_a_code(
    tmp_path: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    (tmp_path / "bad.toml").write_text(BAD_MARKETS)
    said = demo(tmp_path, "--seconds", "2", *words)
    assert said.returncode == code
    assert told in said.stderr
    assert said.stderr.startswith("interlayer: ")
    assert said.stderr.count("\n") == 1
    assert left_running(tmp_path) == []
