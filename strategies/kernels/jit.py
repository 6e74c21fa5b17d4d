"""The one policy under which kernels are compiled.

Cached on disk, without the GIL, never fastmath, never parallel. `_nrt=False` leaves out the reference
counting of arrays at every call of a helper: no kernel here makes or keeps an array, so there is nothing
to count, and the counting took three quarters of a step: 3.8 us an update of 20 levels, 1.0 without it.
"""

from __future__ import annotations

from typing import Any

from numba import njit

kernel: Any = njit(cache=True, nogil=True, _nrt=False)  # type: ignore[call-overload]  # its stubs lack _nrt
inner: Any = njit(  # type: ignore[call-overload]  # likewise
    cache=True, nogil=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True
)
"""For what only kernels call: without the wrapper that unpacks a State of 40 arrays for Python."""
