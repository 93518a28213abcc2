"""Degradations: as often as configured, and none at all if none is configured."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sgmn.records import ImageArray
from sgmn.training.config import TrainConfig
from sgmn.training.data import degradation
from sgmn.training.data.composition import blur
from sgmn.training.data.degradation import (
    Degradation,
    add_noise,
    apply_light,
    compress_jpeg,
    degrade_transmission,
    dim_light,
    sample_light,
)
from tests.conftest import noise


def test_light_blur_and_compression_keep_an_image_an_image(rng: np.random.Generator) -> None:
    image = noise(rng)
    assert np.array_equal(apply_light(image, sample_light(0.0, rng)), image)
    soft = blur(image, 0.3)
    assert soft.shape == image.shape and soft.std() < image.std()
    light = sample_light(0.3, rng)
    assert np.array_equal(dim_light(light, 0.5), light / 2)
    error = [np.abs(compress_jpeg(image, q).astype(int) - image).mean() for q in (20, 90)]
    assert error[0] > error[1] > 0


def test_light_is_a_gain_and_an_offset_of_each_channel(rng: np.random.Generator) -> None:
    image, light = noise(rng), np.array([[0.5, 0.1], [1.4, -0.2], [1.0, 0.3]])
    expected = np.clip(image * light[:, 0] + 255 * light[:, 1], 0, 255)
    assert np.abs(apply_light(image, light) - expected).max() <= 1  # fractions are cut off


def test_clips_are_dark_and_noisy_or_of_low_resolution_as_often_as_configured(
    rng: np.random.Generator,
) -> None:
    train = TrainConfig(color_jitter=0.0, low_light_prob=0.2, low_resolution_prob=0.3)
    samples = [Degradation.sample(train, rng) for _ in range(500)]
    assert np.mean([d.light[0, 0] < 1 for d in samples]) == pytest.approx(0.2, abs=0.06)
    assert np.mean([d.max_side_px <= 160 for d in samples]) == pytest.approx(0.3, abs=0.06)
    assert all((d.noise_sigma > 0) == (d.light[0, 0] < 1) for d in samples)
    assert all(48 <= d.max_side_px <= 160 or d.max_side_px == np.inf for d in samples)


def test_degradation_keeps_the_size_and_a_neutral_one_the_image(rng: np.random.Generator) -> None:
    image, neutral = noise(rng), sample_light(0.0, rng)
    assert np.array_equal(Degradation(neutral).apply(image, rng), image)
    reduced = Degradation(neutral, max_side_px=max(image.shape) / 4).apply(image, rng)
    assert np.array_equal(reduced, blur(image, 0.25)) and reduced.std() < image.std()
    flat = np.full((60, 60, 3), 128, np.uint8)
    noisy = Degradation(neutral, noise_sigma=5.0).apply(flat, rng)
    for image in (add_noise(flat, 5.0, rng), noisy):
        assert image.std() == pytest.approx(5, abs=0.3)


def test_half_of_the_frames_are_compressed_and_some_are_out_of_focus(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    calls: Counter[str] = Counter()

    def counted(name: str, image: ImageArray) -> ImageArray:
        calls[name] += 1
        return image

    monkeypatch.setattr(degradation, "blur", lambda image, _: counted("blur", image))
    monkeypatch.setattr(degradation, "compress_jpeg", lambda image, _: counted("jpeg", image))
    for _ in range(500):
        degrade_transmission(np.zeros((4, 4, 3), np.uint8), rng)
    assert calls["jpeg"] == pytest.approx(250, abs=40)
    assert calls["blur"] == pytest.approx(150, abs=35)
