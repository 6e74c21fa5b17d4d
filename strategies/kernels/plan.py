"""The best plan of the legs that may trade, before fixed costs and minimum notionals.

A plan is filled in passes from the coarsest common lot to the finest, and once more without the
coarsest class, and so on; the best is kept. It is the optimum where all lots are equal.
"""

from __future__ import annotations

from strategies.kernels.curve import common_lots, merge_side, pays
from strategies.kernels.jit import inner
from strategies.kernels.layout import ASKS, BIDS

FAR = 2**62  # a price no market has: stands for "this side is empty"


@inner
def best_net(scratch, n_members, side):
    """Best signed net price of the legs of `side` that may trade."""
    best = float(FAR)
    for m in range(n_members):
        if scratch.allow[side, m] and scratch.top[side, m] < best:
            best = scratch.top[side, m]
    return best


@inner
def _matched(asks, n_asks, bids, n_bids, unit, budget):
    """Size to match: while the marginal edge pays, and no more than `budget` buys, in whole units.

    Also returns whether the budget cut it short.
    """
    size = 0
    a = b = 0
    left_a = asks[0].size if n_asks > 0 else 0
    left_b = bids[0].size if n_bids > 0 else 0
    while a < n_asks and b < n_bids and pays(asks[a].key, bids[b].key):
        step = min(left_a, left_b)
        size += step
        left_a -= step
        left_b -= step
        if left_a == 0:
            a += 1
            left_a = asks[a].size if a < n_asks else 0
        if left_b == 0:
            b += 1
            left_b = bids[b].size if b < n_bids else 0
    free = size
    at = 0
    for i in range(n_asks):
        if at >= size:
            break
        price = float(asks[i].price)
        take = min(asks[i].size, size - at)
        if price * take > budget:
            room = min(int(budget / price), take)
            if price * room > budget:  # the quotient was rounded up
                room -= 1
            size = at + room
            break
        budget -= price * take
        at += take
    return size - size % unit, size < free


@inner
def _fill(scratch, side, size):
    """Take `size` from the curve of `side` into the legs."""
    curve = scratch.curves[side]
    i = 0
    while size > 0:
        piece = curve[i]
        take = min(piece.size, size)
        m = piece.member
        worst = scratch.limits[0, side, m]
        if scratch.sizes[0, side, m] == 0:
            worst = piece.price
        elif side == ASKS:
            worst = max(worst, piece.price)
        else:
            worst = min(worst, piece.price)
        scratch.limits[0, side, m] = worst
        scratch.sizes[0, side, m] += take
        scratch.costs[0, side, m] += float(piece.price) * float(take)
        size -= take
        i += 1


@inner
def _bought(scratch, n_members):
    """Cost of all buy legs, without fees."""
    cost = 0.0
    for m in range(n_members):
        cost += scratch.costs[0, ASKS, m]
    return cost


@inner
def _after_fees(scratch, which, n_members, instruments):
    """Net gain of a plan without fixed costs, in integer price x size."""
    gain = 0.0
    for m in range(n_members):
        fee = instruments[scratch.members[m]].fee
        gain += scratch.costs[which, BIDS, m] * (1.0 - fee)
    for m in range(n_members):
        fee = instruments[scratch.members[m]].fee
        gain -= scratch.costs[which, ASKS, m] * (1.0 + fee)
    return gain


@inner
def solve(books, keys, sizes, instruments, scratch, n_members, budget):
    """Best plan of the legs that may trade, into row 1 of sizes, limits, costs; its gain after fees.

    Also returns whether the plan is exactly optimal (one common lot, and not cut short by the budget),
    and whether all lots divide one another.
    """
    scratch.sizes[1] = 0
    scratch.limits[1] = 0
    scratch.costs[1] = 0.0
    best_ask = best_net(scratch, n_members, ASKS)
    best_bid = best_net(scratch, n_members, BIDS)
    best = 0.0
    if not pays(best_ask, best_bid):
        return best, True, True
    classes, divide = common_lots(n_members, instruments, scratch)
    exact = classes == 1
    for last in range(classes - 1, -1, -1):
        scratch.sizes[0] = 0
        scratch.limits[0] = 0
        scratch.costs[0] = 0.0
        for k in range(last, -1, -1):
            n_asks = merge_side(books, keys, sizes, instruments, scratch, n_members, ASKS, k, best_bid)
            n_bids = merge_side(books, keys, sizes, instruments, scratch, n_members, BIDS, k, best_ask)
            left = budget - _bought(scratch, n_members)
            size, short = _matched(
                scratch.curves[ASKS], n_asks, scratch.curves[BIDS], n_bids, scratch.units[k], left
            )
            exact = exact and not short
            _fill(scratch, ASKS, size)
            _fill(scratch, BIDS, size)
        gain = _after_fees(scratch, 0, n_members, instruments)
        if gain > best:
            best = gain
            for side in (ASKS, BIDS):
                for m in range(n_members):
                    scratch.sizes[1, side, m] = scratch.sizes[0, side, m]
                    scratch.limits[1, side, m] = scratch.limits[0, side, m]
                    scratch.costs[1, side, m] = scratch.costs[0, side, m]
    return best, exact, divide
