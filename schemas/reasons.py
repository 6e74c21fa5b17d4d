"""Why a record was refused: codes of the decoder (below 100) and of the rules (100 and up).

`Reject.reason` carries the word, `status` arrays carry the code.
"""

from __future__ import annotations

from enum import IntEnum


class Reason(IntEnum):
    """A code; `word` is its name on the wire, `sentence` says it to people."""

    OK = 0
    TRUNCATED = 1
    BAD_VARINT = 2
    BAD_ENUM = 3
    BAD_UNION = 4
    BAD_BOOLEAN = 5
    BAD_UTF8 = 6
    NEGATIVE_LENGTH = 7
    TRAILING_BYTES = 8
    UNKNOWN_SCHEMA = 9
    TOO_MANY_ITEMS = 10
    NULL_VALUE = 11
    SCHEMA_UNREADABLE = 12

    UNKNOWN_BOOK = 100
    NO_KEY = 101
    WRONG_TOPIC = 102
    EXPONENT_OUT_OF_BOUNDS = 103
    PRICE_OUT_OF_BOUNDS = 104
    SIZE_OUT_OF_BOUNDS = 105
    TOO_MANY_LEVELS = 106
    OFF_GRID = 107
    RECEIVE_TIME_AHEAD = 108
    NEGATIVE_TIME = 109
    SESSION_AFTER_RECEIVE = 110
    BAD_SEQUENCE = 111
    BAD_NAME = 112

    @property
    def word(self) -> str:
        """Name on the wire, for example `bad_varint`."""
        return self.name.lower()

    @property
    def sentence(self) -> str:
        """What is wrong, for people."""
        return _SENTENCES[self]

    @classmethod
    def of(cls, word: str) -> Reason:
        """The reason of that word.

        Raises ValueError where there is none.
        """
        try:
            return cls[word.upper()]
        except KeyError:
            raise ValueError(f"no reason is called {word!r}") from None


_SENTENCES = {
    Reason.OK: "nothing is wrong",
    Reason.TRUNCATED: "the record ends before its last field",
    Reason.BAD_VARINT: "an integer does not fit the type of its field",
    Reason.BAD_ENUM: "an enum's index is not one of its symbols",
    Reason.BAD_UNION: "a union's branch does not exist",
    Reason.BAD_BOOLEAN: "a boolean is neither 0 nor 1",
    Reason.BAD_UTF8: "a string is not valid UTF-8",
    Reason.NEGATIVE_LENGTH: "a length is below zero",
    Reason.TRAILING_BYTES: "bytes follow after the last field",
    Reason.UNKNOWN_SCHEMA: "it starts with the fingerprint or id of no schema known here",
    Reason.TOO_MANY_ITEMS: "an array announces more items than the bytes that are left can hold",
    Reason.NULL_VALUE: "the record has no value",
    Reason.SCHEMA_UNREADABLE: "its writer's schema cannot be read as the current one",
    Reason.UNKNOWN_BOOK: "no instrument of this venue, symbol and group is configured",
    Reason.NO_KEY: "the record has no key; the key of a book topic is the group",
    Reason.WRONG_TOPIC: "its level or kind does not belong on this topic",
    Reason.EXPONENT_OUT_OF_BOUNDS: "a decimal exponent is not within -18 to 18",
    Reason.PRICE_OUT_OF_BOUNDS: "a price is not above 0 and at most 2^53",
    Reason.SIZE_OUT_OF_BOUNDS: "a size is not within 0 to 2^53",
    Reason.TOO_MANY_LEVELS: "a side has more levels than the limit allows",
    Reason.OFF_GRID: "a price or size is finer than the product's exponents can hold",
    Reason.RECEIVE_TIME_AHEAD: "its receive time is later than its timestamp by more than the limit",
    Reason.NEGATIVE_TIME: "a time is below zero",
    Reason.SESSION_AFTER_RECEIVE: "its session began after it was received",
    Reason.BAD_SEQUENCE: "a sequence is below 1, or the venue's ids do not rise",
    Reason.BAD_NAME: "a name is empty, too long, or holds characters that no name has",
}
