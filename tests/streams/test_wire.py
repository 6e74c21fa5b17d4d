"""Records as the settings say: single-object, or under a registry's id."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.codec import Unreadable, header, schema
from schemas.topics import TOPICS
from strategies.risk import Command, CommandAction
from streams.config import load_settings
from streams.errors import RunError
from streams.wire import Wire

COMMAND: dict[str, Any] = Command("k", CommandAction.KILL, reason="a test").record()


def test_without_a_registry_single_object() -> None:
    wire = Wire(load_settings(schema_registry_url=None))
    value = wire.encode("risk.command", COMMAND)
    assert value[:10] == header(schema("RiskCommand"))
    assert wire.decode("risk.command", value) == COMMAND


def test_with_a_registry_its_id_and_both_framings_are_read() -> None:
    wire = Wire(load_settings(schema_registry_url="mock://wire", prefix="p."))
    value = wire.encode("risk.command", COMMAND)
    assert value[:1] == b"\x00"
    assert wire.decode("risk.command", value) == COMMAND
    plain = Wire(load_settings(schema_registry_url=None))
    assert wire.decode("risk.command", plain.encode("risk.command", COMMAND)) == COMMAND
    with pytest.raises(Unreadable):
        plain.decode("risk.command", value)


def test_every_topic_has_a_codec_of_its_schema() -> None:
    wire = Wire(load_settings(schema_registry_url=None))
    assert {topic.name: wire.codec(topic.name).name for topic in TOPICS} == {t.name: t.schema for t in TOPICS}
    with pytest.raises(KeyError):
        wire.codec("no.such.topic")


def test_a_registry_that_is_away_is_a_fault_at_run_time() -> None:
    with pytest.raises(RunError, match="schema registry"):
        Wire(load_settings(schema_registry_url="http://127.0.0.1:1")).encode("risk.command", COMMAND)


def test_what_does_not_fit_is_refused_by_field() -> None:
    with pytest.raises(ValueError, match="time_ns"):
        Wire(load_settings(schema_registry_url=None)).encode("risk.command", {**COMMAND, "time_ns": "now"})
