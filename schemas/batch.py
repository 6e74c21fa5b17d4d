"""What a consumer hands on: the records of one partition as arrays, no object per record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Messages:
    """n byte strings in one buffer: string i is `data[starts[i] : starts[i] + lengths[i]]`.

    `data` is uint8, `starts` and `lengths` are int64 of shape (n,). A length of -1 is Kafka's null.
    """

    data: Bytes
    starts: Ints
    lengths: Ints

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> bytes | None:
        length = int(self.lengths[index])
        if length < 0:
            return None
        start = int(self.starts[index])
        return self.data[start : start + length].tobytes()

    @classmethod
    def of(cls, values: list[bytes | None]) -> Messages:
        """Join `values` into one buffer."""
        n = len(values)
        try:
            lengths = np.fromiter(map(len, values), np.int64, n)  # type: ignore[arg-type]  # None is rare, see below
        except TypeError:
            lengths = np.fromiter((-1 if v is None else len(v) for v in values), np.int64, n)
        sizes = np.maximum(lengths, 0)
        starts = np.zeros(n, np.int64)
        np.cumsum(sizes[:-1], out=starts[1:])
        data = np.frombuffer(b"".join(v for v in values if v), np.uint8)
        return cls(data, starts, lengths)


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of one partition, in the order of their offsets.

    `offsets` and `timestamps_ms` are int64 of shape (n,); offsets rise but may have holes
    (compaction, transactions). `end` is the partition's high watermark as last heard of when
    the batch was taken, -1 if unknown. `epoch` tags the assignment or seek it belongs to.
    """

    topic: str
    partition: int
    offsets: Ints
    timestamps_ms: Ints
    keys: Messages
    values: Messages
    end: int = -1
    epoch: int = 0

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def first_offset(self) -> int:
        return int(self.offsets[0])

    @property
    def last_offset(self) -> int:
        return int(self.offsets[-1])
