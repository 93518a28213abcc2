"""The job for a GPU machine: packed here, run and gone on with where little is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.training.config import TrainConfig

FOLDER = Path(__file__).parents[1] / "tools" / "gpu"
ABSENT = ("av", "lancedb", "pyarrow", "rich", "typer", "pytorch_metric_learning", "jinja2")
CONFIG = """
[model]
source = "small"
parts = ["emphasis", "guidance"]
canvases = [[64, 48], [48, 48]]

[data]
folders = ["{world}", "{world}"]
frames = 2

[train]
steps = {steps}
batch = 3
ema = 0.9
workers = 0
log_every = 1
threads = 1
device = "cpu"

[loss]
mining = true
triplet = 0.0
"""


@pytest.fixture(scope="module")
def packing() -> ModuleType:
    if not FOLDER.is_dir():
        pytest.skip("scripts/ is not part of a source distribution")
    sys.path.insert(0, str(FOLDER))
    try:
        return import_module("pack")
    finally:
        sys.path.remove(str(FOLDER))


def packed(packing: ModuleType, monkeypatch: pytest.MonkeyPatch, config: Path, *more: str) -> Path:
    """`more`: further configs, or options."""
    path = config.with_suffix(".zip")
    options = [word for word in more if not word.endswith(".toml")]
    stages = [word for word in more if word.endswith(".toml")]
    monkeypatch.setattr(sys, "argv", ["pack.py", str(config), *stages, str(path), *options])
    packing.main()
    return path


@pytest.fixture(scope="module")
def training(packing: ModuleType) -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    try:
        return import_module("train")
    finally:
        sys.path.remove(str(FOLDER))


def run(pack: Path, out: Path, *minutes: str) -> str:
    """What `train.py` says."""
    return script("train.py", str(pack), str(out), "--minutes", *minutes)


def script(name: str, *words: str) -> str:
    """What a script says in a process that cannot import what a GPU machine does not have."""
    blocked = f"import sys, runpy; sys.modules.update(dict.fromkeys({ABSENT}))"
    start = f"sys.path.insert(0, {str(FOLDER)!r}); sys.argv[1:] = {list(words)}"
    code = f"{blocked}; {start}; runpy.run_path({str(FOLDER / name)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_packed_run_trains_goes_on_and_comes_home(
    packing: ModuleType, monkeypatch: pytest.MonkeyPatch, world: Path, tmp_path: Path
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(CONFIG.format(world=world, steps=3))
    pack = packed(packing, monkeypatch, config)
    assert pack.stat().st_size < 24 * 2**20
    assert "finished at step 3, 3 were planned" in run(pack, tmp_path / "run", "10")
    small = tmp_path / "run" / "1" / "small"
    assert (small / "model.safetensors").stat().st_size < 16 * 2**20
    found = Embedder(checkpoint.load(small), "cpu").words(["red milk", "green apple"])
    expected = Embedder(checkpoint.load("small"), "cpu").words(["red milk", "green apple"])
    assert (found.said @ expected.said.T).diag().min() > 0.9  # MiniLM, three steps on
    assert run(pack, tmp_path / "run", "10") == ""  # all is done
    shutil.rmtree(small)  # as if it had been killed here
    assert "going on from step 3" in run(pack, tmp_path / "run", "10")


def test_a_stage_does_what_fits_in_its_minutes(
    packing: ModuleType, monkeypatch: pytest.MonkeyPatch, world: Path, tmp_path: Path
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(CONFIG.format(world=world, steps=300))
    said = run(packed(packing, monkeypatch, config), tmp_path / "run", "0.0001")
    assert "finished at step 1, 300 were planned" in said
    assert (tmp_path / "run" / "1" / "small" / "model.safetensors").exists()


def test_the_pace_leaves_as_many_steps_as_there_is_time_for(
    training: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five slow steps of 8 s, then steps of 2 s: the slow ones are soon forgotten."""
    trainer = SimpleNamespace(config=TrainConfig(steps=1000))
    pace, now = training.Pace(trainer, ends=400.0), 0.0
    monkeypatch.setattr(training.time, "monotonic", lambda: now)
    planned = []
    for step in range(1, 1000):
        now += 8.0 if step <= 5 else 2.0
        pace.keep(step)
        planned.append(trainer.config.steps)
        if step >= trainer.config.steps:
            break
    assert planned[:9] == [1000] * 9 and planned[9] < 140
    assert step == 185 and now == 400.0


