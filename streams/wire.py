"""Records to bytes and back as the settings say: single-object, or through a Schema Registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.catalog import schema
from schemas.codec import Codec
from schemas.columns import Decoder
from schemas.registry import RegistryCodec, RegistryError
from schemas.topics import TOPICS
from streams.config import Settings
from streams.errors import RunError

SCHEMA_OF = {topic.name: topic.schema for topic in TOPICS}


class Wire:
    """One codec a topic, made when first needed; topics are named without the prefix.

    A registry that does not answer raises RunError: it makes no record unreadable.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._codecs: dict[str, Codec | RegistryCodec] = {}

    def codec(self, topic: str) -> Codec | RegistryCodec:
        """The codec of `topic`. Raises KeyError where there is no such topic, RunError."""
        if topic not in self._codecs:
            self._codecs[topic] = self._made(topic)
        return self._codecs[topic]

    def decoder(self, topic: str) -> Decoder:
        """A decoder of batches of `topic`, of either framing. Raises RunError."""
        codec = self.codec(topic)
        if isinstance(codec, RegistryCodec):
            return Decoder(schema(SCHEMA_OF[topic]), ids=(codec.schema_id,), lookup=codec.lookup)
        return Decoder(schema(SCHEMA_OF[topic]))

    def encode(self, topic: str, record: Mapping[str, Any]) -> bytes:
        """Encode one record of `topic`. Raises ValueError naming a field that does not fit, RunError."""
        codec = self.codec(topic)
        try:
            return codec.encode(record)
        except RegistryError as error:
            raise RunError(str(error)) from None

    def decode(self, topic: str, value: bytes | None) -> dict[str, Any]:
        """Decode one record of `topic`, of either framing. Raises schemas.codec.Unreadable, RunError."""
        codec = self.codec(topic)
        try:
            return codec.decode(value)
        except RegistryError as error:
            raise RunError(str(error)) from None

    def _made(self, topic: str) -> Codec | RegistryCodec:
        settings, name = self._settings, SCHEMA_OF[topic]
        if settings.schema_registry_url is None:
            return Codec(name)
        auth = settings.schema_registry_auth
        try:
            return RegistryCodec(
                settings.schema_registry_url,
                name,
                settings.named(topic),
                auth=auth.get_secret_value() if auth else None,
            )
        except RegistryError as error:
            raise RunError(str(error)) from None
