"""Settings of a training run: one frozen dataclass for each table of its TOML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sgmn.model.inputs import Canvas
from sgmn.model.parts import DEFAULT_PARTS, PARTS
from sgmn.model.scoring import LEARNED_TERMS, TERMS
from sgmn.product_text import DEFAULT_TEXT_FIELDS, TextFields
from sgmn.settings import require, require_above_zero, require_at_least, require_fraction

VISUAL_LOSSES = ("image", "glance", "late")  # terms of the score with a loss of their own
SCORE = "score"  # in `trainable_parts`: the weights of the terms


@dataclass(frozen=True)
class ModelConfig:
    """[model]: the model to start from.

    Attributes:
        source: "small", "lite", "lite1", "builtin", a checkpoint folder, or the folder or hub
            name of a backbone.
        freeze: "text" freezes the text tower except for its projection. "towers" freezes both
            towers, so that every clip and product is encoded once into a cache. "" freezes
            nothing.
        parts: parts above the towers, see `sgmn.model.parts`. Parts that the source lacks are
            initialized; parts that are not listed are removed.
        score_terms: terms of the score besides the image-image cosine.
        frozen_blocks: number of leading blocks of the EfficientNet-Lite image tower to freeze,
            which saves their backward pass.
        canvases: [height, width] of the image tower's inputs, in pixels; empty to keep those of
            the source.
        trainable_parts: the only parts that are trained, "score" for the weights of the score;
            empty to train everything that `freeze` allows.
    """

    source: str = "small"
    freeze: str = "text"
    parts: tuple[str, ...] = DEFAULT_PARTS
    score_terms: tuple[str, ...] = LEARNED_TERMS
    frozen_blocks: int = 0
    canvases: tuple[Canvas, ...] = ()
    trainable_parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_at_least(self, 0, "frozen_blocks")
        valid = all(len(canvas) == 2 and min(canvas) > 0 for canvas in self.canvases)
        require(valid, "canvases", self.canvases, "use pairs of a height and a width")
        allowed = ("", "text", "towers")
        require(self.freeze in allowed, "freeze", self.freeze, 'use "text", "towers" or ""')
        for name, values in (("parts", PARTS), ("score_terms", TERMS)):
            chosen = getattr(self, name)
            require(set(chosen) <= set(values), name, chosen, f"choose from {', '.join(values)}")
        trainable = [SCORE, *(part for part in self.parts if part != "instances")]
        require(
            set(self.trainable_parts) <= set(trainable),
            "trainable_parts",
            self.trainable_parts,
            f"choose from {', '.join(trainable)}",
        )
        if "glance" in self.parts:
            # With frozen towers, glances are taken once, where the guidance of the source looks.
            is_fixed = bool(self.trainable_parts) and "guidance" not in self.trainable_parts
            remedy = "with \"glance\" in 'parts' and frozen towers, freeze the guidance too: set "
            remedy += 'trainable_parts without "guidance"'
            valid = is_fixed or self.freeze != "towers"
            require(valid, "trainable_parts", self.trainable_parts, remedy)
            remedy = "add \"guidance\" to 'parts', which tells where to look"
            require("guidance" in self.parts, "parts", self.parts, remedy)


@dataclass(frozen=True)
class DataConfig:
    """[data]: the examples to train on, and how they are composed into clips.

    Attributes:
        folders: dataset folders, read as one dataset.
        split: train on the clips of this split and on those without a split; "" for all clips.
        clip_repeats: how often an epoch contains each clip; each photo appears once.
        product_images_as_photos: also use the products' own images as photos of them.
        frames_per_clip: frames of a clip (T); 0 trains on text alone, for clips and products.
        frame_rate_hz: rate at which candidate frames are sampled from a video, in Hz.
        clutter_prob: probability that a photo clip is composed into a cluttered stream (0..1).
        clutter_warmup_fraction: fraction of the run over which `clutter_prob` rises from 0
            (0..1). A tower trained from scratch first learns what products look like, then to
            find them.
        max_distractors: maximum number of other products in a composed clip.
        max_other_product_fraction: maximum fraction of a composed clip's frames that show
            another product instead (0..1).
        counterfactual_prob: probability that a clip that also shows another product becomes a clip
            about that product: the same frames, a synthetic transcript about the other product,
            and its boxes (0..1). Only the words then tell which product is meant.
        single_shop_batches: fill each batch from one shop as far as possible, see
            `sgmn.training.data.epoch_order`. Excludes `mining`, which orders batches itself.
        twin_group: number of consecutive examples with similar titles; 1 for a random order.
        extra_negatives: products of the same shops added to each batch; with mining, the most
            confusable ones.
        cached_variants: augmented versions of each example in the token cache, see
            `sgmn.training.data.cached_batches`.
        talking_points: JSONL files of sentences about products, used in the transcripts of
            photo clips, see `sgmn.training.data.synthetic_transcripts`.
        phrases: TOML file of general sales phrases, see `sgmn.training.data.phrases`.
        product_text: text of a product, see `sgmn.product_text`.
    """

    folders: tuple[Path, ...]
    split: str = "train"
    clip_repeats: int = 1
    product_images_as_photos: bool = False
    frames_per_clip: int = 4
    frame_rate_hz: float = 1.0
    clutter_prob: float = 0.6
    clutter_warmup_fraction: float = 0.0
    max_distractors: int = 4
    max_other_product_fraction: float = 0.75
    counterfactual_prob: float = 0.0
    single_shop_batches: bool = False
    twin_group: int = 1
    extra_negatives: int = 0
    cached_variants: int = 2
    talking_points: tuple[Path, ...] = ()
    phrases: Path | None = None
    product_text: TextFields = DEFAULT_TEXT_FIELDS

    def __post_init__(self) -> None:
        require(bool(self.folders), "folders", self.folders, "name at least one dataset")
        require_at_least(self, 1, "clip_repeats", "cached_variants", "twin_group")
        require_at_least(self, 0, "frames_per_clip", "max_distractors", "extra_negatives")
        require_above_zero(self, "frame_rate_hz")
        require_fraction(self, "clutter_prob", "clutter_warmup_fraction", "counterfactual_prob")
        name, fraction = "max_other_product_fraction", self.max_other_product_fraction
        require(0 <= fraction < 1, name, fraction, "use a number from 0 to below 1")
        in_one_shop = self.twin_group == 1 or self.single_shop_batches
        require(in_one_shop, "twin_group", self.twin_group, "set single_shop_batches = true")


@dataclass(frozen=True)
class TrainConfig:
    """[train]: optimization, augmentation and resources.

    Attributes:
        steps: optimizer steps.
        batch_size: clips in a batch.
        accumulation_steps: batches in an optimizer step.
        cached_negatives: compare each clip with the products of all batches of a step, for one
            more forward pass, see `sgmn.training.cached_negatives`.
        gradient_checkpointing: recompute activations of the towers to save memory.
        lr: peak learning rate of newly initialized parameters.
        backbone_lr: peak learning rate of pretrained parameters.
        head_lr_multiplier: factor on `lr` for the scalar parameters of the score.
        weight_decay: decay of weight matrices (AdamW).
        warmup_fraction: fraction of the steps over which the learning rate rises (0..1).
        max_grad_norm: gradients are clipped to this norm.
        ema_decay: decay of the exponential moving average of the weights; 0 for no average.
        drop_transcript_prob: probability that a clip has no transcript (0..1).
        wrong_transcript_prob: probability that a clip has the transcript of another product of
            its shop (0..1).
        drop_title_prob: probability that a product has no title (0..1).
        drop_word_prob: probability that a word of a transcript is missing (0..1).
        drop_tail_prob: probability that a clip loses its end, 0, 0.1 … or 0.9 of it (0..1).
        max_dropped_frames_fraction: otherwise, maximum fraction dropped anywhere in it (0..1).
        color_jitter: strength of random brightness, contrast and color changes; 0 for none.
        low_light_prob: probability of a dark clip (0..1), see `sgmn.training.data.degradation`.
        low_resolution_prob: probability of a clip of few pixels (0..1).
        seed: seed of initialization, augmentation and order.
        workers: processes that prepare batches (with frozen towers, one thread); 0 for none.
        threads: compute threads; 0 for PyTorch's default.
        checkpoint_minutes: minutes between checkpoints.
        log_every_steps: steps between lines of the log.
        keep_better: compare the result with the start on the clips of the split "val", and keep
            the better of them; see `sgmn.workflows.start_comparison`.
        device: "auto", "cpu" or "cuda".
    """

    steps: int = 1000
    batch_size: int = 24
    accumulation_steps: int = 1
    cached_negatives: bool = False
    gradient_checkpointing: bool = False
    lr: float = 1e-3
    backbone_lr: float = 1e-5
    head_lr_multiplier: float = 1.0
    weight_decay: float = 0.05
    warmup_fraction: float = 0.05
    max_grad_norm: float = 1.0
    ema_decay: float = 0.0
    drop_transcript_prob: float = 0.5
    wrong_transcript_prob: float = 0.0
    drop_title_prob: float = 0.1
    drop_word_prob: float = 0.15
    drop_tail_prob: float = 0.0
    max_dropped_frames_fraction: float = 0.3
    color_jitter: float = 0.3
    low_light_prob: float = 0.0
    low_resolution_prob: float = 0.0
    seed: int = 0
    workers: int = 1
    threads: int = 0
    checkpoint_minutes: float = 5.0
    log_every_steps: int = 10
    keep_better: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        require_at_least(self, 1, "steps", "batch_size", "accumulation_steps", "log_every_steps")
        require_at_least(self, 0, "seed", "workers", "threads", "color_jitter")
        require_at_least(self, 0, "weight_decay", "backbone_lr")
        require_above_zero(self, "lr", "head_lr_multiplier", "max_grad_norm")
        require_above_zero(self, "checkpoint_minutes")
        require_fraction(self, "warmup_fraction", "ema_decay", "drop_transcript_prob")
        require_fraction(self, "wrong_transcript_prob", "drop_title_prob", "drop_word_prob")
        require_fraction(self, "drop_tail_prob", "max_dropped_frames_fraction")
        require_fraction(self, "low_light_prob", "low_resolution_prob")


@dataclass(frozen=True)
class LossConfig:
    """[loss]: weights of the losses that are added to InfoNCE on the score; 0 disables a loss.

    Attributes:
        text: weight of InfoNCE on transcript and title alone.
        text_reliability: weight of the same loss with every transcript's logits multiplied by
            its predicted reliability.
        image, glance, late: weight of InfoNCE on this term of the score alone.
        triplet: weight of the distance-weighted triplet loss. Needs `mining`.
        pair: weight of the pair loss: the clip's product against its hardest negatives, as the
            second pass scores them.
        grounding: weight of the loss on attention of guidance outside the boxes and the frames
            of the product, see `sgmn.training.losses.grounding`. Labels are the boxes and the
            "visible_span" of clips, and the known placement of composed photos.
        hard_negatives: negatives of each clip in the pair loss.
        mining: mine hard negatives, hard batches and triplets; otherwise negatives are random.
        triplet_margin: margin of the triplet loss, a difference of cosines (0..2).
        triplet_memory: products of past batches that also serve as negatives of triplets.
        near_duplicates: encode and compare all products before the first step, so that listings
            of the same product are not negatives of each other.
        duplicate_image_cosine, duplicate_title_cosine: listings are of the same product if their
            images and titles are at least this close in the starting model's space.
    """

    text: float = 0.2
    text_reliability: float = 0.0
    image: float = 0.0
    glance: float = 0.0
    late: float = 0.0
    triplet: float = 0.2
    pair: float = 0.5
    grounding: float = 0.0
    hard_negatives: int = 8
    mining: bool = True
    triplet_margin: float = 0.2
    triplet_memory: int = 0
    near_duplicates: bool = True
    duplicate_image_cosine: float = 0.995
    duplicate_title_cosine: float = 0.995

    def __post_init__(self) -> None:
        require_at_least(self, 0, "text", "text_reliability", "triplet", "pair", "grounding")
        require_at_least(self, 0, *VISUAL_LOSSES, "triplet_memory")
        require_at_least(self, 1, "hard_negatives")
        margin = self.triplet_margin
        require(0 < margin < 2, "triplet_margin", margin, "use a difference of cosines in 0..2")
        require_at_least(self, -1, "duplicate_image_cosine", "duplicate_title_cosine")


@dataclass(frozen=True)
class RunConfig:
    """All settings of a training run."""

    model: ModelConfig
    data: DataConfig
    train: TrainConfig
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        weight = self.loss.text_reliability
        predicts_it = "text_pooling" in self.model.parts
        remedy = "add \"text_pooling\" to 'parts', which predicts the reliability"
        require(weight == 0 or predicts_it, "text_reliability", weight, remedy)
        learns_glances = "glance" in self.model.parts and self.model.freeze != "towers"
        remedy = 'set it above 0: towers and "glance" learn from labeled boxes'
        is_supervised = self.loss.grounding > 0
        require(not learns_glances or is_supervised, "grounding", self.loss.grounding, remedy)
        conflict = self.data.single_shop_batches and self.loss.mining
        remedy = "remove it, or set mining = false in [loss]"
        require(not conflict, "single_shop_batches", True, remedy)
        if self.data.frames_per_clip == 0:
            self._require_text_only()

    def _require_text_only(self) -> None:
        """Check the settings of a run without frames."""
        why = "with frames_per_clip = 0 (text only), set"
        frozen = self.model.freeze == "towers"
        require(not frozen, "freeze", self.model.freeze, f'{why} freeze = "text"')
        prob = self.train.drop_transcript_prob
        require(prob == 0, "drop_transcript_prob", prob, f"{why} drop_transcript_prob = 0")
        weight = self.loss.grounding
        require(weight == 0, "grounding", weight, f"{why} grounding = 0")
