"""The contact sheet of a world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from sgmn.synth.preview import write_preview
from tests.synth.conftest import SETTINGS


def test_a_preview_shows_products_above_frames(tmp_path: Path) -> None:
    path = tmp_path / "sheets" / "preview.png"
    write_preview(path, SETTINGS)
    sheet = np.asarray(Image.open(path))
    assert sheet.shape[0] > 600
    assert sheet.shape[1] >= 1000
    top, bottom = sheet[: len(sheet) // 3], sheet[-len(sheet) // 4 :]
    assert (top == 255).all(axis=2).mean() > 0.3  # photos on white
    assert (bottom == 255).all(axis=2).mean() < 0.3  # frames of a room
