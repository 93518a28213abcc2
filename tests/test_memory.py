"""Freed memory is retained for the next allocation."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from sgmn import memory

COUNT_PAGE_FAULTS = """
import resource, sys
from sgmn.memory import retain_freed_memory
is_retained = retain_freed_memory() if sys.argv[1] == "retained" else False
import numpy as np
np.ones(64 << 20, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(64 << 20, np.uint8)
print(int(is_retained), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux")
def test_a_freed_block_is_reused() -> None:
    """The kernel provides pages for the first block only."""
    is_retained, retained_faults = count_page_faults("retained")
    _, default_faults = count_page_faults("default")
    if not is_retained:
        pytest.skip("the C library is not glibc")
    assert retained_faults < 0.2 * default_faults
    assert default_faults > 20 * 10 or resource.getpagesize() > 4096


def count_page_faults(mode: str) -> tuple[int, int]:
    """Return whether memory is retained, and the page faults of 20 blocks after the first."""
    result = subprocess.run(
        [sys.executable, "-c", COUNT_PAGE_FAULTS, mode], check=True, capture_output=True, text=True
    )
    is_retained, page_faults = map(int, result.stdout.split())
    return is_retained, page_faults


def test_other_platforms_are_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.retain_freed_memory() is False
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert memory.retain_freed_memory() is False
