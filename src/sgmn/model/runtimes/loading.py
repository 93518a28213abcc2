"""The towers of a model in a runtime, by its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sgmn.errors import SettingsError
from sgmn.model.runtimes import AUTO, RUNTIMES, TORCH
from sgmn.model.towers import TowerEncoder

if TYPE_CHECKING:
    from sgmn.model.bundle import ModelBundle


def resolve_runtime(model: ModelBundle, runtime: str) -> str:
    """Return the name of the runtime to use for a model on its device.

    Args:
        model: The model.
        runtime: A name of `RUNTIMES`, or a folder that `sgmn export` wrote. AUTO is the fastest
            that is installed, see `choice`; on a GPU it is PyTorch.

    Raises SettingsError if the name is unknown, or if the model is on a GPU and the runtime
    cannot use it.
    """
    if runtime not in RUNTIMES and not Path(runtime).is_dir():
        names = ", ".join(map(repr, RUNTIMES))
        remedy = f"choose from {names}, or pass a folder written by `sgmn export`"
        raise SettingsError(f"'runtime' is {runtime!r}", remedy=remedy)
    if runtime != TORCH and model.network.device.type != "cpu":
        if runtime == AUTO:
            return TORCH
        message = f"the runtime {runtime!r} uses the CPU, but the model is on a GPU"
        raise SettingsError(message, remedy="use the runtime 'torch', or the device 'cpu'")
    if runtime == AUTO:
        from sgmn.model.runtimes.choice import choose_runtime

        return choose_runtime(model)
    return runtime


def load_towers(model: ModelBundle, runtime: str = TORCH) -> TowerEncoder:
    """Return what encodes with the towers of a model.

    Args:
        model: The model.
        runtime: A name or folder that `resolve_runtime` returns.

    Raises:
        SettingsError: The runtime is not installed.
        CheckpointError: The towers cannot be exported, or the folder is of another model.
    """
    if runtime == TORCH:
        return model.network.towers
    from sgmn.model.runtimes.opening import open_exported, open_folder

    if runtime in RUNTIMES:
        return open_exported(model, runtime)
    return open_folder(model, Path(runtime))
