"""The deployment at hand: what can be checked without an engine; with one, `docker compose config`."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from streams.broker.docker import why_no_docker
from streams.broker.jars import POM
from streams.cli.main import app
from streams.config import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def instructions(name: str) -> list[list[str]]:
    """The arguments of each `name` instruction of the Dockerfile."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in joined.splitlines() if line.startswith(f"{name} ")]


def copied() -> list[str]:
    return [
        source for arguments in instructions("COPY") if "--" not in arguments[0] for source in arguments[:-1]
    ]


def test_the_services() -> None:
    assert set(SERVICES) == {"kafka", "topics", "worker"}
    assert set(OURS) == {"topics", "worker"}
    assert SERVICES["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert SERVICES["topics"]["restart"] == "no"
    assert SERVICES["worker"]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}


def test_the_worker_can_be_scaled() -> None:
    assert not {"container_name", "ports", "hostname", "network_mode"} & set(SERVICES["worker"])
    assert SERVICES["worker"].get("deploy", {}).get("replicas", 1) == 1


def test_kafka_listens_on_the_loopback_address_of_the_host_alone() -> None:
    assert SERVICES["kafka"]["ports"] == ["127.0.0.1:${KAFKA_PORT:-9092}:9092"]


def test_images_are_pinned_to_a_whole_version() -> None:
    named = [SERVICES["kafka"]["image"], *(words[0] for words in instructions("FROM"))]
    assert len(named) == 3
    assert [image for image in named if not re.fullmatch(r"[a-z/]+:\d+\.\d+\.\d+(-[a-z-]+)?", image)] == []


def test_docker_and_jvm_run_the_same_kafka() -> None:
    version = SERVICES["kafka"]["image"].partition(":")[2]
    assert f"<version>{version}</version>" in POM.read_text()


def test_volumes_are_declared() -> None:
    used = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", sorted(OURS))
def test_its_command_is_one_of_the_command_lines(name: str) -> None:
    assert instructions("ENTRYPOINT") == [["[interlayer]"]]
    found: Any = typer.main.get_command(app)
    for word in OURS[name]["command"]:
        assert word in found.commands, f"interlayer has no {word}"
        found = found.commands[word]
    assert found.callback is not None


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_variable_sets_something(name: str) -> None:
    known = {f"INTERLAYER_{field.upper()}" for field in Settings.model_fields}
    assert set(OURS[name]["environment"]) <= known
    assert OURS[name]["environment"]["INTERLAYER_BROKER"] == "${INTERLAYER_BROKER:-kafka://kafka:9094}"


def test_the_worker_is_reached_through_the_address_that_kafka_advertises_inside() -> None:
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert "INSIDE://kafka:9094" in advertised
    listeners = SERVICES["kafka"]["environment"]["KAFKA_LISTENERS"].split(",")
    assert {address.partition(":")[0] for address in advertised} < {
        address.partition(":")[0] for address in listeners
    }


def test_the_worker_has_time_to_drain() -> None:
    grace_s = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace_s * 1_000 > 2 * Settings.model_fields["drain_limit_ms"].default


def test_the_image_holds_what_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tops = {name.partition(".")[0] for name in project["tool"]["setuptools"]["packages"]}
    needed = {"requirements.lock", "pyproject.toml", project["project"]["readme"], *tops}
    assert needed | set(project["project"]["license-files"]) == set(copied())


def test_what_is_copied_is_not_ignored() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert set(copied()) == kept
    dropped = [line for line in lines[1:] if not line.startswith("!")]
    assert not [name for name in kept for pattern in dropped if fnmatch(name, pattern)]


def test_the_python_of_the_image_is_one_that_is_supported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    image = re.match(r"python:3\.(\d+)", instructions("FROM")[-1][0])
    bounds = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"])
    assert image is not None
    assert bounds is not None
    assert int(bounds[1]) <= int(image[1]) < int(bounds[2])


def test_nothing_runs_as_root() -> None:
    assert instructions("USER") == [["interlayer"]]
    after = DOCKERFILE.split("\nUSER ")[1]
    assert "\nRUN " not in after


def test_the_health_of_a_worker_is_asked_on_its_web_port() -> None:
    (health,) = instructions("HEALTHCHECK")
    assert "/live" in " ".join(health)
    port = str(Settings.model_fields["web_port"].default)
    assert port in " ".join(health)
    assert instructions("EXPOSE") == [[port]]
    assert str(SERVICES["worker"]["environment"]["INTERLAYER_WEB_PORT"]) == port
    assert SERVICES["topics"]["healthcheck"] == {"disable": True}


@pytest.mark.needs_docker
def test_compose_itself_takes_the_file() -> None:
    if reason := why_no_docker():
        pytest.skip(f"{reason} -- start a Docker daemon")
    done = subprocess.run(
        ["docker", "compose", "-f", str(ROOT / "docker-compose.yml"), "config", "--quiet"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
