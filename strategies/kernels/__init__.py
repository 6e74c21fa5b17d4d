"""Arrays in, numbers out: numpy, numba and math alone."""
