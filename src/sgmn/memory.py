"""Memory settings of the C library, for programs with large, short-lived arrays."""

from __future__ import annotations

import ctypes
import sys

# Parameters of mallopt(3), glibc.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8
_MAX_INT = 2**31 - 1
_HEAP_GROWTH_BYTES = 64 << 20
_ARENAS = 2


def retain_freed_memory() -> bool:
    """Configure glibc to keep freed memory for the next allocation; returns False elsewhere.

    By default, glibc returns each large block to the kernel and requests it again page by page.
    For the activations of an image tower, that takes as long as the computation (decision 008).
    Threads share two heaps, because otherwise each new thread, such as those of a decoder, may
    retain its own peak. Call it once per process, before computing. Resident memory then stays
    near its peak.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    options = {
        _M_MMAP_MAX: 0,
        _M_TRIM_THRESHOLD: _MAX_INT,
        _M_TOP_PAD: _HEAP_GROWTH_BYTES,
        _M_ARENA_MAX: _ARENAS,
    }
    return all(mallopt(option, value) == 1 for option, value in options.items())
