"""Signals against the ground truth of a simulated market."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from streams.simulator.truth import Injection, Kind


@dataclass(frozen=True, slots=True)
class Score:
    """How many injected episodes gave a signal, and how many signals no injection explains."""

    injected: int
    found: int
    missed: tuple[Injection, ...]
    invented: tuple[dict[str, Any], ...]

    def record(self) -> dict[str, int]:
        """As it stands in out/demo.json."""
        return {
            "injected": self.injected,
            "found": self.found,
            "missed": len(self.missed),
            "invented": len(self.invented),
        }


def score(injections: Sequence[Injection], signals: Iterable[dict[str, Any]]) -> Score:
    """Match the OPEN signals of cross_venue with injected episodes, by product and stream time.

    An OPEN is explained by an episode of its product that was there at its time; an OPEN that none
    explains was invented. An episode that must be found and has no OPEN was missed.
    """
    episodes = [i for i in injections if i.kind is Kind.EPISODE]
    hit: set[str] = set()
    invented = []
    for signal in signals:
        if signal["action"] != "open":
            continue
        there = [e for e in episodes if e.product == signal["product"] and _covers(e, signal["time_ns"])]
        hit.update(e.id for e in there)
        if not there:
            invented.append(signal)
    wanted = [e for e in episodes if e.must_find]
    missed = tuple(e for e in wanted if e.id not in hit)
    return Score(len(wanted), len(wanted) - len(missed), missed, tuple(invented))


def _covers(episode: Injection, time_ns: int) -> bool:
    return episode.start_ns <= time_ns <= episode.end_ns
