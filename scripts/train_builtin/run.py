"""The weights that ship, from a seed: data, four stages of training, the weight of words.

    python scripts/train_builtin/run.py                       # on two cores
    python scripts/train_builtin/run.py --ship                # and put them into the package

Each step is left out where it is done, and goes on where it was killed; the same command again is
always right. Everything lies under build/ and runs/.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORLDS = ("world", "world-more")
STAGES = ("builtin-pictures", "builtin", "builtin-streams", "builtin-last")
# Large blocks stay with the process (glibc): a quarter of the time, see docs/decisions/008.
KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "20000000000"}
PROCESSES = 2  # of one thread each: faster than one of two, see docs/decisions/007
# The weight of words, times that of pictures (words.py); the temperature (scripts/fit_timeline.py).
WORDS = {"builtin": ("0.5", "1"), "builtin-last": ("0.3", "0.4")}
PHOTOS = "../shared/data/grocery-live"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ship", action="store_true", help="replace the package's weights")
    options = parser.parse_args()
    for world in WORLDS:
        config = f"configs/{world}.toml"
        sgmn("synth", f"build/{world}", "--config", config, "--processes", "2")
    call(sys.executable, "scripts/train_builtin/split.py", PHOTOS, "build/photos")
    for stage in STAGES:
        train(stage)
        if stage in WORDS:
            weigh(f"runs/{stage}", *WORDS[stage])
    if options.ship:
        call(sys.executable, "scripts/ship_builtin.py", f"runs/{STAGES[-1]}/weighed")


def weigh(run: str, ratio: str, temperature: str) -> None:
    """Give the words of a trained model their weight, and its logits their temperature."""
    words = ("scripts/train_builtin/words.py", f"{run}/checkpoint", "--apply", ratio)
    call(sys.executable, *words, "--temperature", temperature, "-o", f"{run}/weighed")


def train(stage: str) -> None:
    """A stage, from its beginning or from where it was."""
    out = ROOT / "runs" / stage
    begun = (out / "state.json").exists()
    if begun and not left(out):
        print(f"{stage}: is done")
        return
    more = ["--resume"] if begun else []
    several = ["--standalone", f"--nproc-per-node={PROCESSES}"]
    command = ["-m", "sgmn.cli", "train", f"configs/{stage}.toml", "-o", str(out), *more]
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
    """Run a command in the repository; its failure ends this one."""
    print("$", " ".join(words), flush=True)
    done = subprocess.run(words, cwd=ROOT, env={**os.environ, **more}, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
