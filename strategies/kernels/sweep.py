"""Cross-venue sweep: what can be earned between all books of a product at once.

All asks at price x (1 + fee) and all bids at price x (1 - fee) are merged into one supply and one
demand curve and matched while the marginal edge pays. That is the optimum, because the marginal edge
never rises; each level is used once, so no liquidity is counted twice. Legs are multiples of their
lots (see `curve`), and as much is bought as is sold.

Ties: of equal net prices the book with the lower index fills first; of plans that earn the same, the
one found first stays: coarse lots before fine ones, more legs before fewer.

Optimal where the legs in play have one lot, no more than SUBSETS of them, and the budget does not
bind. Otherwise near it: lots that divide one another (see `plan`) miss less than one coarse lot; the
budget stops the walk in the order of the marginal edge; of more legs, the worst are dropped first.
"""

from __future__ import annotations

from strategies.kernels.curve import SUBSETS, TIE, level, net_price, pays
from strategies.kernels.jit import inner, kernel
from strategies.kernels.layout import ASKS, BIDS, MAX_MEMBERS
from strategies.kernels.plan import FAR, best_net, solve


@kernel
def top_edge(members, books, keys, sizes, instruments):
    """Best net bid over best net ask of another book, as a fraction of that ask; -1 without a pair.

    O(members). Not above 0 means that `sweep` finds nothing.
    """
    bid = second_bid = 0.0
    ask = second_ask = float(FAR)
    bid_book = ask_book = -1
    for b in members:
        fee = instruments[b].fee
        price, size = level(books, keys, sizes, b, BIDS, 0)
        if size > 0:
            net = -net_price(price, BIDS, fee)
            if net > bid:
                bid, second_bid, bid_book = net, bid, b
            elif net > second_bid:
                second_bid = net
        price, size = level(books, keys, sizes, b, ASKS, 0)
        if size > 0:
            net = net_price(price, ASKS, fee)
            if net < ask:
                ask, second_ask, ask_book = net, ask, b
            elif net < second_ask:
                second_ask = net
    if bid_book != ask_book or bid_book < 0:
        return bid / ask - 1.0 if bid_book >= 0 and ask_book >= 0 else -1.0
    with_other_bid = second_bid / ask - 1.0
    with_other_ask = bid / second_ask - 1.0 if second_ask < FAR else -1.0
    return max(with_other_bid, with_other_ask)


@inner
def _legs_in_play(scratch, n_members):
    """Legs whose best price pays against the best of the other side, asks first; how many.

    The others are disallowed: they never trade.
    """
    best_ask = best_net(scratch, n_members, ASKS)
    best_bid = best_net(scratch, n_members, BIDS)
    n = 0
    for side in (ASKS, BIDS):
        for m in range(n_members):
            if not scratch.allow[side, m]:
                continue
            top = scratch.top[side, m]
            if pays(top, best_bid) if side == ASKS else pays(best_ask, top):
                scratch.leg_sides[n] = side
                scratch.leg_members[n] = m
                n += 1
            else:
                scratch.allow[side, m] = 0
    return n


@inner
def _fixed_costs(scratch, n_members, instruments):
    """Fixed costs of the best plan's legs, quote currency."""
    cost = 0.0
    for side in (ASKS, BIDS):
        for m in range(n_members):
            if scratch.sizes[1, side, m] > 0:
                cost += instruments[scratch.members[m]].fixed_cost
    return cost


@inner
def _too_small(scratch, side, m, instruments, value):
    """Whether a leg of the best plan misses its minimum notional (by more than float64's rounding)."""
    least = instruments[scratch.members[m]].min_notional
    return scratch.costs[1, side, m] * value < least - least / TIE


@inner
def _broken(scratch, n_members, instruments, value):
    """Whether a leg of the best plan is too small, or a book both buys and sells.

    The latter takes a book that crosses itself after fees (a rebate): it would trade with itself.
    """
    for m in range(n_members):
        if scratch.sizes[1, ASKS, m] > 0 and scratch.sizes[1, BIDS, m] > 0:
            return True
        for side in (ASKS, BIDS):
            if scratch.sizes[1, side, m] > 0 and _too_small(scratch, side, m, instruments, value):
                return True
    return False


