"""What is traded and within which limits: the model of `markets.toml`, as data.

Reading the file is `streams.config`'s; here it is only checked and turned into arrays by
`strategies.arrays`.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
PositiveDecimal = Annotated[Decimal, Field(gt=0)]


class Model(BaseModel):
    """Unknown keys are errors: a misspelt limit must not be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(Model):
    """Thresholds of detection and of the guard; a group may override each."""

    max_notional: float = Field(50_000.0, gt=0, description="largest notional a signal, quote currency")
    min_net_edge_bps: float = Field(1.0, ge=0, description="least net edge to open, bps of notional")
    min_net_edge_quote: float = Field(1.0, ge=0, description="least net edge to open, quote currency")
    close_edge_bps: float = Field(0.2, ge=0, description="an episode closes below this net edge, bps")
    update_size_pct: float = Field(10.0, gt=0, description="size change that is worth an UPDATE, percent")
    update_edge_bps: float = Field(1.0, gt=0, description="edge change that is worth an UPDATE, bps")
    episode_ttl_ms: int = Field(60_000, gt=0, description="an episode closes after this, ms")
    signal_valid_ms: int = Field(500, gt=0, description="how long a signal may be acted on, ms")
    refusal_interval_ms: int = Field(1_000, gt=0, description="least time between two refusals of one reason")

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        if self.close_edge_bps > self.min_net_edge_bps:
            raise ValueError("close_edge_bps must not be above min_net_edge_bps")
        return self


class GroupLimits(Model):
    """The same limits for one group; what is left out is taken from [limits]."""

    max_notional: float | None = Field(None, gt=0)
    min_net_edge_bps: float | None = Field(None, ge=0)
    min_net_edge_quote: float | None = Field(None, ge=0)
    close_edge_bps: float | None = Field(None, ge=0)
    update_size_pct: float | None = Field(None, gt=0)
    update_edge_bps: float | None = Field(None, gt=0)
    episode_ttl_ms: int | None = Field(None, gt=0)
    signal_valid_ms: int | None = Field(None, gt=0)
    refusal_interval_ms: int | None = Field(None, gt=0)


class Venue(Model):
    """A place to trade."""

    layer: Literal["base", "rollup"]
    taker_fee_bps: float = Field(ge=-100, le=1_000)
    fixed_cost: float = Field(0.0, ge=0, description="cost of a leg of any size (gas), quote currency")
    latency_ms: float = Field(0.0, ge=0, description="time from our signal to the venue, ms")
    max_age_ms: int = Field(2_000, gt=0, description="a book not heard of for longer is stale, ms")
    shared_update_ids: bool = Field(False, description="l1 and l2 carry the same update ids (Binance)")


class Instrument(Model):
    """One symbol of one venue."""

    venue: Name
    symbol: Name
    kind: Literal["spot", "perpetual", "future", "option"]
    base: Name
    quote: Name
    tick: PositiveDecimal
    lot: PositiveDecimal
    min_notional: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    multiplier: PositiveDecimal = Field(Decimal(1), description="units (inverse: quote) of one contract")
    inverse: bool = False
    groups: tuple[Name, ...] = Field((), description="groups that need this book; by default its base asset")
    depth: int = Field(400, ge=1, le=5_000, description="levels kept a side")
    venue_cuts: bool = Field(False, description="the venue cuts its book at `depth`")
    channels: tuple[Literal["l1", "l2"], ...] = ("l1", "l2")

    @model_validator(mode="after")
    def _defaults(self) -> Self:
        if not self.groups:
            object.__setattr__(self, "groups", (self.base,))
        if not self.channels or len(set(self.channels)) != len(self.channels):
            raise ValueError("channels must name l1, l2 or both, each once")
        for name in ("tick", "lot"):
            if exponent(getattr(self, name)) < -18:
                raise ValueError(f"{name} has more than 18 decimals")
        return self


class Group(Model):
    """Overrides for one group."""

    limits: GroupLimits = GroupLimits()


class Markets(Model):
    """The whole of `markets.toml`."""

    limits: Limits = Limits()
    venues: dict[Name, Venue]
    instruments: tuple[Instrument, ...] = Field(min_length=1)
    groups: dict[Name, Group] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        seen: set[tuple[str, str]] = set()
        known = {group for i in self.instruments for group in i.groups}
        for number, i in enumerate(self.instruments):
            if i.venue not in self.venues:
                raise ValueError(f"instruments.{number}: venue {i.venue!r} is not under [venues]")
            if (i.venue, i.symbol) in seen:
                raise ValueError(f"instruments.{number}: {i.venue} {i.symbol} stands here twice")
            seen.add((i.venue, i.symbol))
        for name in self.groups:
            if name not in known:
                raise ValueError(f"groups.{name}: no instrument belongs to it")
            self.limits_of(name)
        return self

    def limits_of(self, group: str) -> Limits:
        """Limits in force for `group`: the narrowest wins."""
        own = self.groups[group].limits.model_dump(exclude_none=True) if group in self.groups else {}
        return Limits(**{**self.limits.model_dump(), **own})

    def group_names(self) -> tuple[str, ...]:
        """All groups, sorted."""
        return tuple(sorted({group for i in self.instruments for group in i.groups}))

    def members(self, group: str) -> tuple[Instrument, ...]:
        """Instruments of `group`, in the order of the file."""
        return tuple(i for i in self.instruments if group in i.groups)

    def fingerprint(self) -> str:
        """16 hex digits over everything that is configured here."""
        return hashlib.blake2b(self.model_dump_json().encode(), digest_size=8).hexdigest()


def exponent(value: Decimal) -> int:
    """Decimal exponent of the last digit of `value` that is not 0: 0.010 -> -2, 5 -> 0, 100 -> 2."""
    found = value.normalize().as_tuple().exponent
    if not isinstance(found, int):
        raise ValueError(f"{value} is not a finite number")
    return found
