"""How the C library keeps memory, for programs whose arrays are large and short-lived."""

from __future__ import annotations

import ctypes
import sys

# Of mallopt(3), glibc.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_MOST = 2**31 - 1
_STEP = 64 << 20  # bytes by which the heap grows
_ARENAS = 2


def retain_freed_memory() -> bool:
    """Have large blocks stay with the process when they are freed; False where that is unknown.

    By default glibc gives each back to the kernel and asks for it anew, page by page: with the
    activations of a picture tower that takes as much time as computing them (decision 008).
    Threads share two heaps: else each new one, such as those of a decoder that is opened anew,
    may keep its own peak. Once a process, before it computes; its resident memory stays near
    its peak from then on.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return False
    wanted = {_MMAP_MAX: 0, _TRIM_THRESHOLD: _MOST, _TOP_PAD: _STEP, _ARENA_MAX: _ARENAS}
    return all(mallopt(what, value) == 1 for what, value in wanted.items())
