"""Compose labeled clips and streams from held-back photos, to calibrate a model on.

    python tools/train_builtin/compose_dataset.py CATALOGUE HELD OUT [--clips 400] [--streams 12]
    sgmn index OUT -o OUT.index --model MODEL
    sgmn calibrate OUT --index OUT.index -o CALIBRATED

HELD is a folder whose photos.jsonl names photos that the model was not trained on; CATALOGUE lists
their products. By default the sentences and phrases of the transcripts are held back, too. Clips
are cluttered, as in training. A stream sells eight products for 10 to 40 s each; in some pauses
nothing is on sale. Frames are PNG files, one per second.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from sgmn.data import dataset
from sgmn.data.dataset import clip_to_row, product_to_row
from sgmn.media import image
from sgmn.records import Clip, ImageArray, Segment, Utterance
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data import synthetic_transcripts
from sgmn.training.data.composition import Scene
from sgmn.training.data.degradation import apply_light, sample_light
from sgmn.training.data.example_loader import ExampleLoader, LoadedClip
from sgmn.training.data.examples import Examples, Key
from sgmn.training.data.phrases import load_phrases

FOLDER = Path(__file__).parent
TALKING_POINTS, PHRASES = FOLDER / "groceries-held.jsonl", FOLDER / "phrases-held.toml"
CLIP_FRAMES, LOW_LIGHT_PROB = 10, 0.1
PRODUCTS_PER_STREAM = 8
PAUSE_S, PAUSE_PROB = 12.0, 0.2
PRODUCT_S = (10, 41)  # at least, and below
UTTERANCE_S, DROP_WORD_PROB = 5.0, 0.15


def main() -> None:
    options = parse_arguments()
    folders = (options.catalogue, options.held)
    examples = Examples([dataset.read_dataset(folder) for folder in folders])
    rows = [product_to_row(product, options.output) for product in examples.products.values()]
    dataset.write_jsonl(options.output / "products.jsonl", rows)
    write_clips(examples, options)
    write_streams(examples, options)
    print(f"{options.output}: {options.clips} clips, {options.streams} streams")


def write_clips(examples: Examples, options: argparse.Namespace) -> None:
    """Write cluttered clips; each photo is used once before any is used again."""
    data = DataConfig(
        (options.held,),
        frames_per_clip=CLIP_FRAMES,
        clutter_prob=1.0,
        talking_points=tuple(options.talking_points),
        phrases=options.phrases,
    )
    train = TrainConfig(drop_transcript_prob=0.0, low_light_prob=LOW_LIGHT_PROB)
    loader = ExampleLoader(examples, data, train, options.max_side)
    rng = np.random.default_rng(options.seed)
    rows = []
    for number, place in enumerate(draw_places(len(examples.items), options.clips, rng)):
        item = examples.items[place]
        shop_id, product_id = examples.product_keys(item)[0]
        loaded = loader.load_labeled_clip(item, 1.0, rng)
        clip = write_clip(loaded, options.output, f"c{number:04}", shop_id, product_id)
        rows.append(clip_to_row(clip, options.output))
    dataset.write_jsonl(options.output / "clips.jsonl", rows)


def draw_places(count: int, draws: int, rng: np.random.Generator) -> list[int]:
    """Positions in random order: each of `count` once before any comes again."""
    rounds = [rng.permutation(count) for _ in range(0, draws, count)]
    return [int(place) for place in np.concatenate(rounds)[:draws]] if rounds else []


def write_clip(
    loaded: LoadedClip, folder: Path, clip_id: str, shop_id: str, product_id: str
) -> Clip:
    paths = write_frames(loaded.content.frames, folder / "clips" / clip_id)
    transcript = (Utterance(0.0, float(len(paths)), loaded.content.text),)
    return Clip(clip_id, None, paths, transcript, (product_id,), shop_id, boxes=loaded.boxes)


def write_frames(frames: Iterable[ImageArray], folder: Path) -> tuple[Path, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, frame in enumerate(frames):
        paths.append(folder / f"{number:05}.png")
        Image.fromarray(frame).save(paths[-1])
    return tuple(paths)


def write_streams(examples: Examples, options: argparse.Namespace) -> None:
    composer = StreamComposer(examples, options)
    folder = options.output / "streams"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(options.streams):
        timeline = composer.plan_timeline()
        write_frames(composer.compose_frames(timeline), folder / f"s{number}")
        transcript = composer.compose_transcript(timeline)
        row = {
            "video": f"s{number}",
            "transcript": [asdict(utterance) for utterance in transcript],
            "timeline": [
                {"start": s.start, "end": s.end, "product_id": s.product_id} for s in timeline
            ],
        }
        (folder / f"s{number}.json").write_text(json.dumps(row), encoding="utf-8")


class StreamComposer:
    """Composes streams from the photos of the shop without a name."""

    def __init__(self, examples: Examples, options: argparse.Namespace) -> None:
        self.examples, self.height_px = examples, options.max_side
        self.rng = np.random.default_rng(options.seed)
        self.talking_points = synthetic_transcripts.load_talking_points(
            options.talking_points, examples.products
        )
        self.phrases = load_phrases(options.phrases)
        self.keys = sorted(examples.photos_by_product)

    def plan_timeline(self) -> list[Segment]:
        """Several products one after another, with pauses."""
        timeline, now_s = [], 0.0
        for place in self.rng.choice(len(self.keys), PRODUCTS_PER_STREAM, replace=False):
            if self.rng.random() < PAUSE_PROB:
                timeline.append(Segment(now_s, now_s + PAUSE_S, None))
                now_s += PAUSE_S
            length_s = float(self.rng.integers(*PRODUCT_S))
            timeline.append(Segment(now_s, now_s + length_s, self.keys[place][1]))
            now_s += length_s
        return timeline

    def compose_frames(self, timeline: list[Segment]) -> Iterator[ImageArray]:
        """One frame per second."""
        for segment in timeline:
            others = [self.keys[i] for i in self.rng.choice(len(self.keys), 4, replace=False)]
            photos = [self._photo(key) for key in others]
            scene = Scene.compose(photos[0], photos[1:], self.height_px, self.rng)
            light, other_prob = sample_light(0.2, self.rng), self.rng.uniform(0, 0.5)
            width = self.rng.uniform(0.35, 0.95)
            for _ in range(int(segment.end - segment.start)):
                frame = self._frame(scene, segment, others[-1], other_prob, width)
                yield apply_light(frame, light)

    def _frame(
        self, scene: Scene, segment: Segment, other: Key, other_prob: float, width: float
    ) -> ImageArray:
        if segment.product_id is None:
            return scene.background
        held = other if self.rng.random() < other_prob else ("", segment.product_id)
        return scene.render(self._photo(held), width, self.rng)[0]

    def _photo(self, key: Key) -> ImageArray:
        photos = self.examples.photos_by_product[key]
        return image.read_image(photos[int(self.rng.integers(len(photos)))].path, self.height_px)

    def compose_transcript(self, timeline: list[Segment]) -> list[Utterance]:
        """One utterance every few seconds."""
        return [
            Utterance(start, min(start + UTTERANCE_S, segment.end), self._text(segment))
            for segment in timeline
            for start in map(float, np.arange(segment.start, segment.end, UTTERANCE_S))
        ]

    def _text(self, segment: Segment) -> str:
        if segment.product_id is None:
            fillers = self.phrases.fillers
            return fillers[int(self.rng.integers(len(fillers)))]
        product = self.examples.products["", segment.product_id]
        other = self.examples.products[self.keys[int(self.rng.integers(len(self.keys)))]]
        others = [other] if other is not product else []
        points = self.talking_points.get(product.key, ())
        text = synthetic_transcripts.compose_transcript(
            product, others, points, self.rng, self.phrases
        )
        return synthetic_transcripts.add_recognition_errors(text, DROP_WORD_PROB, self.rng)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("held", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--streams", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-side", type=int, default=320, help="longer side, in pixels")
    parser.add_argument("--talking-points", type=Path, nargs="*", default=[TALKING_POINTS])
    parser.add_argument("--phrases", type=Path, default=PHRASES)
    return parser.parse_args()


if __name__ == "__main__":
    main()
