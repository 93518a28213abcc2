"""The weights that ship, from a seed: data, two stages of training, the package's copy.

    python scripts/train_builtin/run.py                       # --budget cpu: two cores
    python scripts/train_builtin/run.py --budget gpu          # one large GPU
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
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORLDS = ("world", "world-more")
STAGES = ("builtin-pictures", "builtin")


@dataclass(frozen=True)
class Budget:
    """Where the training runs: how many processes of one thread, or 0 for one on a GPU; and which
    configs, by their folder."""

    processes: int
    configs: Path


BUDGETS = {
    "cpu": Budget(2, ROOT / "configs"),
    "gpu": Budget(0, ROOT / "scripts" / "gpu"),
}


def main() -> None:
    options = parsed()
    budget = BUDGETS[options.budget]
    for world in WORLDS:
        config = f"configs/{world}.toml"
        sgmn("synth", f"build/{world}", "--config", config, "--processes", "2")
    for stage in STAGES:
        train(stage, budget)
    if options.ship:
        call(sys.executable, "scripts/ship_builtin.py", f"runs/{STAGES[-1]}/checkpoint")


def train(stage: str, budget: Budget) -> None:
    """A stage, from its beginning or from where it was."""
    config, out = budget.configs / f"{stage}.toml", ROOT / "runs" / stage
    begun = (out / "state.json").exists()
    if begun and not left(out):
        print(f"{stage}: is done")
        return
    more = ["--resume"] if begun else []
    command = ["-m", "sgmn.cli", "train", str(config), "-o", str(out), *more]
    if not budget.processes:
        call(sys.executable, *command)
        return
    several = ["--standalone", f"--nproc-per-node={budget.processes}"]
    call(sys.executable, "-m", "torch.distributed.run", *several, *command, OMP_NUM_THREADS="1")


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


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=RAW)
    parser.add_argument("--budget", choices=BUDGETS, default="cpu")
    parser.add_argument("--ship", action="store_true", help="replace the package's weights")
    return parser.parse_args()


RAW = argparse.RawDescriptionHelpFormatter

if __name__ == "__main__":
    main()
