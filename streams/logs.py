"""Logs: structlog for our lines and for those of the libraries, on standard error, never with a secret."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor

from streams.config import Settings

# Before any rendering, for our own lines and for those that come through `logging`.
_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)


def set_up(settings: Settings, stream: TextIO | None = None) -> logging.Handler:
    """Send every log line to `stream` (standard error), as JSON or for the eye; returns the handler.

    Call it once a process, before Faust sets up its own logging.
    """
    target = stream if stream is not None else sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(_formatter(_as_json(settings, target), target.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.log_level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a logger made at import must follow this call
    )
    return handler


def _as_json(settings: Settings, target: TextIO) -> bool:
    return settings.log_format == "json" or (settings.log_format == "auto" and not target.isatty())


def _formatter(as_json: bool, colors: bool) -> logging.Formatter:
    ending: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=colors)]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=list(_SHARED),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: `logger(__name__).warning("what", topic=..., offset=...)`."""
    found: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return found
