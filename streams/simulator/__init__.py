"""A market to try everything on: seeded, with a ground truth of what can be earned in it and what cannot."""

from streams.simulator.market import Chunk, Market, prepare
from streams.simulator.truth import Injection, Kind, read_truth, write_truth

__all__ = ["Market", "Chunk", "prepare", "Injection", "Kind", "read_truth", "write_truth"]
