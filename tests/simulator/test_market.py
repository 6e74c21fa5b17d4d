"""The simulated market against a slow reader: every crossing was injected, and what was injected is there."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from schemas import catalog
from schemas.columns import Decoder
from schemas.encoder import Encoder
from strategies.markets import Markets
from streams.config import load_markets
from streams.errors import UserError
from streams.simulator import Chunk, Injection, Kind, Market, kernels
from tests.simulator.twin import Crossing, Reader, records

DEMO = Path(__file__).parents[2] / "streams" / "markets" / "demo.toml"
START = 1_700_000_000_000_000_000
# Where a careful reader may see a crossing net of fees: what is too small to be worth it is one too.
REAL = (Kind.EPISODE, Kind.TOO_SMALL)


@cache
def demo() -> Markets:
    return load_markets(DEMO)


def market(seed: int, seconds: float = 25.0, **more: float) -> Market:
    return Market(seed, demo(), seconds, START, slice_ns=100_000_000, **more)


def product_of(injection: Injection) -> tuple[str, str]:
    base, quote = injection.product.removesuffix(" spot").split("/")
    return base, quote


def during(crossing: Crossing, injections: list[Injection]) -> list[Injection]:
    return [
        i
        for i in injections
        if i.start_ns <= crossing.time_ns < i.end_ns and product_of(i) == crossing.product
    ]


def check_careful(seed: int, seconds: float, rate: float = 2_000.0) -> None:
    simulated = market(seed, seconds, rate=rate)
    truth = simulated.truth()
    reader = Reader(demo(), careful=True)
    seen: dict[str, list[Crossing]] = defaultdict(list)
    for record in records(simulated.updates()):
        crossing = reader.take(record)
        if crossing is None:
            continue
        causes = [i for i in during(crossing, truth) if i.kind in REAL]
        assert len(causes) == 1, (crossing, during(crossing, truth))
        cause = causes[0]
        assert cause.venues[0] in (crossing.buy, crossing.sell)
        assert crossing.buy == cause.venues[0] if cause.side == "buy" else crossing.sell == cause.venues[0]
        assert crossing.edge_bps <= cause.edge_bps + cause.edge_slack_bps
        seen[cause.id].append(crossing)
    for injection in truth:
        if injection.must_find:
            crossings = seen[injection.id]
            assert crossings[-1].time_ns - crossings[0].time_ns >= 200_000_000
            assert max(c.edge_bps for c in crossings) >= injection.edge_bps - injection.edge_slack_bps
    assert reader.frames > 20


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_all_that_crosses_net_of_fees_was_injected_and_all_that_was_injected_crosses(seed: int) -> None:
    check_careful(seed, 25.0)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(10, 20))
def test_the_same_for_ten_seeds_and_two_minutes(seed: int) -> None:
    check_careful(seed, 120.0, 3_000.0)


@pytest.mark.parametrize("rate", [60.0, 20_000.0])
def test_a_slow_and_a_fast_feed_keep_the_promise(rate: float) -> None:
    check_careful(4, 20.0 if rate < 1_000 else 5.0, rate)


def test_decoys_catch_a_careless_reader() -> None:
    simulated = market(5, 60.0, rate=1_000.0)
    truth = simulated.truth()
    careless, greedy = Reader(demo(), careful=False), Reader(demo(), careful=False, fees=False)
    caught = set()
    for record in records(simulated.updates()):
        for reader, kinds in ((careless, set(Kind)), (greedy, {Kind.BELOW_FEES})):
            crossing = reader.take(record)
            if crossing:
                caught |= {i.id for i in during(crossing, truth) if i.kind in kinds}
    decoys = [i for i in truth if i.kind not in (Kind.EPISODE, Kind.QUIET)]
    assert {i.kind for i in decoys} == set(Kind) - {Kind.EPISODE, Kind.QUIET}
    assert [i.id for i in decoys if i.id not in caught] == []


def test_every_kind_comes_and_episodes_often_enough() -> None:
    truth = market(6, 60.0).truth()
    counts = Counter(i.kind for i in truth)
    assert set(counts) == set(Kind)
    assert counts[Kind.EPISODE] >= 60 / 2 * 0.9
    assert sum(counts.values()) - counts[Kind.EPISODE] >= 60 / 5
    for i in truth:
        assert i.must_find == (i.kind is Kind.EPISODE)
        if i.must_find:
            limits = demo().limits_of(i.group)
            assert i.edge_bps - i.edge_slack_bps > limits.min_net_edge_bps
            least = i.notional_quote * (i.edge_bps - i.edge_slack_bps - 1) / 1e4
            fixed = sum(demo().venues[v].fixed_cost for v in i.venues)
            assert least - fixed > limits.min_net_edge_quote
            assert i.notional_quote < limits.max_notional


def joined(chunks: list[Chunk]) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """Rows without the place of their levels, and the levels of each."""
    rows, levels = [], []
    for chunk in chunks:
        for row in chunk.rows.tolist():
            found = []
            for slot in (kernels.BIDS, kernels.ASKS):
                found += chunk.items[row[slot] : row[slot] + 2 * row[slot + 1]].tolist()
                row[slot] = 0
            rows.append(row)
            levels.append(tuple(found))
    return np.array(rows), levels


def test_the_same_seed_gives_the_same_updates_however_they_are_cut() -> None:
    cuts = [
        list(Market(7, demo(), 4.0, START, slice_ns=slice_ns).updates())
        for slice_ns in (4_000_000_000, 1_000_000, 37_000_000)
    ]
    assert len(cuts[0]) == 1
    whole = joined(cuts[0])
    for cut in cuts[1:]:
        rows, levels = joined(cut)
        assert np.array_equal(rows, whole[0])
        assert levels == whole[1]
    other = joined(list(Market(8, demo(), 4.0, START, slice_ns=4_000_000_000).updates()))
    assert not np.array_equal(other[0][:100], whole[0][:100])


def test_chunks_come_in_the_order_of_receive_time() -> None:
    latest = START
    for chunk in market(9, 5.0).updates():
        times = chunk.rows[:, kernels.RECEIVE_TIME]
        assert (np.diff(times) >= 0).all()
        assert (times >= latest).all()
        assert (times < chunk.due_ns).all()
        latest = chunk.due_ns - 100_000_000
        names = [demo().instruments[b].venue for b in chunk.books]
        assert [bytes(chunk.data[r[0] : r[0] + r[1]]).decode() for r in chunk.rows.tolist()] == names


def test_the_rate_is_what_was_asked_for() -> None:
    for rate in (1_000.0, 10_000.0, 100_000.0):
        count = sum(len(chunk) for chunk in market(10, 3.0, rate=rate).updates())
        assert count == pytest.approx(3 * rate, rel=0.05)


def test_rows_are_laid_out_as_the_decoder_lays_them_out() -> None:
    decoder = Decoder(catalog.schema("BookUpdate"))
    ours = {
        "venue": kernels.VENUE, "symbol": kernels.SYMBOL, "level": kernels.LEVEL, "kind": kernels.KIND,
        "state": kernels.STATE, "checksum": kernels.CHECKSUM, "key_frame": kernels.KEY_FRAME,
        "recorded": kernels.RECORDED, "session": kernels.SESSION, "sequence": kernels.SEQUENCE,
        "first_update_id": kernels.FIRST_ID, "last_update_id": kernels.LAST_ID,
        "previous_update_id": kernels.PREVIOUS_ID, "event_time_ns": kernels.EVENT_TIME,
        "receive_time_ns": kernels.RECEIVE_TIME, "price_exponent": kernels.PRICE_EXPONENT,
        "size_exponent": kernels.SIZE_EXPONENT, "bids": kernels.BIDS, "asks": kernels.ASKS,
    }  # fmt: skip
    assert ours == dict(decoder.slots)
    assert decoder.width == kernels.WIDTH
    chunk = next(iter(market(11, 1.0).updates()))
    messages = Encoder(catalog.schema("BookUpdate")).encode(chunk.rows, chunk.items, chunk.data)
    columns = decoder.decode(messages)
    assert not columns.status.any()
    assert len(columns) == len(chunk) > 50
    texts = [slice(kernels.LEVEL, kernels.BIDS), kernels.BIDS + 1, kernels.ASKS + 1]
    for part in texts:
        assert np.array_equal(columns.rows[:, part], chunk.rows[:, part])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seconds": 0.0}, "seconds"),
        ({"seconds": float("nan")}, "seconds"),
        ({"rate": 0.0}, "rate"),
        ({"rate": 1e9}, "rate"),
    ],
)
def test_what_cannot_be_simulated_is_refused(change: dict[str, float], reason: str) -> None:
    values = {"seconds": 1.0, "rate": 100.0, **change}
    with pytest.raises(UserError, match=reason):
        Market(1, demo(), values["seconds"], START, rate=values["rate"])


def test_venues_without_fees_are_refused() -> None:
    free = {n: v.model_copy(update={"taker_fee_bps": -5.0}) for n, v in demo().venues.items()}
    with pytest.raises(UserError, match="needs taker fees"):
        Market(1, demo().model_copy(update={"venues": free}), 1.0, START)


def test_one_venue_alone_is_a_market_without_injections() -> None:
    alone = demo().model_copy(update={"instruments": demo().instruments[:1]})
    simulated = Market(1, alone, 5.0, START)
    assert simulated.truth() == []
    assert sum(len(c) for c in simulated.updates()) > 1_000
