"""What is injected when: two episodes, then a decoy, and so on, never two at once in one asset."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from strategies.markets import Limits, Markets
from streams.simulator import kernels
from streams.simulator.profile import BookProfile, common_lot, products, slack_bps
from streams.simulator.truth import Injection, Kind

MS = 1_000_000
WARM_UP_NS = 1_500 * MS  # books fill before anything is injected
CODES = {
    Kind.EPISODE: kernels.DISPLACED,
    Kind.BELOW_FEES: kernels.DISPLACED,
    Kind.TOO_SMALL: kernels.DISPLACED,
    Kind.CROSSED: kernels.CROSSED,
    Kind.GAP_SEEN: kernels.GAP_SEEN,
    Kind.GAP_LOST: kernels.GAP_LOST,
    Kind.STALE: kernels.SILENT,
    Kind.QUIET: kernels.QUIET,
}
DECOYS = [kind for kind in Kind if kind is not Kind.EPISODE]
EPISODES_PER_DECOY = 2
WAVER = 2


@dataclass(frozen=True, slots=True)
class Phase:
    """One row of `kernels.PHASE`."""

    start: int
    shown: int
    end: int
    kind: int
    side: int = 0
    offset: float = 0.0
    shift: float = 0.0
    size: int = 0


@dataclass(slots=True)
class Schedule:
    """Phases of each book, by its index; stretches (first, end, slope) that rule an asset's walk, ns.

    A slope is in notches a step; WAVER goes one up and one down in turn.
    """

    phases: dict[int, list[Phase]] = field(default_factory=lambda: defaultdict(list))
    walks: dict[str, list[tuple[int, int, int]]] = field(default_factory=lambda: defaultdict(list))
    injections: list[Injection] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Product:
    group: str
    name: str
    books: list[BookProfile]
    limits: Limits
    slack: float  # bps
    lot: Decimal


@dataclass(frozen=True, slots=True)
class _Case:
    """What one injection is made from."""

    kind: Kind
    product: _Product
    book: BookProfile
    side: int
    at: int


def _kinds(dice: random.Random) -> Iterator[Kind]:
    """Episodes and decoys in turn; all kinds of decoys come before one comes again."""
    while True:
        for decoy in dice.sample(DECOYS, len(DECOYS)):
            yield from [Kind.EPISODE] * EPISODES_PER_DECOY
            yield decoy


def plan(
    seed: int, markets: Markets, books: list[BookProfile], notch: float, start: int, end: int, epoch_ns: int
) -> Schedule:
    """Everything injected between `start` and `end` (ns since the origin, which is `epoch_ns` since 1970)."""
    dice = random.Random(seed)
    schedule = Schedule()
    assets: dict[str, list[_Product]] = defaultdict(list)
    for (group, base, quote), members in products(books).items():
        name = f"{base}/{quote} spot"
        limits, slack = markets.limits_of(group), slack_bps(members, notch)
        assets[base].append(_Product(group, name, members, limits, slack, common_lot(members)))
    pause = max(0.5, 0.8 * len(assets) - 0.8)
    ready = {asset: start + WARM_UP_NS + int(dice.random() * pause * 1e9) for asset in assets}
    kinds = _kinds(dice)
    while ready:
        asset = min(ready, key=ready.__getitem__)
        product = dice.choice(assets[asset])
        case = _Case(next(kinds), product, dice.choice(product.books), dice.randrange(2), ready[asset])
        over = _inject(dice, schedule, books, asset, case, notch, (start, end), epoch_ns)
        if over is None:
            del ready[asset]
        else:
            ready[asset] = over + int((0.5 + dice.random()) * pause * 1e9)
    schedule.injections.sort(key=lambda i: (i.start_ns, i.id))
    return schedule


def _inject(
    dice: random.Random,
    schedule: Schedule,
    books: list[BookProfile],
    asset: str,
    case: _Case,
    notch: float,
    span: tuple[int, int],
    epoch_ns: int,
) -> int | None:
    """Add one injection; returns when the asset is at rest again, None where it ends too late."""
    product, book = case.product, case.book
    lag = max(b.lag for b in product.books)
    start = _whole(case.at)
    shown = start
    length = int(dice.uniform(0.3, 2.0) * 1e9) + lag
    edge, size = _edge(dice, case)
    hold: list[tuple[int, int, int]] = []
    if case.kind is Kind.STALE:
        still = start + book.max_age + 2 * lag + 200 * MS
        away = max(b.fee for b in product.books) * 2e4 + 2 * product.slack + 5
        moved = still + int(away / notch) * kernels.WALK_STEP_NS
        hold = [(start - lag, still, 0), (still, moved, dice.choice((-1, 1)))]
        length, edge, size = moved + 300 * MS - start, 0.0, Decimal(0)
    elif case.kind is Kind.QUIET:
        length, edge, size = book.max_age + 1_000 * MS, 0.0, Decimal(0)
        hold = [(start - lag, start + length + 2 * lag, 0)]
    elif case.kind in (Kind.GAP_SEEN, Kind.GAP_LOST):
        shown = _whole(start + 3 * lag)
        length += 3 * lag
    end = _whole(start + length)
    if not hold:  # an order that stands where it was placed keeps its edge only while the price stays
        hold = [(start - lag, end + 2 * lag, WAVER)]
    rest = end + 2 * lag + 300 * MS
    began, limit = span
    if rest > limit:
        return None
    schedule.walks[asset] += hold
    offset, shift = _displacement(case, edge)
    units = int(size.scaleb(-_power(book.instrument.lot)))
    phase = Phase(start, shown, end, CODES[case.kind], case.side, offset, shift, units)
    schedule.phases[next(i for i, b in enumerate(books) if b is book)].append(phase)
    name = f"{asset}-{(start - began) // MS}"
    gone = end + 2 * book.lag
    schedule.injections.append(_record(name, case, edge, size, epoch_ns + start, epoch_ns + gone))
    return rest


def _whole(time: int) -> int:
    """Rounded up to a venue's step, so that a phase begins and ends between two steps."""
    return -(-time // kernels.STEP_NS) * kernels.STEP_NS


def _power(lot: Decimal) -> int:
    found = lot.normalize().as_tuple().exponent
    assert isinstance(found, int)
    return found


def _counterpart(case: _Case) -> BookProfile:
    """The other book that it is cheapest to trade with."""
    others = [b for b in case.product.books if b is not case.book]
    return min(others, key=lambda b: b.fee + b.half_spread)


def _edge(dice: random.Random, case: _Case) -> tuple[float, Decimal]:
    """Net edge in bps and size of the stray order."""
    product, book = case.product, case.book
    limits, price = product.limits, book.price
    other = _counterpart(case)
    if case.kind is Kind.BELOW_FEES:
        fees = 1e4 * (book.fee + other.fee)
        low = product.slack + 0.5
        edge = -dice.uniform(low, max(low, fees - product.slack - 0.5))
        return edge, _lots(product, dice.uniform(0.1, 0.5) * other.level_quote / price)
    edge = limits.min_net_edge_bps + product.slack + dice.uniform(3.0, 15.0)
    if case.kind is Kind.TOO_SMALL:
        return edge, _lots(product, 0.3 * limits.min_net_edge_quote / ((edge + product.slack) * 1e-4) / price)
    costs = sum(b.fixed_cost for b in product.books)
    least = (2 * limits.min_net_edge_quote + costs) / ((edge - product.slack - 1.0) * 1e-4)
    wanted = max(least, dice.uniform(0.3, 2.0) * other.level_quote)
    return edge, _lots(product, min(wanted, 0.6 * limits.max_notional) / price)


def _lots(product: _Product, size: float) -> Decimal:
    return max(1, round(size / float(product.lot))) * product.lot


def _displacement(case: _Case, edge_bps: float) -> tuple[float, float]:
    """Where the stray order stands, and how far the other side of its own book makes way, fractions."""
    book, other, edge = case.book, _counterpart(case), edge_bps / 1e4
    if case.side == 1:
        price = (1 - other.half_spread) * (1 - other.fee) / (1 + book.fee) / (1 + edge)
    else:
        price = (1 + other.half_spread) * (1 + other.fee) / (1 - book.fee) * (1 + edge)
    offset = price - 1
    if case.kind is Kind.CROSSED:
        return offset, 0.0
    return offset, max(0.0, abs(offset) + 0.5e-4)


def _record(name: str, case: _Case, edge: float, size: Decimal, start_ns: int, end_ns: int) -> Injection:
    product, book = case.product, case.book
    others = tuple(b.instrument.venue for b in product.books if b is not book)
    return Injection(
        id=name,
        kind=case.kind,
        group=product.group,
        product=product.name,
        symbol=book.instrument.symbol,
        venues=(book.instrument.venue, *others),
        side="buy" if case.side == 1 else "sell",
        start_ns=start_ns,
        end_ns=end_ns,
        edge_bps=edge,
        edge_slack_bps=product.slack,
        size=float(size),
        notional_quote=float(size) * book.price,
        must_find=case.kind is Kind.EPISODE,
    )
