"""The tool that sends generated requests: its parts, and what it finds in a wrong answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgmn.service.routes import catalogues
from tests.service.fuzzing.parts import SEQUENCES, Part, all_parts, run_part
from tests.service.fuzzing.shop import build_shop, read_document


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder to copy."""
    folder = tmp_path_factory.mktemp("fuzzing") / "shop"
    build_shop(folder)
    return folder


def test_every_operation_is_a_part_with_and_without_ids_that_exist(shop: Path) -> None:
    parts = all_parts(read_document(shop))
    names = [part.name for part in parts]
    assert len(set(names)) == len(names) > 80 and parts[-1] == Part(SEQUENCES)
    assert {"get_catalogue", "get_catalogue, existing ids"} <= set(names)


def test_a_part_passes_and_a_wrong_answer_fails_it(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = Part("get_catalogue", use_existing=True)
    result = run_part(part, shop, examples=2, seed=1)
    assert result.passed and result.requests > 2, result.output

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(catalogues, "find_catalogue", fail)
    result = run_part(part, shop, examples=2, seed=1)
    assert not result.passed and "ZeroDivisionError" in result.output
