"""Towers as ONNX files, with a JSON file that says how to use them.

    export.json          names, canvases, normalization, fingerprint
    image-320x176.onnx   one per canvas: pixels (N, 3, H, W) -> pooled (N, D), patches (N, P, D),
                         fine patches (N, F, C) if the tower has them
    fine.onnx            pixels (N, 3, H, W) on the canvas of fine patches -> fine patches
                         (N, F, C); only for models that have such a canvas
    text.onnx            ids (M, L), mask (M, L) -> pooled (M, D), words (M, L, D)

The sizes N, M and L are free. A canvas has a file of its own because the padding of convolutions
depends on its size.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sgmn.errors import CheckpointError
from sgmn.model.bundle import ModelBundle
from sgmn.model.inputs import Canvas
from sgmn.model.towers import Towers

FORMAT, FORMAT_VERSION = "sgmn-export", 1
MANIFEST = "export.json"
TEXT_FILE, FINE_FILE = "text.onnx", "fine.onnx"
_EXAMPLES = 2  # inputs of a traced tower; 1 would be taken for a size that never changes


@dataclass(frozen=True)
class ExportedCanvas:
    """The image tower of a canvas.

    Attributes:
        file: Name of the ONNX file.
        height: Height of the pixels.
        width: Width of the pixels.
        grid: The number of rows and columns of the patches.
    """

    file: str
    height: int
    width: int
    grid: tuple[int, int]

    @property
    def canvas(self) -> Canvas:
        """Height and width."""
        return self.height, self.width


@dataclass(frozen=True)
class Export:
    """The exported towers of a model; see the attributes of `NetworkConfig`.

    Attributes:
        model: The folder or name of the model.
        fingerprint: Identifies the weights and the config of the model.
        dim: The number D of dimensions of all vectors.
        mean: Mean of the pixel values in 0..1; subtract it from pixels in 0..1.
        std: Standard deviation of the pixel values in 0..1; then divide by it.
        fill_color: RGB color of the rest of a canvas, 0..255.
        max_tokens: Maximum length of a piece of text; a longer text is split.
        canvases: The image tower of each canvas.
        precision: float32, or int8 for image towers that `quantization` has changed.
        image_outputs: Names of the outputs of the image towers.
        fine_canvas: The canvas of `FINE_FILE`; None if there is no such file.
    """

    model: str
    fingerprint: str
    dim: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fill_color: tuple[int, ...]
    max_tokens: int
    canvases: tuple[ExportedCanvas, ...]
    precision: str = "float32"
    image_outputs: tuple[str, ...] = ("pooled", "patches")
    fine_canvas: Canvas | None = None

    def write(self, folder: Path) -> None:
        """Write the JSON file of an export."""
        values = asdict(self)
        image = {"input": "pixels", "outputs": values.pop("image_outputs")}
        text = {"file": TEXT_FILE, "inputs": ["ids", "mask"], "outputs": ["pooled", "words"]}
        content = {"format": FORMAT, "format_version": FORMAT_VERSION, **values}
        content |= {"image": image, "text": text}
        (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Export:
        """Read the JSON file of an export. Raises CheckpointError if there is none."""
        path = folder / MANIFEST
        remedy = "create an export with `sgmn export`"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if (content.pop("format"), content.pop("format_version")) != (FORMAT, FORMAT_VERSION):
                raise CheckpointError("is not an export of this version", path, remedy)
            outputs = tuple(content.pop("image")["outputs"])
            del content["text"]
            fine_canvas = tuple(content.pop("fine_canvas", None) or ()) or None
            canvases = (item | {"grid": tuple(item["grid"])} for item in content.pop("canvases"))
            names = ("mean", "std", "fill_color")
            tuples: dict[str, Any] = {name: tuple(content.pop(name)) for name in names}
            exported = tuple(ExportedCanvas(**item) for item in canvases)
            tuples |= {"image_outputs": outputs, "fine_canvas": fine_canvas}
            return cls(**content, **tuples, canvases=exported)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"cannot be read ({error})", path, remedy) from error


def export_towers(model: ModelBundle, folder: Path) -> Export:
    """Export the towers of a model on the CPU into a new folder, which appears when complete.

    Raises CheckpointError if PyTorch cannot export the towers.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        export = _export_into(model, draft)
        draft.chmod(0o755)  # mkdtemp makes it private, but a service of another user may read it
        _move(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # nothing is left of it after the move
    return export


def _move(draft: Path, folder: Path) -> None:
    try:
        draft.rename(folder)
    except OSError:
        if not (folder / MANIFEST).is_file():  # else another process was faster
            raise


def _export_into(model: ModelBundle, folder: Path) -> Export:
    config, towers = model.network.config, model.network.towers
    exported = tuple(_export_canvas(towers, canvas, folder) for canvas in config.canvases)
    _export_text(towers, folder)
    if config.fine_canvas is not None:
        _export_fine(towers, config.fine_canvas, folder)
    export = Export(
        model.name,
        model.fingerprint(),
        towers.dim,
        config.mean,
        config.std,
        config.fill_color,
        config.max_tokens,
        exported,
        image_outputs=_ImageTower(towers).outputs,
        fine_canvas=config.fine_canvas,
    )
    export.write(folder)
    return export


def _export_canvas(towers: Towers, canvas: Canvas, folder: Path) -> ExportedCanvas:
    height, width = canvas
    pixels = torch.zeros(_EXAMPLES, 3, height, width)
    file = f"image-{height}x{width}.onnx"
    tower = _ImageTower(towers)
    axes = {name: {0: "images"} for name in ("pixels", *tower.outputs)}
    _export(tower, {"pixels": pixels}, axes, folder / file)
    with torch.inference_mode():
        grid = towers.encode_image(pixels[:1]).grid
    return ExportedCanvas(file, height, width, (int(grid[0]), int(grid[1])))


def _export_fine(towers: Towers, canvas: Canvas, folder: Path) -> None:
    pixels = torch.zeros(_EXAMPLES, 3, *canvas)
    tower = _FineTower(towers)
    axes = {name: {0: "images"} for name in ("pixels", *tower.outputs)}
    _export(tower, {"pixels": pixels}, axes, folder / FINE_FILE)


def _export_text(towers: Towers, folder: Path) -> None:
    ids = torch.tensor([[1, 3, 2], [1, 2, 0]])  # ids that every vocabulary has
    mask = torch.tensor([[True, True, True], [True, True, False]])
    axes = {name: {0: "texts", 1: "tokens"} for name in ("ids", "mask", "words")}
    axes["pooled"] = {0: "texts"}
    _export(_TextTower(towers), {"ids": ids, "mask": mask}, axes, folder / TEXT_FILE)


def _export(
    tower: _ImageTower | _FineTower | _TextTower,
    inputs: dict[str, Tensor],
    axes: dict[str, dict[int, str]],
    path: Path,
) -> None:
    """Trace a tower; `axes` names the free axes of its inputs and outputs."""
    options: dict[str, Any] = {"dynamic_axes": axes, "dynamo": False, "opset_version": 17}
    options |= {"input_names": list(inputs), "output_names": list(tower.outputs)}
    try:
        with _quiet(), torch.no_grad():
            torch.onnx.export(tower.eval(), tuple(inputs.values()), str(path), **options)
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        reason = str(error).strip().splitlines()[0]
        message = f"the {path.stem.split('-')[0]} tower cannot be exported ({reason})"
        raise CheckpointError(message, remedy="use the runtime torch") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says about constants; `check_equal` tests what they stand for."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class _ImageTower(nn.Module):
    def __init__(self, towers: Towers) -> None:
        super().__init__()
        self.towers = towers
        fine = ("fine_patches",) if towers.has_fine_patches else ()
        self.outputs = ("pooled", "patches", *fine)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        encoding = self.towers.encode_image(pixels)
        return tuple(getattr(encoding, name) for name in self.outputs)


class _FineTower(nn.Module):
    outputs = ("fine_patches",)

    def __init__(self, towers: Towers) -> None:
        super().__init__()
        self.towers = towers

    def forward(self, pixels: Tensor) -> Tensor:
        return self.towers.encode_fine(pixels)


class _TextTower(nn.Module):
    outputs = ("pooled", "words")

    def __init__(self, towers: Towers) -> None:
        super().__init__()
        self.towers = towers

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        encoding = self.towers.encode_text(ids, mask)
        return encoding.pooled, encoding.words
