"""Slow, obvious twins of the kernels, in exact fractions. One section a kernel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, combinations, product
from math import lcm

# --- Cross-venue sweep ---------------------------------------------------------------------------
# Prices and sizes are integers, money is price x size. A leg is named (side, book): ("buy", 0) takes
# asks of book 0, ("sell", 1) hits bids of book 1.

Level = tuple[int, int]  # price, size
Leg = tuple[str, int]
EDGE = Fraction(1, 10**12)  # an edge below this part of the bid is none, as in the kernel


@dataclass(frozen=True)
class Book:
    """One venue's book, each side best first, and what trading there costs."""

    bids: list[Level] = field(default_factory=list)
    asks: list[Level] = field(default_factory=list)
    fee: Fraction = Fraction(0)
    lot: int = 1
    fixed_cost: Fraction = Fraction(0)
    min_notional: Fraction = Fraction(0)

    def levels(self, side: str) -> list[Level]:
        return self.asks if side == "buy" else self.bids

    def net(self, side: str, price: int) -> Fraction:
        return price * (1 + self.fee) if side == "buy" else price * (1 - self.fee)


@dataclass
class Plan:
    """Sizes and costs (price x size, before fees) of the legs used."""

    sizes: dict[Leg, int] = field(default_factory=dict)
    costs: dict[Leg, int] = field(default_factory=dict)
    limits: dict[Leg, int] = field(default_factory=dict)

    def take(self, leg: Leg, price: int, size: int) -> None:
        self.sizes[leg] = self.sizes.get(leg, 0) + size
        self.costs[leg] = self.costs.get(leg, 0) + price * size
        worst = max if leg[0] == "buy" else min
        self.limits[leg] = worst(self.limits.get(leg, price), price)

    def money(self, side: str) -> int:
        return sum(cost for leg, cost in self.costs.items() if leg[0] == side)

    def size(self, side: str) -> int:
        return sum(size for leg, size in self.sizes.items() if leg[0] == side)

    @property
    def gross(self) -> int:
        return self.money("sell") - self.money("buy")

    def after_fees(self, books: list[Book]) -> Fraction:
        fees = sum((cost * books[b].fee for (_, b), cost in self.costs.items()), Fraction(0))
        return self.gross - fees

    def net(self, books: list[Book]) -> Fraction:
        return self.after_fees(books) - sum(books[b].fixed_cost for _, b in self.sizes)

    def holds(self, books: list[Book]) -> bool:
        """Every leg reaches its minimum notional, and no book both buys and sells."""
        used = [b for _, b in self.sizes]
        enough = all(cost >= books[b].min_notional for (_, b), cost in self.costs.items())
        return enough and len(set(used)) == len(used)


def all_legs(books: list[Book]) -> list[Leg]:
    return [(side, b) for side in ("buy", "sell") for b, book in enumerate(books) if book.levels(side)]


def merge_books(books: list[Book], legs: Iterable[Leg] | None = None) -> Plan:
    """Sort all asks and all bids by price after fees, match them while that pays. No lots, no limits."""
    allowed = set(all_legs(books) if legs is None else legs)
    asks, bids = (
        sorted(
            (sign * books[b].net(side, price), b, price, size)
            for s, b in allowed
            if s == side
            for price, size in books[b].levels(side)
        )
        for side, sign in (("buy", 1), ("sell", -1))
    )
    plan = Plan()
    while asks and bids and -bids[0][0] - asks[0][0] > -EDGE * bids[0][0]:
        size = min(asks[0][3], bids[0][3])
        for side, queue in (("buy", asks), ("sell", bids)):
            net, b, price, left = queue.pop(0)
            plan.take((side, b), price, size)
            if left > size:
                queue.insert(0, (net, b, price, left - size))
    return plan


def common_lots(books: list[Book], legs: Iterable[Leg]) -> dict[int, int]:
    """The unit each distinct lot trades in: least common multiple of it and all finer ones."""
    lots = sorted({books[b].lot for _, b in legs})
    return {lot: lcm(*lots[: i + 1]) for i, lot in enumerate(lots)}


Block = list[tuple[Fraction, int, int]]  # (net, book, price) of each single lot-of-one in a unit


def _chunks(singles: Block, unit: int) -> list[Block]:
    return [singles[i : i + unit] for i in range(0, len(singles) - unit + 1, unit)]


def _average(block: Block) -> Fraction:
    return sum((net for net, _, _ in block), Fraction(0)) / len(block)


