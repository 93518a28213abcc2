"""Settings of a world."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sgmn.errors import SettingsError
from sgmn.synth.settings import WorldSettings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_size": (71, 128)}, "'frame_size' is (71, 128)"),
        ({"fps": 1}, "'fps' is 1"),
        ({"visible_fraction": (0.9, 0.2)}, "'visible_fraction' is (0.9, 0.2)"),
        ({"product_area": (0.0, 0.2)}, "'product_area' is (0.0, 0.2)"),
        ({"shops": 0}, "'shops' is 0"),
        ({"train_ratio": 0.9}, "add up to 1"),
        ({"naming_prob": 0.95}, "add up to at most 1"),
        ({"distractors": (0, 99)}, "'distractors' is (0, 99)"),
        ({"box_rate_hz": 0}, "'box_rate_hz' is 0"),
        ({"asr_error_level": 1.5}, "'asr_error_level' is 1.5"),
    ],
)
def test_impossible_settings_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        replace(WorldSettings(), **changes)
    assert message in str(error.value)


def test_every_split_has_a_shop_if_possible() -> None:
    assert sorted(WorldSettings(shops=3).splits) == ["test", "train", "val"]
    splits = WorldSettings(shops=10).splits
    assert [splits.count(name) for name in ("train", "val", "test")] == [6, 2, 2]