@inner
def _fixed_of(scratch, n_legs, mask, instruments):
    """Fixed costs of a subset: of its cheapest buy and sell leg, and of all; -1 where a side has none."""
    buy = sell = -1.0
    total = 0.0
    for j in range(n_legs):
        if mask >> j & 1:
            cost = instruments[scratch.members[scratch.leg_members[j]]].fixed_cost
            total += cost
            if scratch.leg_sides[j] == ASKS:
                buy = cost if buy < 0.0 else min(buy, cost)
            else:
                sell = cost if sell < 0.0 else min(sell, cost)
    if buy < 0.0 or sell < 0.0:
        return -1.0, -1.0
    return buy + sell, total


@inner
def _allow(scratch, n_legs, mask):
    """Let the legs of `mask` trade, and no others."""
    scratch.allow[:] = 0
    for j in range(n_legs):
        if mask >> j & 1:
            scratch.allow[scratch.leg_sides[j], scratch.leg_members[j]] = 1


@inner
def _best_subset(books, keys, sizes, instruments, scratch, n_members, n_legs, budget, value, min_net, prune):
    """The subset of at most SUBSETS legs in play whose plan holds and earns most; 0 if none earns.

    From all legs down. With `prune` a subset is solved only if it could be the best with all its legs
    used: it gains no more than any subset that holds it, and pays all their fixed costs. A plan that
    leaves a leg unused is found at the subset without it.
    """
    best = 0.0
    best_mask = 0
    full = (1 << n_legs) - 1
    for mask in range(full, 0, -1):
        bound = float(FAR) * FAR
        for j in range(n_legs):
            if not mask >> j & 1:
                bound = min(bound, scratch.bounds[mask | 1 << j])
        _, fixed = _fixed_of(scratch, n_legs, mask, instruments)
        if fixed < 0.0:
            scratch.bounds[mask] = 0.0
            continue
        if prune and bound - fixed <= max(best, min_net - min_net / TIE):
            scratch.bounds[mask] = bound
            continue
        _allow(scratch, n_legs, mask)
        gain, _, _ = solve(books, keys, sizes, instruments, scratch, n_members, budget)
        scratch.bounds[mask] = gain * value
        if not _broken(scratch, n_members, instruments, value):
            net = gain * value - _fixed_costs(scratch, n_members, instruments)
            if net > best:
                best = net
                best_mask = mask
    return best_mask


@inner
def _drop_worst(scratch, n_members, instruments, value):
    """Disallow the leg of the best plan that should go first; False where none should.

    A leg that is too small, or of a book that trades with itself, goes before one that only earns
    less than its fixed cost; among these the one with the least gain against the other side's
    average price.
    """
    size = cost = revenue = 0.0
    for m in range(n_members):
        fee = instruments[scratch.members[m]].fee
        size += scratch.sizes[1, ASKS, m]
        cost += scratch.costs[1, ASKS, m] * (1.0 + fee)
        revenue += scratch.costs[1, BIDS, m] * (1.0 - fee)
    worst_side = worst = -1
    worst_breaks = False
    worst_gain = 0.0
    for side in (ASKS, BIDS):
        for m in range(n_members):
            own = scratch.sizes[1, side, m]
            if own == 0:
                continue
            instrument = instruments[scratch.members[m]]
            if side == ASKS:
                gain = own * (revenue / size) - scratch.costs[1, ASKS, m] * (1.0 + instrument.fee)
            else:
                gain = scratch.costs[1, BIDS, m] * (1.0 - instrument.fee) - own * (cost / size)
            gain = gain * value - instrument.fixed_cost
            breaks = _too_small(scratch, side, m, instruments, value) or scratch.sizes[1, 1 - side, m] > 0
            if (breaks and not worst_breaks) or (breaks == worst_breaks and (worst < 0 or gain < worst_gain)):
                worst_side, worst, worst_breaks, worst_gain = side, m, breaks, gain
    if worst < 0 or (not worst_breaks and worst_gain >= 0.0):
        return False
    scratch.allow[worst_side, worst] = 0
    return True