def supply(books: list[Book], legs: list[Leg], side: str, lots: dict[int, int], done: Plan) -> list[Block]:
    """What `legs` offer on `side` beyond `done`, in blocks of the largest unit, best average first.

    Finer books are merged first and cut together, so that two of them may fill a coarse lot.
    """
    blocks: list[Block] = []
    own: list[int] = []
    for lot, unit in lots.items():
        own = sorted(b for s, b in legs if s == side and books[b].lot == lot)
        if not own and lot != max(lots):
            continue
        blocks = _chunks(list(chain(*blocks)), unit)
        for b in own:
            singles = [
                (books[b].net(side, p), b, p) for p, size in books[b].levels(side) for _ in range(size)
            ]
            blocks += _chunks(singles[done.sizes.get((side, b), 0) :], unit)
        blocks.sort(key=_average, reverse=side == "sell")
    return blocks


def fill_in_units(books: list[Book], legs: list[Leg], max_notional: Fraction | None) -> Plan:
    """Match unit by unit while it pays and the buys stay within `max_notional`; coarse lots first."""
    lots = common_lots(books, legs)
    best = Plan()
    for last in reversed(list(lots)):
        plan = Plan()
        for k in [lot for lot in reversed(list(lots)) if lot <= last]:
            finer = {lot: unit for lot, unit in lots.items() if lot <= k}
            able = [leg for leg in legs if books[leg[1]].lot <= k]
            buys, sells = (supply(books, able, side, finer, plan) for side in ("buy", "sell"))
            for buy, sell in zip(buys, sells, strict=False):
                edge = _average(sell) - _average(buy)
                cost = plan.money("buy") + sum(price for _, _, price in buy)
                if edge <= EDGE * _average(sell) or (max_notional is not None and cost > max_notional):
                    break
                for side, block in (("buy", buy), ("sell", sell)):
                    for _, b, price in block:
                        plan.take((side, b), price, 1)
        if plan.after_fees(books) > best.after_fees(books):
            best = plan
    return best


def in_play(books: list[Book]) -> list[Leg]:
    """Legs whose best price pays against the best of the other side; the others never trade."""
    tops = {leg: books[leg[1]].net(leg[0], books[leg[1]].levels(leg[0])[0][0]) for leg in all_legs(books)}
    ask = min((net for (side, _), net in tops.items() if side == "buy"), default=None)
    bid = max((net for (side, _), net in tops.items() if side == "sell"), default=None)
    if ask is None or bid is None:
        return []
    return [
        (side, b)
        for (side, b), net in tops.items()
        if (bid - net > EDGE * bid if side == "buy" else net - ask > EDGE * net)
    ]


def best_plans(books: list[Book], max_notional: Fraction | None = None) -> tuple[Fraction, list[Plan]]:
    """Largest net gain over all subsets of legs, and all plans that earn it; (0, []) where none earns."""
    legs = in_play(books)
    best, plans = Fraction(0), []
    for subset in chain.from_iterable(combinations(legs, n) for n in range(len(legs), 1, -1)):
        plan = fill_in_units(books, list(subset), max_notional)
        net = plan.net(books)
        if not plan.holds(books) or net <= 0 or net < best:
            continue
        plans = [*plans, plan] if net == best else [plan]
        best = net
    return best, plans


def _leg_money(levels: list[Level], size: int) -> int | None:
    """Price x size of the best `size`, None where there is not that much."""
    money = 0
    for price, available in levels:
        take = min(size, available)
        money += price * take
        size -= take
    return None if size else money


def _side_choices(books: list[Book], side: str) -> Iterator[tuple[int, Plan]]:
    """Every feasible choice of sizes on one side: its total and its plan."""
    sizes = [range(0, sum(s for _, s in book.levels(side)) + 1, book.lot) for book in books]
    for choice in product(*sizes):
        plan = Plan()
        for b, size in enumerate(choice):
            money = _leg_money(books[b].levels(side), size)
            if size and money is not None:
                plan.sizes[side, b], plan.costs[side, b] = size, money
        yield sum(choice), plan


def brute_force(books: list[Book], max_notional: Fraction | None = None) -> Fraction:
    """Largest net gain over every feasible vector of leg sizes: for tiny books only."""
    sells: dict[int, list[Plan]] = {}
    for total, plan in _side_choices(books, "sell"):
        sells.setdefault(total, []).append(plan)
    best = Fraction(0)
    for total, buy in _side_choices(books, "buy"):
        if max_notional is not None and buy.money("buy") > max_notional:
            continue
        for sell in sells.get(total, []):
            both = Plan(buy.sizes | sell.sizes, buy.costs | sell.costs)
            if both.holds(books):
                best = max(best, both.net(books))
    return best
