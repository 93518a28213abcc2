"""A packed training job: run and resumed where sgmn and its other requirements are missing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sgmn.errors import SgmnError
from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.training.config import TrainConfig
from sgmn.training.config_file import read_config
from sgmn.workflows.job_data import MediaLimits
from sgmn.workflows.job_minilm import dequantize, quantize
from sgmn.workflows.job_pack import needed_token_ids, pack_job
from sgmn.workflows.job_run import StepLimit, parse_minutes, run_job
from tests.command import RunCommand

TOOLS = Path(__file__).parents[2] / "tools"
# What the job does without; sgmn is in the pack.
ABSENT = ("av", "lancedb", "pyarrow", "rich", "typer", "pytorch_metric_learning", "jinja2")
CONFIG = """
[model]
source = "small"
parts = ["text_pooling", "guidance"]
canvases = [[64, 48], [48, 48]]

[data]
folders = ["{world}", "{world}"]
frames_per_clip = 2

[train]
steps = {steps}
batch_size = 3
ema_decay = 0.9
workers = 0
log_every_steps = 1
threads = 1
device = "cpu"

[loss]
mining = true
triplet = 0.0
"""


@pytest.fixture(autouse=True)
def _own_import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job puts its packages first, and no other test may find MiniLM there."""
    monkeypatch.setattr(sys, "path", sys.path.copy())


@pytest.fixture
def config(world: Path, tmp_path: Path) -> Path:
    return write_config(world, tmp_path / "run.toml")


def write_config(world: Path, path: Path, steps: int = 3) -> Path:
    path.write_text(CONFIG.format(world=world, steps=steps))
    return path


def pack(*configs: Path, side: int = 224) -> Path:
    output = configs[0].with_suffix(".zip")
    pack_job(configs, output, MediaLimits(side))
    return output


@pytest.fixture(scope="module")
def small_pack(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job whose images are small, for tests that only read it."""
    return pack(write_config(world, tmp_path_factory.mktemp("job") / "run.toml"), side=16)


def run_pack(path: Path, output: Path, minutes: str) -> str:
    """The output of `python JOB.zip OUT --minutes LIST` without an installed sgmn."""
    return run_alone(path, str(output), "--minutes", minutes)


def text_projection(source: Path | str) -> torch.Tensor:
    weights: dict[str, torch.Tensor] = checkpoint.load(source).network.state_dict()
    return weights["towers.text_projection.weight"]


def run_alone(path: Path, *arguments: str, source: Path | None = None) -> str:
    """The output of a Python file or archive, in a process that lacks the ABSENT packages.

    The process has an installed sgmn only if `source` is its folder.
    """
    code = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({ABSENT}))
sys.meta_path = [finder for finder in sys.meta_path if "sgmn" not in str(finder).lower()]
sys.path = [entry for entry in sys.path if not entry.rstrip("/").endswith("src")]
if {source is not None}:
    sys.path.insert(0, {str(source)!r})
sys.argv = {[str(path), *arguments]}
runpy.run_path({str(path)!r}, run_name="__main__")
assert "sgmn" in sys.modules and {str(source or path)!r} in sys.modules["sgmn"].__file__
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=path.parent
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_packed_run_trains_and_resumes(config: Path, tmp_path: Path) -> None:
    path = pack(config)
    assert path.stat().st_size < 24 * 2**20
    assert "finished at step 3 of 3 planned" in run_pack(path, tmp_path / "run", "10")
    small = tmp_path / "run" / "1" / "small"
    assert (small / "model.safetensors").stat().st_size < 16 * 2**20
    texts = ["red milk", "green apple"]
    trained = Embedder(checkpoint.load(small), "cpu").encode_texts(texts)
    expected = Embedder(checkpoint.load("small"), "cpu").encode_texts(texts)
    assert (trained.pooled @ expected.pooled.T).diag().min() > 0.9  # MiniLM, three steps on
    assert run_pack(path, tmp_path / "run", "10") == ""  # nothing is left to do
    shutil.rmtree(small)  # as if the process had been killed here
    assert "resuming at step 3" in run_pack(path, tmp_path / "run", "10")


@pytest.mark.slow
def test_stage_takes_as_many_steps_as_fit_in_its_minutes(world: Path, tmp_path: Path) -> None:
    path = pack(write_config(world, tmp_path / "run.toml", steps=300))
    assert "finished at step 1 of 300 planned" in run_pack(path, tmp_path / "run", "0.0001")
    assert (tmp_path / "run" / "1" / "small" / "model.safetensors").exists()


def test_step_limit_follows_the_recent_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five slow steps of 8 s, then steps of 2 s: the slow ones leave the measurement."""
    trainer: Any = SimpleNamespace(config=TrainConfig(steps=1000))
    limit, now_s = StepLimit(trainer, deadline_s=400.0), 0.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    planned, step = [], 0
    for step in range(1, 1000):
        now_s += 8.0 if step <= 5 else 2.0
        limit.update(step)
        planned.append(trainer.config.steps)
        if step >= trainer.config.steps:
            break
    assert planned[:9] == [1000] * 9 and planned[9] < 140
    assert step == 185 and now_s == 400.0


def test_each_stage_needs_its_minutes(small_pack: Path, tmp_path: Path) -> None:
    with pytest.raises(SgmnError, match="pass one number per stage; this job has 1"):
        run_job(small_pack, tmp_path / "run", (1, 2))


@pytest.mark.slow
def test_stopped_job_is_saved_and_resumed(small_pack: Path, tmp_path: Path) -> None:
    stop_event, lines = Event(), list[str]()
    stop_event.set()
    with pytest.raises(SgmnError, match="stopped at step 1; run the same command again"):
        run_job(small_pack, tmp_path / "run", (10,), lines.append, stop_event)
    run_job(small_pack, tmp_path / "run", (10,), lines.append)
    assert "resuming at step 1" in lines and "finished at step 3 of 3 planned" in lines[-1]


def test_minutes_are_a_list_of_numbers() -> None:
    assert parse_minutes("4,12.5") == (4.0, 12.5)
    with pytest.raises(SgmnError, match="pass one number per stage"):
        parse_minutes("4,soon")


@pytest.mark.slow
def test_stage_starts_from_the_result_of_the_previous_one(world: Path, tmp_path: Path) -> None:
    (tmp_path / "phrases.toml").write_text('openings = ["red milk"]')
    text = CONFIG.format(world=world, steps=2).replace("[data]", '[data]\nphrases = "phrases.toml"')
    (tmp_path / "run.toml").write_text(text)
    text_only = text.replace("frames_per_clip = 2", "frames_per_clip = 0").replace(
        "[train]", "[train]\nlr = 1e-9\ndrop_transcript_prob = 0.0"
    )
    (tmp_path / "more.toml").write_text(text_only)
    path = pack(tmp_path / "run.toml", tmp_path / "more.toml")
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("config-2.json"))["data"]["phrases"] == "phrases.toml"
        assert archive.read("phrases.toml") == (tmp_path / "phrases.toml").read_bytes()
    printed = run_pack(path, tmp_path / "run", "10,10")
    names = ("1/checkpoint", "2/checkpoint", "2/small")
    assert printed.count("finished at step 2 of 2 planned") == 2
    sources: list[Path | str] = [*(tmp_path / "run" / name for name in names), "small"]
    first, last, small, start = map(text_projection, sources)
    torch.testing.assert_close(first, last, atol=1e-6, rtol=0)
    torch.testing.assert_close(last, small, atol=1e-3, rtol=0)
    assert (first - start).abs().max() > 1e-4


