"""What a worker holds and has done, as JSON on its web port: for `interlayer demo` and for people."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import faust
from faust.web import Request, Response, View

from strategies.describe import STATES
from strategies.kernels import layout
from strategies.kernels.fuse import top
from streams.partition import PartitionWorker

if TYPE_CHECKING:
    from streams.worker import Worker


def serve(app: faust.App, worker: Worker) -> None:
    """Serve /stats."""

    async def stats(view: View, request: Request) -> Response:
        answer: Response = view.json(snapshot(worker))
        return answer

    app.page("/stats", name="stats")(stats)


def snapshot(worker: Worker) -> dict[str, Any]:
    """Totals since the start, and the state of every book."""
    partitions = list(worker.partitions.values())
    return {
        "uptime_s": (time.monotonic_ns() - worker.started_ns) / 1e9,
        "records": worker.records,
        "waiting": sum(p.waiting for p in partitions),
        "rejects": sum(p.counts.rejects for p in partitions),
        "signals": sum(p.counts.signals for p in partitions),
        "risk_events": sum(p.counts.risk_events for p in partitions),
        "merge_limits_hit": sum(p.counts.merge_limits_hit for p in partitions),
        "partitions": sorted(worker.partitions),
        "open_episodes": sum(int(p.engine.state.episodes["open"].sum()) for p in partitions),
        "books": [book for p in partitions for book in books(p)],
    }


def books(partition: PartitionWorker) -> list[dict[str, Any]]:
    """Every book of a partition: its top in decimals, state, age, and how well its levels agree."""
    engine = partition.engine
    state = engine.state
    now = int(state.clock["time"][0])
    found = []
    for b, (group, instrument) in enumerate(engine.plan.books):
        own, book = state.instruments[b], state.books[b]
        unit = 10.0 ** int(own["price_exponent"])
        bid, bid_size = top(state.books, state.keys, state.sizes, b, layout.BIDS)
        ask, ask_size = top(state.books, state.keys, state.sizes, b, layout.ASKS)
        alive = int(state.channels[b, layout.L2 if own["has_l2"] else layout.L1]["alive_time"])
        found.append(
            {
                "group": group,
                "venue": instrument.venue,
                "symbol": instrument.symbol,
                "state": STATES[int(book["state"])],
                "bid": bid * unit if bid_size else None,
                "ask": -ask * unit if ask_size else None,
                "levels": [int(book["bid_count"]), int(book["ask_count"])],
                "age_ms": (now - alive) / 1e6 if alive else None,
                "l1_agreement": {"right": int(book["agreed"]), "wrong": int(book["disagreed"])},
                "led": {"quote": int(book["quote_led"]), "depth": int(book["depth_led"])},
            }
        )
    return found
