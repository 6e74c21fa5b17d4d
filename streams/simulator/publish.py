"""A simulated market onto the topics, at its own pace or as fast as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from schemas import catalog
from schemas.encoder import Encoder
from streams.feeds.sink import Sink, group_keys
from streams.simulator import kernels
from streams.simulator.market import Market

PATIENCE_S = 0.05  # longest sleep, so that a stop is heard


@dataclass(slots=True)
class Published:
    """What was sent. `until_ns`: everything received before it; `behind_s`: most that we were late."""

    updates: int = 0
    until_ns: int = 0
    behind_s: float = 0.0


def publish(
    market: Market,
    sink: Sink,
    *,
    live: bool,
    schema_id: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    told: Callable[[Published], None] = lambda _: None,
) -> Published:
    """Send all updates of `market`; `live` sends each slice when the wall clock has reached its end.

    `schema_id` is of `streams.feeds.pack.book_schema_id`. `stop` is asked before each slice, `told` is called
    after it. Raises RunError where delivery fails.
    """
    encoder = Encoder(catalog.schema("BookUpdate"), schema_id)
    keys = [group_keys(i.groups) for i in market.markets.instruments]
    done = Published()
    for chunk in market.updates():
        while live and (early := chunk.due_ns - time.time_ns()) > 0 and not stop():
            time.sleep(min(early / 1e9, PATIENCE_S))
        if stop():
            break
        if live:
            done.behind_s = max(done.behind_s, (time.time_ns() - chunk.due_ns) / 1e9)
        messages = encoder.encode(chunk.rows, chunk.items, chunk.data)
        sink.send_batch(messages, chunk.rows[:, kernels.LEVEL], chunk.books, keys)
        done.updates += len(chunk)
        done.until_ns = chunk.due_ns
        told(done)
    sink.close()
    return done
