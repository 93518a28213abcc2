"""What a run needs to go on as if it had never stopped: weights, averages, optimizer, step."""

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


def store(
    folder: Path,
    step: int,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    orders: Mapping[int, NDArray[np.int64]],
    config: str,
) -> None:
    """Write the state of a step; the pointer moves last, so a kill leaves the one before.

    `orders` are those of the examples in the epochs under way. `config` is kept beside it: a
    run goes on only under the config that it began with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"orders.{epoch}": torch.from_numpy(order) for epoch, order in orders.items()}
    for name, module in modules.items():
        tensors |= _prefixed(name, _learnt(module))
    state = optimizer.state_dict()["state"]
    for row, values in state.items():
        tensors |= _prefixed(f"optimizer.{row}", values)
    path = folder / NAME.format(step=step)
    fresh = folder / ".state.tmp"
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, fresh)
    fresh.replace(path)
    fresh.write_text(json.dumps({"step": step, "file": path.name, "config": config}) + "\n")
    fresh.replace(folder / POINTER)
    for old in folder.glob(NAME.format(step="*")):
        if old != path:
            old.unlink()


def restore(
    folder: Path,
    modules: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    config: str,
) -> tuple[int, dict[int, NDArray[np.int64]]]:
    """Fill all from the last state in the folder: its step and orders, or 0 and none.

    Raises CheckpointError for a damaged state, and for one of another config.
    """
    pointer = folder / POINTER
    if not pointer.is_file():
        return 0, {}
    try:
        stored = json.loads(pointer.read_text())
        tensors, step = load_file(folder / stored["file"]), int(stored["step"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(
            f"holds a damaged state ({error})", folder, "restore it, or take a new folder"
        ) from error
    if stored.get("config") != config:
        raise CheckpointError(
            "holds a run of another config", folder, "resume with its config, or take a new folder"
        )
    for name, module in modules.items():
        _fill(module, _without(name, tensors), folder)
    groups: dict[str, Any] = optimizer.state_dict()
    rows: dict[int, dict[str, Tensor]] = {}
    for name, value in _without("optimizer", tensors).items():
        row, key = name.split(".", 1)
        rows.setdefault(int(row), {})[key] = value
    optimizer.load_state_dict({**groups, "state": rows})
    orders = _without("orders", tensors)
    return step, {int(epoch): order.numpy() for epoch, order in orders.items()}


def _learnt(module: nn.Module) -> dict[str, Tensor]:
    """What training changes: frozen parameters are left out, buffers are kept."""
    frozen = {name for name, value in module.named_parameters() if not value.requires_grad}
    return {name: value for name, value in module.state_dict().items() if name not in frozen}


def _fill(module: nn.Module, tensors: dict[str, Tensor], folder: Path) -> None:
    shapes = {name: value.shape for name, value in _learnt(module).items()}
    if shapes != {name: value.shape for name, value in tensors.items()}:
        raise CheckpointError(
            "holds a run of another config", folder, "resume with its config, or take a new folder"
        )
    module.load_state_dict(tensors, strict=False)


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": value for name, value in tensors.items()}


def _without(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    start = f"{prefix}."
    return {name[len(start) :]: value for name, value in tensors.items() if name.startswith(start)}
