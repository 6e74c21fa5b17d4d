"""Java and Maven that are missing, too old or at a loss: one line each, within seconds."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from streams.broker import jars, start_jvm
from streams.errors import RunError, UserError

GOOD_JAVA = """echo 'openjdk version "21.0.2" 2024-01-16' >&2"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands before all others on PATH, and an empty cache."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("INTERLAYER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def command(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "25" 2025-09-16 LTS', 25),
        ('openjdk version "26-ea" 2026-03-17', 26),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "11.0.2" 2019-01-15', 11),
        ("The operation could not be completed. Unable to locate a Java Runtime.", None),
    ],
)
def test_the_version_of_java(said: str, version: int | None) -> None:
    assert jars.java_version(said) == version


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("echo 'openjdk version \"11.0.2\" 2019-01-15' >&2", "is Java 11; set JAVA_HOME to a newer one"),
        ("echo 'Unable to locate a Java Runtime.' >&2; exit 1", "says: Unable to locate a Java Runtime."),
    ],
)
def test_a_java_that_will_not_do_is_refused(tools: Path, body: str, reason: str) -> None:
    command(tools, "java", body)
    with pytest.raises(UserError, match="needs Java 17 or newer") as refused:
        start_jvm()
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_java_is_said(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(UserError, match="needs Java 17 or newer: java is not on PATH"):
        jars.java()
    monkeypatch.setenv("JAVA_HOME", str(tools))
    with pytest.raises(UserError, match=r"JAVA_HOME .* holds no bin/java"):
        jars.java()


def test_no_maven_is_said(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(UserError, match="mvn is not on PATH"):
        jars.jars()


def test_jars_that_cannot_be_fetched_are_given_up_with_mavens_reason(tools: Path) -> None:
    command(tools, "java", GOOD_JAVA)
    said = ("[INFO] Scanning", "[ERROR] Could not transfer artifact: Unknown host", "[ERROR] Run again")
    command(tools, "mvn", "".join(f"echo '{line}'\n" for line in said) + "exit 1")
    with pytest.raises(RunError, match=r"cannot be fetched .*: Could not transfer artifact: Unknown host$"):
        start_jvm()
    assert [path.name for path in jars.cache_dir().iterdir() if path.is_dir()] == []


def test_a_maven_that_hangs_is_given_up(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "MAVEN_SILENCE_LIMIT_S", 0.3)
    command(tools, "mvn", "echo '[INFO] Downloading'; sleep 60")
    begun = time.monotonic()
    with pytest.raises(RunError, match=r"nothing arrived for 0\.3 s"):
        jars.jars()
    assert time.monotonic() - begun < 30  # far from the 60 s that it sleeps


def test_a_half_made_download_mends_itself_and_is_made_once(tools: Path, tmp_path: Path) -> None:
    command(tools, "mvn", "mkdir lib; touch lib/half.jar; exit 1")
    with pytest.raises(RunError):
        jars.jars()
    count = tmp_path / "count"
    command(tools, "mvn", f"echo x >> {count}; mkdir lib; sleep 0.3; touch lib/kafka_2.13-4.jar")
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(jars.jars())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    assert [path.name for path in found[0].iterdir()] == ["kafka_2.13-4.jar"]
    assert count.read_text() == "x\n"


def test_a_changed_pom_means_other_jars(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(tools, "mvn", "mkdir lib; touch lib/kafka_2.13-4.jar")
    first = jars.jars()
    changed = tmp_path / "pom.xml"
    changed.write_text(jars.POM.read_text().replace("kafka_2.13", "kafka_2.13 "))
    monkeypatch.setattr(jars, "POM", changed)
    assert jars.jars() != first
