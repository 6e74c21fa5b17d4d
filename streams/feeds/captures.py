"""How recordings lie in files: a shape turns a file into (place, receive time, raw message)."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import orjson
import zstandard

from streams.errors import UserError
from streams.feeds import shapes_lighter
from streams.feeds.plain_quotes import COLUMNS
from streams.feeds.protocol import MessageError

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
ZSTD_READ = 1 << 17  # bytes
LINE_LIMIT = 64 << 20  # bytes; a longer line is no message of anyone's
STEP_NS = 1_000  # between two messages of a file without times
FIRST_NS, LAST_NS = 0, 2**62
CONNECTED = b""  # as a message: a new connection
WIRE_LINE = re.compile(
    rb"(?:(?P<url>[\x21-\x7e]+) (?P<way><->|->|<-) )?"
    rb"(?P<time>[0-9]{1,12}(?:\.[0-9]{1,12})?)(?:: ?(?P<message>.*))?",
    re.DOTALL,
)
# Where a file without times starts, unless one says otherwise: 2020-01-01.
DEFAULT_START_NS = 1_577_836_800_000_000_000


class Raw(NamedTuple):
    """One message of a capture; `place` is the line (or element) it stands in, from 1."""

    place: int
    receive_time_ns: int
    message: bytes


class Capture:
    """One file, opened; iterate it once.

    `start_ns` is the receive time of the first message where the file holds no times. Raises UserError that
    names the file, and where one can, the line.
    """

    def __init__(self, path: Path, shape: str, start_ns: int = DEFAULT_START_NS) -> None:
        self.path, self._start_ns = path, start_ns
        try:
            self._file = path.open("rb")
            self.size = path.stat().st_size
            head = self._file.read(4)
            self._file.seek(0)
        except OSError as fault:
            raise UserError(f"{path}: {fault.strerror or fault}") from None
        if path.suffix == ".gz" and not head.startswith(GZIP):
            raise UserError(f"{path}: its name ends in .gz, but it is not gzip")
        if path.suffix == ".zst" and not head.startswith(ZSTD):
            raise UserError(f"{path}: its name ends in .zst, but it is not zstandard")
        self._head, self._read = head, SHAPES[shape]

    @property
    def position(self) -> int:
        """Bytes of the file that were read so far, at most `size`."""
        return self._file.tell() if not self._file.closed else self.size

    def __iter__(self) -> Iterator[Raw]:
        place = 0
        try:
            with self._file:
                for raw in self._read(self._plain(), self._start_ns):
                    place = raw.place
                    yield raw
        except MessageError as fault:
            raise UserError(f"{self.path}, {fault}") from None
        except (EOFError, OSError, zlib.error, zstandard.ZstdError) as fault:
            raise UserError(f"{self.path}, after line {place}: damaged or cut off: {fault}") from None

    def _plain(self) -> IO[bytes]:
        if self._head.startswith(GZIP):
            return cast(IO[bytes], gzip.open(self._file, "rb"))
        if self._head.startswith(ZSTD):
            return io.BufferedReader(_Zstandard(self._file), ZSTD_READ)
        return self._file


class _Zstandard(io.RawIOBase):
    """Decompresses frames one after another, and raises EOFError where the last one is cut off.

    (The library's own reader ends such a file as if it were whole.)
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._raw = b""
        self._plain = memoryview(b"")

    def readable(self) -> bool:
        """Always: nothing else can be done with it."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill `target` as far as the next piece goes; 0 at the end."""
        while not self._plain:
            raw = self._raw or self._file.read(ZSTD_READ)
            if not raw:
                if not self._frame.eof:
                    raise EOFError("the last frame is not complete")
                return 0
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._plain = memoryview(self._frame.decompress(raw))
            self._raw = self._frame.unused_data
        count = min(len(target), len(self._plain))
        target[:count] = self._plain[:count]
        self._plain = self._plain[count:]
        return count


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(LINE_LIMIT):
        number += 1
        if len(line) == LINE_LIMIT:
            raise MessageError(f"line {number}: longer than {LINE_LIMIT} bytes")
        yield number, line.strip()


def stamped_lines(file: IO[bytes], _start_ns: int) -> Iterator[Raw]:
    """`<receive time in ns> <message>`, or lines of a connection and its REST calls; empty lines say nothing.

    Of a connection: `<url> <-> <s>` a new one (a message of no bytes), `<url> <- <s>: <sent>` (passed over,
    as are the collector's settings), `<s>: <received>`, and `<url> -> <s>: <answer>`, which becomes
    {"rest": URL, "body": ANSWER}. These times are in s since 1970.
    """
    for number, line in _lines(file):
        stamp, _, message = line.partition(b" ")
        if stamp.isdigit() and message and FIRST_NS < int(stamp) < LAST_NS:
            yield Raw(number, int(stamp), message)
        elif line and not line.startswith(b"configuration: "):
            yield from _of_connection(line, number)


def _of_connection(line: bytes, number: int) -> Iterator[Raw]:
    found = WIRE_LINE.fullmatch(line)
    if found is None or (found["way"] is None and found["message"] is None):
        raise MessageError(
            f"line {number}: not of the form `<receive time in ns> <message>`, nor of a connection"
        )
    stamp = _seconds_ns(found["time"], number)
    message = found["message"] or b""
    if found["way"] == b"<->":
        yield Raw(number, stamp, CONNECTED)
    elif found["way"] == b"->":
        url = orjson.dumps(found["url"].decode())
        yield Raw(number, stamp, b'{"rest":%s,"body":%s}' % (url, message))
    elif found["way"] is None and message:
        yield Raw(number, stamp, message)


def quote_rows(file: IO[bytes], _start_ns: int) -> Iterator[Raw]:
    """CSV with a head; the first cell is the time, UTC."""
    for number, line in _lines(file):
        if number == 1:
            if tuple(line.decode("utf-8", "replace").split(",")) != COLUMNS:
                raise MessageError(f"line 1: the head is not {','.join(COLUMNS)}")
            continue
        if not line:
            continue
        stamp, _, rest = line.partition(b",")
        yield Raw(number, _utc_ns(stamp, number), rest)


def json_list(file: IO[bytes], start_ns: int) -> Iterator[Raw]:
    """One JSON list; its elements, in their order, are a microsecond apart."""
    try:
        elements = orjson.loads(file.read())
    except orjson.JSONDecodeError as fault:
        raise MessageError(f"line {fault.lineno}: no JSON: {fault.msg}") from None
    if not isinstance(elements, list):
        raise MessageError("line 1: no JSON list")
    for number, element in enumerate(elements):
        yield Raw(number + 1, start_ns + number * STEP_NS, orjson.dumps(element))


def _utc_ns(stamp: bytes, number: int) -> int:
    try:
        time = datetime.fromisoformat(stamp.decode())
    except ValueError:
        raise MessageError(f"line {number}: {stamp[:40]!r} is no time") from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    whole = int(time.replace(microsecond=0).timestamp())
    return whole * 1_000_000_000 + time.microsecond * 1_000


def _seconds_ns(stamp: bytes, number: int) -> int:
    seconds, _, part = stamp.partition(b".")
    found = int(seconds) * 1_000_000_000 + int(part[:9].ljust(9, b"0"))
    if not FIRST_NS < found < LAST_NS:
        raise MessageError(f"line {number}: {stamp[:40].decode()} is no time in s since 1970")
    return found


def lighter_list(file: IO[bytes], start_ns: int) -> Iterator[Raw]:
    """A JSON list (see `streams.feeds.shapes_lighter`), or else stamped lines."""
    if cast(io.BufferedReader, file).peek(1)[:1] != b"[":
        return stamped_lines(file, start_ns)
    return map(Raw._make, shapes_lighter.messages(file))


SHAPES: Mapping[str, Callable[[IO[bytes], int], Iterator[Raw]]] = {
    "stamped_lines": stamped_lines,
    "quote_rows": quote_rows,
    "json_list": json_list,
    "lighter_list": lighter_list,
}