def test_each_stage_needs_its_minutes(
    packing: ModuleType,
    training: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    world: Path,
    tmp_path: Path,
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(CONFIG.format(world=world, steps=3))
    pack = packed(packing, monkeypatch, config, "--side", "16")
    words = ["train.py", str(pack), str(tmp_path / "run"), "--minutes", "1", "2"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match="give one number for each of 1 stages"):
        training.main()


def test_a_stage_starts_from_what_the_one_before_it_made(
    packing: ModuleType, monkeypatch: pytest.MonkeyPatch, world: Path, tmp_path: Path
) -> None:
    """And all are done in one go."""
    (tmp_path / "phrases.toml").write_text('openings = ["red milk"]')
    text = CONFIG.format(world=world, steps=2).replace("[data]", '[data]\nphrases = "phrases.toml"')
    (tmp_path / "run.toml").write_text(text)
    still = text.replace("frames = 2", "frames = 0").replace(
        "[train]", "[train]\nlr = 1e-9\ndrop_transcript = 0.0"
    )
    (tmp_path / "more.toml").write_text(still)
    more = str(tmp_path / "more.toml")
    pack = packed(packing, monkeypatch, tmp_path / "run.toml", more)
    with zipfile.ZipFile(pack) as held:
        assert json.loads(held.read("config-2.json"))["data"]["phrases"] == "phrases.toml"
        assert held.read("phrases.toml") == (tmp_path / "phrases.toml").read_bytes()
    said = run(pack, tmp_path / "run", "10", "10")
    assert said.count("finished at step 2, 2 were planned") == 2
    first, last, small = (
        checkpoint.load(tmp_path / "run" / name).network.towers.text_projection.weight
        for name in ("1/checkpoint", "2/checkpoint", "2/small")
    )
    begun = checkpoint.load("small").network.towers.text_projection.weight
    torch.testing.assert_close(first, last, atol=1e-6, rtol=0)
    torch.testing.assert_close(last, small, atol=1e-3, rtol=0)
    assert (first - begun).abs().max() > 1e-4


def test_stages_of_other_data_are_refused(
    packing: ModuleType, monkeypatch: pytest.MonkeyPatch, world: Path, tmp_path: Path
) -> None:
    (tmp_path / "run.toml").write_text(CONFIG.format(world=world, steps=3))
    text = CONFIG.format(world=world, steps=3).replace(f', "{world}"]', "]")
    (tmp_path / "more.toml").write_text(text)
    with pytest.raises(
        SystemExit, match=r"more\.toml: give it the folders, sayings and phrases of"
    ):
        packed(packing, monkeypatch, tmp_path / "run.toml", str(tmp_path / "more.toml"))


def test_minilm_in_bytes_says_the_same(packing: ModuleType, training: ModuleType) -> None:
    torch.manual_seed(0)
    stored = {"a": torch.randn(8, 384), "b": torch.randn(8), "n": torch.arange(4)[None]}
    again = training.whole(packing.in_bytes(stored))
    assert again.keys() == stored.keys()
    assert torch.equal(again["b"], stored["b"]) and torch.equal(again["n"], stored["n"])
    assert (again["a"] - stored["a"]).abs().max() < 0.02  # half a step of 4 / 127
    assert torch.nn.functional.cosine_similarity(again["a"], stored["a"]).min() > 0.999


def test_the_pack_holds_each_folder_once_and_the_words_it_needs(
    packing: ModuleType, monkeypatch: pytest.MonkeyPatch, world: Path, tmp_path: Path
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(CONFIG.format(world=world, steps=3))
    with zipfile.ZipFile(packed(packing, monkeypatch, config, "--side", "16")) as pack:
        tables = json.loads(pack.read("config-1.json"))
        clips = [json.loads(line) for line in pack.read("data/0/clips.jsonl").splitlines()]
        names = pack.namelist()
    assert tables["data"]["folders"] == ["data/0", "data/0"]
    assert all(f"data/0/{path}" in names for clip in clips for path in clip["frames"])
    assert len(names) == len(set(names))
    (tmp_path / "phrases.toml").write_text('fillings = ["zucchini forever"]')
    config.write_text(config.read_text().replace("[data]", '[data]\nphrases = "phrases.toml"'))
    model = checkpoint.load("small")
    used = packing.pieces(model.tokenizer, packing.configs.read(config))
    assert set(model.tokenizer("this red milk okay", truncation=False)["input_ids"]) <= used
    assert set(model.tokenizer("zucchini forever", truncation=False)["input_ids"]) <= used


def test_a_pack_that_is_too_large_is_refused(
    packing: ModuleType, monkeypatch: pytest.MonkeyPatch, world: Path, tmp_path: Path
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(CONFIG.format(world=world, steps=3))
    with pytest.raises(SystemExit, match="lower --side"):
        packed(packing, monkeypatch, config, "--most", "1000")
    assert [path.name for path in tmp_path.iterdir()] == ["run.toml"]  # nothing half-made stays


def test_what_batches_cost_is_told_for_this_process_and_for_loaders(
    packing: ModuleType, monkeypatch: pytest.MonkeyPatch, world: Path, tmp_path: Path
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(CONFIG.format(world=world, steps=3))
    pack = packed(packing, monkeypatch, config)
    few = ("--loaders", "0", "1", "--seconds", "0.05")
    here, again, *rows = script("loading.py", str(pack), str(tmp_path / "run"), *few).splitlines()[
        1:
    ]
    assert here.startswith("here, pictures from files: ") and "page faults" in again
    none, one = (list(map(float, row.split())) for row in rows[1:])
    assert none[0] == 0 and one[0] == 1
    assert all(some[2] > 0 and some[3] <= some[2] for some in (none, one))
