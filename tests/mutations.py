"""Good records with harmed copies among them: what a worker's partition must bear."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from schemas import codec
from schemas.catalog import header
from schemas.reasons import Reason
from tests.flow import Feed, flow
from tests.naive_rules import UNREADABLE, NaiveRules
from tests.wire import Wire

Record = dict[str, Any]
OTHERS = ("Signal", "RiskEvent", "RiskCommand", "Reject", "Journal")
COPIES = 4  # harmed ones of each good record
DECODER_CODES = range(1, 100)


@dataclass(frozen=True)
class Sent:
    """One message: its topic, its bytes, and whether it is a harmed copy."""

    topic: str
    value: bytes
    harmed: bool
    book: int  # number of the feed it was made from


def mutate(value: bytes, draw: random.Random) -> bytes:
    """One kind of harm: flipped bits, a cut, bytes added, another schema's header."""
    luck = draw.random()
    if luck < 0.6:
        harmed = bytearray(value)
        for _ in range(draw.choice([1, 1, 1, 2, 5])):
            at = draw.randrange(len(harmed)) if draw.random() < 0.3 else draw.randrange(10, len(harmed))
            harmed[at] ^= 1 << draw.randrange(8)
        return bytes(harmed)
    if luck < 0.8:
        return value[: draw.randrange(len(value))]
    if luck < 0.9:
        return header(codec.schema(draw.choice(OTHERS))) + value[10:]
    return value + draw.randbytes(draw.randint(1, 9))


def mutated(wire: Wire, feeds: list[Feed], n_harmed: int, seed: int) -> list[Sent]:
    """A good stream with `n_harmed` harmed copies, some before and some after the record they are of."""
    draw = random.Random(seed)
    sent: list[Sent] = []
    number = {(feed.venue, feed.symbol): i for i, feed in enumerate(feeds)}
    for record in flow(wire, feeds, n_harmed // COPIES, seed, step_ms=1):
        topic, value = f"book.{record['level']}", codec.encode("BookUpdate", record)
        own = number[record["venue"], record["symbol"]]
        harmed = [Sent(topic, mutate(value, draw), True, own) for _ in range(COPIES)]
        at = draw.randint(0, COPIES)
        sent += [*harmed[:at], Sent(topic, value, False, own), *harmed[at:]]
    return sent


def frames(wire: Wire, feeds: list[Feed]) -> list[Sent]:
    """Quiet at the end: of each book a delta without change, two key frames, and three quotes of the top.

    The first one may only unmask what ran ahead, the second only find a difference.
    """
    sent = []
    for i, feed in enumerate(feeds):
        own = (feed.venue, feed.symbol)
        quiet = wire.delta(*own, last_update_id=feed.update_id)
        top = [side[:1] for side in feed.sides()]
        quotes = [wire.quote(*own, *top, last_update_id=feed.update_id) for _ in range(3)]
        for record in (quiet, feed.frame(wire), feed.frame(wire), *quotes):
            sent.append(Sent(f"book.{record['level']}", codec.encode("BookUpdate", record), False, i))
    return sent


def agrees(status: int, word: str) -> bool:
    """True where an engine's verdict is the twin's; which byte is at fault is the decoder's to say."""
    if word == UNREADABLE:
        return status in DECODER_CODES
    return Reason(status).word == word


def verdicts(rules: NaiveRules, sent: Iterable[Sent], key: bytes) -> list[tuple[str, Record | None]]:
    """The twin's verdict on each; Kafka's timestamps are unknown."""
    return [rules.verdict(one.topic, key, one.value, -1) for one in sent]
