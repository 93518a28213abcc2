"""The page on security names tests that exist, and covers all ten risks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"


@pytest.mark.skipif(not PAGE.exists(), reason="documentation is not part of this distribution")
def test_each_risk_names_tests_that_exist() -> None:
    text = PAGE.read_text(encoding="utf-8")
    risks = re.findall(r"^\*\*API(\d+) .*?(?=^\*\*API|^## )", text, re.MULTILINE | re.DOTALL)
    assert risks == [str(number) for number in range(1, 11)]
    for risk in re.findall(r"^\*\*API\d+ .*?(?=^\*\*API|^## )", text, re.MULTILINE | re.DOTALL):
        paths = re.findall(r"`(tests/[\w/]+\.py)`", risk)
        assert paths, risk[:40]
        assert [path for path in paths if not (ROOT / path).is_file()] == []
