"""Floods of the same line are told once, with their count."""

from __future__ import annotations

from streams.transport.logs import AGAIN_S, Rarely


def test_the_first_of_a_kind_and_then_one_with_the_count() -> None:
    now = 0.0
    rarely = Rarely(lambda: now)
    assert rarely("a") == 0
    assert rarely("b") == 0
    assert [rarely("a") for _ in range(3)] == [None] * 3
    now = AGAIN_S
    assert rarely("a") == 3
    assert rarely("a") is None
    now = 3 * AGAIN_S
    assert [rarely("a"), rarely("b")] == [1, 0]
