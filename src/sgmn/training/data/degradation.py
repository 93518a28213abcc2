"""What light, camera and line do to the frames of a clip. Pictures are (H, W, 3) uint8."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sgmn.records import Picture
from sgmn.training.config import TrainConfig
from sgmn.training.data.composition import blurred

DARK = (0.2, 0.7)  # the light that is left in a dark clip
NOISE = 8.0  # of a dark clip's sensor, sigma at most
COARSE = (48, 160)  # pixels on the longer side that are left of a coarse clip


@dataclass(frozen=True)
class Wear:
    """What one clip goes through: a light (3, 2), its noise (sigma), how many pixels are left."""

    light: NDArray[np.float64]
    noise: float = 0.0
    longer_side: float = np.inf

    @classmethod
    def of(cls, train: TrainConfig, rng: np.random.Generator) -> Wear:
        """Some light; now and then little of it, now and then few pixels."""
        light, noise = some_light(train.jitter, rng), 0.0
        if rng.random() < train.dark:
            light, noise = dimmed(light, rng.uniform(*DARK)), rng.uniform(0, NOISE)
        coarse = rng.random() < train.coarse
        return cls(light, noise, np.exp(rng.uniform(*np.log(COARSE))) if coarse else np.inf)

    def on(self, picture: Picture, rng: np.random.Generator) -> Picture:
        """The picture after all that, as large as before."""
        seen = noisy(lit(picture, self.light), self.noise, rng)
        share = self.longer_side / max(picture.shape[:2])
        return blurred(seen, share) if share < 1 else seen


def lit(picture: Picture, light: NDArray[np.float64]) -> Picture:
    """The picture under another light: `light` (3, 2) is gain and offset of each channel."""
    rows = picture.reshape(len(picture), -1)  # of whole rows: five times as fast as three by three
    gain, offset = np.tile(light.astype(np.float32), (picture.shape[1], 1)).T
    shifted = rows * gain
    shifted += 255 * offset
    seen: Picture = shifted.clip(0, 255, out=shifted).astype(np.uint8).reshape(picture.shape)
    return seen


def some_light(strength: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A random light (3, 2): brightness and contrast for all channels, a slight colour cast."""
    gain = np.exp(rng.normal(0, strength)) * np.exp(rng.normal(0, strength / 4, 3))
    offset = np.full(3, rng.normal(0, strength / 4))
    return np.stack([gain, offset], axis=1)


def dimmed(light: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """The same light with only a share (0..1) of it left, as late in the evening."""
    return light * share


def noisy(picture: Picture, sigma: float, rng: np.random.Generator) -> Picture:
    """The picture with noise of each pixel and channel."""
    if sigma == 0:
        return picture
    return (picture + rng.normal(0, sigma, picture.shape)).round().clip(0, 255).astype(np.uint8)


def compressed(picture: Picture, quality: int) -> Picture:
    """The picture as JPEG of this quality (1..95) leaves it."""
    file = BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    with Image.open(file) as found:
        return np.array(found)
