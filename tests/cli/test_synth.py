"""`sgmn synth`: generated datasets and previews."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import RunCommand


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "world.toml"
    path.write_text(
        "[world]\nframe_size = [72, 128]\nfps = 4\nclip_duration_s = [8, 9]\n"
        "image_size_px = 64\nstreams = 0\n"
    )
    return path


def test_a_generated_world_passes_the_check(run: RunCommand, config: Path, tmp_path: Path) -> None:
    world = tmp_path / "world"
    options = ("--shops", 1, "--products-per-shop", 8, "--clips", 1, "--seed", 3)
    arguments = ("synth", world, "--config", config, *options, "--split-ratios", "0,0,1")
    result = run(*arguments)
    assert result.status == 0 and "1 clips" in result.out, result.err
    checked = run("check", world / "test")
    assert "0 errors" in checked.out and "8 products in 1 shop, 1 clip " in checked.out
    assert run(*arguments).status == 0  # continues, with nothing left to do


def test_a_preview_is_an_image(run: RunCommand, config: Path, tmp_path: Path) -> None:
    output = tmp_path / "preview.png"
    result = run("synth", output, "--preview", "--config", config, "--products-per-shop", 8)
    assert result.status == 0 and str(output) in result.out, result.err
    assert output.read_bytes().startswith(b"\x89PNG")


def test_packaged_worlds_are_listed_and_found_by_name(run: RunCommand, tmp_path: Path) -> None:
    listed = run("synth", "--list")
    assert listed.status == 0
    names = [line.split()[0] for line in listed.out.splitlines()]
    assert "demo" in names and "own-pairs" not in names
    # "demo" has shops only in the split "test"
    result = run("synth", tmp_path / "world", "--config", "demo", "--only-split", "val")
    assert result.status == 2 and "test" in result.err
