"""The same asset on several venues, bought where it is cheap and sold where it is dear.

Only what is fungible is compared: spot of one and the same asset, in one and the same quote currency.
Derivatives of two venues never net, so each is a product of its own, which is never compared.
The kernel is `strategies.kernels.cross_venue`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from strategies.kernels.layout import MAX_MEMBERS
from strategies.markets import Instrument, Markets, exponent

STRATEGY = "cross_venue"


@dataclass(frozen=True)
class Product:
    """What is compared with one another within a group."""

    group: str
    name: str
    quote: str
    instruments: tuple[Instrument, ...]
    why_alone: str  # why nothing is compared here; empty where something is

    @property
    def price_exponent(self) -> int:
        """Exponent that holds every tick exactly."""
        return min(exponent(i.tick) for i in self.instruments)

    @property
    def size_exponent(self) -> int:
        """Exponent that holds every lot exactly."""
        return min(exponent(i.lot) for i in self.instruments)


def product_key(group: str, instrument: Instrument) -> tuple[str, ...]:
    """Instruments of one key are fungible. A book that only visits a group is compared at home."""
    if instrument.kind == "spot" and group == instrument.groups[0]:
        return (instrument.base, instrument.quote)
    return (instrument.venue, instrument.symbol)


def products(markets: Markets, group: str) -> tuple[Product, ...]:
    """Products of a group, in the order of the file.

    Raises ValueError where more than MAX_MEMBERS books would be compared.
    """
    keyed: dict[tuple[str, ...], list[Instrument]] = {}
    for instrument in markets.members(group):
        keyed.setdefault(product_key(group, instrument), []).append(instrument)
    return tuple(_product(group, members) for members in keyed.values())


def _product(group: str, members: list[Instrument]) -> Product:
    first = members[0]
    if len(members) > MAX_MEMBERS:
        raise ValueError(f"{first.base}/{first.quote}: {len(members)} spot books, at most {MAX_MEMBERS} fit")
    if first.kind == "spot" and group == first.groups[0]:
        name = f"{first.base}/{first.quote} spot"
        why = "" if len(members) > 1 else f"only {first.venue} trades {first.base}/{first.quote} spot"
    elif first.kind == "spot":
        name = f"{first.venue} {first.symbol}"
        why = f"it is compared in its home group {first.groups[0]}"
    else:
        name = f"{first.venue} {first.symbol} {first.kind}"
        why = f"a {first.kind} never nets with another venue's contract or with spot"
    return Product(group, name, first.quote, tuple(members), why)


def explain(markets: Markets) -> Iterable[tuple[Product, str]]:
    """Every product with the reason why nothing is compared in it, or an empty string."""
    for group in markets.group_names():
        for product in products(markets, group):
            yield product, product.why_alone