def test_stages_with_other_data_are_refused(config: Path, world: Path, tmp_path: Path) -> None:
    text = config.read_text().replace(f', "{world}"]', "]")
    (tmp_path / "more.toml").write_text(text)
    with pytest.raises(SgmnError, match=r"more\.toml: uses other data than the first stage; use"):
        pack(config, tmp_path / "more.toml")


def test_quantized_weights_are_close() -> None:
    torch.manual_seed(0)
    tensors = {"a": torch.randn(8, 384), "b": torch.randn(8), "n": torch.arange(4)[None]}
    restored = dequantize(quantize(tensors))
    assert restored.keys() == tensors.keys()
    assert torch.equal(restored["b"], tensors["b"]) and torch.equal(restored["n"], tensors["n"])
    assert (restored["a"] - tensors["a"]).abs().max() < 0.02  # half a step of 4 / 127
    assert torch.nn.functional.cosine_similarity(restored["a"], tensors["a"]).min() > 0.999


def test_pack_contains_each_folder_once(small_pack: Path) -> None:
    with zipfile.ZipFile(small_pack) as archive:
        tables = json.loads(archive.read("config-1.json"))
        clips = [json.loads(line) for line in archive.read("data/0/clips.jsonl").splitlines()]
        names = archive.namelist()
    assert tables["data"]["folders"] == ["data/0", "data/0"]
    assert all(f"data/0/{path}" in names for clip in clips for path in clip["frames"])
    assert len(names) == len(set(names))
    assert "source/sgmn/workflows/job_run.py" in names


def test_tokens_of_transcripts_and_phrases_are_needed(config: Path, tmp_path: Path) -> None:
    (tmp_path / "phrases.toml").write_text('fillers = ["zucchini forever"]')
    config.write_text(config.read_text().replace("[data]", '[data]\nphrases = "phrases.toml"'))
    tokenizer = checkpoint.load("small").tokenizer
    ids = needed_token_ids(tokenizer, read_config(config))
    assert set(tokenizer("this red milk okay", truncation=False)["input_ids"]) <= ids
    assert set(tokenizer("zucchini forever", truncation=False)["input_ids"]) <= ids


def test_too_large_pack_is_refused_and_removed(
    run: RunCommand, config: Path, tmp_path: Path
) -> None:
    ended = run("pack", config, "-o", tmp_path / "job.zip", "--max-mib", "0.001")
    assert ended.status == 2 and "lower --max-side" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["run.toml"]


@pytest.mark.slow
def test_commands_pack_and_run_a_job(run: RunCommand, config: Path, tmp_path: Path) -> None:
    job = tmp_path / "job.zip"
    ended = run("pack", config, "-o", job, "--max-side", "16")
    assert ended.status == 0 and "MiB (datasets" in ended.out
    ended = run("run-job", job, tmp_path / "run", "--minutes", "10")
    assert ended.status == 0 and "finished at step 3 of 3 planned" in ended.out


@pytest.mark.slow
def test_batch_loading_measures_this_process_and_workers(small_pack: Path, tmp_path: Path) -> None:
    if not TOOLS.is_dir():
        pytest.skip("tools/ is not part of a source distribution")
    options = ("--workers", "0", "1", "--seconds", "0.05")
    arguments = (str(small_pack), str(tmp_path / "run"), *options)
    printed = run_alone(TOOLS / "batch_loading.py", *arguments, source=TOOLS.parent / "src")
    from_files, from_memory, *table = printed.splitlines()[1:]
    assert from_files.startswith("this process, images from files: ")
    assert "page faults" in from_memory
    without, one = (list(map(float, row.split())) for row in table[1:])
    assert without[0] == 0 and one[0] == 1
    # Times are rounded to milliseconds, and a worker may have a batch ready: 0.000 is possible.
    assert all(len(row) == 5 and min(row) >= 0 for row in (without, one))
