"""The demonstration: a market, a worker and a view of both, with the ground truth at the end."""
