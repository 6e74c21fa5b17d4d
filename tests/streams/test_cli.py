"""The command line as its users meet it: help, exit codes, one line for a fault, JSON, the risk commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import typer
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import topics
from streams.broker import Broker
from streams.broker.client import producer_config
from streams.cli import main as cli
from streams.cli.describe import _DESCRIBERS, describe
from streams.cli.output import iso, say_table, scaled
from streams.config import load_settings
from streams.errors import RunError, UserError
from streams.wire import SCHEMA_OF, Wire
from tests.brokers import make_topics

WIRE = Wire(load_settings(schema_registry_url=None))
ENTRY = "from streams.cli.main import run; run()"
LIMIT_S = 30.0


@dataclass
class Said:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Interlayer = Callable[..., Said]


@pytest.fixture
def interlayer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Interlayer:
    """Runs a command in a folder of its own and with no INTERLAYER_* variable set."""
    for name in list(os.environ):
        if name.startswith("INTERLAYER_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> Said:
        capsys.readouterr()
        code = cli.main(list(arguments))
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return command


@pytest.fixture
def at(broker: Broker, topic_prefix: str) -> list[str]:
    """The flags that lead to a broker with all topics under a prefix of this test's own."""
    made = topics(topic_prefix, 2)
    make_topics(broker, {topic.name: topic.partitions for topic in made})
    return ["--broker", f"kafka://{broker.bootstrap}", "--prefix", topic_prefix]


def put(broker: Broker, topic: str, *values: tuple[str | None, bytes | None]) -> None:
    producer = Producer(producer_config(broker))
    for key, value in values:
        producer.produce(topic, value, key)
    assert producer.flush(LIMIT_S) == 0


# ---- what every command has in common


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


# ---- risk


def test_kill_status_resume(interlayer: Interlayer, at: list[str]) -> None:
    assert interlayer("risk", "status", *at, "--json").json["halted"] is False
    first = interlayer("risk", "kill", "--reason", "feed is odd", "--by", "ana", *at)
    assert first.code == 0
    (kill_id,) = first.out.split()
    second = interlayer("risk", "kill", "--scope", "group:BTC", "--reason", "b", *at, "--json").json
    assert (second["scope"], second["offset"]) == ("group:BTC", 1)
    status = interlayer("risk", "status", *at, "--json").json
    assert status["halted"] is True
    assert {each["id"]: each["scope"] for each in status["kills"]} == {
        kill_id: "all",
        second["id"]: "group:BTC",
    }
    (mine,) = [each for each in status["kills"] if each["id"] == kill_id]
    assert (mine["reason"], mine["issued_by"]) == ("feed is odd", "ana")
    plain = interlayer("risk", "status", *at)
    assert plain.out.splitlines()[0].split("\t") == ["id", "halts", "since", "by", "reason"]
    lifted = interlayer("risk", "resume", kill_id, "--reason", "mended", *at)
    assert lifted.code == 0
    assert lifted.out == f"{kill_id} (all) is lifted; still in force: {second['id']}\n"
    again = interlayer("risk", "resume", kill_id, "--reason", "again", *at)
    assert again.code == 2
    assert f"no kill {kill_id} is in force (in force: {second['id']})" in again.err
    assert interlayer("risk", "resume", second["id"], "--reason", "c", *at, "--json").json["in_force"] == []
    assert interlayer("risk", "status", *at).out.startswith("no kill is in force (4 records")


def test_an_unreadable_command_halts_all_until_it_is_resumed(
    interlayer: Interlayer, broker: Broker, at: list[str]
) -> None:
    put(broker, at[-1] + "risk.command", ("odd", b"\x00\x01garbage"))
    (found,) = interlayer("risk", "status", *at, "--json").json["kills"]
    assert (found["id"], found["scope"]) == ("odd", "all")
    assert found["unreadable"]
    assert interlayer("risk", "resume", "odd", "--reason", "looked at it", *at).code == 0
    assert interlayer("risk", "status", *at, "--json").json["halted"] is False


