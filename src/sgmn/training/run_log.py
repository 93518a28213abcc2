"""The log of a run: JSON lines, and TensorBoard if it is installed."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class RunLog:
    """Writes the reports of training steps into the folder of a run.

    Lines after `step`, which an interrupted run wrote but did not save, are removed.
    """

    def __init__(self, folder: Path, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "log.jsonl"
        kept = [line for line in _read_lines(path) if json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in kept))
        self._file = path.open("a")
        self._board = _open_tensorboard(folder / "tensorboard", step)

    def write(self, report: DataclassInstance) -> None:
        """Write the `StepReport` of a step."""
        row = asdict(report)
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        if self._board is not None:
            for name in ("loss", "accuracy", "lr", "samples_per_s", "skipped"):
                self._board.add_scalar(f"train/{name}", row[name], row["step"])
            for name, loss in row["losses"].items():
                self._board.add_scalar(f"loss/{name}", loss, row["step"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def _read_lines(path: Path) -> list[str]:
    """Return the complete lines of a log; an interrupted run may leave an incomplete one."""
    if not path.is_file():
        return []
    text = path.read_text()
    return text[: text.rfind("\n") + 1].splitlines()


def _open_tensorboard(folder: Path, step: int) -> Any:
    """Return a TensorBoard writer; None if TensorBoard (extra `train`) is not installed."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step + 1)
