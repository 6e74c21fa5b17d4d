"""`interlayer topics`: every topic of `schemas.topics` on a broker."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.admin import TopicAdmin, Wanted, wanted
from streams.broker import find_broker
from streams.cli.output import BrokerOption, JsonOption, PrefixOption, say, say_json, say_table, settings_of
from streams.config import Settings

app = typer.Typer(help="Make and check the topics.", no_args_is_help=True)

PartitionsOption = Annotated[
    int | None, typer.Option("--partitions", help="Partitions of topics keyed by group.")
]
ReplicationOption = Annotated[int | None, typer.Option("--replication", help="Replicas of each partition.")]
MinIsrOption = Annotated[int | None, typer.Option("--min-isr", help="min.insync.replicas of each topic.")]


@app.command()
def create(
    ctx: typer.Context,
    broker: BrokerOption = None,
    prefix: PrefixOption = None,
    partitions: PartitionsOption = None,
    replication: ReplicationOption = None,
    min_isr: MinIsrOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the topics that are missing. Exit code 1 where one is there and not as it should be."""
    settings = settings_of(
        ctx, broker=broker, prefix=prefix, partitions=partitions, replication=replication, min_isr=min_isr
    )
    admin, topics = _admin(settings)
    made = admin.create(topics)
    differences = admin.diff(topics)
    if as_json:
        say_json(
            {
                "made": made,
                "there": [topic.name for topic in topics if topic.name not in made],
                "differences": [vars(item) for item in differences],
            }
        )
    else:
        say(f"made {len(made)} topics, {len(topics) - len(made)} were there")
        for item in differences:
            say(f"not changed: {item}")
    if differences:
        raise typer.Exit(1)


@app.command()
def check(
    ctx: typer.Context,
    broker: BrokerOption = None,
    prefix: PrefixOption = None,
    partitions: PartitionsOption = None,
    replication: ReplicationOption = None,
    min_isr: MinIsrOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether all topics are as they should be. Exit code 1 where one is not."""
    settings = settings_of(
        ctx, broker=broker, prefix=prefix, partitions=partitions, replication=replication, min_isr=min_isr
    )
    admin, topics = _admin(settings)
    differences = admin.diff(topics)
    if as_json:
        say_json({"ok": not differences, "differences": [vars(item) for item in differences]})
    else:
        for item in differences:
            say(str(item))
        if not differences:
            say(f"all {len(topics)} topics are as they should be")
    if differences:
        raise typer.Exit(1)


@app.command()
def diff(
    ctx: typer.Context,
    broker: BrokerOption = None,
    prefix: PrefixOption = None,
    partitions: PartitionsOption = None,
    replication: ReplicationOption = None,
    min_isr: MinIsrOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is wanted beside what is there, where the two differ."""
    settings = settings_of(
        ctx, broker=broker, prefix=prefix, partitions=partitions, replication=replication, min_isr=min_isr
    )
    admin, topics = _admin(settings)
    differences = admin.diff(topics)
    if as_json:
        say_json([vars(item) for item in differences])
    elif differences:
        rows = [(item.topic, item.what, item.wanted, item.found) for item in differences]
        say_table(["topic", "what", "wanted", "found"], rows)
    else:
        say("no difference")


def _admin(settings: Settings) -> tuple[TopicAdmin, list[Wanted]]:
    topics = wanted(settings.prefix, settings.partitions, settings.replication, settings.min_isr)
    limit_s = settings.broker_answer_ms / 1_000
    broker = find_broker(settings.broker, security=settings.kafka_config(), limit_s=limit_s)
    return TopicAdmin(broker, limit_s), topics
