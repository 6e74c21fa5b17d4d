"""Every reason has a word on the wire and a sentence for people."""

from __future__ import annotations

import pytest

from schemas import kernels
from schemas.reasons import Reason


def test_words_and_sentences() -> None:
    assert Reason.BAD_VARINT.word == "bad_varint"
    assert Reason.of("off_grid") is Reason.OFF_GRID
    assert Reason(int(Reason.TRUNCATED)) is Reason.TRUNCATED
    sentences = [reason.sentence for reason in Reason]
    assert len(set(sentences)) == len(Reason)
    assert all(s[0].islower() and not s.endswith(".") for s in sentences)
    assert all(Reason.of(reason.word) is reason for reason in Reason)


def test_an_unknown_word() -> None:
    with pytest.raises(ValueError, match="no reason is called 'nonsense'"):
        Reason.of("nonsense")


def test_codes_on_the_wire_stay() -> None:
    """Status arrays and stored rejects may be compared across versions: a code never changes its meaning."""
    assert Reason.OK == 0
    assert [int(reason) for reason in Reason if 0 < reason < 100] == list(range(1, 13))
    assert [int(reason) for reason in Reason if reason >= 100] == list(range(100, 113))


def test_the_kernels_codes_are_the_reasons() -> None:
    for reason in Reason:
        code = getattr(kernels, reason.name, None)
        assert code is None or code == reason
