"""What a broker is to the rest of the code: an address, a configuration, and what it can and cannot do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from streams.errors import UserError

Kind = Literal["kafka", "jvm", "embedded"]
Capability = Literal["compaction", "transactions", "offsets_by_time", "create_topics", "durable"]

EVERYTHING: frozenset[Capability] = frozenset(
    ("compaction", "transactions", "offsets_by_time", "create_topics", "durable")
)
CAPABILITIES: Mapping[Kind, frozenset[Capability]] = {
    "kafka": EVERYTHING,
    "jvm": EVERYTHING,
    "embedded": frozenset(),  # measured on librdkafka 2.16's mock cluster
}
_MEANING: Mapping[Capability, str] = {
    "compaction": "compacts nothing",
    "transactions": "knows no committed reads",
    "offsets_by_time": "cannot look offsets up by time",
    "create_topics": "makes topics only for the process that started it",
    "durable": "keeps 5 MiB a partition, in memory",
}


@dataclass
class Broker:
    """A Kafka that can be reached now. As a context manager it is stopped at the end if we started it.

    `bootstrap` is host:port[,...]. `config` holds all that a librdkafka client needs to connect; it may
    hold a password and is never to be logged. `pid`, `data_dir` and `log_file` are known of local ones.
    `note` tells why it is this one where the choice was left to us.
    """

    kind: Kind
    bootstrap: str
    config: Mapping[str, str] = field(repr=False)
    capabilities: frozenset[Capability]
    pid: int | None = None
    data_dir: Path | None = None
    log_file: Path | None = None
    note: str = ""
    on_stop: Callable[[], None] | None = field(default=None, repr=False)
    on_add_topics: Callable[[Mapping[str, int]], None] | None = field(default=None, repr=False)

    def require(self, *needed: Capability, who: str) -> None:
        """Refuse at once what this broker cannot do. Raises UserError that names the capability."""
        missing = [name for name in needed if name not in self.capabilities]
        if missing:
            reasons = ", ".join(f"{_MEANING[name]} ({name})" for name in missing)
            raise UserError(
                f"{who}: the {self.kind} broker at {self.bootstrap} {reasons}; "
                "use `jvm` or kafka://host:port instead"
            )

    def add_topics(self, topics: Mapping[str, int]) -> None:
        """Make topics (name: partitions) in an embedded broker of this process; elsewhere, see streams.admin.

        Raises UserError where this process is not the starter.
        """
        if self.on_add_topics is None:
            raise UserError(
                f"topics of the {self.kind} broker at {self.bootstrap} are not made this way: an embedded "
                "one makes its topics when it is started, elsewhere use `interlayer topics create`"
            )
        self.on_add_topics(topics)

    def stop(self) -> None:
        """Stop it if this process started it; otherwise nothing happens. May be called twice."""
        stop, self.on_stop = self.on_stop, None
        self.on_add_topics = None
        if stop is not None:
            stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
