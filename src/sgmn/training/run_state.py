"""The state of a run: everything it needs to continue as if it had not stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sgmn.errors import CheckpointError

NAME = "state-{step}.safetensors"
POINTER = "state.json"


def save_state(
    folder: Path,
    step: int,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    orders: Mapping[int, NDArray[np.int64]],
    signature: str,
) -> None:
    """Save the state after a step.

    The pointer file is replaced last, so an interruption leaves the previous state intact.

    Args:
        folder: folder of the run.
        step: number of the step.
        modules: modules to save, by name.
        optimizer: its state is saved.
        orders: orders of the examples in the epochs in progress.
        signature: describes the config; a run resumes only with the same signature.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"orders.{epoch}": torch.from_numpy(order) for epoch, order in orders.items()}
    for name, module in modules.items():
        tensors |= _add_prefix(name, _trained_tensors(module))
    for row, values in optimizer.state_dict()["state"].items():
        tensors |= _add_prefix(f"optimizer.{row}", values)
    path = folder / NAME.format(step=step)
    draft = folder / ".state.tmp"
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, draft)
    draft.replace(path)
    draft.write_text(json.dumps({"step": step, "file": path.name, "config": signature}) + "\n")
    draft.replace(folder / POINTER)
    for old in folder.glob(NAME.format(step="*")):
        if old != path:
            old.unlink()


def load_state(
    folder: Path,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    signature: str,
) -> tuple[int, dict[int, NDArray[np.int64]]]:
    """Restore the modules and the optimizer from the last state in the folder.

    Returns the step and the orders; 0 and no orders if there is no state. Raises CheckpointError
    for a damaged state and for one of another config.
    """
    if not (folder / POINTER).is_file():
        return 0, {}
    pointer, tensors = _read_state(folder)
    if pointer.get("config") != signature:
        raise _other_config(folder)
    for name, module in modules.items():
        _restore_module(module, _select_prefix(name, tensors), folder)
    rows: dict[int, dict[str, Tensor]] = {}
    for name, value in _select_prefix("optimizer", tensors).items():
        row, key = name.split(".", 1)
        rows.setdefault(int(row), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": rows})
    orders = _select_prefix("orders", tensors)
    return int(pointer["step"]), {int(epoch): order.numpy() for epoch, order in orders.items()}


def _read_state(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the pointer and the tensors that it names."""
    try:
        pointer = json.loads((folder / POINTER).read_text())
        int(pointer["step"])
        return pointer, load_file(folder / pointer["file"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(
            f"contains a damaged state ({error})",
            folder,
            "restore state.json and the file that it names, or choose a new folder",
        ) from error


def _other_config(folder: Path) -> CheckpointError:
    return CheckpointError(
        "contains a run with another config",
        folder,
        "resume with the config of that run, or choose a new folder",
    )


def _trained_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return what training changes: trainable parameters and all buffers."""
    frozen = {name for name, value in module.named_parameters() if not value.requires_grad}
    return {name: value for name, value in module.state_dict().items() if name not in frozen}


def _restore_module(module: nn.Module, tensors: dict[str, Tensor], folder: Path) -> None:
    shapes = {name: value.shape for name, value in _trained_tensors(module).items()}
    if shapes != {name: value.shape for name, value in tensors.items()}:
        raise _other_config(folder)
    module.load_state_dict(tensors, strict=False)


def _add_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def _select_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name[len(start) :]: value for name, value in tensors.items() if name.startswith(start)}
