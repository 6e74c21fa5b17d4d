"""The command line as its users meet it: help, exit codes, one line for a fault, JSON."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from streams.broker import Broker
from streams.cli import main as cli
from streams.errors import UserError
from tests.streams.shell import Interlayer


def test_help_names_every_command(interlayer: Interlayer) -> None:
    said = interlayer("--help")
    assert said.code == 0
    for name in ("broker", "topics", "risk", "tail", "check", "config"):
        assert f" {name} " in said.out
    assert "2 wrong use or wrong configuration" in " ".join(said.out.split())


def commands(app: typer.Typer) -> list[list[str]]:
    found: list[list[str]] = []
    for command in app.registered_commands:
        assert command.callback is not None
        found.append([command.name or command.callback.__name__])
    for group in app.registered_groups:
        assert group.typer_instance is not None
        found += [[str(group.name), *rest] for rest in commands(group.typer_instance)]
    return found


@pytest.mark.parametrize("words", commands(cli.app), ids=" ".join)
def test_every_command_has_help_and_refuses_a_wrong_flag(interlayer: Interlayer, words: list[str]) -> None:
    said = interlayer(*words, "--help")
    assert said.code == 0
    assert " ".join(words) in said.out
    wrong = interlayer(*words, "--no-such-flag")
    assert wrong.code == 2
    assert "--no-such-flag" in wrong.err
    assert wrong.out == ""


def test_version(interlayer: Interlayer) -> None:
    assert interlayer("--version").out.startswith("interlayer ")


def test_a_fault_is_one_line_and_a_code(interlayer: Interlayer, tmp_path: Path) -> None:
    assert interlayer("no-such-command").code == 2
    (tmp_path / "bad.toml").write_text("linger_ms = -1\n")
    said = interlayer("--config", "bad.toml", "config")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("interlayer: bad.toml:1: linger_ms: ")
    assert said.err.count("\n") == 1
    with pytest.raises(UserError):
        interlayer("--debug", "--config", "bad.toml", "config")


def test_run_time_faults_end_with_1(interlayer: Interlayer, tmp_path: Path) -> None:
    (tmp_path / "interlayer.toml").write_text("broker_answer_ms = 300\n")
    for words in (["risk", "kill", "--reason", "x"], ["risk", "status"], ["tail", "signal"]):
        said = interlayer(*words, "--broker", "kafka://127.0.0.1:1")
        assert (said.code, said.out) == (1, "")
        assert "127.0.0.1:1" in said.err
        assert said.err.count("\n") == 1


# ---- check and config


def test_config_shows_values_with_their_sources_and_no_secret(
    interlayer: Interlayer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "interlayer.toml").write_text("linger_ms = 7\n[kafka]\n'sasl.password' = 'hidden-word'\n")
    monkeypatch.setenv("INTERLAYER_PARTITIONS", "3")
    monkeypatch.setenv("INTERLAYER_SASL_PASSWORD", "hidden-word")
    said = interlayer("config", "--prefix", "a.", "--json")
    assert said.json["linger_ms"] == {"value": 7, "source": "interlayer.toml"}
    assert said.json["partitions"] == {"value": 3, "source": "INTERLAYER_PARTITIONS"}
    assert said.json["prefix"] == {"value": "a.", "source": "flag"}
    assert said.json["web_port"]["source"] == "default"
    plain = interlayer("config")
    assert "linger_ms\t7\tinterlayer.toml\t" in plain.out
    assert "hidden-word" not in said.out + plain.out


def test_check_finds_nothing_wrong(
    interlayer: Interlayer, broker: Broker, at: list[str], tmp_path: Path
) -> None:
    (tmp_path / "interlayer.toml").write_text("partitions = 2\n")
    if broker.kind == "embedded":
        said = interlayer("check", *at, "--json")
        assert said.json["ok"] is True
        assert said.code == 0
        assert [found["what"] for found in said.json["findings"]] == [
            "variables",
            "settings",
            "markets",
            "broker",
            "topics",
        ]
    else:  # made without their settings: a real Kafka tells
        said = interlayer("check", *at, "--json")
        assert said.code == 1
        assert [found["what"] for found in said.json["findings"] if not found["ok"]] == ["topics"]


def test_check_says_all_that_is_wrong(interlayer: Interlayer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLAYER_BATCH_MAX_RECORD", "5")
    said = interlayer("check", "--markets", "none.toml", "--broker", "kafka://127.0.0.1:nowhere")
    assert said.code == 2
    wrong = [line for line in said.out.splitlines() if line.startswith("wrong")]
    assert len(wrong) == 3
    assert "INTERLAYER_BATCH_MAX_RECORD: no such setting" in wrong[0]
    assert "none.toml: there is no such file" in wrong[1]
    assert "nowhere" in wrong[2]


def test_a_word_on_the_way_out_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*_: object, **__: object) -> None:
        raise SystemExit("interlayer: no such file")

    monkeypatch.setattr(cli, "app", leave)
    assert cli.main([]) == 1
    assert capsys.readouterr().err == "interlayer: no such file\n"
