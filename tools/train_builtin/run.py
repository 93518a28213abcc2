"""Make the built-in weights from seeds: data, stages of training, the text score.

    python tools/train_builtin/run.py --budget cpu          # on two cores
    python tools/train_builtin/run.py --budget gpu          # on one GPU
    python tools/train_builtin/run.py --budget cpu --ship   # and put them into the package

Steps that are done are skipped, and interrupted ones are resumed: run the same command again.
After a change of a config, remove what it made. Everything is written to build/ and runs/;
runs/spent.jsonl records how long each command took. With `--budget gpu` on a machine without a
GPU, the job is packed and the command for a machine with one is printed; copy its
runs/builtin-gpu/4/small back to the same place and run the same command again. The shipped weights
come from `--budget cpu`, see docs/model-card.md.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch

ROOT = Path(__file__).parents[2]
TIME_LOG = ROOT / "runs" / "spent.jsonl"
HERE = "tools/train_builtin"
CONFIGS = f"{HERE}/configs"
# Name in build/ -> config. The last three are shops that only stages 8 and 9 learn.
WORLDS = {
    "world": "world",
    "world-more": "world-more",
    "fresh": "world-fresh",
    "products": "world-products",
    "products-more": "world-products-more",
}
STAGES = ("1-images", "2-clips", "3-hard", "4-text")
CPU_STAGES = (*STAGES, "5-crops", "6-grounding", "7-glance", "8-products", "9-twins", "10-fine")
# Stages before which a script changes the architecture, and the folder with the changed model.
CHANGES = {
    "9-twins": ("add_detail.py", "detailed"),
    "10-fine": ("add_fine_patches.py", "fine"),
}
# Stages whose result is averaged with the model that they started from, by the share of the result.
SHARES = {"8-products": "0.4", "9-twins": "0.4"}
PHOTOS, SPLIT = "../shared/data/grocery-live", "build/photos"
CPU_RUN, GPU_RUN = "runs/builtin", "runs/builtin-gpu"
PACK = "build/gpu.zip"
PACK_OPTIONS = ("--max-side", "256", "--quality", "50", "--images", "2", "--max-mib", "64")
STAGE_MINUTES = "4,12,6,2"  # on a GPU
# Large blocks stay with the process (glibc): a quarter of the time, see docs/decisions/008.
MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "20000000000"}
PROCESSES = 2  # of one thread each: faster than one of two, see docs/decisions/007


class Score(NamedTuple):
    """Arguments of `set_score.py`, fitted on held-out clips; see decisions 014 to 032."""

    text_ratio: str
    floor: str
    temperature: str
    weights: tuple[str, ...] = ()
    late_floor: str = "-1"
    fine_side: str = ""


SCORES = {
    "1-images": Score("0.19", "0.6", "1"),
    "4-text": Score("0.5", "0.65", "0.6"),
    "7-glance": Score("0.4", "0.65", "1"),
    "8-products": Score(
        "0.6575", "0.625", "1", ("match=1", "instances=0.5", "glance=0.9", "late=0.25")
    ),
    "9-twins": Score(
        "0.8036", "0.64", "1", ("match=1", "instances=0.3", "glance=0.9", "late=0.16")
    ),
    "10-fine": Score(
        "0.5745", "0.64", "1", ("match=1", "instances=0", "glance=0.9", "late=1.8"), "0.6", "320"
    ),
}
FINAL_STAGES = (STAGES[-1], CPU_STAGES[-1])  # their models have the settings of the timeline


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budget", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--ship", action="store_true", help="replace the package's weights")
    options = parser.parse_args()
    prepare_data()
    model = train_on_cpu() if options.budget == "cpu" else train_on_gpu()
    print(f"{model}: {read_spent_seconds() / 60:.0f} minutes in total")
    if options.ship:
        call(sys.executable, "tools/ship_builtin.py", model)


def prepare_data() -> None:
    """Generate the shops and split the photos."""
    for world, config in WORLDS.items():
        only = ("--only-split", "train", "--config", f"{CONFIGS}/{config}.toml")
        call_sgmn("synth", f"build/{world}", *only, "--processes", "2")
    if not (ROOT / SPLIT / "train" / "photos.jsonl").exists():
        call(sys.executable, f"{HERE}/split.py", PHOTOS, SPLIT)


def train_on_cpu() -> str:
    """Train all stages, each from the previous one; returns the folder of the last weights."""
    result = ""
    for stage in CPU_STAGES:
        if stage in CHANGES:
            script = f"{HERE}/{CHANGES[stage][0]}"
            call(sys.executable, script, result, "-o", start_of(stage))
        train(stage)
        folder = f"{CPU_RUN}/{stage}"
        trained = f"{folder}/checkpoint"
        if stage in SHARES:
            trained = average(stage, trained, f"{folder}/averaged")
        if stage in SCORES:
            set_score(trained, f"{folder}/calibrated", stage)
        result = f"{folder}/{'calibrated' if stage in SCORES else 'checkpoint'}"
    return result


def start_of(stage: str) -> str:
    """The folder of the model that a stage after the first starts from."""
    before = CPU_STAGES[CPU_STAGES.index(stage) - 1]
    kind = "calibrated" if before in SCORES else "checkpoint"
    return f"{CPU_RUN}/{before}/{CHANGES[stage][1] if stage in CHANGES else kind}"


def train_on_gpu() -> str:
    """Train all stages on a GPU, here or elsewhere; returns the folder of the last weights."""
    small = f"{GPU_RUN}/{len(STAGES)}/small"
    if not (ROOT / PACK).exists():
        configs = [f"{CONFIGS}/gpu/{stage}.toml" for stage in STAGES]
        call_sgmn("pack", *configs, "-o", PACK, *PACK_OPTIONS)
    command = (PACK, GPU_RUN, "--minutes", STAGE_MINUTES)
    if not (ROOT / small).exists():
        if not torch.cuda.is_available():
            memory = " ".join(f"{name}={value}" for name, value in MEMORY.items())
            # One thread, so that 15 workers start at once.
            print(f"there is no GPU here; on a machine with one, run in the folder of {PACK}:")
            print(f"OMP_NUM_THREADS=1 {memory} python {Path(PACK).name} {' '.join(command[1:])}")
            raise SystemExit(f"then copy {small} back and run the same command again")
        call(sys.executable, *command, OMP_NUM_THREADS="1", **MEMORY)
    set_score(small, f"{GPU_RUN}/calibrated", STAGES[-1])
    return f"{GPU_RUN}/calibrated"


def average(stage: str, trained: str, output: str) -> str:
    """Average the result of a stage with the model that it started from; returns `output`."""
    models = (start_of(stage), trained)
    call(sys.executable, f"{HERE}/average.py", *models, "--share", SHARES[stage], "-o", output)
    return output


def set_score(trained: str, output: str, stage: str) -> None:
    """Write the score of a stage, and the timeline of the last ones, into a trained model."""
    score = SCORES[stage]
    options = ["--text-ratio", score.text_ratio, "--floor", score.floor]
    options += ["--temperature", score.temperature, "--late-floor", score.late_floor]
    options += [option for weight in score.weights for option in ("--weight", weight)]
    options += ["--fine-side", score.fine_side] if score.fine_side else []
    options += ["--timeline", f"{HERE}/timeline.toml"] if stage in FINAL_STAGES else []
    call(sys.executable, f"{HERE}/set_score.py", trained, "-o", output, *options)


def train(stage: str) -> None:
    """Train a stage, or the rest of it."""
    folder = ROOT / CPU_RUN / stage
    has_state = (folder / "state.json").exists()
    if has_state and is_finished(folder):
        print(f"{stage}: already done")
        return
    command = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={PROCESSES}"]
    command += ["-m", "sgmn.cli", "train", f"{CONFIGS}/{stage}.toml", "-o", str(folder)]
    command += ["--resume"] if has_state else []
    call(sys.executable, *command, OMP_NUM_THREADS="1", **MEMORY)


def is_finished(folder: Path) -> bool:
    """Whether a run has done all its steps."""
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    last = json.loads(lines[-1])
    return bool(last["step"] >= last["steps"])


def call_sgmn(*arguments: str) -> None:
    call(sys.executable, "-m", "sgmn.cli", *arguments)


def call(*command: str, **environment: str) -> None:
    """Run a command in the repository and record its time; exit if it fails.

    A signal that ends this process is passed on to the command first, which may want to write a
    checkpoint.
    """
    print("$", " ".join(command), flush=True)
    start_s = time.monotonic()
    child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment})
    signal.signal(signal.SIGTERM, lambda number, frame: child.send_signal(number))
    signal.signal(signal.SIGINT, lambda number, frame: None)  # a terminal signals both
    status = child.wait()
    TIME_LOG.parent.mkdir(exist_ok=True)
    with TIME_LOG.open("a", encoding="utf-8") as file:
        row = {"seconds": round(time.monotonic() - start_s, 1), "command": " ".join(command[1:])}
        file.write(json.dumps(row) + "\n")
    if status:
        raise SystemExit(status)


def read_spent_seconds() -> float:
    """Seconds of all commands so far, including interrupted ones."""
    rows = TIME_LOG.read_text(encoding="utf-8").splitlines()
    return sum(float(json.loads(row)["seconds"]) for row in rows)


if __name__ == "__main__":
    main()
