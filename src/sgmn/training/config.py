"""What a training run is made of: the tables of its TOML file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path

from sgmn.errors import SettingsError
from sgmn.model.inputs import Canvas
from sgmn.model.parts import PARTS
from sgmn.model.scoring import LEARNT_TERMS
from sgmn.settings import from_tables, read_toml, require


@dataclass(frozen=True)
class ModelConfig:
    """[model] — where to start from.

    source: "small", "lite", "lite1", "builtin", a checkpoint folder, or a backbone's folder or
        hub name.
    freeze: "text" holds the text tower still and learns its projection only; "towers" holds both
    still, so that each clip and product goes through them once, into a cache; "" holds nothing.
    parts: what there is above the towers, see `model.parts`. terms: of the score besides the
    picture's. Parts that the source has not begin fresh; those not named here are left out.
    still: so many first blocks of the lite picture tower learn nothing, which saves their time.
    canvases: [height, width] in pixels that the picture tower sees; those of the source if none.
    learn: the only parts that learn, all else being held still; none named: whatever may.
    """

    source: str = "small"
    freeze: str = "text"
    parts: tuple[str, ...] = PARTS
    terms: tuple[str, ...] = LEARNT_TERMS
    still: int = 0
    canvases: tuple[Canvas, ...] = ()
    learn: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(self.still >= 0, "still", self.still, "give 0 or more")
        fits = all(len(canvas) == 2 and min(canvas) > 0 for canvas in self.canvases)
        require(fits, "canvases", self.canvases, "give pairs of a height and a width")
        known = ("", "text", "towers")
        require(self.freeze in known, "freeze", self.freeze, 'give "text", "towers" or ""')
        for name, values in (("parts", PARTS), ("terms", LEARNT_TERMS)):
            given = getattr(self, name)
            require(set(given) <= set(values), name, given, f"take some of {', '.join(values)}")
        able = [part for part in self.parts if part != "instances"]  # which has nothing to learn
        remedy = f"take some of 'parts' that can: {', '.join(able) or 'there are none'}"
        require(set(self.learn) <= set(able), "learn", self.learn, remedy)


@dataclass(frozen=True)
class DataConfig:
    """[data] — what to learn from.

    folders: datasets, read as one; their products, clips and photos together.
    split: clips of other splits are left out; those of no split are kept. "" keeps all.
    clip_times: how often an epoch sees each clip, against each photo once.
    views: whether the pictures of the products count as photos of them.
    frames: frames a clip (T); 0 for words alone, of clips and products. rate_hz: frames a second
        looked at in a video.
    clutter: share of photo clips that are composed into a cluttered stream (0..1).
    clutter_ramp: share of the run over which clutter rises from none (0..1): a tower from
        scratch first learns what the products look like, then to find them.
    distractors: products at most beside the one meant, in a composed clip.
    other_frames: share of frames at most that show another product instead (0..1).
    by_shop: each batch is of one shop as far as its examples fill it, see `training.shuffles`;
        with mining, batches are of confusable products anyway.
    negatives: products of the same shops added to each batch; with mining the most confusable.
    variants: how many versions of each item the token cache holds, see `training.cached`.
    sayings: files of what is told of products, for the transcripts of photo clips, see
        `training.speech.sayings`. phrases: a file of what is said around them, see
        `training.phrases`.
    """

    folders: tuple[Path, ...]
    split: str = "train"
    clip_times: int = 1
    views: bool = False
    frames: int = 4
    rate_hz: float = 1.0
    clutter: float = 0.6
    clutter_ramp: float = 0.0
    distractors: int = 4
    other_frames: float = 0.75
    by_shop: bool = False
    negatives: int = 0
    variants: int = 2
    sayings: tuple[Path, ...] = ()
    phrases: Path | None = None

    def __post_init__(self) -> None:
        require(bool(self.folders), "folders", self.folders, "name at least one dataset")
        require(self.clip_times > 0, "clip_times", self.clip_times, "give 1 or more")
        require(self.frames >= 0, "frames", self.frames, "give 0 or more")
        require(0 < self.rate_hz < inf, "rate_hz", self.rate_hz, "give frames a second above 0")
        require(self.distractors >= 0, "distractors", self.distractors, "give 0 or more")
        require(self.negatives >= 0, "negatives", self.negatives, "give 0 or more")
        require(self.variants > 0, "variants", self.variants, "give 1 or more")
        require(0 <= self.clutter <= 1, "clutter", self.clutter, "give a share in 0..1")
        require(0 <= self.clutter_ramp <= 1, "clutter_ramp", self.clutter_ramp, "give 0..1")
        require(
            0 <= self.other_frames < 1, "other_frames", self.other_frames, "give a share below 1"
        )


@dataclass(frozen=True)
class TrainConfig:
    """[train] — how to learn.

    steps: optimizer steps. batch: clips a step; accumulate: batches a step.
    lr, backbone_lr: peak rates of new and of pretrained parts. head_times: so many times lr for
        the few scalars of the score. warmup: share of the steps.
    clip_norm: of the gradient. ema: decay of the averaged weights, 0 for none.
    drop_transcript, drop_title: how often a clip or product is taken for silent (0..1).
    wrong_transcript: how often a clip says what is said of another product of its shop (0..1).
    drop_word, drop_frames: how often a word goes missing; the share of frames at most that does.
    jitter: strength of colour and light changes. dark, coarse: how often little light is left of
        a clip, or few pixels, see `training.wear`.
    workers: processes that prepare batches.
    threads: that compute, 0 for all cores. checkpoint_minutes: between checkpoints.
    device: "auto", "cpu", "cuda".
    """

    steps: int = 1000
    batch: int = 24
    accumulate: int = 1
    lr: float = 1e-3
    backbone_lr: float = 1e-5
    head_times: float = 1.0
    weight_decay: float = 0.05
    warmup: float = 0.05
    clip_norm: float = 1.0
    ema: float = 0.0
    drop_transcript: float = 0.5
    wrong_transcript: float = 0.0
    drop_title: float = 0.1
    drop_word: float = 0.15
    drop_frames: float = 0.3
    jitter: float = 0.3
    dark: float = 0.0
    coarse: float = 0.0
    seed: int = 0
    workers: int = 1
    threads: int = 0
    checkpoint_minutes: float = 5.0
    log_every: int = 10
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "log_every"):
            require(getattr(self, name) > 0, name, getattr(self, name), "give 1 or more")
        for name in ("seed", "workers", "threads", "weight_decay", "jitter", "backbone_lr"):
            require(0 <= getattr(self, name) < inf, name, getattr(self, name), "give 0 or more")
        for name in ("lr", "head_times", "clip_norm", "checkpoint_minutes"):
            require(0 < getattr(self, name) < inf, name, getattr(self, name), "give more than 0")
        shares = ("warmup", "ema", "drop_transcript", "wrong_transcript", "drop_title")
        for name in (*shares, "drop_word", "drop_frames", "dark", "coarse"):
            require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "give 0..1")


@dataclass(frozen=True)
class LossConfig:
    """[loss] — what to minimise, besides InfoNCE on the score. A weight of 0 leaves a loss out.

    text: weight of InfoNCE on transcript and title alone. telling: of the same where words count as
    much as they tell. triplet: of distance-weighted
    triplets, with `margin` of the cosines and `memory` products of past batches.
    pair: of a clip's product against its `hard` hardest others, as the second pass scores them.
    box: of guidance that looks elsewhere than into the boxes of labelled clips; not from a cache.
    mining: hard negatives, hard batches and triplets; without it negatives are drawn at random.
    duplicate_picture, duplicate_title: listings as close as this in both, by the model that the
    run starts from, are one product listed twice, and no negatives of each other.
    """

    text: float = 0.2
    telling: float = 0.0
    triplet: float = 0.2
    pair: float = 0.5
    box: float = 0.0
    hard: int = 8
    mining: bool = True
    margin: float = 0.2
    memory: int = 0
    duplicate_picture: float = 0.995
    duplicate_title: float = 0.995

    def __post_init__(self) -> None:
        for name in ("text", "telling", "triplet", "pair", "box"):
            require(0 <= getattr(self, name) < inf, name, getattr(self, name), "give 0 or more")
        require(self.hard > 0, "hard", self.hard, "give 1 or more")
        require(self.memory >= 0, "memory", self.memory, "give 0 or more")
        require(0 < self.margin < 2, "margin", self.margin, "give a margin of cosines in 0..2")
        for name in ("duplicate_picture", "duplicate_title"):
            require(getattr(self, name) >= -1, name, getattr(self, name), "give a cosine")

    def require_uncached(self, where: object) -> None:
        """Refuse what a run on cached tokens cannot learn by."""
        if self.box > 0:
            raise SettingsError(
                f"'box' is {self.box}, but a cache of tokens holds no boxes",
                where,
                'set box = 0, or let the towers learn: freeze = "text" or ""',
            )


@dataclass(frozen=True)
class RunConfig:
    """A whole run."""

    model: ModelConfig
    data: DataConfig
    train: TrainConfig
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        heard = self.loss.telling == 0 or "emphasis" in self.model.parts
        require(heard, "telling", self.loss.telling, "add \"emphasis\" to 'parts', which learns it")
        apart = not (self.data.by_shop and self.loss.mining)
        require(apart, "by_shop", True, "leave it out, or set mining = false in [loss]")
        if self.data.frames == 0:
            why = "with frames = 0, for words alone, set"
            cached = self.model.freeze == "towers"
            require(not cached, "freeze", self.model.freeze, f'{why} freeze = "text"')
            silent = self.train.drop_transcript
            require(silent == 0, "drop_transcript", silent, f"{why} drop_transcript = 0")
            require(self.loss.box == 0, "box", self.loss.box, f"{why} box = 0")


def read(path: Path) -> RunConfig:
    """A run from a TOML file; folders are relative to the file. Raises SettingsError."""
    tables = read_toml(path)
    kinds = {"model": ModelConfig, "data": DataConfig, "train": TrainConfig, "loss": LossConfig}
    model, data, train, loss = from_tables(kinds, tables, path)
    if model.freeze == "towers":
        loss.require_uncached(f"{path} [loss]")
    near = {
        name: tuple(path.parent / each for each in getattr(data, name))
        for name in ("folders", "sayings")
    }
    phrases = data.phrases and path.parent / data.phrases
    try:
        return RunConfig(model, replace(data, phrases=phrases, **near), train, loss)
    except SettingsError as error:  # from `require`, which does not know the file
        raise SettingsError(error.what, path, error.remedy) from error
