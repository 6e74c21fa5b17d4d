"""What librdkafka's errors mean to us."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from streams.errors import RunError

ADRIFT = frozenset(
    {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._LOG_TRUNCATION}
)
NO_ACCESS = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.INVALID_SESSION_TIMEOUT,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError._UNSUPPORTED_FEATURE,
        KafkaError.UNSUPPORTED_VERSION,
    }
)


def fault(error: KafkaError) -> RunError:
    return RunError(f"Kafka client gave up: {error.str()} ({error.name()})")


def unanswered(what: str, error: KafkaException) -> RunError:
    return RunError(f"broker did not tell the {what}: {error.args[0].str()}; is it reachable?")
