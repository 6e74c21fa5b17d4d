"""The one settings class: flags before environment (INTERLAYER_*) before interlayer.toml before defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.topics import DEFAULT_PARTITIONS
from strategies.markets import Group, Instrument, Limits, Markets, Venue
from streams import toml
from streams.errors import UserError

PREFIX = "INTERLAYER_"
FILE_NAME = "interlayer.toml"
DEMO_MARKETS = Path(__file__).parent / "markets" / "demo.toml"
MASK = "**********"

# Read from the environment elsewhere (settings file, cache of jars, brokers of tests); not settings.
OTHER_VARIABLES = frozenset(
    {"INTERLAYER_CONFIG", "INTERLAYER_CACHE", "INTERLAYER_TEST_BROKER", "INTERLAYER_KAFKA_PORT"}
)

_MARKET_KEYS = tuple(
    key for model in (Markets, Limits, Venue, Instrument, Group) for key in model.model_fields
)

_file_values: ContextVar[dict[str, Any] | None] = ContextVar("_file_values", default=None)

Milliseconds = Annotated[int, Field(gt=0, le=86_400_000)]
Count = Annotated[int, Field(gt=0)]
Bytes = Annotated[int, Field(gt=0)]


def _topic_safe(value: str) -> str:
    if not all(c.isascii() and (c.isalnum() or c in "._-") for c in value):
        raise ValueError("only letters, digits, '.', '_' and '-' may stand in it")
    return value


TopicSafe = Annotated[str, AfterValidator(_topic_safe)]


def is_secret(key: str) -> bool:
    """Whether the value of librdkafka's setting `key` must not be shown."""
    return any(word in key for word in ("password", "secret", "key.pem", "user.info", "oauthbearer.config"))


class Settings(BaseSettings):
    """Everything that can be set; each limit says its unit. Load it with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False
    )

    # Kafka
    broker: str = Field(
        "embedded", min_length=1, description="embedded, jvm, auto or kafka://host:port[,host:port]"
    )
    kafka: dict[str, str | SecretStr] = Field(
        {}, description="librdkafka settings passed through, for example security.protocol, sasl.username"
    )
    sasl_password: SecretStr | None = Field(None, description="password for SASL")
    ssl_key_password: SecretStr | None = Field(None, description="password of the client's TLS key")
    schema_registry_url: str | None = Field(
        None, description="Confluent Schema Registry; without it, single-object"
    )
    schema_registry_auth: SecretStr | None = Field(None, description="user:password for the Schema Registry")
    broker_answer_ms: Milliseconds = Field(
        5_000, description="a command gives up on a silent broker after this, ms"
    )

    # Topics and group
    prefix: TopicSafe = Field("", max_length=64, description="set before topics, group and transactional ids")
    partitions: int = Field(
        DEFAULT_PARTITIONS, ge=1, le=1_000, description="partitions of each topic keyed by group"
    )
    replication: int = Field(1, ge=1, le=9, description="replicas of each partition")
    min_isr: int = Field(1, ge=1, le=9, description="min.insync.replicas of each topic")
    group_id: TopicSafe = Field("interlayer", min_length=1, max_length=128, description="consumer group")
    group_protocol: Literal["classic", "consumer"] = Field("classic", description="Kafka's group protocol")
    group_instance_id: TopicSafe | None = Field(
        None, min_length=1, description="static member's name; unset: dynamic"
    )
    session_timeout_ms: int = Field(
        10_000,
        ge=1_000,
        le=3_600_000,
        description="a silent worker loses its partitions after this, ms (classic)",
    )
    start: Literal["earliest", "latest"] = Field(
        "earliest", description="where a group without offsets begins"
    )

    # Files
    markets: Path = Field(DEMO_MARKETS, description="markets.toml: venues, instruments, thresholds")
    data: Path = Field(Path("../shared/data"), description="folder of the recordings")
    out: Path = Field(Path("out"), description="folder to which commands write what they measured")

    # Worker: the way in
    batch_max_records: Count = Field(20_000, le=1_000_000, description="most records in one batch")
    batch_max_bytes: Bytes = Field(
        8 << 20, le=1 << 30, description="most bytes in one batch (one record may exceed it)"
    )
    inflight_max_records: Count = Field(
        200_000, description="records held and not yet done, all partitions; then pause"
    )
    fetch_wait_ms: int = Field(
        20, ge=1, le=10_000, description="a fetch without data is answered after this, ms"
    )
    # 200 ms was too short: catching up on a busy machine, one topic's records are fetched that much later.
    merge_wait_ms: int = Field(
        3_000, ge=0, le=60_000, description="one topic waits this long for the other's backlog, ms"
    )
    receive_ahead_limit_ms: Milliseconds = Field(
        5_000, description="a receive time later than the record's own timestamp by more is rejected, ms"
    )
    time_jump_limit_ms: Milliseconds = Field(
        10_000, description="stream time that leaps further between two records is a risk event, ms"
    )
    silence_tick_ms: int = Field(
        250, ge=10, le=60_000, description="when all is silent, elapsed time enters the engine this often, ms"
    )

    # Worker: the guard's commands
    command_confirm_ms: int = Field(
        10_000,
        ge=500,
        le=3_600_000,
        description="nothing opens when the end of risk.command was not confirmed for this time, ms",
    )

    # Worker: the way out
    linger_ms: int = Field(
        5, ge=0, le=1_000, description="records wait this long for company in one request, ms"
    )
    outgoing_max_records: Count = Field(
        100_000, le=10_000_000, description="records waiting for delivery; then wait"
    )
    delivery_limit_ms: int = Field(
        30_000, ge=1_000, le=3_600_000, description="an undelivered record is a fault after, ms"
    )

    # Worker: health
    drain_limit_ms: Milliseconds = Field(
        10_000, description="SIGTERM: drain, flush, commit and leave within this, ms"
    )
    stuck_limit_ms: Milliseconds = Field(
        60_000, description="records wait and none is done for this: the worker ends, ms"
    )
    web_port: int = Field(
        6066, ge=0, le=65_535, description="health and metrics, on loopback; 0: no web port"
    )
    web_host: str = Field("127.0.0.1", min_length=1, description="address the web port listens on")

    # Logs
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level that is logged"
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, else JSON"
    )

    @field_validator("kafka", mode="after")
    @classmethod
    def _wrap_secrets(cls, value: dict[str, str | SecretStr]) -> dict[str, str | SecretStr]:
        for key in value:
            if key in _OURS:
                raise ValueError(f"{key} is set by {_OURS[key]} and may not be passed through")
        return {k: SecretStr(v) if isinstance(v, str) and is_secret(k) else v for k, v in value.items()}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, environment, file; no .env files and no secrets folder."""
        return init_settings, env_settings, InitSettingsSource(settings_cls, _file_values.get() or {})

    def named(self, name: str) -> str:
        """`name` of a topic, group or transaction with the prefix before it."""
        return self.prefix + name

    def kafka_config(self) -> dict[str, str]:
        """What is passed through to librdkafka, secrets in the clear; never to be logged."""
        plain = {k: v.get_secret_value() if isinstance(v, SecretStr) else v for k, v in self.kafka.items()}
        if self.sasl_password is not None:
            plain["sasl.password"] = self.sasl_password.get_secret_value()
        if self.ssl_key_password is not None:
            plain["ssl.key.password"] = self.ssl_key_password.get_secret_value()
        return plain

    def shown(self) -> dict[str, Any]:
        """All settings as JSON-ready values, secrets masked."""
        values: dict[str, Any] = self.model_dump(mode="json")
        return values


