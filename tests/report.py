"""The closing report of a test run: which Kafka was used; what was not run, why, and how to get it.

A skip's reason says why; how to get it stands behind ` -- ` in the reason, or follows from the markers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

SEPARATOR = " -- "
UNKNOWN = "no way is named: read the test"
REAL_KAFKA = "a real Kafka: Docker, Java 17 with Maven, or an address in INTERLAYER_TEST_BROKER"
BROKERS = ("broker", "kafka", "embedded")  # the fixtures of tests/brokers.py
# From the most telling marker to the least.
WAYS = {
    "recording": "set INTERLAYER_DATA to the folder of the recordings",
    "needs_docker": "start a Docker daemon",
    "needs_java": "install Java 17 (or newer) and Maven",
    "needs_compaction": REAL_KAFKA,
    "needs_offsets_by_time": REAL_KAFKA,
    "needs_transactions": REAL_KAFKA,
    "needs_create_topics": REAL_KAFKA,
    "needs_retention": REAL_KAFKA,
    "needs_security": "Java 17 with Maven: TLS and SASL are tested on the JVM's Kafka",
    "kafka": REAL_KAFKA,
}


def split_reason(text: str) -> tuple[str, str]:
    """A skip's reason without pytest's prefix, and the way named in it ("" where none is)."""
    reason = " ".join(text.removeprefix("Skipped: ").split())
    why, _, how = reason.partition(SEPARATOR)
    return why, how


def groups(skipped: Iterable[tuple[str, Iterable[str]]]) -> list[tuple[int, str, str]]:
    """Skipped tests (reason, markers) as (count, reason, way), the largest group first."""
    counts: Counter[tuple[str, str]] = Counter()
    for text, markers in skipped:
        why, how = split_reason(text)
        present = set(markers)
        how = how or next((way for marker, way in WAYS.items() if marker in present), UNKNOWN)
        counts[why, how] += 1
    return sorted(((n, why, how) for (why, how), n in counts.items()), key=lambda g: (-g[0], g[1]))


def _reason(report: Any) -> str:
    """A skipped report keeps (file, line, reason)."""
    where = report.longrepr
    return str(where[2]) if isinstance(where, tuple) else str(where)


class Report:
    """Counts what was left out on purpose, and prints it all at the end."""

    def __init__(self) -> None:
        self.proofs = 0
        self.brokers: Counter[str] = Counter()

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.proofs += sum(item.get_closest_marker("prove") is not None for item in items)

    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """A test's broker is known once its fixtures are made."""
        given = getattr(item, "funcargs", {})
        self.brokers.update({given[name].kind for name in BROKERS if hasattr(given.get(name), "kind")})

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        reports = [r for r in terminalreporter.stats.get("skipped", []) if not hasattr(r, "wasxfail")]
        found = groups((_reason(r), getattr(r, "keywords", {})) for r in reports)
        if self.brokers:
            used = ", ".join(f"{count} tests on {kind}" for kind, count in sorted(self.brokers.items()))
            terminalreporter.section("Kafka")
            terminalreporter.write_line(used)
        if not found and not self.proofs:
            return
        terminalreporter.section("not run")
        for count, why, how in found:
            terminalreporter.write_line(f"{count} skipped: {why}. To run: {how}.")
        if self.proofs:
            terminalreporter.write_line(f"{self.proofs} long proofs left out. To run: make prove.")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Report(), "interlayer-report")
