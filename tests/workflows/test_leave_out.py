"""Parts and terms left out of a trained model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sgmn.data.dataset import read_dataset
from sgmn.model import checkpoint
from sgmn.workflows.leave_out import COMPLETE, UNGUIDED, leave_out, variants, without
from tests.command import RunCommand
from tests.model.part_cases import enable_all_parts
from tests.world import make_stream


@pytest.fixture
def model(tiny: Callable[[], Any]) -> Any:
    """A tiny model with two parts, a match term and a floor of the text score."""
    tiny_model = tiny()
    config = tiny_model.network.config
    parts = replace(config.parts, enabled=("text_pooling", "guidance"))
    network = tiny_model.network.with_parts(parts, config.terms)
    network.config = replace(network.config, text_score_floor=0.4)
    with torch.no_grad():
        network.head.match.fill_(0.7)
    return replace(tiny_model, network=network)


def test_each_part_and_term_of_a_model_is_left_out(
    run: RunCommand, model: Any, world: Path, tmp_path: Path
) -> None:
    checkpoint.save(model, tmp_path / "model")
    ended = run("leave-out", tmp_path / "model", world)
    assert ended.status == 0, ended.err
    rows = [line.split("|")[1].strip() for line in ended.out.splitlines()[2:] if line]
    parts = [f"without {part}" for part in model.network.config.parts.enabled]
    terms = ["without the term match", "without the term text", "without the text score floor"]
    assert rows == [COMPLETE, "towers alone", *parts, *terms]


def test_a_dataset_without_labeled_clips_is_named(run: RunCommand, tmp_path: Path) -> None:
    make_stream(tmp_path)
    ended = run("leave-out", "small", tmp_path)
    assert ended.status == 2
    assert ended.err.endswith(
        "has no labeled clip; pass a dataset with clips that have product_ids\n"
    )


def test_glances_that_guidance_has_directed_are_named(tiny: Callable[[], Any]) -> None:
    network = enable_all_parts(tiny()).network
    names = [name for name, _ in variants(network)]
    assert "without guidance (the glances stay)" in names and "without graph" in names
    assert "without guidance" not in names
    assert "without graph and instances and matching together" in names
    fewer = dict(variants(without(network, ["instances"], ["instances"])))
    config = fewer["without graph and matching together"].config
    assert "graph" not in config.parts.enabled and "match" not in config.terms


def test_without_guidance_glances_are_taken_anew(tiny: Callable[[], Any], world: Path) -> None:
    data = read_dataset(world)
    model = enable_all_parts(tiny())
    seen: list[int] = []
    result = leave_out(
        model, data.clips, data.products, progress=lambda done, total: seen.append(done)
    )
    assert len(result.ranks[UNGUIDED]) == len(result.ranks[COMPLETE])
    assert seen.count(1) == 2  # encoded with the guidance of the complete model, then without


def test_variants_lack_exactly_what_their_name_says(model: Any, tmp_path: Path) -> None:
    checkpoint.save(model, tmp_path / "model")
    networks = dict(variants(checkpoint.load(tmp_path / "model").network))
    parts = {*model.network.config.parts.enabled}
    for part in parts:
        assert {*networks[f"without {part}"].config.parts.enabled} == parts - {part}
    floors = {name: float(variant.head.text_score_floor) for name, variant in networks.items()}
    assert floors.pop("without the text score floor") == -1.0
    assert list(floors.values()) == pytest.approx([0.4] * len(floors))
    bare = without(model.network, terms=model.network.config.terms).head()
    assert float(bare.match) == float(bare.text) == 0.0
