"""One line for people out of each kind of record: prices in decimals, times in ISO 8601."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streams.cli.output import iso, scaled

Record = Mapping[str, Any]


def describe(schema: str, record: Record) -> str:
    """What `record` of `schema` says, on one line."""
    return _DESCRIBERS[schema](record)


def _book(record: Record) -> str:
    name = f"{record['venue']} {record['symbol']} {record['level']} {record['kind']}"
    flags = [word for word in ("key_frame", "recorded") if record[word]]
    if record["checksum"] != "absent":
        flags.append(f"checksum {record['checksum']}")
    ids = [str(record[key]) for key in ("first_update_id", "last_update_id") if record[key] is not None]
    parts = [
        iso(record["receive_time_ns"]),
        name,
        record["state"],
        f"#{record['sequence']}",
        f"ids {'-'.join(ids)}" if ids else "",
        *flags,
        f"bids {_levels(record, 'bids')}",
        f"asks {_levels(record, 'asks')}",
    ]
    return "  ".join(part for part in parts if part)


def _levels(record: Record, side: str) -> str:
    """The first levels as size@price, and how many there are."""
    levels = record[side]
    shown = [
        f"{scaled(level['size_lots'], record['size_exponent'])}"
        f"@{scaled(level['price_ticks'], record['price_exponent'])}"
        for level in levels[:2]
    ]
    more = f" +{len(levels) - len(shown)}" if len(levels) > len(shown) else ""
    return (" ".join(shown) or "-") + more


def _signal(record: Record) -> str:
    name = f"{record['action'].upper()} {record['strategy']} {record['product']}"
    parts = [iso(record["time_ns"]), f"{name} ({record['epoch']}, {record['sequence']})"]
    if record["action"] == "close":
        parts.append(f"because {record['cause']}")
    else:
        parts.append(
            f"net {record['net_edge_bps']:.2f} bps = {record['net_edge_quote']:.2f} {record['quote']}"
        )
        parts.append(f"on {record['notional_quote']:.2f} {record['quote']}")
        parts += [_leg(leg) for leg in record["legs"]]
        parts.append(f"until {iso(record['valid_until_ns'])}")
    if record["recorded"]:
        parts.append("recorded")
    return "  ".join([*parts, f"episode {record['episode_id'][:8]}"])


def _leg(leg: Record) -> str:
    size = scaled(leg["size_lots"], leg["size_exponent"])
    limit = scaled(leg["limit_price_ticks"], leg["price_exponent"])
    return f"{leg['side']} {size} {leg['venue']} {leg['symbol']} to {limit}"


def _risk_event(record: Record) -> str:
    about = " ".join(
        record[key] for key in ("group", "strategy", "product", "venue", "symbol") if record[key]
    )
    parts = [iso(record["time_ns"]) if record["time_ns"] else "-", record["reason"], about]
    if record["value"] is not None:
        limit = "" if record["limit"] is None else f" (limit {record['limit']:g})"
        parts.append(f"{record['value']:g}{limit}")
    if record["suppressed"]:
        parts.append(f"{record['suppressed']} more held back")
    if record["topic"]:
        parts.append(f"at {record['topic']}[{record['partition']}]@{record['offset']}")
    return "  ".join(part for part in [*parts, record["detail"]] if part)


def _risk_command(record: Record) -> str:
    reach = record["scope"] + (f":{record['scope_name']}" if record["scope_name"] else "")
    head = f"{record['action'].upper()} {reach} {record['command_id']}"
    return f"{iso(record['time_ns'])}  {head}  by {record['issued_by']}: {record['reason']}"


def _reject(record: Record) -> str:
    place = f"{record['topic']}[{record['partition']}]@{record['offset']}"
    return f"{place}  {record['reason']}: {record['detail']} ({record['size_bytes']} bytes)"


def _journal(record: Record) -> str:
    return (
        f"{record['entry']} of partition {record['partition']} by {record['writer']}"
        f"  configuration {record['configuration']}  kernels {record['kernels']}"
    )


def _execution(record: Record) -> str:
    size = scaled(record["size_lots"], record["size_exponent"])
    price = scaled(record["price_ticks"], record["price_exponent"])
    return (
        f"{iso(record['event_time_ns'])}  {record['status']} leg {record['leg']} of {record['signal_id'][:8]}"
        f"  {size} at {price}  fee {record['fee']:g} {record['fee_currency']}"
    )


_DESCRIBERS: Mapping[str, Callable[[Record], str]] = {
    "BookUpdate": _book,
    "Signal": _signal,
    "RiskEvent": _risk_event,
    "RiskCommand": _risk_command,
    "Reject": _reject,
    "Journal": _journal,
    "Execution": _execution,
}
