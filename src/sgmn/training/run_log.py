"""The log of a run: one JSON line and one TensorBoard row every few steps."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from sgmn.training.trainer import Progress


class Journal:
    """Writes into a run's folder; lines after `step` (of a run that was killed) are cut off."""

    def __init__(self, folder: Path, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "log.jsonl"
        kept = [line for line in _lines(path) if json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in kept))
        self.file = path.open("a")
        self.board = _board(folder / "tensorboard", step)

    def write(self, progress: Progress) -> None:
        """Log a step."""
        row = asdict(progress)
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()
        if self.board is not None:
            for name in ("loss", "right", "lr", "samples_per_s", "skipped"):
                self.board.add_scalar(f"train/{name}", row[name], progress.step)
            for name, loss in progress.parts.items():
                self.board.add_scalar(f"loss/{name}", loss, progress.step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        if self.board is not None:
            self.board.close()


def _lines(path: Path) -> list[str]:
    """The whole lines of the log; one that a kill cut in two is not a line."""
    if not path.is_file():
        return []
    text = path.read_text()
    return text[: text.rfind("\n") + 1].splitlines()


def _board(folder: Path, step: int) -> Any:
    """A TensorBoard writer, or None where TensorBoard (extra `train`) is not installed."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step + 1)
