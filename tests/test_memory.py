"""Large blocks that stay with the process."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from sgmn import memory

FAULTS = """
import resource, sys
from sgmn.memory import retain_freed_memory
kept = retain_freed_memory() if sys.argv[1] == "kept" else False
import numpy as np
np.ones(64 << 20, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(64 << 20, np.uint8)
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux")
def test_a_block_that_is_freed_is_there_for_the_next_one() -> None:
    """The kernel hands out pages for the first block only."""
    found = {
        how: [
            int(word)
            for word in subprocess.run(
                [sys.executable, "-c", FAULTS, how], check=True, capture_output=True, text=True
            ).stdout.split()
        ]
        for how in ("kept", "usual")
    }
    if not found["kept"][0]:
        pytest.skip("the C library is not glibc")
    page = resource.getpagesize()
    assert found["kept"][1] < 0.2 * found["usual"][1]
    assert found["usual"][1] > 20 * 10 or page > 4096


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.retain_freed_memory() is False
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert memory.retain_freed_memory() is False
