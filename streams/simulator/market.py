"""A seeded market of several venues: the same seed gives the same updates, however they are cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas import catalog
from schemas.batch import Bytes, Ints
from schemas.encoder import Encoder
from strategies.markets import Markets, exponent
from streams.errors import UserError
from streams.simulator import kernels
from streams.simulator.profile import GRID_BPS, NOISE_BPS, BookProfile, notch_bps, profiles, units
from streams.simulator.schedule import WAVER, plan
from streams.simulator.truth import Injection

Records = npt.NDArray[Any]  # a structured dtype of kernels

LEAD_NS = 1_000_000_000  # the venues were there before we looked
CLOCK_AHEAD_NS = 1_270_000_000  # of every fourth venue: the gateway's clock may run behind a venue's
FIRST_ID = 1_000_000
LONGEST_S = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """Updates in the order of receive time, as `schemas.columns` lays them out.

    `rows` int64 (n, slots of a BookUpdate), `items` int64 (m,), `data` uint8 with the names; `books`
    int64 (n,) is the index of each one's instrument in markets.toml. All of them were received before
    `due_ns` (ns since 1970, receive time).
    """

    due_ns: int
    rows: Ints
    items: Ints
    data: Bytes
    books: Ints

    def __len__(self) -> int:
        return len(self.rows)


def prepare(markets: Markets) -> None:
    """Compile (or load) the kernels, which takes seconds once: call it before the clock starts."""
    market = Market(0, markets, 0.01, 1_700_000_000_000_000_000)
    for chunk in market.updates():
        Encoder(catalog.schema("BookUpdate")).encode(chunk.rows, chunk.items, chunk.data)


class Market:
    """Books of all instruments in `markets`, from `start_ns` on (receive time, ns since 1970).

    `rate` is of all updates of all books, per second; `slice_ns` how much receive time a chunk holds.
    `recorded` says that receive times are not the wall clock's.

    Raises UserError where such a market cannot be simulated.
    """

    def __init__(
        self,
        seed: int,
        markets: Markets,
        seconds: float,
        start_ns: int,
        *,
        rate: float = 3_000.0,
        recorded: bool = True,
        slice_ns: int = 5_000_000,
        key_frame_s: float = 5.0,
    ) -> None:
        if not 0 < seconds <= LONGEST_S:
            raise UserError(f"{seconds:g} seconds: give more than 0 and at most {LONGEST_S:g}")
        self.markets = markets
        self.origin_ns = start_ns - LEAD_NS
        self.end = LEAD_NS + int(seconds * 1e9)
        self._slice_ns = slice_ns
        self._frame_ns = int(key_frame_s * 1e9)
        self._profiles = profiles(markets, rate)
        self._notch = notch_bps(self._profiles)
        self._schedule = plan(seed, markets, self._profiles, self._notch, LEAD_NS, self.end, self.origin_ns)
        self._seed = seed
        self._setting = np.array(
            [(self.origin_ns, int(recorded), self._frame_ns, self._notch * 1e-4)], kernels.SETTING
        )
        self._walk, assets = self._walks()
        self._books, self._phases, self._names = self._tables(assets)

    def truth(self) -> list[Injection]:
        """What is injected, in the order of the starts."""
        return list(self._schedule.injections)

    def updates(self) -> Iterator[Chunk]:
        """All updates, slice after slice; each call begins anew."""
        channels = self._channels()
        for until in range(LEAD_NS + self._slice_ns, self.end + self._slice_ns, self._slice_ns):
            yield self._run(channels, min(until, self.end))

    def _walks(self) -> tuple[Ints, dict[str, int]]:
        """The efficient prices in notches, int64 (assets, steps), and the assets' rows."""
        steps = self.end // kernels.WALK_STEP_NS + 2
        names = sorted({i.base for i in self.markets.instruments})
        walk = np.zeros((len(names), steps), np.int64)
        for row, name in enumerate(names):
            dice = np.random.default_rng([self._seed & (2**63 - 1), row])
            moves = dice.integers(0, 2, steps, np.int64) * 2 - 1
            for first, end, slope in self._schedule.walks.get(name, ()):
                stretch = moves[max(0, first // kernels.WALK_STEP_NS) : end // kernels.WALK_STEP_NS + 1]
                stretch[:] = slope
                if slope == WAVER:
                    stretch[0::2], stretch[1::2] = 1, -1
            np.cumsum(moves, out=walk[row])
        return walk, {name: row for row, name in enumerate(names)}

    def _tables(self, assets: dict[str, int]) -> tuple[Records, Records, Bytes]:
        """Books, their phases, and the bytes of all names."""
        books = np.zeros(len(self._profiles), kernels.BOOK)
        rows: list[tuple[int | float, ...]] = []
        names = bytearray()
        venues = list(self.markets.venues)
        for index, profile in enumerate(self._profiles):
            phases = self._schedule.phases.get(index, [])
            books[index] = _book(profile, assets, venues, self.markets, self._seed, self.origin_ns, names)
            books[index]["phase"], books[index]["phases"] = len(rows), len(phases)
            rows += [_phase_row(p) for p in phases]
            names += profile.instrument.venue.encode() + profile.instrument.symbol.encode()
        return books, np.array(rows or [(0,) * 8], kernels.PHASE), np.frombuffer(bytes(names), np.uint8)

    def _channels(self) -> Records:
        """All channels as they stand before their first look."""
        rows = []
        for index, profile in enumerate(self._profiles):
            for level, feed in enumerate((profile.quotes, profile.depth)):
                if feed is not None:
                    share = kernels.uniform(self._seed & (2**62 - 1), 2 * index + level)
                    first = LEAD_NS + int(feed.interval * share)
                    frame = first + int(self._frame_ns * (0.5 + 0.5 * share))
                    rows.append(
                        (index, level, feed.latency, feed.jitter, feed.interval, first, 0, 0, 0, LEAD_NS, 0,
                         frame, 0, kernels.FRESH)
                    )  # fmt: skip
        return np.array(rows, kernels.CHANNEL)

    def _run(self, channels: Records, until: int) -> Chunk:
        """All updates received before `until`, sorted by receive time; equal times in the file's order."""
        levels = max(p.levels for p in self._profiles) + 1
        work = np.empty((4, 2, levels), np.int64)
        rows = np.empty((2_000, kernels.WIDTH), np.int64)
        owners = np.empty(len(rows), np.int64)
        items = np.empty(len(rows) * 40 + 16 * levels, np.int64)
        parts: list[tuple[Ints, Ints, Ints]] = []
        used, done = 0, 0
        while not done:
            n, m, done = kernels.run(
                until, self._books.view(np.recarray), channels.view(np.recarray),
                self._phases.view(np.recarray), self._walk, self._setting.view(np.recarray),
                rows, owners, items, work
            )  # fmt: skip
            part = rows[:n].copy()
            part[:, [kernels.BIDS, kernels.ASKS]] += used
            parts.append((part, items[:m].copy(), owners[:n].copy()))
            used += m
        all_rows = np.concatenate([p[0] for p in parts])
        order = np.argsort(all_rows[:, kernels.RECEIVE_TIME], kind="stable")
        return Chunk(
            self.origin_ns + until,
            all_rows[order],
            np.concatenate([p[1] for p in parts]),
            self._names,
            np.concatenate([p[2] for p in parts])[order],
        )


def _phase_row(phase: object) -> tuple[int | float, ...]:
    return tuple(getattr(phase, name) for name in kernels.PHASE.names or ())


def _book(
    profile: BookProfile,
    assets: dict[str, int],
    venues: list[str],
    markets: Markets,
    seed: int,
    origin_ns: int,
    names: bytearray,
) -> tuple[int | float, ...]:
    """One row of `kernels.BOOK`, its phases not yet set."""
    instrument = profile.instrument
    venue = venues.index(instrument.venue)
    price = profile.price / 10.0 ** exponent(instrument.tick)
    tick, lot = units(instrument.tick), units(instrument.lot)
    grid = max(1, round(price * GRID_BPS / 1e4 / tick)) * tick
    lots = max(1, round(profile.level_quote / profile.price / float(instrument.lot)))
    life = max(1, 8 * (profile.depth.interval if profile.depth else 10_000_000) // kernels.STEP_NS)
    ids = markets.venues[instrument.venue].shared_update_ids
    own = int(kernels.mix(seed & (2**62 - 1), len(names)))
    start = len(names)
    return (
        assets[instrument.base], price, tick, grid, lot, lots, profile.levels, profile.half_spread,
        NOISE_BPS / 1e4, life, own, FIRST_ID if ids else -1,
        origin_ns + (CLOCK_AHEAD_NS if venue % 4 == 3 else 0),
        2 if ids else 3,
        exponent(instrument.tick), exponent(instrument.lot),
        start, len(instrument.venue.encode()), start + len(instrument.venue.encode()),
        len(instrument.symbol.encode()), 0, 0,
    )  # fmt: skip
