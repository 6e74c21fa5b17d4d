"""`interlayer broker`: the local brokers that outlive their command."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.topics import topics
from streams.broker import local
from streams.broker.address import connect
from streams.cli.output import JsonOption, PrefixOption, say, say_json, settings_of
from streams.errors import InterlayerError

app = typer.Typer(help="Start, stop and look at a local Kafka.", no_args_is_help=True)

STATUS_LIMIT_S = 3.0
StateOption = Annotated[
    Path, typer.Option("--state", metavar="DIR", help="Folder of pid file, log file and data.")
]


class LocalKind(StrEnum):
    EMBEDDED = "embedded"
    JVM = "jvm"


@app.command()
def start(
    ctx: typer.Context,
    kind: Annotated[
        LocalKind,
        typer.Option(help="embedded: in memory, 5 MiB a partition; jvm: Apache Kafka (Java 17, Maven)."),
    ] = LocalKind.EMBEDDED,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1 (jvm; 0: a free one).")] = 0,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Data folder (jvm; default: in the state folder).")
    ] = None,
    prefix: PrefixOption = None,
    partitions: Annotated[
        int | None, typer.Option(help="Partitions of the topics that the embedded one makes.")
    ] = None,
    state: StateOption = local.STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Start a broker that keeps running; the embedded one makes all topics at once."""
    settings = settings_of(ctx, prefix=prefix, partitions=partitions)
    made = {topic.name: topic.partitions for topic in topics(settings.prefix, settings.partitions)}
    found = local.start(
        kind.value,
        topics=made if kind is LocalKind.EMBEDDED else None,
        port=port,
        data_dir=data,
        state=state,
    )
    if as_json:
        say_json(_described(found))
        return
    say(f"{found.kind} broker at {found.bootstrap} (pid {found.pid}, log {found.log_file})")
    if kind is LocalKind.EMBEDDED:
        say(f"it holds {len(made)} topics in memory, 5 MiB a partition; a real Kafka is --kind jvm")
    else:
        say(f"make its topics: interlayer topics create --broker kafka://{found.bootstrap}")


@app.command()
def stop(state: StateOption = local.STATE_DIR, as_json: JsonOption = False) -> None:
    """Stop the broker that was started here; that none runs is no fault."""
    ended = local.end(state)
    if as_json:
        say_json({"stopped": ended is not None, "killed": ended is not None and not ended[1]})
    elif ended is None:
        say(f"no broker runs here ({state})")
    else:
        found, gentle = ended
        how = "stopped" if gentle else "did not end in time and was killed"
        say(f"the {found.kind} broker at {found.bootstrap} (pid {found.pid}) {how}")


@app.command()
def status(state: StateOption = local.STATE_DIR, as_json: JsonOption = False) -> None:
    """Say which broker runs here. Exit code 1 where none runs or it does not answer."""
    found = local.running(state)
    if found is None:
        if as_json:
            say_json({"running": False})
        else:
            say(f"no broker runs here ({state})")
        raise typer.Exit(1)
    fault = _fault(found)
    described = _described(found) | {"answers": fault is None}
    if as_json:
        say_json(described)
    else:
        described |= {
            "capabilities": ", ".join(described["capabilities"]) or "none (in memory, 5 MiB a partition)"
        }
        for name, value in described.items():
            say(f"{name:<14}{'-' if value is None else value}")
        if fault:
            say(fault)
    if fault:
        raise typer.Exit(1)


def _fault(found: local.Running) -> str | None:
    try:
        connect(f"kafka://{found.bootstrap}", limit_s=STATUS_LIMIT_S)
    except InterlayerError as error:
        return str(error)
    return None


def _described(found: local.Running) -> dict[str, Any]:
    return {
        "running": True,
        "kind": found.kind,
        "address": f"kafka://{found.bootstrap}",
        "pid": found.pid,
        "uptime_s": round(found.uptime_s(), 1),
        "data_dir": found.data_dir,
        "log_file": found.log_file,
        "capabilities": sorted(found.broker().capabilities),
    }
