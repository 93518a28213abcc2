"""The engines that run exported towers on the CPU: ONNX Runtime and OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SettingsError
from sgmn.model.runtimes import ONNX, OPENVINO, OPENVINO_BF16
from sgmn.model.runtimes.towers import Arrays, Run

# PyTorch needs onnx to export.
PACKAGES = {
    OPENVINO: ("openvino", "onnx"),
    OPENVINO_BF16: ("openvino", "onnx"),
    ONNX: ("onnxruntime", "onnx"),
}
EXTRAS = {OPENVINO: "openvino", OPENVINO_BF16: "openvino", ONNX: "onnx"}


def is_installed(engine: str) -> bool:
    """Whether the packages of an engine are installed; they are not imported."""
    return not _find_missing(engine)


def _find_missing(engine: str) -> list[str]:
    return [package for package in PACKAGES[engine] if find_spec(package) is None]


def require_installed(engine: str) -> None:
    """Raise SettingsError unless the packages of an engine are installed."""
    if missing := _find_missing(engine):
        message = f"the runtime {engine!r} needs {' and '.join(missing)}, which is not installed"
        raise SettingsError(message, remedy=f'pip install "sgmn[{EXTRAS[engine]}]"')


def file_opener(engine: str, threads: int) -> Callable[[Path], Run]:
    """Return what opens the ONNX file of a tower in an engine.

    Args:
        engine: A key of `PACKAGES`.
        threads: Number of CPU threads.

    Raises SettingsError if the engine is not installed, or the CPU has no such precision.
    """
    require_installed(engine)
    if engine == ONNX:
        return _onnx_opener(threads)
    return _openvino_opener(threads, "bf16" if engine == OPENVINO_BF16 else "f32")


def _onnx_opener(threads: int) -> Callable[[Path], Run]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Spinning threads would slow down decoding, as those of OpenMP would.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")

    def open_file(path: Path) -> Run:
        session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])

        def run(inputs: Arrays) -> Sequence[NDArray[np.float32]]:
            return cast(Sequence[NDArray[np.float32]], session.run(None, dict(inputs)))

        return run

    return open_file


def _openvino_opener(threads: int, precision: str) -> Callable[[Path], Run]:
    import openvino

    core = openvino.Core()
    if precision == "bf16" and not has_bf16(core):
        message = "the runtime 'openvino-bf16' needs a CPU that computes in bfloat16"
        raise SettingsError(message, remedy="use 'openvino'")
    config = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads}

    def open_file(path: Path) -> Run:
        compiled = core.compile_model(core.read_model(path), "CPU", config)
        lock = Lock()  # a compiled model has one request, and the service searches in threads

        def run(inputs: Arrays) -> Sequence[NDArray[np.float32]]:
            with lock:
                outputs = compiled(dict(inputs))
                return [outputs[place] for place in range(len(compiled.outputs))]

        return run

    return open_file


def has_bf16(core: Any = None) -> bool:
    """Whether OpenVINO computes in bfloat16 on this CPU."""
    import openvino

    capabilities = (core or openvino.Core()).get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "BF16" in capabilities
