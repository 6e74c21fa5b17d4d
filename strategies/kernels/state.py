"""All arrays of one partition's engine, handed to kernels as one tuple."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from strategies.kernels.curve import Scratch

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Records = npt.NDArray[Any]  # a structured dtype of kernels.layout


class State(NamedTuple):
    """b counts books, p products, g groups, v venues; dtypes in `kernels.layout`."""

    # configuration
    instruments: Records  # INSTRUMENT[b]
    products: Records  # PRODUCT[p]
    members: Ints  # books of all products, product after product
    # what lives
    channels: Records  # CHANNEL[b, 2]
    books: Records  # BOOK[b]
    keys: Ints  # [b, 2, capacity]
    sizes: Ints  # [b, 2, capacity]
    joins: Records  # JOIN[b]
    recent: Records  # TOP[b, RECENT]: the last quotes, a ring
    awaiting: Records  # TOP[b, RECENT]: depth updates that await a later quote, a ring
    tops: Floats  # [b, 2]: best bid less fee, best ask plus fee, as floats of integers
    episodes: Records  # EPISODE[p]
    legs: Records  # LEG[p, MAX_LEGS]: as last published
    groups: Records  # GROUP[g]
    venues_halted: Ints  # [v]
    clock: Records  # CLOCK[1]
    refused_time: Ints  # [p, reasons]: stream time of the last event, NONE before the first
    refused_count: Ints  # [p, reasons]: held back since
    # scratch of one step, no state
    usable: Ints  # [MAX_MEMBERS]
    found: Records  # LEG[MAX_LEGS]
    scratch: Scratch
    # outputs of one step
    events: Records  # EVENT[n]
    event_legs: Records  # LEG[n, MAX_LEGS]
