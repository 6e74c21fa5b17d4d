"""How a simulated venue and its books look: what markets.toml does not say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from strategies.markets import Instrument, Markets, exponent
from streams.errors import UserError
from streams.simulator import kernels

# Where an asset's price starts, in its quote currency; others start at OTHER_PRICE.
PRICES = {"BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0, "BNB": 550.0, "XRP": 0.6, "USDC": 1.0, "EUR": 1.1}
OTHER_PRICE = 20.0
HALF_SPREAD_BPS = {"base": 0.5, "rollup": 1.0}
LEVEL_QUOTE = {"base": 20_000.0, "rollup": 8_000.0}  # least notional of a level; the largest is twice that
NOISE_BPS = 0.3
LEVELS = 20  # a side; the same number again is left to the reader's limit, so that nothing is cut off
GRID_BPS = 1.0
DEPTH_LATENCY_NS = 15_000_000  # depth comes so much later than quotes
JITTER_NS = 5_000_000  # at most, and a quarter of the interval: updates of a feed do not overtake each other
MAX_LATENCY_MS = 400.0
MAX_INTERVAL_NS = 200_000_000  # no feed looks less often, however low the rate
MAX_RATE = 1_000_000
QUOTE_SHARE = 0.6  # of all updates
NOTCH_BPS = 0.1  # largest step of the efficient price; less where fees are low
BASIS_BPS = 25.0  # a derivative, or another quote currency, stands so much above the spot


@dataclass(frozen=True, slots=True)
class Feed:
    """Timing of one channel, ns: an update is at most `lag` older than the venue's own book."""

    latency: int
    jitter: int
    interval: int

    @property
    def lag(self) -> int:
        """Largest time from a change at the venue to the receipt of an update that shows it."""
        return self.latency + self.jitter + self.interval * 7 // 4 + kernels.STEP_NS


@dataclass(frozen=True, slots=True)
class BookProfile:
    """One instrument as it is simulated; fractions are of the price."""

    instrument: Instrument
    price: float
    half_spread: float
    fee: float
    fixed_cost: float
    max_age: int
    level_quote: float
    levels: int
    quotes: Feed | None
    depth: Feed | None

    @property
    def lag(self) -> int:
        """The slower channel's lag, ns."""
        return max(feed.lag for feed in (self.quotes, self.depth) if feed)


def units(value: Decimal) -> int:
    """A tick or lot in units of its own last digit: 0.05 -> 5."""
    return int(value.scaleb(-exponent(value)))


def start_price(instrument: Instrument, spot_quote: str) -> float:
    """Price before the walk; only spot in the group's usual quote currency stands at the asset's price."""
    price = PRICES.get(instrument.base, OTHER_PRICE)
    if instrument.kind != "spot":
        price *= 1 + BASIS_BPS / 1e4
    if instrument.quote != spot_quote:
        price *= 1 - BASIS_BPS / 1e4
    return price


