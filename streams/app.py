"""Settings, transport, and the Faust app that discovers its agents: `faust -A streams.app worker`."""

from __future__ import annotations

import asyncio
import logging
import sys

from streams.broker import Broker, find_broker
from streams.broker.process import is_taken
from streams.config import Settings, load_markets, load_settings
from streams.errors import InterlayerError, UserError
from streams.logs import set_up
from streams.transport import BatchedApp, TransportSettings


def create_app(settings: Settings, broker: Broker) -> BatchedApp:
    """The Faust app of one worker; importing `streams.market` adds its agent."""
    return BatchedApp(
        settings.named("interlayer"),
        transport=TransportSettings.of(settings, broker.bootstrap),
        autodiscover=["streams.market"],
        agent_supervisor="mode.CrashingSupervisor",  # the default one skips the batch that it fell over
        broker_commit_interval=0.5,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=False,
        web_enabled=settings.web_port > 0,
        web_host=settings.web_host,
        web_bind=settings.web_host,
        web_port=settings.web_port or 6066,
        worker_redirect_stdouts=False,
        Worker="streams.runner:Runner",  # Faust's own would put its log format before ours
    )


def without_known_traces(record: logging.LogRecord) -> bool:
    """Faust logs a crash five times with its trace; of our faults, and what they cancel, a line says all."""
    if record.exc_info and isinstance(record.exc_info[1], (InterlayerError, asyncio.CancelledError)):
        record.exc_info = None
    return True


try:
    settings = load_settings()
    set_up(settings).addFilter(without_known_traces)
    markets = load_markets(settings.markets)
    if settings.web_port and is_taken(settings.web_port):
        raise UserError(
            f"web port {settings.web_port} is taken: --web-port (or INTERLAYER_WEB_PORT) sets another, 0 none"
        )
    broker = find_broker(settings.broker, security=settings.kafka_config())
    app = create_app(settings, broker)
except InterlayerError as fault:
    # Faust and the command line import this module; a traceback would hide the one line that helps.
    sys.stderr.write(f"interlayer: {fault}\n")
    raise SystemExit(fault.exit_code) from None