@pytest.mark.parametrize("scope", ["al", "all:BTC", "group", "group:", "planet:x", ""])
def test_a_wrong_scope_writes_nothing(interlayer: Interlayer, scope: str) -> None:
    said = interlayer("risk", "kill", "--scope", scope, "--reason", "x", "--broker", "kafka://127.0.0.1:1")
    assert said.code == 2
    assert "group:NAME" in said.err


def test_a_kill_needs_a_reason(interlayer: Interlayer) -> None:
    assert interlayer("risk", "kill").code == 2
    assert "--reason" in interlayer("risk", "kill", "--reason", " ").err


def test_a_name_that_is_not_configured_is_doubted_but_written(interlayer: Interlayer, at: list[str]) -> None:
    said = interlayer("risk", "kill", "--scope", "group:BTCC", "--reason", "x", *at)
    assert said.code == 0
    assert "has no group BTCC (it has " in said.err
    assert interlayer("risk", "status", *at, "--json").json["kills"][0]["scope"] == "group:BTCC"


def test_commands_need_their_topic_with_one_partition(
    interlayer: Interlayer, broker: Broker, topic_prefix: str
) -> None:
    at = ["--broker", f"kafka://{broker.bootstrap}", "--prefix", topic_prefix]
    said = interlayer("risk", "kill", "--reason", "x", *at)
    assert (said.code, said.out) == (2, "")
    assert f"no topic {topic_prefix}risk.command" in said.err
    make_topics(broker, {topic_prefix + "risk.command": 3})
    said = interlayer("risk", "kill", "--reason", "x", *at)
    assert (said.code, said.out) == (2, "")
    assert "3 partitions" in said.err


def test_a_broker_that_refuses_the_kill_ends_with_1(
    interlayer: Interlayer, kafka: Broker, topic_prefix: str
) -> None:
    """max.message.bytes = 1 makes a topic that refuses every write."""
    make_topics(kafka, {topic_prefix + "risk.command": 1}, {"max.message.bytes": "1"})
    said = interlayer(
        "risk", "kill", "--reason", "x", "--broker", f"kafka://{kafka.bootstrap}", "--prefix", topic_prefix
    )
    assert (said.code, said.out) == (1, "")
    assert "not confirmed" in said.err


# ---- tail


def reject(offset: int) -> bytes:
    return WIRE.encode(
        "book.reject",
        {
            "topic": "book.l2",
            "partition": 0,
            "offset": offset,
            "reason": "truncated",
            "detail": "cut short",
            "timestamp_ms": 1,
            "size_bytes": 2,
            "value": b"\x00\xff",
        },
    )


def test_tail_shows_the_last_and_the_first(interlayer: Interlayer, broker: Broker, at: list[str]) -> None:
    put(broker, at[-1] + "book.reject", *((f"G{n % 5}", reject(n)) for n in range(30)))
    shown = interlayer("tail", "book.reject", "--once", *at)
    assert shown.code == 0
    assert len(shown.out.splitlines()) == 10
    whole = interlayer("tail", "book.reject", "--once", "--from-start", *at, "--json").out.splitlines()
    assert sorted(json.loads(line)["record"]["offset"] for line in whole) == list(range(30))
    assert json.loads(whole[0])["record"]["value"] == "00ff"
    first = interlayer("tail", "book.reject", "--from-start", "-n", "3", *at)
    assert len(first.out.splitlines()) == 3
    assert "truncated: cut short (2 bytes)" in first.out
    assert interlayer("tail", "book.reject", "--once", "-n", "0", *at).out == ""
    assert interlayer("tail", "signal", "--once", *at).out == ""


def test_tail_goes_past_what_cannot_be_read(interlayer: Interlayer, broker: Broker, at: list[str]) -> None:
    put(broker, at[-1] + "book.reject", ("G", b"junk"), ("G", None), ("G", reject(7)))
    lines = interlayer("tail", "book.reject", "--once", *at).out.splitlines()
    assert ["cannot be read" in line for line in lines] == [True, True, False]
    record = json.loads(interlayer("tail", "book.reject", "--once", *at, "--json").out.splitlines()[0])
    assert record["record"] is None
    assert record["fault"]


