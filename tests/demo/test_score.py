"""Signals against the truth: what counts as found, missed and invented."""

from __future__ import annotations

from typing import Any

from streams.demo.score import score
from streams.simulator.truth import Injection, Kind

PRODUCT = "BTC/USDT spot"


def injection(name: str, start: int, end: int, **more: Any) -> Injection:
    given = {
        "kind": Kind.EPISODE, "group": "BTC", "product": PRODUCT, "symbol": "B", "venues": ("a", "b"),
        "side": "bid", "edge_bps": 9.0, "edge_slack_bps": 1.0, "size": 1.0, "notional_quote": 1.0,
        "must_find": True,
    }  # fmt: skip
    return Injection(id=name, start_ns=start, end_ns=end, **{**given, **more})


def signal(time_ns: int, action: str = "open", product: str = PRODUCT) -> dict[str, Any]:
    return {"action": action, "time_ns": time_ns, "product": product}


def test_an_open_within_an_episode_finds_it() -> None:
    found = score([injection("x", 10, 20)], [signal(10), signal(20)])
    assert found.record() == {"injected": 1, "found": 1, "missed": 0, "invented": 0}


def test_an_open_before_after_or_of_another_product_is_invented() -> None:
    wrong = [signal(9), signal(21), signal(15, product="ETH/USDT spot")]
    found = score([injection("x", 10, 20)], wrong)
    assert found.invented == tuple(wrong)
    assert [missed.id for missed in found.missed] == ["x"]


def test_an_open_on_a_decoy_is_invented() -> None:
    decoys = [
        injection(kind, 10, 20, kind=kind, must_find=False) for kind in Kind if kind is not Kind.EPISODE
    ]
    assert len(decoys) > 5
    found = score(decoys, [signal(15)])
    assert found.record() == {"injected": 0, "found": 0, "missed": 0, "invented": 1}


def test_updates_and_closes_find_nothing() -> None:
    found = score([injection("x", 10, 20)], [signal(15, "update"), signal(16, "close")])
    assert found.record() == {"injected": 1, "found": 0, "missed": 1, "invented": 0}


def test_an_episode_that_need_not_be_found_explains_but_does_not_count() -> None:
    found = score([injection("x", 10, 20, must_find=False)], [signal(15)])
    assert found.record() == {"injected": 0, "found": 0, "missed": 0, "invented": 0}
