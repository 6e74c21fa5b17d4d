"""The followed top against the whole book, and the agreement against a search through all quotes."""

from __future__ import annotations

from bisect import bisect_right
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from streams.feeds.book import Book
from streams.feeds.protocol import Channel, FeedState, Level, Update, UpdateKind
from streams.inspect.tops import Agreement, Compared, Top, Tops, quote_top

LEVELS = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 2)), max_size=4)


def update(kind: UpdateKind, bids: list[Level], asks: list[Level]) -> Update:
    return Update(0, Channel.L2, kind, FeedState.SYNCED, 1, 1, 1, bids, asks)


@given(st.lists(st.tuples(LEVELS, LEVELS), min_size=1, max_size=30), st.sets(st.integers(0, 29)))
def test_the_followed_top_is_the_books(
    steps: list[tuple[list[Level], list[Level]]], wholes: set[int]
) -> None:
    tops, book = Tops(), Book()
    for number, (bids, asks) in enumerate(steps):
        kind = UpdateKind.SNAPSHOT if number in wholes else UpdateKind.DELTA
        if kind is UpdateKind.SNAPSHOT:
            book = Book(bids, asks)
        else:
            book.apply(bids, asks)
        assert tops.follow(book, update(kind, bids, asks)) == book.top()


def test_another_book_is_looked_through_anew() -> None:
    tops = Tops()
    tops.follow(Book([(9, 1)], [(11, 1)]), update(UpdateKind.SNAPSHOT, [(9, 1)], [(11, 1)]))
    tops.forget()
    other = Book([(5, 1), (4, 1)], [(20, 1)])
    assert tops.follow(other, update(UpdateKind.DELTA, [(4, 1)], [])) == ((5, 1), (20, 1))


def test_a_side_where_nobody_stands_has_no_top() -> None:
    quote = Update(0, Channel.L1, UpdateKind.QUOTE, FeedState.SYNCED, 1, 1, 1, [(9, 1)])
    assert quote_top(quote) == ((9, 1), None)


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=30), st.randoms())
def test_agreement_is_a_search_through_all_quotes(steps: list[tuple[int, int]], random: Random) -> None:
    """However quotes and diffs come among one another, each diff meets the last quote up to its id."""
    quotes: list[tuple[int, Top]] = []
    diffs: list[tuple[int, Top]] = []
    last_quote = last_diff = 0
    for number, (more_quote, more_diff) in enumerate(steps):
        last_quote, last_diff = last_quote + more_quote, last_diff + more_diff
        quotes.append((last_quote, ((last_quote, 1), None)))
        diffs.append((last_diff, ((last_diff, 1), None) if number % 3 else quotes[-1][1]))
    found: list[Compared] = []
    agreement = Agreement(found.append)
    waiting = [("q", *q) for q in quotes], [("d", *d) for d in diffs]
    while waiting[0] or waiting[1]:
        choice = random.randrange(2)
        flow = waiting[choice] or waiting[1 - choice]
        kind, update_id, top = flow.pop(0)
        if kind == "q":
            agreement.quote(update_id, top)
        else:
            agreement.depth(update_id, top, f"place {update_id}")
    agreement.finish()
    ids = [update_id for update_id, _ in quotes]
    wanted = [
        Compared(f"place {i}", top, quotes[bisect_right(ids, i) - 1][1])
        for i, top in diffs
        if bisect_right(ids, i)
    ]
    assert found == wanted


def test_what_comes_before_any_quote_is_not_compared() -> None:
    found: list[Compared] = []
    agreement = Agreement(found.append)
    agreement.depth(5, ((1, 1), None), "a")
    agreement.quote(7, ((1, 1), None))
    agreement.depth(7, ((2, 1), None), "b")
    agreement.forget()
    assert found == [Compared("b", ((2, 1), None), ((1, 1), None))]