def profiles(markets: Markets, rate: float) -> list[BookProfile]:
    """Profiles of all instruments, in the file's order; `rate` is of all updates of all books, per s."""
    if not 0 < rate <= MAX_RATE:
        raise UserError(f"rate {rate:g}: give updates a second, above 0 and at most {MAX_RATE:,}")
    count = {c: sum(c in i.channels for i in markets.instruments) for c in ("l1", "l2")}
    share = {"l1": QUOTE_SHARE if count["l2"] else 1.0, "l2": 1 - QUOTE_SHARE if count["l1"] else 1.0}

    def feed(instrument: Instrument, channel: str) -> Feed | None:
        if channel not in instrument.channels:
            return None
        latency = int(min(markets.venues[instrument.venue].latency_ms, MAX_LATENCY_MS) * 1e6)
        interval = int(1e9 * count[channel] / (rate * share[channel]))
        extra = DEPTH_LATENCY_NS if channel == "l2" else 0
        interval = min(interval, MAX_INTERVAL_NS)
        return Feed(latency + extra, min(JITTER_NS, interval // 4), interval)

    quotes = usual_quotes(markets)
    return [_profile(markets, i, quotes[i.base], feed(i, "l1"), feed(i, "l2")) for i in markets.instruments]


def usual_quotes(markets: Markets) -> dict[str, str]:
    """Of each base asset the quote currency of most of its spot instruments (the first of equals)."""
    found: dict[str, list[str]] = {}
    for i in markets.instruments:
        found.setdefault(i.base, [])
        if i.kind == "spot":
            found[i.base].append(i.quote)
    return {base: max(names, key=names.count) if names else "" for base, names in found.items()}


def _profile(
    markets: Markets, instrument: Instrument, quote: str, quotes: Feed | None, depth: Feed | None
) -> BookProfile:
    venue = markets.venues[instrument.venue]
    price = start_price(instrument, quote)
    where = f"{instrument.venue} {instrument.symbol}"
    if float(instrument.tick) > price * 1e-4:
        raise UserError(f"{where}: tick {instrument.tick} is too coarse to simulate a price of {price:g}")
    if price / 10.0 ** exponent(instrument.tick) > 2**45:
        raise UserError(f"{where}: tick {instrument.tick} is too fine to simulate a price of {price:g}")
    if float(instrument.lot) * price > LEVEL_QUOTE[venue.layer]:
        raise UserError(f"{where}: lot {instrument.lot} is too large to simulate at a price of {price:g}")
    return BookProfile(
        instrument,
        price,
        HALF_SPREAD_BPS[venue.layer] / 1e4,
        venue.taker_fee_bps / 1e4,
        venue.fixed_cost,
        venue.max_age_ms * 1_000_000,
        LEVEL_QUOTE[venue.layer],
        min(LEVELS, max(1, instrument.depth // 2)),
        quotes,
        depth,
    )


def notch_bps(books: list[BookProfile]) -> float:
    """Largest step of the efficient price at which no two books of a product cross net of fees, bps.

    Two books show prices of moments at most the slower one's lag apart; in that time the price moves by
    one notch per 10 ms at most. Half of what fees and spreads leave is used up by that.
    """
    notch = NOTCH_BPS
    for product in products(books).values():
        for a in product:
            for b in product:
                if a is not b:
                    room = 1e4 * (a.fee + b.fee + a.half_spread + b.half_spread) - 2 * NOISE_BPS
                    steps = max(a.lag, b.lag) / kernels.WALK_STEP_NS + 1
                    notch = min(notch, room / 2 / steps)
    if notch < NOTCH_BPS / 100:
        raise UserError("the simulator needs taker fees: without them its venues cross all the time")
    return notch


def slack_bps(product: list[BookProfile], notch: float) -> float:
    """How far two books of a product may be apart from where they should be, bps."""
    lag = max(book.lag for book in product)
    rounding = max(1e4 * float(book.instrument.tick) / book.price for book in product)
    return notch * (lag / kernels.WALK_STEP_NS + 1) + 2 * NOISE_BPS + 2 * rounding


def products(books: list[BookProfile]) -> dict[tuple[str, str, str], list[BookProfile]]:
    """(group, base, quote) -> books of spot that is one and the same; only where two or more are."""
    found: dict[tuple[str, str, str], list[BookProfile]] = {}
    for book in books:
        if book.instrument.kind == "spot":
            key = (book.instrument.groups[0], book.instrument.base, book.instrument.quote)
            found.setdefault(key, []).append(book)
    return {key: members for key, members in found.items() if len(members) > 1}


def common_lot(product: list[BookProfile]) -> Decimal:
    """The smallest size that is a whole number of lots on every venue."""
    power = min(exponent(book.instrument.lot) for book in product)
    whole = math.lcm(*(int(book.instrument.lot.scaleb(-power)) for book in product))
    return Decimal(whole).scaleb(power)
