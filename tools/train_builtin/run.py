"""Built-in weights from a seed: data, training, the weight of words.

    python tools/train_builtin/run.py --budget cpu          # on two cores
    python tools/train_builtin/run.py --budget gpu          # on one GPU
    python tools/train_builtin/run.py --budget cpu --ship   # and put them into the package

Each step is left out where it is done, and goes on where it was killed; the same command again is
always right, as long as the configs are the same: after a change remove what it made there.
Everything lies under build/ and runs/; how long each command took, in runs/spent.jsonl. With
`--budget gpu` on a machine without a GPU the data are packed and the command for the machine that
has one is printed; bring what it writes into runs/builtin-gpu/4/small back to the same place, and
the same command goes on there. What ships came from `--budget cpu`, see docs/model-card.md.
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

import torch

ROOT = Path(__file__).parents[2]
SPENT = ROOT / "runs" / "spent.jsonl"
WORLDS = ("world", "world-more")
STAGES = ("1-images", "2-clips", "3-hard", "4-text")
CONFIGS = "tools/train_builtin/configs"
PACK, ON_GPU = "build/gpu.zip", "runs/builtin-gpu"
PACKING = ("--side", "256", "--quality", "50", "--views", "2")  # 60 MiB
MINUTES = ("4", "12", "6", "2")  # of each stage on a GPU
# Large blocks stay with the process (glibc): a quarter of the time, see docs/decisions/008.
KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "20000000000"}
PROCESSES = 2  # of one thread each: faster than one of two, see docs/decisions/007
# What words.py writes after a stage: the weight of words, times that of pictures, and their floor,
# from its table; the temperature, from tools/fit_timeline.py. Measured once, see decision 014.
WORDS = {"1-images": ("0.19", "0.6", "1"), "4-text": ("0.5", "0.65", "0.6")}
PHOTOS, SPLIT = "../shared/data/grocery-live", "build/photos"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budget", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--ship", action="store_true", help="replace the package's weights")
    options = parser.parse_args()
    for world in WORLDS:
        only = ("--only", "train", "--config", f"{CONFIGS}/{world}.toml")
        sgmn("synth", f"build/{world}", *only, "--processes", "2")
    if not (ROOT / SPLIT / "train" / "photos.jsonl").exists():
        call(sys.executable, "tools/train_builtin/split.py", PHOTOS, SPLIT)
    made = on_cpu() if options.budget == "cpu" else on_gpu()
    print(f"{made}: {spent() / 60:.0f} minutes were spent")
    if options.ship:
        call(sys.executable, "tools/ship_builtin.py", made)


def on_cpu() -> str:
    """All stages, one on top of the other; the folder of the last one's weights."""
    for stage in STAGES:
        train(stage)
        if stage in WORDS:
            weigh(
                f"runs/builtin/{stage}/checkpoint", f"runs/builtin/{stage}/weighed", *WORDS[stage]
            )
    return f"runs/builtin/{STAGES[-1]}/weighed"


def on_gpu() -> str:
    """All stages on a GPU, here or on another machine; the folder of the last one's weights."""
    configs = [f"{CONFIGS}/gpu/{stage}.toml" for stage in STAGES]
    small = f"{ON_GPU}/{len(MINUTES)}/small"
    if not (ROOT / PACK).exists():
        call(sys.executable, "tools/gpu/pack.py", *configs, PACK, *PACKING)
    command = ("tools/gpu/train.py", PACK, ON_GPU, "--minutes", *MINUTES)
    if not (ROOT / small).exists():
        if not torch.cuda.is_available():
            kept = " ".join(f"{name}={value}" for name, value in KEPT.items())
            path = f"PYTHONPATH=src OMP_NUM_THREADS=1 {kept}"  # so that 15 loaders start at once
            print(f"no GPU is here; on a machine that has one:  {path} python {' '.join(command)}")
            raise SystemExit(f"then bring {small} back and give the same command again")
        call(sys.executable, *command, OMP_NUM_THREADS="1", **KEPT)
    weigh(small, f"{ON_GPU}/weighed", *WORDS[STAGES[-1]])
    return f"{ON_GPU}/weighed"


def weigh(trained: str, out: str, ratio: str, floor: str, temperature: str) -> None:
    """Give the words of a trained model weight and floor, and its logits their temperature."""
    words = ("tools/train_builtin/words.py", trained, "--apply", ratio, "--floor", floor)
    call(sys.executable, *words, "--temperature", temperature, "-o", out)


def train(stage: str) -> None:
    """A stage, from its beginning or from where it was."""
    out = ROOT / "runs/builtin" / stage
    begun = (out / "state.json").exists()
    if begun and not left(out):
        print(f"{stage}: is done")
        return
    more = ["--resume"] if begun else []
    several = ["--standalone", f"--nproc-per-node={PROCESSES}"]
    command = ["-m", "sgmn.cli", "train", f"{CONFIGS}/{stage}.toml", "-o", str(out), *more]
    call(
        sys.executable,
        "-m",
        "torch.distributed.run",
        *several,
        *command,
        OMP_NUM_THREADS="1",
        **KEPT,
    )


def left(out: Path) -> bool:
    """Whether a run that has begun has steps to go."""
    lines = (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    last = json.loads(lines[-1])
    return bool(last["step"] < last["steps"])


def sgmn(*words: str) -> None:
    call(sys.executable, "-m", "sgmn.cli", *words)


def call(*words: str, **more: str) -> None:
    """Run a command in the repository; its failure ends this one.

    What ends this one ends the command first, which may want to write a checkpoint.
    """
    print("$", " ".join(words), flush=True)
    begun = time.monotonic()
    child = subprocess.Popen(words, cwd=ROOT, env={**os.environ, **more})
    signal.signal(signal.SIGTERM, lambda number, frame: child.send_signal(number))
    signal.signal(signal.SIGINT, lambda number, frame: None)  # a terminal tells both
    status = child.wait()
    SPENT.parent.mkdir(exist_ok=True)
    with SPENT.open("a", encoding="utf-8") as file:
        row = {"seconds": round(time.monotonic() - begun, 1), "command": " ".join(words[1:])}
        file.write(json.dumps(row) + "\n")
    if status:
        raise SystemExit(status)


def spent() -> float:
    """Seconds of all commands so far, of those too that were interrupted."""
    rows = SPENT.read_text(encoding="utf-8").splitlines()
    return sum(float(json.loads(row)["seconds"]) for row in rows)


if __name__ == "__main__":
    main()
