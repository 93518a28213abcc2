"""Events as values: their JSON form, its documentation, and the segments that they describe."""

from __future__ import annotations

import json
import re
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgmn.errors import RecordError, SgmnError
from sgmn.live.events import SCHEMA, Event, from_json, segments_from_events, to_json
from sgmn.records import Segment


def test_segments_of_a_late_a_moved_and_a_retracted_change() -> None:
    """Ids need not follow the times, as the documentation says."""
    events = [
        Event(1, "started", 0.0, 1.0, "a", None, 0.9),
        Event(2, "changed", 20.0, 21.0, "c", "a", 0.5, (), None, None, 0.8, "c"),
        Event(3, "changed", 14.0, 23.0, "b", "a", 0.5, (), None, None, 0.7, "d"),
        Event(4, "corrected", 22.0, 23.0, "c", "b", 0.5, (), 2, None, 0.6, "e"),
        Event(5, "ended", 26.0, 27.0, None, "c", 0.5, (), None, None, 0.5, "f"),
        Event(6, "corrected", 26.0, 29.0, "c", "c", 0.5, (), 5, None, 0.5, "f"),
        Event(7, "ended", 40.0, 40.0, None, "c", 1.0, (), None, None, 0.4, "g"),
    ]
    assert segments_from_events(events) == (
        Segment(0, 14, "a", 0.7, "d"),
        Segment(14, 22, "b", 0.6, "e"),
        Segment(22, 40, "c", 0.4, "g"),
    )


product_ids = st.none() | st.text(min_size=1, max_size=4)
probabilities = st.floats(0, 1)
random_events = st.builds(
    Event,
    id=st.integers(10, 99),
    kind=st.sampled_from(["started", "changed", "ended"]),
    time_s=st.floats(0, 50),
    found_s=st.floats(50, 1e5),
    product_id=product_ids,
    before=product_ids,
    confidence=probabilities,
    alternatives=st.lists(st.tuples(product_ids, probabilities), max_size=3).map(tuple),
    wall_s=st.none() | st.floats(0, 2e9),
    before_confidence=st.none() | probabilities,
    before_runner_up=product_ids,
)


@given(random_events, st.none() | st.integers(1, 9))
@example(Event(11, "ended", 1.0, 2.0, None, "a", 1.0), None)
@settings(max_examples=50, deadline=None)
def test_json_keeps_all_fields_and_unknown_ones_are_ignored(
    event: Event, corrects: int | None
) -> None:
    if corrects is not None:
        event = from_json({**to_json(event), "kind": "corrected", "corrects": corrects})
        assert event.corrects == corrects
    content = json.loads(json.dumps(to_json(event), allow_nan=False))
    assert content["schema"] == "sgmn.event/1"
    assert from_json(content) == event
    alternatives = [{**row, "new": 1} for row in content["alternatives"]]
    assert from_json({**content, "alternatives": alternatives, "new": [1]}) == event


def test_fields_of_version_1_do_not_change() -> None:
    """Frozen: within /1 a field may be added here, none renamed or removed."""
    event = Event(4, "corrected", 1.5, 4.0, "a", None, 0.75, (("b", 0.2), (None, 0.05)), 3, 9.0)
    assert to_json(event) == {
        "schema": "sgmn.event/1",
        "id": 4,
        "kind": "corrected",
        "time_s": 1.5,
        "found_s": 4.0,
        "wall_s": 9.0,
        "product_id": "a",
        "before": None,
        "confidence": 0.75,
        "alternatives": [
            {"product_id": "b", "probability": 0.2},
            {"product_id": None, "probability": 0.05},
        ],
        "corrects": 3,
        "before_confidence": None,
        "before_runner_up": None,
    }


def test_documentation_lists_each_field_and_its_examples_are_valid_events() -> None:
    text = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)
    examples = [json.loads(part) for part in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    for content in examples:
        assert set(content) == set(documented) == set(to_json(from_json(content)))
    assert [from_json(content).is_retraction for content in examples] == [False, True]


VALID = to_json(Event(1, "started", 1.0, 2.0, "a", None, 0.5))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"schema": "sgmn.event/2"}, r"schema is 'sgmn\.event/2'; pass .* 'sgmn\.event/1'"),
        ({"schema": None}, "schema is None"),
        ({"id": 0}, "id is 0"),
        ({"id": "7"}, "id is '7'"),
        ({"kind": "begun"}, "kind is 'begun'"),
        ({"time_s": 2.5}, r"time_s is 2\.5"),
        ({"time_s": -1.0}, r"time_s is -1\.0"),
        ({"found_s": "2"}, "found_s is '2'"),
        ({"wall_s": inf}, "wall_s is inf"),
        ({"product_id": 7}, "product_id is 7"),
        ({"confidence": 1.5}, r"confidence is 1\.5"),
        ({"confidence": None}, "confidence is None"),
        ({"before_confidence": "x"}, "before_confidence is 'x'"),
        ({"alternatives": [{"product_id": "b"}]}, "'alternatives' is"),
        ({"alternatives": 3}, "'alternatives' is 3"),
        ({"alternatives": [{"product_id": "b", "probability": 2}]}, "alternatives is"),
        ({"corrects": 1}, "corrects is 1"),
        ({"kind": "corrected"}, "corrects is None"),
        ({"kind": "corrected", "corrects": 1}, "corrects is 1"),
    ],
)
def test_an_invalid_field_is_named(change: dict[str, Any], message: str) -> None:
    assert from_json(VALID).product_id == "a"
    with pytest.raises(SgmnError, match=message):
        from_json({**VALID, **change})


@pytest.mark.parametrize("name", ["schema", "id", "kind", "time_s", "found_s", "product_id"])
def test_a_missing_field_is_named(name: str) -> None:
    with pytest.raises(SgmnError, match=name):
        from_json({key: value for key, value in VALID.items() if key != name})
    with pytest.raises(SgmnError, match=SCHEMA):
        from_json([])  # type: ignore[arg-type]


def test_an_event_validates_itself() -> None:
    with pytest.raises(RecordError, match="event 1: confidence is 2"):
        Event(1, "started", 0.0, 1.0, "a", None, 2)
