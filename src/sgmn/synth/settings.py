"""The settings of a generated world."""

from __future__ import annotations

from dataclasses import dataclass

from sgmn.settings import require

Range = tuple[float, float]
_FRACTION_REMEDY = "use a fraction in 0..1"


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """What to generate. A value is drawn from each range per clip, per stream or per sale.

    Amount:
      seed: 0..2**31. The same seed and settings give the same files.
      shops: 1..600. products_per_shop: 6..2000.
      clips, streams: 0 or more, over all shops. They may grow when a world is resumed.
      train_ratio, val_ratio, test_ratio: fractions 0..1 of the shops. Each shop belongs to one
        split.
    Videos:
      frame_size: width and height in pixels, even, 64..2160. fps: frames per second, 2..30.
      clip_duration_s: 3..130 s. stream_duration_s: 10..7200 s.
      sale_duration_s: how long a product of a stream is on sale, 5..600 s.
      audio: whether the videos have an audio track (a hum instead of speech).
      speech: whether the audio track speaks the transcript, over music and noise. It requires
        the extra `synth-speech`, espeak-ng, and an `asr_error_level` of 0, because the speech
        recognizer makes its own errors.
      speech_snr_db: level of the speech above music and noise, -10..60 dB.
      crf: quality of x264, 15 (best) to 45 (worst).
      sensor_noise: standard deviation in luma levels, 0..8.
      camera_shake_px: 0..12 pixels in a frame of 960 lines.
      chat_overlay_prob: chance 0..1 that a video has a chat overlay.
    Difficulty:
      visible_fraction: fraction 0..1 of a sale during which its product is visible.
      product_area: fraction of the frame that the box of a product in hand fills, 0.01..0.6.
      distractors: number of other products in the scene, 0..24. Up to half of them are
        near-twins of the product on sale.
      other_in_hand_prob: chance 0..1 that another product is in hand while the one on sale is
        away.
      two_product_prob: chance 0..1 that a clip sells two products, one after the other.
      idle_fraction: fraction 0..0.9 of a stream during which nothing is on sale.
      twin_fraction: fraction 0..1 of the products that have near-twins, in groups of 3 to 8.
      naming_prob: chance 0..1 that a sentence names the product or its variety.
      comparison_prob: chance 0..1 that a sentence is about another product. The two chances add
        up to 1 at most.
      asr_error_level: errors of the transcript, 0 (none) to 1 (about one word in five is wrong).
    Catalog:
      image_size_px: side of the listing images in pixels, 64..1024.
      images_per_product: 1..4.
      descriptions: whether products have a description of a few sentences, as in a shop.
    Annotations:
      box_rate_hz: annotated frames per second, above 0; at most every frame is annotated.
    """

    shops: int = 5
    products_per_shop: int = 120
    clips: int = 100
    streams: int = 2
    seed: int = 0
    train_ratio: float = 0.6
    val_ratio: float = 0.2
    test_ratio: float = 0.2
    frame_size: tuple[int, int] = (540, 960)
    fps: float = 6.0
    clip_duration_s: Range = (10.0, 30.0)
    stream_duration_s: Range = (180.0, 300.0)
    sale_duration_s: Range = (15.0, 45.0)
    audio: bool = False
    speech: bool = False
    speech_snr_db: Range = (10.0, 25.0)
    crf: tuple[int, int] = (23, 32)
    sensor_noise: Range = (0.5, 3.0)
    camera_shake_px: Range = (0.0, 5.0)
    chat_overlay_prob: float = 0.5
    visible_fraction: Range = (0.3, 0.95)
    product_area: Range = (0.03, 0.35)
    distractors: tuple[int, int] = (0, 10)
    other_in_hand_prob: float = 0.4
    two_product_prob: float = 0.1
    idle_fraction: float = 0.12
    twin_fraction: float = 0.8
    naming_prob: float = 0.15
    comparison_prob: float = 0.12
    asr_error_level: float = 0.5
    image_size_px: int = 384
    images_per_product: int = 2
    descriptions: bool = False
    box_rate_hz: float = 2.0

    def __post_init__(self) -> None:
        self._check_amounts()
        self._check_videos()
        self._check_difficulty()
        self._require_between("image_size_px", 64, 1024, "use pixels, 64..1024")
        self._require_between("images_per_product", 1, 4, "use 1..4")
        require(self.box_rate_hz > 0, "box_rate_hz", self.box_rate_hz, "use a rate above 0")

    def _check_amounts(self) -> None:
        self._require_between("seed", 0, 2**31, "use an integer, 0..2**31")
        self._require_between("shops", 1, 600, "use 1..600")
        self._require_between("products_per_shop", 6, 2000, "use 6..2000")
        for name in ("clips", "streams"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "use 0 or more")
        for name in ("train_ratio", "val_ratio", "test_ratio"):
            self._require_between(name, 0, 1, _FRACTION_REMEDY)
        total = self.train_ratio + self.val_ratio + self.test_ratio
        require(
            abs(total - 1) < 1e-6,
            "train_ratio",
            self.train_ratio,
            "use train, val and test ratios that add up to 1",
        )

    def _check_videos(self) -> None:
        for side in self.frame_size:
            is_valid = 64 <= side <= 2160 and side % 2 == 0
            remedy = "use two even numbers of pixels, 64..2160"
            require(is_valid, "frame_size", self.frame_size, remedy)
        self._require_between("fps", 2, 30, "use frames per second, 2..30")
        self._require_range("clip_duration_s", 3, 130)
        self._require_range("stream_duration_s", 10, 7200)
        self._require_range("sale_duration_s", 5, 600)
        self._require_range("crf", 15, 45)
        self._require_range("speech_snr_db", -10, 60)
        self._require_range("sensor_noise", 0, 8)
        self._require_range("camera_shake_px", 0, 12)
        self._require_between("chat_overlay_prob", 0, 1, _FRACTION_REMEDY)

    def _check_difficulty(self) -> None:
        for name in (
            "other_in_hand_prob",
            "two_product_prob",
            "twin_fraction",
            "naming_prob",
            "comparison_prob",
            "asr_error_level",
        ):
            self._require_between(name, 0, 1, _FRACTION_REMEDY)
        require(
            self.naming_prob + self.comparison_prob <= 1,
            "comparison_prob",
            self.comparison_prob,
            "use chances that add up to at most 1 with 'naming_prob'",
        )
        require(
            not self.speech or self.asr_error_level == 0,
            "asr_error_level",
            self.asr_error_level,
            "use 0.0 with 'speech'",
        )
        self._require_between("idle_fraction", 0, 0.9, "use a fraction in 0..0.9")
        self._require_range("visible_fraction", 0, 1)
        self._require_range("product_area", 0.01, 0.6)
        self._require_range("distractors", 0, 24)

    def _require_between(self, name: str, low: float, high: float, remedy: str) -> None:
        value = getattr(self, name)
        require(low <= value <= high, name, value, remedy)

    def _require_range(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        is_valid = len(value) == 2 and low <= value[0] <= value[1] <= high
        require(is_valid, name, value, f"use two ascending numbers in {low}..{high}")

    @property
    def splits(self) -> tuple[str, ...]:
        """The split of each shop, in shop order; no split with a ratio above 0 stays empty.

        With fewer shops than splits, the splits with the largest ratios get one each.
        """
        ratios = {name: getattr(self, f"{name}_ratio") for name in ("train", "val", "test")}
        nonempty = sorted(
            (name for name in ratios if ratios[name] > 0), key=lambda name: -ratios[name]
        )
        splits: list[str] = nonempty[: self.shops]
        while len(splits) < self.shops:
            deficit = {name: ratios[name] * self.shops - splits.count(name) for name in nonempty}
            splits.append(max(nonempty, key=lambda name: deficit[name]))
        return tuple(splits)
