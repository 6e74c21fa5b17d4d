"""From the twin's books to the kernel's arrays, and back to the twin's plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies.kernels.curve import Scratch, make_scratch
from strategies.kernels.layout import ASKS, BIDS, BOOK, INSTRUMENT, LEG, MAX_LEGS, SYNCED
from strategies.kernels.sweep import sweep, top_edge
from tests.naive import Book, Plan

SCRATCH = make_scratch()
NO_LIMIT = 1e300


@dataclass
class Arrays:
    """What the kernels take."""

    members: np.ndarray
    books: np.ndarray
    keys: np.ndarray
    sizes: np.ndarray
    instruments: np.ndarray


@dataclass
class Result:
    """What the sweep returns, with its legs as a twin's plan."""

    size: int
    gross: float
    net: float
    notional: float
    plan: Plan
    costs: dict[tuple[str, int], float]


def arrays(books: list[Book], *, overlay: frozenset[int] = frozenset(), gone: int = 1) -> Arrays:
    """Arrays of `books`. Those in `overlay` show their best level as a quote above `gone` stale levels."""
    depth = 1 + gone + max((len(side) for book in books for side in (book.bids, book.asks)), default=0)
    a = Arrays(
        np.arange(len(books)),
        np.zeros(len(books), BOOK),
        np.zeros((len(books), 2, depth), np.int64),
        np.zeros((len(books), 2, depth), np.int64),
        np.zeros(len(books), INSTRUMENT),
    )
    for b, book in enumerate(books):
        row, instrument = a.books[b], a.instruments[b]
        row["state"] = SYNCED
        row["overlay"] = int(b in overlay)
        instrument["lot"] = book.lot
        instrument["fee"] = float(book.fee)
        instrument["fixed_cost"] = float(book.fixed_cost)
        instrument["min_notional"] = float(book.min_notional)
        for side, levels, name in ((BIDS, book.bids, "bid"), (ASKS, book.asks, "ask")):
            sign = 1 if side == BIDS else -1
            kept = levels
            if b in overlay:
                if levels:
                    row[f"quote_{name}_key"], row[f"quote_{name}_size"] = sign * levels[0][0], levels[0][1]
                # what the quote proves gone: better and far larger, so that a reader of it is found out
                best = levels[0][0] if levels else 100
                kept = [(best + sign * i, 10**6) for i in range(gone, 0, -1)] + levels[1:]
                row[f"{name}_skip"] = gone
            row[f"{name}_count"] = len(kept)
            for i, (price, size) in enumerate(reversed(kept)):
                a.keys[b, side, i] = sign * price
                a.sizes[b, side, i] = size
    return a


def run(
    a: Arrays,
    *,
    max_notional: float = NO_LIMIT,
    min_net: float = 0.0,
    price_unit: float = 1.0,
    size_unit: float = 1.0,
    members: np.ndarray | None = None,
    scratch: Scratch = SCRATCH,
) -> Result:
    """Sweep, with fresh legs."""
    legs = np.zeros(MAX_LEGS, LEG)
    n, size, gross, net, notional = sweep(
        a.members if members is None else members,
        a.books,
        a.keys,
        a.sizes,
        a.instruments,
        price_unit,
        size_unit,
        max_notional,
        min_net,
        legs,
        scratch,
    )
    plan, costs = Plan(), {}
    for leg in legs[:n]:
        name = ("buy" if leg["side"] == ASKS else "sell", int(leg["book"]))
        assert name not in plan.sizes, "a leg stands there twice"
        plan.sizes[name] = int(leg["size"])
        plan.limits[name] = int(leg["limit_price"])
        costs[name] = float(leg["cost"])
    assert list(plan.sizes) == sorted(plan.sizes), "buy legs by book, then sell legs by book"
    return Result(size, gross, net, notional, plan, costs)


def edge(a: Arrays) -> float:
    """top_edge of all books."""
    return float(top_edge(a.members, a.books, a.keys, a.sizes, a.instruments))
