"""Whose capture is this? The feed is taken that reads most of a file's first messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from streams.errors import UserError
from streams.feeds.captures import CONNECTED, SHAPES, Capture, Raw
from streams.feeds.protocol import Connecting, Delta, MessageError, Notice
from streams.feeds.registry import FEEDS

TRIED = 500  # messages; in recordings books come within the first hundred
# Where feeds read the same wire: what in a message, the address of a REST answer mostly, tells which it is.
TELLING = {
    "binance_spot": (b"//api.binance.com/",),
    "binance_us": (b"//api.binance.us/",),
    "binance_usdm": (b"//fapi.binance.com/",),
    "binance_coinm": (b"//dapi.binance.com/", b'USD_PERP"'),
}
ANSWER = b'{"rest":'


@dataclass(frozen=True, slots=True)
class Guess:
    """Feeds that read a file equally well, the most general first; `certain`: one was told by an address.

    `answers`: the file holds REST answers alone, so that its feed is that of a stream in another file.
    """

    feeds: tuple[str, ...]
    certain: bool = False
    answers: bool = False


def guess_feeds(paths: Sequence[Path]) -> list[str]:
    """The feed of each file; files that could be of several go with the others.

    Raises UserError that names the file and the feeds.
    """
    guesses = [_guess(path) for path in paths]
    addresses = {guess.feeds[0] for guess in guesses if guess.certain and guess.answers}
    streams = {guess.feeds for guess in guesses if guess.feeds}
    found = [_decide(guess, addresses, streams) for guess in guesses]
    known = {feed for feed in found if feed}
    for path, feed in zip(paths, found, strict=True):
        if not feed and len(known) != 1:  # one that holds no book goes with the others, where they are one
            raise UserError(
                f"{path}: cannot tell whose capture this is, no feed finds a book in its first {TRIED} "
                f"messages; say --venue with one of {', '.join(FEEDS)}"
            )
    return [feed or next(iter(known)) for feed in found]


def _decide(guess: Guess, addresses: set[str], streams: set[tuple[str, ...]]) -> str:
    if not guess.feeds or guess.certain:
        return guess.feeds[0] if guess.feeds else ""
    told = addresses.intersection(guess.feeds)
    if len(told) == 1:
        return told.pop()
    if not guess.answers:
        return guess.feeds[0]
    narrower = [feeds for feeds in streams if set(feeds) < set(guess.feeds)]
    return narrower[0][0] if len(narrower) == 1 else guess.feeds[0]


def _guess(path: Path) -> Guess:
    read = {id(reader): _first(path, shape) for shape, reader in SHAPES.items()}
    scores = {}
    for name, make in FEEDS.items():
        books, deltas, faults = _try(name, read[id(SHAPES[make().shape])])
        if books:
            scores[name] = (books, deltas, -faults)
    best = [name for name, score in scores.items() if score == max(scores.values())]
    best.sort(key=lambda name: len(type(FEEDS[name]()).__mro__))
    messages = [raw.message for raw in read[id(SHAPES["stamped_lines"])] if raw.message != CONNECTED]
    answers = bool(messages) and all(message.startswith(ANSWER) for message in messages)
    for name in best:
        if any(sign in message for sign in TELLING.get(name, ()) for message in messages):
            return Guess((name,), certain=True, answers=answers)
    return Guess(tuple(best), answers=answers)


def _first(path: Path, shape: str) -> list[Raw]:
    """The first messages of a file, as far as it can be read in this shape."""
    found: list[Raw] = []
    capture = Capture(path, shape)
    try:
        found.extend(islice(capture, TRIED))
    except UserError:
        return found
    return found


def _try(name: str, raws: Sequence[Raw]) -> tuple[int, int, int]:
    """How many books and quotes, deltas among them, and faults the feed sees."""
    venue = FEEDS[name]()
    books = deltas = faults = 0
    for raw in raws:
        if raw.message == CONNECTED:
            if isinstance(venue, Connecting):
                venue.connected()
            continue
        try:
            found = list(venue.parse(raw.message))
        except MessageError:
            faults += 1
            continue
        books += sum(not isinstance(message, Notice) for message in found)
        deltas += sum(isinstance(message, Delta) for message in found)
    return books, deltas, faults
