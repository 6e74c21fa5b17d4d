"""`interlayer`: the families of commands, and how faults end."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from streams import logs
from streams.cli import broker, check, demo, market_data, risk, tail, topics, worker
from streams.cli.output import Invocation, complain
from streams.errors import InterlayerError

RUN = "Run"
KAFKA = "Kafka"
RISK = "Risk"
LOOK = "Look"

app = typer.Typer(
    name="interlayer",
    help="Find arbitrage between order books on Kafka topics, and publish it as signals.",
    epilog="Exit codes: 0 done, 1 a fault at run time, 2 wrong use or wrong configuration.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(asked: bool) -> None:
    if asked:
        try:
            typer.echo(f"interlayer {version('interlayer')}")
        except PackageNotFoundError:
            typer.echo("interlayer (not installed)")
        raise typer.Exit


@app.callback()
def _begin(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="Settings file (default: interlayer.toml here, if any)."
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a fault.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and end.")
    ] = False,
) -> None:
    ctx.obj = Invocation(config, debug)


app.command("demo", rich_help_panel=RUN)(demo.demo)
app.command("worker", rich_help_panel=RUN)(worker.worker)
app.command("simulate", rich_help_panel=RUN)(market_data.simulate)
app.command("play", rich_help_panel=RUN)(market_data.play)
app.add_typer(broker.app, name="broker", rich_help_panel=KAFKA)
app.add_typer(topics.app, name="topics", rich_help_panel=KAFKA)
app.add_typer(risk.app, name="risk", rich_help_panel=RISK)
app.command("tail", rich_help_panel=LOOK)(tail.tail)
app.command("check", rich_help_panel=LOOK)(check.check)
app.command("config", rich_help_panel=LOOK)(check.config)


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code; a fault is one line on standard error."""
    given = sys.argv[1:] if arguments is None else arguments
    logs.set_up()
    try:
        app(given, prog_name="interlayer")
    except SystemExit as end:
        if isinstance(end.code, str):  # what the interpreter would do with it
            complain(end.code)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except InterlayerError as fault:
        if "--debug" in given:
            raise
        complain(f"interlayer: {fault}")
        return fault.exit_code
    return 0


def run() -> None:
    """Entry point of the installed command."""
    sys.exit(main())
