"""Logs: structlog for our lines and for those of the libraries, on standard error, never with a secret."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor

from streams.config import Settings

CHATTY = ("faust", "mode", "aiokafka", "aiohttp")

# Before any rendering, for our own lines and for those that come through `logging`.
_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)


class _StandardError(logging.Handler):
    """Standard error as it is when a line is written, not as it was at the set-up: tests replace it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001  # as every handler does: a line that cannot be written is no fault
            self.handleError(record)


def set_up(settings: Settings | None = None, stream: TextIO | None = None) -> logging.Handler:
    """Send every log line to `stream` (standard error), as JSON or for the eye; returns the handler.

    Without settings warnings alone: a command that answers on standard output. A worker calls it again,
    before Faust sets up its own logging.
    """
    target = stream if stream is not None else sys.stderr
    form, level = (settings.log_format, settings.log_level) if settings else ("auto", "warning")
    as_json = form == "json" or (form == "auto" and not target.isatty())
    handler = logging.StreamHandler(stream) if stream is not None else _StandardError()
    handler.setFormatter(_formatter(as_json, target.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in CHATTY:  # some 30 lines at each start and stop, which hide ours
        logging.getLogger(name).setLevel("DEBUG" if level == "debug" else "WARNING")
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a logger made at import must follow this call
    )
    return handler


def _formatter(as_json: bool, colors: bool) -> logging.Formatter:
    ending: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        # Plain tracebacks: the fancy ones show local variables, and one may be a password.
        else [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=list(_SHARED),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module: `logger(__name__).warning("what", topic=..., offset=...)`."""
    found: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return found