def test_tail_knows_our_topics_alone(interlayer: Interlayer) -> None:
    said = interlayer("tail", "signals")
    assert said.code == 2
    assert "did you mean signal?" in said.err


def test_tail_follows_and_ends_with_ctrl_c(broker: Broker, at: list[str], tmp_path: Path) -> None:
    put(broker, at[-1] + "book.reject", ("G", reject(0)))
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2]), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", ENTRY, "tail", "book.reject", "--json", *at],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["record"]["offset"] == 0
        put(broker, at[-1] + "book.reject", ("G", reject(1)))
        assert json.loads(process.stdout.readline())["record"]["offset"] == 1
        time.sleep(0.2)  # into the poll that waits
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LIMIT_S)
        assert (process.returncode, err) == (0, "")
    finally:
        process.kill()
        process.wait()


# ---- how values are shown


def test_a_signal_on_one_line() -> None:
    leg = {
        "venue": "binance",
        "symbol": "BTCUSDT",
        "layer": "base",
        "side": "buy",
        "price_exponent": -2,
        "size_exponent": -5,
        "size_lots": 1_250,
        "limit_price_ticks": 6_500_001,
        "expected_price": 65_000.0,
        "fee_bps": 10.0,
        "fixed_cost_quote": 0.0,
    }
    record = {
        "action": "open",
        "strategy": "cross_venue",
        "product": "BTC/USDT spot",
        "epoch": 7,
        "sequence": 3,
        "time_ns": 1_704_164_645_000_000_006,
        "valid_until_ns": 1_704_164_645_500_000_006,
        "net_edge_bps": 5.123,
        "net_edge_quote": 0.4162,
        "notional_quote": 812.5,
        "quote": "USDT",
        "legs": [leg],
        "recorded": False,
        "episode_id": "ab" * 16,
    }
    assert describe("Signal", record) == (
        "2024-01-02T03:04:05.000000006Z  OPEN cross_venue BTC/USDT spot (7, 3)  net 5.12 bps = 0.42 USDT  "
        "on 812.50 USDT  buy 0.01250 binance BTCUSDT to 65000.01  "
        "until 2024-01-02T03:04:05.500000006Z  episode abababab"
    )
    closed = describe("Signal", {**record, "action": "close", "cause": "edge_gone", "legs": []})
    assert closed.endswith("CLOSE cross_venue BTC/USDT spot (7, 3)  because edge_gone  episode abababab")


def test_every_schema_can_be_described() -> None:
    assert set(_DESCRIBERS) == set(SCHEMA_OF.values())


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-18, 18))
def test_scaled_numbers_are_exact(value: int, exponent: int) -> None:
    text = scaled(value, exponent)
    assert Fraction(text) == value * Fraction(10) ** exponent
    assert "e" not in text.lower()


def test_times_keep_their_nanoseconds() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000000000Z"
    assert iso(-1) == "1969-12-31T23:59:59.999999999Z"
    assert iso(1_704_164_645_123_456_789) == "2024-01-02T03:04:05.123456789Z"
    assert iso(2**63 - 1).startswith("2262-04-11")


def test_tables_are_plain_lines_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(["a", "b"], [[1, "x"], [2, None]])
    assert capsys.readouterr().out == "a\tb\n1\tx\n2\tNone\n"


def test_exit_codes_are_as_promised() -> None:
    assert (RunError("x").exit_code, UserError("x").exit_code) == (1, 2)


def test_a_word_on_the_way_out_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*_: object, **__: object) -> None:
        raise SystemExit("interlayer: no such file")

    monkeypatch.setattr(cli, "app", leave)
    assert cli.main([]) == 1
    assert capsys.readouterr().err == "interlayer: no such file\n"