@inner
def _plan(books, keys, sizes, instruments, scratch, n_members, budget, value, min_net):
    """Leave the plan to follow in row 1 of sizes, limits, costs; its net gain, 0 where there is none."""
    while True:
        n_legs = _legs_in_play(scratch, n_members)
        if n_legs == 0:
            return 0.0
        gain, prune, divide = solve(books, keys, sizes, instruments, scratch, n_members, budget)
        least, _ = _fixed_of(scratch, n_legs, -1, instruments)
        by_subsets = n_legs <= SUBSETS and not divide  # lots of 2 and 3: either alone may earn more
        if not by_subsets and (gain <= 0.0 or gain * value - least < min_net):
            return 0.0
        fixed = _fixed_costs(scratch, n_members, instruments)
        holds = not _broken(scratch, n_members, instruments, value)
        if holds and fixed <= least and not by_subsets:
            return gain * value - fixed
        if n_legs <= SUBSETS:
            best = _best_subset(
                books, keys, sizes, instruments, scratch, n_members, n_legs, budget, value, min_net, prune
            )
            if best == 0:
                return 0.0
            _allow(scratch, n_legs, best)
            gain, _, _ = solve(books, keys, sizes, instruments, scratch, n_members, budget)
            return gain * value - _fixed_costs(scratch, n_members, instruments)
        if not _drop_worst(scratch, n_members, instruments, value):
            return gain * value - fixed


@inner
def _prepare(members, books, keys, sizes, instruments, scratch):
    """Sort the members by book, so that their order means nothing, and read their best prices."""
    n = len(members)
    if n > MAX_MEMBERS:
        raise ValueError("a product has more books than MAX_MEMBERS")
    for i in range(n):
        at = i
        while at > 0 and scratch.members[at - 1] > members[i]:
            scratch.members[at] = scratch.members[at - 1]
            at -= 1
        scratch.members[at] = members[i]
    for m in range(n):
        b = scratch.members[m]
        for side in (BIDS, ASKS):
            price, size = level(books, keys, sizes, b, side, 0)
            scratch.allow[side, m] = 1 if size > 0 else 0
            scratch.top[side, m] = net_price(price, side, instruments[b].fee)
    return n


@kernel
def sweep(
    members, books, keys, sizes, instruments, price_unit, size_unit, max_notional, min_net, legs, scratch
):
    """Best joint trade over the books `members` of one product.

    members: int64 (m,), book indices, all of them usable, in any order. books, keys, sizes,
    instruments: as in `layout`, the fused view. price_unit, size_unit: 10^exponent of the product.
    max_notional: most to spend on the buy legs before fees; min_net: least net gain worth returning;
    both in quote currency. legs: LEG (MAX_LEGS,), filled: buy legs by book, then sell legs by book.

    Returns (n_legs, size, gross, net, notional): size in 10^size_exponent, gross = sold - bought,
    net = gross - fees - fixed costs, notional = bought before fees, in quote currency. All 0 where
    no plan earns more than 0 and at least `min_net`.
    """
    n_members = _prepare(members, books, keys, sizes, instruments, scratch)
    value = price_unit * size_unit
    net = _plan(books, keys, sizes, instruments, scratch, n_members, max_notional / value, value, min_net)
    if net <= 0.0 or net < min_net:
        return 0, 0, 0.0, 0.0, 0.0
    n_legs = 0
    size = 0
    bought = sold = 0.0
    for side in (ASKS, BIDS):
        for m in range(n_members):
            if scratch.sizes[1, side, m] == 0:
                continue
            leg = legs[n_legs]
            leg.book = scratch.members[m]
            leg.side = side
            leg.size = scratch.sizes[1, side, m]
            leg.limit_price = scratch.limits[1, side, m]
            leg.cost = scratch.costs[1, side, m]
            n_legs += 1
            if side == ASKS:
                size += leg.size
                bought += leg.cost
            else:
                sold += leg.cost
    return n_legs, size, (sold - bought) * value, net, bought * value
