"""Records in Confluent's wire format, through a Schema Registry and confluent-kafka's serializers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from confluent_kafka.schema_registry import Schema as RegisteredSchema
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from schemas.catalog import Schema, schema
from schemas.codec import Codec, Record

NOT_FOUND = 404


class RegistryError(RuntimeError):
    """The Schema Registry does not answer or refuses; says which one and why."""


class RegistryCodec:
    """Records of one schema as dicts, under the id that the registry gave to the schema.

    `topic` names the subject (`<topic>-value`); `auth` is `user:password`. `mock://...` is a registry
    within this process. `schema_id` and `lookup` serve `schemas.columns.Decoder` and `Encoder`.

    Raises RegistryError where the schema cannot be registered, KeyError where no schema is called `name`.
    """

    def __init__(
        self,
        url: str,
        name: str,
        topic: str,
        auth: str | None = None,
        client: SchemaRegistryClient | None = None,
        max_retries: int = 3,
    ) -> None:
        self.url = _without_password(url)
        self.name = name
        self.client = client or registry_client(url, auth, max_retries)
        text = json.dumps(schema(name))
        self._context = SerializationContext(topic, MessageField.VALUE)
        self.schema_id = self._registered(f"{topic}-value", text)
        conf = {"auto.register.schemas": False, "use.schema.id": self.schema_id}
        self._serializer = AvroSerializer(self.client, text, conf=conf)
        self._deserializer = AvroDeserializer(self.client, text)
        self._codec = Codec(name, schema_id=self.schema_id, lookup=self.lookup)

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """Encode one record. Raises ValueError where it does not fit the schema, RegistryError."""
        self._codec.encode(record)  # its errors name the field, and it refuses what the serializer would wrap
        with self._asking("encode"):
            return bytes(self._serializer(record, self._context) or b"")

    def decode(self, data: bytes | None) -> Record:
        """Decode one record of either framing. Raises Unreadable, RegistryError."""
        record = self._codec.decode(data)
        if data is None or data[:1] != b"\x00":
            return record
        with self._asking("decode"):
            read: Record = self._deserializer(data, self._context)
        return read

    def lookup(self, number: int) -> Schema | None:
        """The writer's schema of an id, None where the registry knows none. Raises RegistryError."""
        with self._asking(f"id {number}"):
            try:
                found = self.client.get_schema(number)
            except SchemaRegistryError as error:
                if error.http_status_code == NOT_FOUND:
                    return None
                raise
        if found.schema_str is None or found.schema_type not in (None, "AVRO"):
            return None
        loaded: Schema = json.loads(found.schema_str)
        return loaded

    def _registered(self, subject: str, text: str) -> int:
        with self._asking(f"subject {subject}"):
            return int(self.client.register_schema(subject, RegisteredSchema(text, "AVRO")))

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            # The client lets its HTTP library's errors through, and which library that is has changed.
            raise RegistryError(f"schema registry {self.url}, {what}: {error}") from error


def registry_client(url: str, auth: str | None = None, max_retries: int = 3) -> SchemaRegistryClient:
    """A client of the registry at `url`; `auth` is `user:password`. It retries within about 4 s."""
    conf: dict[str, Any] = {"url": url, "max.retries": max_retries} | (
        {"basic.auth.user.info": auth} if auth else {}
    )
    return SchemaRegistryClient.new_client(conf)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