# Settings that the transport and the publisher depend on; to change them would lose or repeat records.
_OURS = {
    "bootstrap.servers": "`broker`",
    "group.id": "`group_id`",
    "group.protocol": "`group_protocol`",
    "group.instance.id": "`group_instance_id`",
    "session.timeout.ms": "`session_timeout_ms`",
    "enable.auto.commit": "Interlayer",
    "enable.auto.offset.store": "Interlayer",
    "auto.offset.reset": "Interlayer",
    "enable.idempotence": "Interlayer",
    "acks": "Interlayer",
    "partitioner": "Interlayer",
    "partition.assignment.strategy": "Interlayer",
    "group.remote.assignor": "Interlayer",
}


def config_file(given: Path | None = None) -> Path | None:
    """The settings file in force: `given`, else INTERLAYER_CONFIG, else interlayer.toml here if it exists."""
    if given is not None:
        return given
    if named := os.environ.get("INTERLAYER_CONFIG"):
        return Path(named)
    here = Path(FILE_NAME)
    return here if here.exists() else None


def load_settings(config: Path | None = None, **flags: Any) -> Settings:
    """Settings from all sources. Flags that are None were not given.

    Raises UserError with file, line and key, or with the name of the variable or flag.
    """
    path = config_file(config)
    values, text = toml.read(path) if path else ({}, "")
    given = {name: value for name, value in flags.items() if value is not None}
    token = _file_values.set(_beside(path, values) if path else {})
    try:
        return Settings(**given)
    except ValidationError as error:
        raise _explained(error, given, path, text) from None
    except ValueError as error:  # pydantic-settings: a variable that must hold JSON does not
        raise UserError(f"environment: {error}; give a JSON object") from None
    finally:
        _file_values.reset(token)


def _beside(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Relative paths in a settings file are meant from where that file lies."""
    found = dict(values)
    for name in ("markets", "data", "out"):
        if isinstance(found.get(name), str):
            found[name] = path.parent / Path(found[name]).expanduser()
    return found


def _explained(error: ValidationError, flags: Mapping[str, Any], path: Path | None, text: str) -> UserError:
    fault = error.errors(include_url=False, include_context=False)[0]
    key = str(fault["loc"][0]) if fault["loc"] else ""
    reason = toml.reason_of(fault, Settings.model_fields).removeprefix(f"{key}: ")
    if key in flags:
        return UserError(f"--{key.replace('_', '-')}: {reason}")
    variable = f"{PREFIX}{key.upper()}"
    if variable in os.environ:
        return UserError(f"{variable}: {reason}")
    if path is None:
        return UserError(f"{key}: {reason}")
    return toml.explain(path, text, error, Settings.model_fields)


def sources(config: Path | None = None, **flags: Any) -> dict[str, str]:
    """Where each setting's value comes from: flag, the variable's name, the file's name, or default."""
    path = config_file(config)
    values = toml.read(path)[0] if path else {}
    found = {}
    for name in Settings.model_fields:
        variable = f"{PREFIX}{name.upper()}"
        if flags.get(name) is not None:
            found[name] = "flag"
        elif variable in os.environ:
            found[name] = variable
        else:
            found[name] = str(path) if name in values else "default"
    return found


def unknown_variables() -> tuple[str, ...]:
    """INTERLAYER_* variables that set nothing: a misspelt limit should not pass unseen."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    return tuple(sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known))


def load_markets(path: Path) -> Markets:
    """Read and check a markets file. Raises UserError with file, line, key and reason."""
    values, text = toml.read(path)
    try:
        return Markets.model_validate(values)
    except ValidationError as error:
        raise toml.explain(path, text, error, _MARKET_KEYS) from None
