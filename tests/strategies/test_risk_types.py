"""Reason codes, the kill latch, and that nothing but the guard approves."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import math
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from strategies.markets import Limits
from strategies.risk import (
    Approved,
    Command,
    CommandAction,
    Finding,
    Latch,
    Reason,
    Refused,
    Scope,
    Standing,
    guard,
    markdown_table,
)
from strategies.signals import Action, Cause, Input, Layer, Leg, Origin, RiskEvent, Side, Signal

LIMITS = Limits(max_notional=1_000.0, min_net_edge_bps=2.0, min_net_edge_quote=0.5, close_edge_bps=1.0)
OPEN_GATE = Standing(closed=None)


def leg(venue: str = "binance", **changes: Any) -> Leg:
    given = {
        "venue": venue,
        "symbol": "BTCUSDT",
        "layer": Layer.BASE,
        "side": Side.BUY,
        "price_exponent": -2,
        "size_exponent": -5,
        "size_lots": 1_000,
        "limit_price_ticks": 6_500_001,
        "expected_price": 65_000.005,
        "fee_bps": 10.0,
        "fixed_cost_quote": 0.25,
    }
    return Leg(**{**given, **changes})


def signal(**changes: Any) -> Signal:
    given = {
        "signal_id": "0" * 31 + "1",
        "episode_id": "0" * 31 + "2",
        "strategy": "cross_venue",
        "action": Action.OPEN,
        "cause": Cause.NONE,
        "group": "BTC",
        "product": "BTC/USDT spot",
        "quote": "USDT",
        "epoch": 7,
        "sequence": 3,
        "recorded": True,
        "time_ns": 1_700_000_000_000_000_001,
        "valid_until_ns": 1_700_000_000_500_000_001,
        "gross_edge_bps": 25.0,
        "net_edge_bps": 5.0,
        "gross_edge_quote": 1.6,
        "net_edge_quote": 1.0,
        "notional_quote": 650.0,
        "legs": (leg(), leg("kraken", side=Side.SELL, layer=Layer.ROLLUP)),
        "trigger": Origin("book.l2", 3, 41),
        "inputs": (Input("book.l1", 3, 12, "kraken", "BTC/USD", None, 5),),
        "configuration": "00ff00ff00ff00ff",
    }
    return Signal(**{**given, **changes})


def through_avro(name: str, record: dict[str, Any]) -> dict[str, Any]:
    path = Path(schemas.__file__).parent / f"{name}.avsc"
    schema = fastavro.parse_schema(json.loads(path.read_text()))
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, record, strict=True)
    buffer.seek(0)
    found = fastavro.schemaless_reader(buffer, schema, None)
    assert isinstance(found, dict)
    return found


def field_names(name: str) -> list[str]:
    schema = json.loads((Path(schemas.__file__).parent / f"{name}.avsc").read_text())
    return [field["name"] for field in schema["fields"]]


def test_every_reason_has_a_sentence() -> None:
    assert all(len(reason.sentence) > 10 for reason in Reason)
    assert Reason.EDGE_BELOW_MINIMUM_BPS.unit == "bps"
    assert len({reason.sentence for reason in Reason}) == len(Reason)


def test_the_table_of_the_docs_is_the_codes_own() -> None:
    docs = Path(schemas.__file__).parents[1] / "docs" / "operations.md"
    assert markdown_table() in docs.read_text("utf-8")


def test_signal_mirrors_its_schema() -> None:
    whole = signal()
    assert [f.name for f in dataclasses.fields(Signal)] == field_names("Signal")
    assert through_avro("Signal", whole.record()) == {
        **{f.name: getattr(whole, f.name) for f in dataclasses.fields(Signal)},
        "legs": [dataclasses.asdict(each) for each in whole.legs],
        "trigger": {"topic": "book.l2", "partition": 3, "offset": 41},
        "inputs": [dataclasses.asdict(each) for each in whole.inputs],
    }


def test_risk_event_mirrors_its_schema() -> None:
    event = RiskEvent("ab" * 16, Reason.HALTED, 5, group="BTC", value=1.5, limit=None, offset=9, partition=0)
    assert [f.name for f in dataclasses.fields(RiskEvent)] == field_names("RiskEvent")
    assert through_avro("RiskEvent", event.record()) == dataclasses.asdict(event)
    assert type(event.record()["reason"]) is str


def test_command_mirrors_its_schema() -> None:
    command = Command("k1", CommandAction.KILL, Scope.VENUE, "kraken", "maintenance", "ana", 8)
    assert [f.name for f in dataclasses.fields(Command)] == field_names("RiskCommand")
    assert Command.of(through_avro("RiskCommand", command.record())) == command


@pytest.mark.parametrize(
    ("scope", "name"), [(Scope.ALL, "BTC"), (Scope.GROUP, ""), (Scope.VENUE, ""), (Scope.STRATEGY, "")]
)
def test_a_scope_without_its_name_is_no_command(scope: Scope, name: str) -> None:
    with pytest.raises(ValueError, match="scope"):
        Command("k", CommandAction.KILL, scope, name)


def test_only_the_guard_approves() -> None:
    with pytest.raises(TypeError, match=r"only strategies\.risk\.guard"):
        Approved(signal(), object())
    approved = guard(signal(), OPEN_GATE, LIMITS)
    assert isinstance(approved, Approved)
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(approved, signal=signal(notional_quote=1e9))
    with pytest.raises(dataclasses.FrozenInstanceError):
        approved.signal = signal()
    assert copy.copy(approved).signal is approved.signal


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"notional_quote": 1_000.01}, Finding(Reason.NOTIONAL_ABOVE_LIMIT, 1_000.01, 1_000.0)),
        ({"net_edge_bps": 1.99}, Finding(Reason.EDGE_BELOW_MINIMUM_BPS, 1.99, 2.0)),
        ({"net_edge_quote": 0.49}, Finding(Reason.EDGE_BELOW_MINIMUM_QUOTE, 0.49, 0.5)),
        ({"action": Action.UPDATE, "net_edge_bps": 0.9}, Finding(Reason.EDGE_BELOW_MINIMUM_BPS, 0.9, 1.0)),
    ],
)
def test_a_limit_refuses_with_value_and_limit(changes: dict[str, Any], finding: Finding) -> None:
    refused = guard(signal(**changes), OPEN_GATE, LIMITS)
    assert isinstance(refused, Refused)
    assert refused.findings == (finding,)


def test_values_at_their_limits_pass() -> None:
    edge = signal(notional_quote=1_000.0, net_edge_bps=2.0, net_edge_quote=0.5)
    assert isinstance(guard(edge, OPEN_GATE, LIMITS), Approved)
    update = signal(action=Action.UPDATE, net_edge_bps=1.0, net_edge_quote=0.1)
    assert isinstance(guard(update, OPEN_GATE, LIMITS), Approved)


@pytest.mark.parametrize("name", ["notional_quote", "net_edge_bps", "net_edge_quote"])
def test_what_is_not_a_number_is_refused(name: str) -> None:
    assert isinstance(guard(signal(**{name: math.nan}), OPEN_GATE, LIMITS), Refused)


def test_what_the_books_know_refuses() -> None:
    stale = Finding(Reason.STALE, 2_500.0, 2_000.0)
    refused = guard(signal(), OPEN_GATE, LIMITS, (stale,))
    assert isinstance(refused, Refused)
    assert refused.findings == (stale,)


def test_the_gate_begins_closed() -> None:
    refused = guard(signal(), Standing(), LIMITS)
    assert isinstance(refused, Refused)
    assert [f.reason for f in refused.findings] == [Reason.COMMANDS_UNCONFIRMED]


def test_the_known_course_of_a_kill() -> None:
    kill = Command("k1", CommandAction.KILL, Scope.VENUE, "kraken")
    latch = Latch().apply(kill)
    assert latch.covers("BTC", "kraken", "cross_venue") == "k1"
    assert latch.covers("BTC", "binance", "cross_venue") is None
    assert latch.stops(signal()) == "k1"  # its second leg is on kraken
    assert latch.apply(kill) == latch
    wrong = Command("k2", CommandAction.RESUME)
    assert latch.verdict(wrong) is Reason.RESUME_UNKNOWN
    assert latch.apply(wrong) == latch
    right = Command("k1", CommandAction.RESUME, Scope.VENUE, "kraken")
    assert latch.verdict(right) is Reason.RESUMED
    assert latch.apply(right) == Latch()
    assert latch.apply(right).apply(kill).covers("BTC", "kraken", "cross_venue") == "k1"


NAMES = ["a", "b"]
KILL_IDS = st.sampled_from(["k1", "k2", "k3", "k4"])
REACHES = st.one_of(
    st.just((Scope.ALL, "")),
    st.tuples(st.sampled_from([Scope.GROUP, Scope.VENUE, Scope.STRATEGY]), st.sampled_from(NAMES)),
)
COMMANDS = st.builds(
    lambda kill_id, action, reach: Command(kill_id, action, *reach),
    KILL_IDS,
    st.sampled_from(CommandAction),
    REACHES,
)
SIGNALS = st.builds(
    lambda group, strategy, venues, action: signal(
        group=group, strategy=strategy, legs=tuple(leg(v) for v in venues), action=action
    ),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(NAMES), min_size=2, max_size=3),
    st.sampled_from(Action),
)


def unlifted(commands: list[Command]) -> list[Command]:
    """Slow twin: kills without a later command of the same id."""
    return [
        command
        for number, command in enumerate(commands)
        if command.action is CommandAction.KILL
        and all(later.command_id != command.command_id for later in commands[number + 1 :])
    ]


def reached(kill: Command, found: Signal) -> bool:
    """Slow twin of the reach of a kill."""
    if kill.scope is Scope.ALL:
        return True
    if kill.scope is Scope.GROUP:
        return kill.scope_name == found.group
    if kill.scope is Scope.STRATEGY:
        return kill.scope_name == found.strategy
    return kill.scope_name in [each.venue for each in found.legs]


@given(st.lists(COMMANDS, max_size=12), SIGNALS)
def test_nothing_opens_that_an_unlifted_kill_covers(commands: list[Command], found: Signal) -> None:
    latch = Latch()
    for command in commands:
        latch = latch.apply(command)
    halted = any(reached(kill, found) for kill in unlifted(commands))
    verdict = guard(found, Standing(latch, None), LIMITS)
    if found.action is Action.CLOSE:
        assert isinstance(verdict, Approved)
    else:
        assert isinstance(verdict, Refused if halted else Approved)
        if isinstance(verdict, Refused):
            assert [f.reason for f in verdict.findings] == [Reason.HALTED]


@given(st.lists(COMMANDS, max_size=12), st.data())
def test_a_compacted_log_gives_the_same_latch(commands: list[Command], data: st.DataObject) -> None:
    """Compaction may drop any command that a later one of its id follows."""
    kept = [
        command
        for number, command in enumerate(commands)
        if all(later.command_id != command.command_id for later in commands[number + 1 :])
        or data.draw(st.booleans())
    ]
    whole, compacted = Latch(), Latch()
    for command in commands:
        whole = whole.apply(command)
    for command in kept:
        compacted = compacted.apply(command)
    assert whole == compacted


@given(st.lists(COMMANDS, max_size=8))
def test_a_log_read_twice_gives_the_same_latch(commands: list[Command]) -> None:
    once, twice = Latch(), Latch()
    for command in commands:
        once = once.apply(command)
    for command in commands + commands:
        twice = twice.apply(command)
    assert once == twice
