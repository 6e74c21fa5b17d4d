"""`interlayer worker`: one worker of the group."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.output import Invocation
from streams.config import PREFIX
from streams.errors import RunError
from streams.runner import Runner


def worker(
    ctx: typer.Context,
    broker: Annotated[
        str | None, typer.Option(help="embedded, jvm or kafka://host:port[,...]; what runs already.")
    ] = None,
    prefix: Annotated[str | None, typer.Option(help="Set before topics and groups.")] = None,
    markets: Annotated[Path | None, typer.Option(help="markets.toml with venues and instruments.")] = None,
    web_port: Annotated[int | None, typer.Option(help="/live, /ready and /stats; 0: none.")] = None,
) -> None:
    """Join the group: keep books, find what can be earned, publish signals and risk events.

    SIGTERM drains, commits and leaves. `faust -A streams.app worker` does the same.
    """
    invocation: Invocation = ctx.obj
    flags = {"broker": broker, "prefix": prefix, "markets": markets, "web_port": web_port}
    # Faust builds its app when the module is imported, so flags go in by the environment.
    os.environ.update({f"{PREFIX}{k.upper()}": str(v) for k, v in flags.items() if v is not None})
    if invocation.config is not None:
        os.environ["INTERLAYER_CONFIG"] = str(invocation.config)
    from streams.app import app, settings  # after the environment is set

    app.discover()
    app.worker_init()
    app.worker_init_post_autodiscover()  # compiles the kernels, before the group is joined
    runner = Runner(app, loglevel=settings.log_level, quiet=True)
    if fault := runner.run():
        raise RunError(f"the worker ended: {str(fault) or type(fault).__name__}") from fault
