"""The life of an episode: OPEN, UPDATE, CLOSE, what is said of it, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from strategies.controls import Elapsed, Gate, LogStartJumped, Order
from strategies.kernels.layout import L2, R_EDGE_BPS
from strategies.risk import Command, CommandAction, Reason, Scope
from strategies.signals import Action, Cause, Layer, Side, Signal
from tests.strategies.desk import MS, START_NS, Desk, Levels, Record, instrument, markets

CHEAP: tuple[Levels, Levels] = ([(10_000, 500)], [(10_010, 500)])
DEAR: tuple[Levels, Levels] = ([(10_050, 400)], [(10_060, 400)])
KILLS = [
    (Scope.ALL, "", True),
    (Scope.STRATEGY, "cross_venue", True),
    (Scope.STRATEGY, "triangle", False),
    (Scope.GROUP, "BTC", True),
    (Scope.GROUP, "ETH", False),
    (Scope.VENUE, "b", True),
    (Scope.VENUE, "c", False),
]


def book(
    desk: Desk, venue: str, sides: tuple[Levels, Levels], symbol: str = "BTCUSDT", **more: Any
) -> Record:
    """A snapshot of a book."""
    return desk.wire.snapshot(venue, symbol, *sides, **more)


def opened(desk: Desk | None = None, **limits: Any) -> tuple[Desk, Signal]:
    """A desk with an open episode: buy at a, sell at b."""
    desk = desk or Desk(markets(**limits))
    (signal,) = desk.signals(book(desk, "a", CHEAP), book(desk, "b", DEAR))
    assert signal.action is Action.OPEN
    return desk, signal


def order(scope: Scope, name: str, action: CommandAction = CommandAction.KILL, number: int = 0) -> Order:
    """A command at offset `number`."""
    return Order(Command(f"k-{scope}-{name}", action, scope, name), number)


def test_what_an_open_says() -> None:
    desk = Desk(markets(fees={"a": 1.0, "b": 2.0}, signal_valid_ms=300))
    first = book(desk, "a", CHEAP, event_time_ns=7)
    desk.wait(3)
    quote = desk.wire.quote("a", "BTCUSDT", [(10_000, 500)], [(10_011, 300)], last_update_id=None)
    desk.wait(4)
    (signal,) = desk.signals(first, quote, book(desk, "b", DEAR, event_time_ns=None))
    assert (signal.action, signal.cause, signal.sequence, signal.epoch) == (Action.OPEN, Cause.NONE, 1, 1)
    assert (signal.group, signal.product, signal.quote) == ("BTC", "BTC/USDT spot", "USDT")
    assert (signal.time_ns, signal.valid_until_ns) == (START_NS + 7 * MS, START_NS + 307 * MS)
    buy, sell = signal.legs
    assert (buy.venue, buy.side, buy.size_lots, buy.limit_price_ticks) == ("a", Side.BUY, 300, 10_011)
    assert (sell.venue, sell.side, sell.size_lots, sell.limit_price_ticks) == ("b", Side.SELL, 300, 10_050)
    assert (buy.price_exponent, buy.size_exponent, buy.layer) == (-2, -4, Layer.BASE)
    assert buy.expected_price == pytest.approx(100.11, abs=1e-12)
    bought, sold = 100.11 * 0.03, 100.50 * 0.03
    assert signal.notional_quote == pytest.approx(bought)
    assert signal.gross_edge_quote == pytest.approx(sold - bought)
    assert signal.net_edge_quote == pytest.approx(sold * 0.9998 - bought * 1.0001)
    assert signal.net_edge_bps == pytest.approx(1e4 * signal.net_edge_quote / bought)
    assert (signal.trigger.topic, signal.trigger.offset) == ("book.l2", 1)
    named = [(i.topic, i.offset, i.venue, i.event_time_ns, i.receive_time_ns) for i in signal.inputs]
    assert named == [
        ("book.l2", 0, "a", 7, START_NS),
        ("book.l1", 0, "a", START_NS + 3 * MS, START_NS + 3 * MS),
        ("book.l2", 1, "b", None, START_NS + 7 * MS),
    ]
    assert not signal.recorded


def test_a_signal_names_the_records_its_books_rest_on_and_not_the_heartbeats() -> None:
    desk, _ = opened(update_size_pct=1)
    desk.feed(desk.wire.record("a", "BTCUSDT", "l2", "heartbeat"))
    desk.feed(desk.wire.delta("a", "BTCUSDT", [(9_000, 1)]))
    (update,) = desk.signals(desk.wire.delta("b", "BTCUSDT", [(10_050, 300)]))
    assert [(i.venue, i.offset) for i in update.inputs] == [("a", 3), ("b", 4)]


def test_size_and_edge_must_move_by_a_named_amount_since_what_was_last_said() -> None:
    desk, first = opened(update_size_pct=10, update_edge_bps=5)
    assert first.legs[0].size_lots == 400
    assert desk.signals(desk.wire.delta("b", "BTCUSDT", [(10_050, 360)])) == []  # exactly 10 %
    (update,) = desk.signals(desk.wire.delta("b", "BTCUSDT", [(10_050, 359)]))
    assert (update.action, update.legs[0].size_lots) == (Action.UPDATE, 359)
    assert desk.signals(desk.wire.delta("a", "BTCUSDT", [], [(10_006, 400), (10_010, 0)])) == []  # 4 bps
    (update,) = desk.signals(desk.wire.delta("a", "BTCUSDT", [], [(10_004, 400), (10_006, 0)]))  # 6 in all
    assert update.net_edge_bps - first.net_edge_bps == pytest.approx(6, abs=0.1)
    assert (update.episode_id, update.sequence) == (first.episode_id, 3)
    assert update.signal_id != first.signal_id


def test_another_leg_is_an_update() -> None:
    desk, _ = opened(update_size_pct=100, update_edge_bps=1_000)
    (update,) = desk.signals(book(desk, "c", ([(10_051, 10)], [(10_070, 1)])))
    assert [leg.venue for leg in update.legs] == ["a", "b", "c"]


def test_an_episode_opens_at_one_edge_and_closes_at_a_lower_one() -> None:
    desk = Desk(markets(min_net_edge_bps=20, close_edge_bps=10, update_edge_bps=1_000, update_size_pct=90))

    def bid(price: int) -> list[Signal]:
        return desk.signals(book(desk, "b", ([(price, 400)], [(11_000, 1)])))

    desk.feed(book(desk, "a", CHEAP))
    assert bid(10_030) == []  # 19.98 bps
    assert [s.action for s in bid(10_031)] == [Action.OPEN]
    assert bid(10_021) == []  # 10.99 bps
    (close,) = bid(10_019)
    assert (close.action, close.cause, close.legs) == (Action.CLOSE, Cause.EDGE_GONE, ())
    assert bid(10_030) == []
    assert [s.action for s in bid(10_040)] == [Action.OPEN]


def test_least_net_edge_in_quote_currency() -> None:
    desk = Desk(markets(min_net_edge_quote=0.016))  # 0.04 BTC x 0.40
    out = desk.feed(book(desk, "a", CHEAP), book(desk, "b", ([(10_050, 399)], [(10_060, 1)])))
    assert out.signals == []
    (event,) = out.risk_events
    assert (event.reason, event.limit) == (Reason.EDGE_BELOW_MINIMUM_QUOTE, 0.016)
    assert len(desk.signals(book(desk, "b", DEAR))) == 1


def test_a_gap_closes() -> None:
    desk, first = opened()
    desk.wire.delta("b", "BTCUSDT")  # lost
    (close,) = desk.signals(desk.wire.delta("b", "BTCUSDT"))
    assert (close.action, close.cause) == (Action.CLOSE, Cause.GAP)
    assert (close.episode_id, close.sequence) == (first.episode_id, first.sequence + 1)


def test_a_book_that_fell_silent_closes_by_the_records_of_others() -> None:
    desk, _ = opened()
    desk.wait(2_000)
    assert desk.signals(desk.wire.delta("a", "BTCUSDT")) == []  # not older than max_age_ms
    desk.wait(1)
    (close,) = desk.signals(desk.wire.delta("a", "BTCUSDT"))
    assert close.cause is Cause.STALE
    out = desk.feed(desk.wire.delta("a", "BTCUSDT"))
    assert [(e.reason, e.value, e.limit, e.venue) for e in out.risk_events] == []  # said at the close
    desk.wait(5_000)
    (event,) = desk.feed(desk.wire.delta("a", "BTCUSDT")).risk_events
    assert (event.reason, event.value, event.limit, event.venue) == (Reason.STALE, 7_001, 2_000, "b")


def test_a_heartbeat_keeps_a_silent_book_alive() -> None:
    desk, _ = opened()
    desk.wait(1_500)
    desk.feed(*(desk.wire.record(venue, "BTCUSDT", "l2", "heartbeat") for venue in "ab"))
    desk.wait(1_500)
    assert desk.signals(desk.wire.delta("a", "BTCUSDT")) == []


def test_when_all_is_silent_elapsed_time_closes() -> None:
    desk, first = opened()
    assert desk.engine.control(Elapsed(2_000 * MS)).signals == []
    (close,) = desk.engine.control(Elapsed(1)).signals
    assert close.signal.cause is Cause.STALE
    assert (close.signal.trigger.topic, close.signal.trigger.offset) == ("", desk.engine.controls)
    assert close.signal.episode_id == first.episode_id


def test_a_feed_that_calls_its_book_stale_closes() -> None:
    desk, _ = opened()
    (close,) = desk.signals(desk.wire.record("b", "BTCUSDT", "l2", "heartbeat", state="stale"))
    assert close.cause is Cause.GAP


def test_an_episode_expires_and_what_is_still_there_opens_anew() -> None:
    desk, first = opened(episode_ttl_ms=1_000)
    desk.wait(1_000)
    close, again = desk.signals(desk.wire.delta("a", "BTCUSDT"))
    assert (close.cause, close.episode_id) == (Cause.EXPIRED, first.episode_id)
    assert again.action is Action.OPEN
    assert again.episode_id != first.episode_id
    assert [first.sequence, close.sequence, again.sequence] == [1, 2, 3]


def test_a_log_whose_start_jumped_closes() -> None:
    desk, _ = opened()
    out = desk.engine.control(LogStartJumped(L2, 2, 9))
    assert [s.signal.cause for s in out.signals] == [Cause.GAP]
    assert [e.reason for e in out.risk_events] == [Reason.LOG_START_JUMPED]


@pytest.mark.parametrize(("scope", "name", "covers"), KILLS)
def test_a_kill_closes_what_it_covers_and_holds_back_until_its_resume(
    scope: Scope, name: str, covers: bool
) -> None:
    desk, first = opened()
    out = desk.engine.control(order(scope, name))
    assert [(s.signal.action, s.signal.cause) for s in out.signals] == [(Action.CLOSE, Cause.HALTED)] * covers
    assert [e.reason for e in out.risk_events] == [Reason.KILLED]
    more = desk.feed(desk.wire.delta("b", "BTCUSDT", [(10_049, 500)]))
    assert [s.signal.action for s in more.signals] == [Action.UPDATE] * (not covers)
    if covers:
        assert [e.reason for e in more.risk_events] == [Reason.HALTED]
        desk.engine.control(order(scope, name, CommandAction.RESUME))
        (again,) = desk.signals(desk.wire.delta("b", "BTCUSDT", [(10_048, 500)]))
        assert again.action is Action.OPEN
        assert again.episode_id != first.episode_id


def test_a_closing_gate_closes_all_and_nothing_opens_until_it_opens() -> None:
    desk, _ = opened()
    out = desk.engine.control(Gate(Reason.COMMANDS_UNCONFIRMED))
    assert [s.signal.cause for s in out.signals] == [Cause.HALTED]
    assert [e.reason for e in out.risk_events] == [Reason.GATE_CLOSED]
    more = desk.feed(desk.wire.delta("b", "BTCUSDT", [(10_049, 500)]))
    assert more.signals == []
    assert [e.reason for e in more.risk_events] == [Reason.GATE_CLOSED]
    assert [e.reason for e in desk.engine.control(Gate(None)).risk_events] == [Reason.GATE_OPENED]
    assert desk.engine.control(Gate(None)).risk_events == []
    assert [s.action for s in desk.signals(desk.wire.delta("b", "BTCUSDT", [(10_048, 1)]))] == [Action.OPEN]


def test_an_engine_begins_with_the_gate_closed() -> None:
    desk = Desk(open_gate=False)
    out = desk.feed(book(desk, "a", CHEAP), book(desk, "b", DEAR))
    assert out.signals == []
    assert [e.reason for e in out.risk_events] == [Reason.GATE_CLOSED]


def test_a_venue_that_is_halted_does_not_hold_back_the_others() -> None:
    desk = Desk()
    desk.engine.control(order(Scope.VENUE, "b"))
    (signal,) = desk.signals(book(desk, "b", DEAR), book(desk, "a", CHEAP), book(desk, "c", DEAR))
    assert [leg.venue for leg in signal.legs] == ["a", "c"]


def test_sequences_rise_per_group_over_its_products() -> None:
    spot = [instrument(v) for v in "ab"]
    dollar = [instrument(v, "BTCUSDC", quote="USDC") for v in "ab"]
    ether = [instrument(v, "ETHUSDT", base="ETH") for v in "ab"]
    desk = Desk(markets(*spot, *dollar, *ether, update_size_pct=1), groups=("BTC", "ETH"))
    out = []
    for turn in range(4):
        size = [(10_050, 100 + 10 * turn)]
        for symbol, key in (("BTCUSDT", "BTC"), ("BTCUSDC", "BTC"), ("ETHUSDT", "ETH")):
            records = (book(desk, "a", CHEAP, symbol), book(desk, "b", (size, [(10_060, 1)]), symbol))
            out += [s.signal for s in desk.feed(*records, key=key).signals]
    assert [s.sequence for s in out if s.group == "BTC"] == list(range(1, 9))
    assert [s.sequence for s in out if s.group == "ETH"] == list(range(1, 5))
    assert len({s.product for s in out}) == 3
    assert len({s.episode_id for s in out}) == 3


def test_ids_are_functions_of_the_inputs() -> None:
    def life(epoch: int) -> list[Signal]:
        desk = Desk(markets(update_size_pct=1), epoch=epoch)
        _, first = opened(desk)
        more = desk.signals(desk.wire.delta("b", "BTCUSDT", [(10_050, 300)]))
        return [first, *more, *desk.signals(desk.wire.delta("b", "BTCUSDT", [(10_050, 0)]))]

    one, two, other = life(1), life(1), life(2)
    assert [s.action for s in one] == [Action.OPEN, Action.UPDATE, Action.CLOSE]
    assert one == two
    assert [s.signal_id for s in one] == [s.signal_id for s in other]
    assert [s.epoch for s in other] == [2, 2, 2]
    assert len({s.signal_id for s in one}) == 3


def test_recorded_books_make_recorded_signals() -> None:
    desk = Desk()
    (signal,) = desk.signals(book(desk, "a", CHEAP, recorded=True), book(desk, "b", DEAR))
    assert signal.recorded


def test_refusals_come_once_in_a_while_and_count_what_was_held_back() -> None:
    desk = Desk(markets(min_net_edge_bps=100, refusal_interval_ms=1_000))
    events = desk.feed(book(desk, "a", CHEAP), book(desk, "b", DEAR)).risk_events
    for turn in range(1, 21):
        desk.wait(100)
        events += desk.feed(desk.wire.delta("b", "BTCUSDT", [(10_050, 400 + turn)])).risk_events
    assert [e.reason for e in events] == [Reason.EDGE_BELOW_MINIMUM_BPS] * 3
    assert [e.suppressed for e in events] == [0, 9, 9]
    assert len({e.event_id for e in events}) == 3
    assert int(desk.engine.state.refused_count[0, R_EDGE_BPS]) == 0


def test_reasons_do_not_silence_each_other() -> None:
    desk = Desk(markets(min_net_edge_bps=100))
    desk.feed(book(desk, "a", CHEAP), book(desk, "b", DEAR))
    desk.wire.delta("b", "BTCUSDT")  # lost
    out = desk.feed(desk.wire.delta("b", "BTCUSDT"))
    assert [e.reason for e in out.risk_events] == [Reason.GAP, Reason.NOT_SYNCED]
    assert all(e.venue == "b" for e in out.risk_events)


def test_the_largest_notional_is_held_and_what_is_cut_still_pays() -> None:
    _, signal = opened(max_notional=1.0)
    assert signal.notional_quote <= 1.0
    assert signal.legs[0].size_lots == 99  # 0.0099 x 100.10


APART = [
    ("a perpetual", instrument("b", "PERP", kind="perpetual")),
    ("another quote", instrument("b", "BTCUSDC", quote="USDC")),
    ("another base in this group", instrument("b", "ETHUSDT", base="ETH", groups=("ETH", "BTC"))),
    ("a visitor", instrument("b", "BTC-X", groups=("X", "BTC"))),
]


@pytest.mark.parametrize(("name", "other"), APART, ids=[a[0] for a in APART])
def test_what_is_not_fungible_is_never_compared(name: str, other: Any) -> None:
    desk = Desk(markets(instrument("a"), other))
    assert desk.signals(book(desk, "a", CHEAP), book(desk, "b", DEAR, other.symbol)) == [], name
    assert desk.state("b", other.symbol) == 0


def test_a_visiting_book_is_compared_at_home() -> None:
    books = (instrument("a"), instrument("b", "BTC-X", groups=("BTC", "X")))
    desk = Desk(markets(*books), groups=("BTC", "X"))
    records = (book(desk, "a", CHEAP), book(desk, "b", DEAR, "BTC-X"))
    assert desk.feed(book(desk, "b", DEAR, "BTC-X", sequence=1), key="X").signals == []
    assert len(desk.signals(*records)) == 1
