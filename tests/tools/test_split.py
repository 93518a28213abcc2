"""`tools/train_builtin/split.py`: photos of a visit are found and held back together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgmn.data import dataset
from tests.tools.scripts import import_tool

split = import_tool("split", "train_builtin")


def test_one_visit_of_products_with_several_is_held_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """p0 has visits of 6, 3 and 4 photos, p1 two; features of a visit are close together."""
    sizes = {"p0": (6, 3, 4), "p1": (6, 3)}
    rows, features, visits = [], [], []
    for product, own_sizes in sizes.items():
        for visit, size in enumerate(own_sizes):
            for at in range(size):
                rows.append({"path": f"{product}-{visit}-{at}.jpg", "product_id": product})
                features.append(np.eye(3)[visit] + 0.05 * np.eye(3)[(visit + at) % 3])
                visits.append((product, visit))
    order = np.random.default_rng(0).permutation(len(rows))  # mixes the photos of a product
    shop = tmp_path / "shop"
    shop.mkdir()
    for row in rows:
        Image.new("RGB", (8, 8)).save(shop / row["path"])
    dataset.write_jsonl(shop / "photos.jsonl", [rows[at] for at in order])
    dataset.write_jsonl(shop / "products.jsonl", [{"product_id": p, "title": p} for p in sizes])
    photos = dataset.read_dataset(shop).photos
    split.split_photos(photos, np.array(features)[order], tmp_path / "out")
    held, learned = (
        {photo.path.name for photo in dataset.read_dataset(tmp_path / "out" / name).photos}
        for name in ("held", "train")
    )
    expected = {row["path"] for row, visit in zip(rows, visits, strict=True) if visit == ("p0", 1)}
    assert held == expected
    assert learned == {row["path"] for row in rows} - expected
    assert "3 photos: " in capsys.readouterr().out


@pytest.mark.slow
def test_features_separate_visits(tmp_path: Path) -> None:
    """A mosaic and a gradient, each photographed three times with some noise."""
    rng = np.random.default_rng(0)
    mosaic = np.kron(rng.integers(0, 256, (6, 6, 3)), np.ones((32, 32, 1)))
    gradient = np.broadcast_to(np.linspace(0, 255, 192)[:, None, None], mosaic.shape)
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths):
        noisy = (mosaic, gradient)[number % 2] + rng.normal(0, 4, mosaic.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)
    visits = split.cluster_visits(split.encode_photos(paths))
    assert visits[0] != visits[1] and visits.tolist() == [*visits[:2]] * 3
