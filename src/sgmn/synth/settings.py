"""The knobs of a generated world: each with its range, all checked."""

from __future__ import annotations

from dataclasses import dataclass

from sgmn.settings import require

Range = tuple[float, float]
_SHARE = "give a share in 0..1"
_RANGE = "give the lower and the higher end, within the range of this knob"


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """What to make. Whatever is a range is drawn anew for each clip, stream or sale.

    How much:
      seed: 0..2**31; the same seed and settings give the same files.
      shops: 1..600. products: of each shop, 6..2000.
      clips, streams: of all shops together, 0 or more; they may grow when a world is resumed.
      train, val, test: shares 0..1 of the shops; each shop is in one split only.
    What a film is:
      size: width and height in pixels, even, 64..2160. fps: frames a second, 2..30.
      clip_s: length of a clip in seconds, 3..130.
      stream_s: length of a stream in seconds, 10..7200.
      sale_s: how long one product of a stream is on sale, 5..600 s.
      audio: a track of hum and silence beside the picture.
      crf: x264's quality, 15 (clean) to 45 (coarse). noise: of the sensor, 0..8 luma steps.
      shake: of the camera, 0..12 pixels at 960 lines. overlay: share 0..1 with a chat laid over.
    How hard it is:
      visible: share 0..1 of the time for which the product on sale is visible.
      scale: share of the picture that the product's box fills in the hand, 0.01..0.6.
      distractors: other products at rest in the picture, 0..24; half of them are near-twins
        of the product on sale when it has any.
      held_others: chance 0..1 that a gap in which the product is away shows another in hand.
      several: share 0..1 of the clips that sell two products, one after the other.
      idle: share 0..0.9 of a stream in which nothing is on sale.
      twins: share 0..1 of a shop's products that have near-twins (3 to 8 of a kind).
      naming, comparing: shares 0..1 of the sentences that tell the product by name or variety,
        or speak of another product; together at most 1.
      speech_noise: 0 (heard without fault) to 1 (about one word in five is wrong).
    What the shop shows:
      image_px: side of its pictures in pixels, 64..1024. views: pictures a product, 1..4.
    What is written:
      boxes_hz: boxes a second, above 0; at most one set a frame.
    """

    shops: int = 5
    products: int = 120
    clips: int = 100
    streams: int = 2
    seed: int = 0
    train: float = 0.6
    val: float = 0.2
    test: float = 0.2
    size: tuple[int, int] = (540, 960)
    fps: float = 6.0
    clip_s: Range = (10.0, 30.0)
    stream_s: Range = (180.0, 300.0)
    sale_s: Range = (15.0, 45.0)
    audio: bool = False
    crf: tuple[int, int] = (23, 32)
    noise: Range = (0.5, 3.0)
    shake: Range = (0.0, 5.0)
    overlay: float = 0.5
    visible: Range = (0.3, 0.95)
    scale: Range = (0.03, 0.35)
    distractors: tuple[int, int] = (0, 10)
    held_others: float = 0.4
    several: float = 0.1
    idle: float = 0.12
    twins: float = 0.8
    naming: float = 0.15
    comparing: float = 0.12
    speech_noise: float = 0.5
    image_px: int = 384
    views: int = 2
    boxes_hz: float = 2.0

    def __post_init__(self) -> None:
        self._counts()
        self._film()
        for name in (
            "overlay",
            "held_others",
            "several",
            "twins",
            "naming",
            "comparing",
            "speech_noise",
        ):
            _between(name, getattr(self, name), 0, 1, _SHARE)
        require(
            self.naming + self.comparing <= 1,
            "comparing",
            self.comparing,
            "give shares that add up to 1 at most with 'naming'",
        )
        _between("idle", self.idle, 0, 0.9, "give a share in 0..0.9")
        for name, low, high in (("visible", 0, 1), ("scale", 0.01, 0.6), ("distractors", 0, 24)):
            _range(name, getattr(self, name), low, high)
        _between("image_px", self.image_px, 64, 1024, "give pixels, 64..1024")
        _between("views", self.views, 1, 4, "give 1..4")
        require(self.boxes_hz > 0, "boxes_hz", self.boxes_hz, "give a rate above 0")

    def _counts(self) -> None:
        _between("seed", self.seed, 0, 2**31, "give a whole number from 0 on")
        _between("shops", self.shops, 1, 600, "give 1..600")
        _between("products", self.products, 6, 2000, "give 6..2000 a shop")
        for name in ("clips", "streams"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "give 0 or more")
        for name in ("train", "val", "test"):
            _between(name, getattr(self, name), 0, 1, _SHARE)
        total = self.train + self.val + self.test
        require(
            abs(total - 1) < 1e-6,
            "train",
            self.train,
            "give shares of 'train', 'val' and 'test' that add up to 1",
        )

    def _film(self) -> None:
        for side in self.size:
            holds = 64 <= side <= 2160 and side % 2 == 0
            require(holds, "size", self.size, "give two even numbers of pixels, 64..2160")
        _between("fps", self.fps, 2, 30, "give frames a second, 2..30")
        for name, low, high in (
            ("clip_s", 3, 130),
            ("stream_s", 10, 7200),
            ("sale_s", 5, 600),
            ("crf", 15, 45),
            ("noise", 0, 8),
            ("shake", 0, 12),
        ):
            _range(name, getattr(self, name), low, high)

    @property
    def splits(self) -> tuple[str, ...]:
        """The split of each shop, in the shops' order: every wanted split has one if possible."""
        shares = {name: getattr(self, name) for name in ("train", "val", "test")}
        wanted = sorted((n for n in shares if shares[n] > 0), key=lambda n: -shares[n])
        found: list[str] = wanted[: self.shops]
        while len(found) < self.shops:
            lack = {name: shares[name] * self.shops - found.count(name) for name in wanted}
            found.append(max(wanted, key=lambda name: lack[name]))
        return tuple(found)


def _between(name: str, value: float, low: float, high: float, remedy: str) -> None:
    require(low <= value <= high, name, value, remedy)


def _range(name: str, value: Range, low: float, high: float) -> None:
    holds = len(value) == 2 and low <= value[0] <= value[1] <= high
    require(holds, name, value, f"{_RANGE}: {low}..{high}")
