"""Degrades frames as light, camera and transmission do. Images are (H, W, 3) uint8."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sgmn.records import ImageArray
from sgmn.training.config import TrainConfig
from sgmn.training.data.composition import blur

LOW_LIGHT_GAIN = (0.2, 0.7)  # fraction of the light that a dark clip keeps
MAX_NOISE_SIGMA = 8.0  # sensor noise of a dark clip, in 0..255
LOW_RESOLUTION_PX = (48, 160)  # longer side that a low-resolution clip keeps
JPEG_QUALITY = (10, 85)
COMPRESSION_PROB, DEFOCUS_PROB = 0.5, 0.3
DEFOCUS_RESOLUTION = (0.4, 1.0)


@dataclass(frozen=True)
class Degradation:
    """The degradation that all frames of one clip share.

    Attributes:
        light: (3, 2) gain and offset of each channel, see `apply_light`.
        noise_sigma: standard deviation of the sensor noise, in 0..255.
        max_side_px: longer side in pixels to which frames are reduced before they are enlarged
            to their size again.
    """

    light: NDArray[np.float64]
    noise_sigma: float = 0.0
    max_side_px: float = np.inf

    @classmethod
    def sample(cls, train: TrainConfig, rng: np.random.Generator) -> Degradation:
        """Draw a light, sometimes low light with noise, and sometimes a low resolution."""
        light, noise_sigma = sample_light(train.color_jitter, rng), 0.0
        if rng.random() < train.low_light_prob:
            light = dim_light(light, rng.uniform(*LOW_LIGHT_GAIN))
            noise_sigma = rng.uniform(0, MAX_NOISE_SIGMA)
        if rng.random() < train.low_resolution_prob:
            return cls(light, noise_sigma, np.exp(rng.uniform(*np.log(LOW_RESOLUTION_PX))))
        return cls(light, noise_sigma)

    def apply(self, image: ImageArray, rng: np.random.Generator) -> ImageArray:
        """Degrade a frame; its size stays."""
        degraded = add_noise(apply_light(image, self.light), self.noise_sigma, rng)
        fraction = self.max_side_px / max(image.shape[:2])
        return blur(degraded, fraction) if fraction < 1 else degraded


def apply_light(image: ImageArray, light: NDArray[np.float64]) -> ImageArray:
    """Change the light of an image: `light` (3, 2) is the gain and offset of each channel."""
    rows = image.reshape(len(image), -1)  # whole rows are five times as fast as single pixels
    gain, offset = np.tile(light.astype(np.float32), (image.shape[1], 1)).T
    shifted = rows * gain
    shifted += 255 * offset
    lit: ImageArray = shifted.clip(0, 255, out=shifted).astype(np.uint8).reshape(image.shape)
    return lit


def sample_light(strength: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a light (3, 2): brightness and contrast of all channels, and a slight color cast."""
    gain = np.exp(rng.normal(0, strength)) * np.exp(rng.normal(0, strength / 4, 3))
    offset = np.full(3, rng.normal(0, strength / 4))
    return np.stack([gain, offset], axis=1)


def dim_light(light: NDArray[np.float64], gain: float) -> NDArray[np.float64]:
    """Reduce a light to a fraction `gain` (0..1) of it."""
    return light * gain


def add_noise(image: ImageArray, sigma: float, rng: np.random.Generator) -> ImageArray:
    """Add Gaussian noise to each pixel and channel; `sigma` is in 0..255."""
    if sigma == 0:
        return image
    return (image + rng.normal(0, sigma, image.shape)).round().clip(0, 255).astype(np.uint8)


def degrade_transmission(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Sometimes defocus a frame, and compress half of them."""
    if rng.random() < DEFOCUS_PROB:
        image = blur(image, rng.uniform(*DEFOCUS_RESOLUTION))
    if rng.random() < COMPRESSION_PROB:
        image = compress_jpeg(image, int(rng.integers(*JPEG_QUALITY)))
    return image


def compress_jpeg(image: ImageArray, quality: int) -> ImageArray:
    """Compress an image as JPEG of some quality (1..95) and decode it again."""
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    with Image.open(file) as decoded:
        return np.array(decoded)
