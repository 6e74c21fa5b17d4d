"""The market agents: batches of book.l1 and book.l2 in, signals, risk events and rejects out.

One agent a topic, because Faust acks by stream; both hand over to the same worker, which joins the two.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from streams.app import app, broker, markets, settings
from streams.health import register
from streams.stats import serve
from streams.worker import TOPICS, Worker

worker = Worker(app, settings, markets, broker)
register(app, worker.health)
serve(app, worker)


async def market(stream: Any) -> AsyncIterator[None]:
    """One hop from book updates to signals; a batch is acked once what it caused is delivered."""
    async for event in stream.noack().events():
        await worker.take(event)
        yield


for name in TOPICS:
    app.agent(app.batch_topic(settings.named(name)), name=f"market.{name}", concurrency=1)(market)
