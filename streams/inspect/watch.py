"""Looks over a feed's shoulder: what its venue's rule said of the updates of one message, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from streams.feeds.feed import Counts, Feed
from streams.feeds.protocol import Delta, RawMessage, Snapshot, Venue, Verdict

Rule = Callable[[int | None, Delta], Verdict]
Parse = Callable[[bytes], Iterable[RawMessage]]


class Watch:
    """Listens to the rules of `venue`, an instance that the feed alone uses."""

    def __init__(self, venue: Venue) -> None:
        self.break_text = ""
        self._messages: list[RawMessage] = []
        self._early = self._kept = 0
        self._inside = False
        self._counts: dict[tuple[str, str], Counts] = {}
        self._ignored = self._unfit = 0
        heard = {
            "parse": self._parse(venue.parse),
            "starts": self._rule(venue.starts, early=True),
            "follows": self._rule(venue.follows, early=False),
        }
        for name, function in heard.items():
            setattr(venue, name, function)

    def begin(self) -> None:
        """The next message comes."""
        self._messages.clear()
        self._early = self._kept = 0
        self.break_text = ""

    def repeats(self, feed: Feed, *, new: bool) -> int:
        """How much of the message just received was told before. `new`: the feed knows more books since.

        Diffs that are older than the snapshot a book starts from are none: they had to come.
        """
        if new or not self._counts:
            self._counts = dict(feed.counts())
        ignored = sum(counts.ignored for counts in self._counts.values())
        unfit = sum(counts.unfit for counts in self._counts.values())
        found = ignored - self._ignored - self._early + self._kept
        if unfit > self._unfit:
            lasts = {feed.depth(*key).last for key in self._counts} - {None}
            found += any(isinstance(m, Snapshot) and m.last_update_id in lasts for m in self._messages)
        self._ignored, self._unfit = ignored, unfit
        return max(0, found)

    def _parse(self, parse: Parse) -> Parse:
        def listening(raw: bytes) -> Iterator[RawMessage]:
            # One by one: a venue may count a message only once all of it was taken.
            for message in parse(raw):
                self._messages.append(message)
                yield message

        return listening

    def _rule(self, rule: Rule, *, early: bool) -> Rule:
        def listening(last: int | None, delta: Delta) -> Verdict:
            if self._inside:  # one rule that asks the other
                return rule(last, delta)
            self._inside = True
            try:
                verdict = rule(last, delta)
            finally:
                self._inside = False
            here = any(delta is message for message in self._messages)
            if verdict is Verdict.OLD:
                self._early += here and early
                self._kept += not here and not early
            elif verdict is Verdict.BREAK and here:
                self.break_text = f"{_ids(delta)} does not follow {last}"
            return verdict

        return listening


def _ids(delta: Delta) -> str:
    first, final, previous = delta.first_update_id, delta.last_update_id, delta.previous_update_id
    span = f"{first} to {final}" if first not in (None, final) else f"{final}"
    before = f", which names {previous} as the one before it," if previous is not None else ""
    return f"update {span}{before}"
