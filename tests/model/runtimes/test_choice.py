"""The fastest runtime is chosen by a measurement, and the choice is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sgmn.model.embedder import Embedder
from sgmn.model.runtimes import choice, engines
from sgmn.model.runtimes.towers import ExportedTowers


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_each_runtime_is_measured(tiny: Callable[[], Any]) -> None:
    times_s = choice.measure_runtimes(tiny(), ["openvino", "onnx"], rounds=2)
    assert times_s.keys() == {"torch", "openvino", "onnx"}
    assert min(times_s.values()) > 0


def test_the_choice_is_made_once(tiny: Callable[[], Any]) -> None:
    model = tiny()
    chosen = choice.choose_runtime(model)
    [(key, stored)] = json.loads(choice.choices_path().read_text()).items()
    assert stored == chosen and model.fingerprint() in key and "1 threads" in key
    other = "torch" if chosen != "torch" else "onnx"
    choice.choices_path().write_text(json.dumps({key: other}))
    assert choice.choose_runtime(model) == other  # not measured again
    engines = ["openvino", "openvino-bf16", "onnx"]
    assert choice.describe_machine(model, engines) == key
    torch.set_num_threads(2)
    assert choice.describe_machine(model, engines) != key


def test_a_damaged_file_of_choices_is_replaced(tiny: Callable[[], Any]) -> None:
    choice.choices_path().parent.mkdir(parents=True)
    choice.choices_path().write_text("{")
    chosen = choice.choose_runtime(tiny())
    assert list(json.loads(choice.choices_path().read_text()).values()) == [chosen]


def test_the_embedder_uses_the_choice(tiny: Callable[[], Any]) -> None:
    model = tiny()
    key = choice.describe_machine(model, ["openvino", "openvino-bf16", "onnx"])
    choice.choices_path().parent.mkdir(parents=True)
    choice.choices_path().write_text(json.dumps({key: "onnx"}))
    assert isinstance(Embedder(model, "cpu", runtime="auto").towers, ExportedTowers)
    choice.choices_path().write_text(json.dumps({key: "torch"}))
    assert Embedder(model, "cpu", runtime="auto").towers is model.network.towers


def test_nothing_is_measured_without_another_runtime(
    tiny: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = dict.fromkeys(engines.PACKAGES, ("a_missing_package",))
    monkeypatch.setattr(engines, "PACKAGES", missing)
    assert choice.choose_runtime(tiny()) == "torch"
    assert not choice.choices_path().exists()
