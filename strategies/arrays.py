"""From `Markets` to the arrays of one partition's engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from strategies import cross_venue
from strategies.kernels import layout, read
from strategies.kernels.curve import make_scratch
from strategies.kernels.state import State
from strategies.markets import Instrument, Markets

NS_PER_MS = 1_000_000
LEAST_SLACK = 64  # levels beyond `depth` that fit before the worst are cut


@dataclass(frozen=True)
class Directory:
    """Names of the books of one partition, and the table that finds a book by them."""

    slots: npt.NDArray[np.int64]  # open addressing, -1 is free
    names: npt.NDArray[np.uint8]
    name_at: npt.NDArray[np.int64]  # (books, 6): start and length of group, venue, symbol


@dataclass(frozen=True)
class Plan:
    """What the books, products, groups and venues of one partition are called, by index."""

    books: tuple[tuple[str, Instrument], ...]  # group and instrument of each book
    products: tuple[cross_venue.Product, ...]
    groups: tuple[str, ...]
    venues: tuple[str, ...]


def plan(markets: Markets, groups: Sequence[str]) -> Plan:
    """Lay out the books of `groups`, in the order of the file."""
    books = tuple((group, i) for group in groups for i in markets.members(group))
    products = tuple(p for group in groups for p in cross_venue.products(markets, group))
    return Plan(books, products, tuple(groups), tuple(sorted(markets.venues)))


def directory(books: Sequence[tuple[str, Instrument]]) -> Directory:
    """Index the names of all books."""
    size = 16
    while size < 2 * len(books):
        size *= 2
    slots = np.full(size, -1, np.int64)
    name_at = np.zeros((len(books), 6), np.int64)
    data = bytearray()
    for b, (group, instrument) in enumerate(books):
        for k, name in enumerate((group, instrument.venue, instrument.symbol)):
            encoded = name.encode()
            name_at[b, 2 * k : 2 * k + 2] = len(data), len(encoded)
            data += encoded
    names = np.frombuffer(bytes(data), np.uint8)
    for b in range(len(books)):
        value = read.FNV_BASIS
        for k in range(3):
            value = np.uint64(read.hash_bytes(value, names, name_at[b, 2 * k], name_at[b, 2 * k + 1]))
        at = int(value) & (size - 1)
        while slots[at] >= 0:
            at = (at + 1) & (size - 1)
        slots[at] = b
    return Directory(slots, names, name_at)


def instruments(markets: Markets, layout_plan: Plan) -> npt.NDArray[Any]:
    """INSTRUMENT[b]."""
    table = np.zeros(len(layout_plan.books), layout.INSTRUMENT)
    at = {(group, i.venue, i.symbol): b for b, (group, i) in enumerate(layout_plan.books)}
    for p, product in enumerate(layout_plan.products):
        for i in product.instruments:
            b = at[product.group, i.venue, i.symbol]
            venue = markets.venues[i.venue]
            row = table[b]
            row["product"] = p
            row["group"] = layout_plan.groups.index(product.group)
            row["venue"] = layout_plan.venues.index(i.venue)
            row["price_exponent"] = product.price_exponent
            row["size_exponent"] = product.size_exponent
            row["lot"] = int(i.lot.scaleb(-product.size_exponent))
            row["tick"] = int(i.tick.scaleb(-product.price_exponent))
            row["depth"] = i.depth
            # A message of a venue that cuts may replace all levels, new ones first.
            row["capacity"] = i.depth + max(LEAST_SLACK, i.depth if i.venue_cuts else i.depth // 4)
            row["venue_cuts"] = i.venue_cuts
            row["shared_ids"] = venue.shared_update_ids
            row["has_l1"] = "l1" in i.channels
            row["has_l2"] = "l2" in i.channels
            row["max_age"] = venue.max_age_ms * NS_PER_MS
            row["fee"] = venue.taker_fee_bps / 1e4
            row["fixed_cost"] = venue.fixed_cost
            row["min_notional"] = float(i.min_notional)
    return table


def products(markets: Markets, layout_plan: Plan, table: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Any]:
    """PRODUCT[p] and the list of members."""
    rows = np.zeros(len(layout_plan.products), layout.PRODUCT)
    members: list[int] = []
    for p, product in enumerate(layout_plan.products):
        limits = markets.limits_of(product.group)
        own = [int(b) for b in np.flatnonzero(table["product"] == p)]
        row = rows[p]
        row["group"] = layout_plan.groups.index(product.group)
        row["first"] = len(members)
        row["count"] = len(own)
        row["price_unit"] = 10.0**product.price_exponent
        row["size_unit"] = 10.0**product.size_exponent
        row["max_notional"] = limits.max_notional
        row["min_net_bps"] = limits.min_net_edge_bps
        row["min_net_quote"] = limits.min_net_edge_quote
        row["close_bps"] = limits.close_edge_bps
        row["update_size"] = limits.update_size_pct / 100
        row["update_bps"] = limits.update_edge_bps
        row["ttl"] = limits.episode_ttl_ms * NS_PER_MS
        row["valid"] = limits.signal_valid_ms * NS_PER_MS
        row["refusal_interval"] = limits.refusal_interval_ms * NS_PER_MS
        members += own
    return rows, np.array(members, np.int64)


def state(markets: Markets, layout_plan: Plan, time_jump_ns: int) -> State:
    """Empty books and closed episodes: what an engine starts with. The gate is shut."""
    table = instruments(markets, layout_plan)
    rows, members = products(markets, layout_plan, table)
    n_books, n_products = len(table), len(rows)
    capacity = int(table["capacity"].max(initial=1)) + 1
    channels = np.zeros((n_books, 2), layout.CHANNEL)
    channels["state"] = layout.EMPTY
    for name in ("update_id", "event_time"):
        channels[name] = layout.NONE
    books = np.zeros(n_books, layout.BOOK)
    books["state"] = layout.EMPTY
    for name in ("bid_horizon", "ask_horizon", "quote_bid_key", "quote_ask_key"):
        books[name] = layout.NONE
    clock = np.zeros(1, layout.CLOCK)
    clock["jump_limit"] = time_jump_ns
    clock["deadline"] = np.iinfo(np.int64).max
    tops = np.empty((n_books, 2), np.float64)
    tops[:, layout.BIDS], tops[:, layout.ASKS] = -np.inf, np.inf
    events = 64 + 2 * room(n_products)
    return State(
        instruments=table,
        products=rows,
        members=members,
        channels=channels,
        books=books,
        keys=np.zeros((n_books, 2, capacity), np.int64),
        sizes=np.zeros((n_books, 2, capacity), np.int64),
        joins=np.zeros(n_books, layout.JOIN),
        recent=np.zeros((n_books, layout.RECENT), layout.TOP),
        awaiting=np.zeros((n_books, layout.RECENT), layout.TOP),
        tops=tops,
        episodes=np.zeros(n_products, layout.EPISODE),
        legs=np.zeros((n_products, layout.MAX_LEGS), layout.LEG),
        groups=np.zeros(len(layout_plan.groups), layout.GROUP),
        venues_halted=np.zeros(len(layout_plan.venues), np.int64),
        clock=clock,
        refused_time=np.full((n_products, layout.N_REASONS), layout.NONE, np.int64),
        refused_count=np.zeros((n_products, layout.N_REASONS), np.int64),
        usable=np.zeros(layout.MAX_MEMBERS, np.int64),
        found=np.zeros(layout.MAX_LEGS, layout.LEG),
        scratch=make_scratch(),
        events=np.zeros(events, layout.EVENT),
        event_legs=np.zeros((events, layout.MAX_LEGS), layout.LEG),
    )


def room(n_products: int) -> int:
    """Most events that one record can cause: a close of every episode, and four of its own product."""
    return n_products + 4
