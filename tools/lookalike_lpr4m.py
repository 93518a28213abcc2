"""Writes files that look like LPR4M, with its irregularities, and knows what an import counts.

Rows with irregularities are chosen by their number, so that the counts are known.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from lookalike_media import ORIGINAL_SIZE, ShardWriter, color_of, encode_image

CATEGORIES = tuple(f"category {number:02}" for number in range(34))
LAYOUTS = {"files": (11, 12), "tar": (11, 12), "folders": (13,)}
CLIPS_PER_PRODUCT = 4
NO_FRAMES, HALF_FRAMES, NO_BOXES, NULL_TEXT, REPEATED = 7, 11, 13, 17, 19
SHARES, REVERSED, LITERAL = 23, 29, 31  # of every 50 training rows
NO_IMAGE, NO_PRODUCT = 3, 5  # of every 20 products
TEST_NO_FRAMES, TEST_OUTSIDE, TEST_TWO_TRUTHS, TEST_ONE_LISTED = 4, 5, 6, 7  # of every 20 clips


@dataclass
class Lookalike:
    """A look-alike in a folder.

    Attributes:
        kind: How media are stored: "files" or "tar" as img2dataset, "folders" as LPR750K.
        expected: What an import counts, by split.
    """

    root: Path
    kind: str
    seed: int = 0
    expected: dict[str, Counter[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.without_image: set[int] = set()  # products that are counted as such
        self.shards = ShardWriter(self.root / "media", self.kind)
        self.root.mkdir(parents=True)

    def uuid(self) -> str:
        """A random UUID."""
        return str(UUID(bytes=self.rng.bytes(16)))

    def add_image(self, folder: str, name: str, number: int, seed: int) -> str:
        """Store an image of a product; returns its path for LPR750K, its id otherwise."""
        content = encode_image(color_of(number), seed)
        if self.kind != "folders":
            self.shards.add(name, content)
            return name
        path = self.root / folder / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return f"{folder}/{name}.jpg"

    def write(self, clips: int, test_lives: int, test_clips: int) -> None:
        """Write a training set and a test set."""
        self._write_training(clips)
        _TestWriter(self).write(test_lives, test_clips)
        self.shards.close()
        expected = {split: dict(counts) for split, counts in self.expected.items()}
        (self.root / "expected.json").write_text(json.dumps(expected, indent=1))

    def _write_training(self, clips: int) -> None:
        counts = self.expected["train"] = Counter[str]()
        lives = [self.uuid() for _ in range(max(2, clips // 40))]
        images = [self.uuid() for _ in range(-(-clips // CLIPS_PER_PRODUCT))]
        used: set[int] = set()
        lines = []
        for number in range(clips):
            product = number // CLIPS_PER_PRODUCT
            line = self._training_row(number, product, images[product], lives)
            repeats = number % 50 == REPEATED
            lines += [line] * (2 if repeats else 1)
            self._count_row(number, product, repeats, counts, used)
        counts["products"] = len(used)
        half = len(lines) // 2
        for part, own in enumerate((lines[:half], lines[half:])):
            path = self.root / f"training_videoinfo_full_part_{part:02}.txt"
            path.write_text("\n".join(own) + "\n", encoding="utf-8")

    def _count_row(
        self, number: int, product: int, repeats: bool, counts: Counter[str], used: set[int]
    ) -> None:
        counts["rows"] += 1 + repeats
        if number % 50 == NO_FRAMES:
            counts["clips without media"] += 1
            return
        counts["clips with missing frames"] += number % 50 == HALF_FRAMES
        if product % 20 in (NO_IMAGE, NO_PRODUCT) and product not in used:
            counts["missing images"] += product not in self.without_image
            self.without_image.add(product)
        if product % 20 == NO_PRODUCT:
            counts["clips whose product has no media"] += 1 + repeats
            return
        used.add(product)
        counts["clips"] += 1
        counts["repeated clips"] += repeats

    def _training_row(self, number: int, product: int, image_id: str, lives: list[str]) -> str:
        start = 1_667_916_000_000 + 60_000 * number
        frame_count = int(self.rng.integers(3, 15))
        video_id = f"{lives[number % len(lives)]}-{start}-{start + 1000 * frame_count}"
        frames = self._add_frames(number, product, video_id, frame_count)
        boxes = [self._box(number, at) for at in range(frame_count)]
        if number % 50 == REVERSED:
            frames, boxes = frames[::-1], boxes[::-1]
        image_path = f"training_image/{image_id}.jpg"
        if number % CLIPS_PER_PRODUCT == 0 and product % 20 not in (NO_IMAGE, NO_PRODUCT):
            self.add_image("training_image", image_id, product, 9000 + product)
        title = "" if product % 20 == NO_PRODUCT else f"red milk {product}"
        category = product % len(CATEGORIES)
        cells = [video_id, self._list(number, frames), self._list(number, boxes), image_id, title]
        cells += [str(category), CATEGORIES[category]]
        layout = LAYOUTS[self.kind][number % len(LAYOUTS[self.kind])]
        if layout == 13:
            cells.insert(4, image_path)
        cells += [f"spu{product}"] if layout in (12, 13) else []
        cells.append("null" if number % 50 == NULL_TEXT else "this is the red milk today")
        cells += [("small", "medium", "large")[number % 3], "long", "few"]
        return "\t".join(cells)

    def _add_frames(self, number: int, product: int, video_id: str, count: int) -> list[str]:
        """Store the frames of a clip and return their ids or paths."""
        names = []
        for at in range(count):
            missing = number % 50 == NO_FRAMES or (number % 50 == HALF_FRAMES and at % 2 == 0)
            folder, name = f"training_video_00/{video_id}", f"{video_id}-{at:04}"
            if not missing:
                self.add_image(folder, name, product, 100 * number + at)
            names.append(name if self.kind != "folders" else f"{folder}/{name}.jpg")
        return names

    def _box(self, number: int, at: int) -> list[float]:
        """A box per frame, in pixels of the original frame, of which LPR750K keeps the size."""
        if number % 50 == NO_BOXES or at % 5 == 4:
            return [0, 0, 0, 0]
        if number % 50 == SHARES:
            return [0.25, 0.25, 0.75, 0.5]
        width, height = (36, 64) if self.kind == "folders" else ORIGINAL_SIZE
        return [width // 4, height // 4, 3 * width // 4, height // 2]

    @staticmethod
    def _list(number: int, values: list[Any]) -> str:
        return repr(values) if number % 50 == LITERAL or number % 2 else json.dumps(values)


class _TestWriter:
    """Writes the test set of a look-alike."""

    def __init__(self, look: Lookalike) -> None:
        self.look = look
        self.counts = look.expected["test"] = Counter[str]()
        self.galleries: dict[str, list[str]] = {}
        self.titles: dict[str, str] = {}
        self.boxes: dict[str, list[list[float]]] = {}
        self.truths: dict[str, list[str]] = {}

    def write(self, lives: int, clips: int) -> None:
        """Write galleries of products with one to three views, and the clips."""
        for live in range(lives):
            self._add_gallery(live)
        transcripts = {}
        for number in range(clips):
            video_id = self._add_clip(number, list(self.galleries)[number % lives])
            transcripts[video_id] = "null" if number % 9 == 0 else "today we have the red milk"
        root = self.look.root
        for name, value in (
            (f"test_videoid_to_gtimage_{clips}.json", self.truths),
            (f"test_frameid2gtbox_{clips}_{len(self.boxes)}.json", self.boxes),
            (f"test_liveid_to_gallery_{lives}.json", self.galleries),
        ):
            (root / name).write_text(json.dumps(value))
        for name, texts in (
            (f"test_videoid_asr_{clips}.txt", transcripts),
            (f"test_image_title_{len(self.titles)}.txt", self.titles),
        ):
            (root / name).write_text("".join(f"{k}\t{v}\n" for k, v in texts.items()))

    def _add_gallery(self, live: int) -> None:
        live_id, names = self.look.uuid(), []
        for product in range(6):
            image_id = self.look.uuid()
            self.titles[image_id] = f"blue juice {product}"
            for view in range(1 + product % 3):
                name = f"{image_id}-{view}"
                names.append(name)
                if (live, product, view) == (0, 2, 2):
                    self.counts["missing images"] += 1
                    continue
                seed = 50_000 + 100 * live + 10 * product + view
                self.look.add_image(f"gallery/{live_id}", name, 1000 * (live + 1) + product, seed)
                self.counts["gallery images"] += 1
        self.counts["products"] += 6
        self.counts["gallery products"] += 6
        self.counts["gallery main images"] += 6
        self.galleries[live_id] = names

    def _add_clip(self, number: int, live_id: str) -> str:
        live = list(self.galleries).index(live_id)
        product = number // len(self.galleries) % 6
        video_id = f"{live_id}-{5_000_000 + 1000 * number}-{5_012_000 + 1000 * number}"
        own = sorted(
            {n.rpartition("-")[0] for n in self.galleries[live_id]},
            key=[n.rpartition("-")[0] for n in self.galleries[live_id]].index,
        )
        truths = [own[product]]
        kind = number % 20
        if kind == TEST_TWO_TRUTHS:
            truths.append(own[(product + 1) % 6])
        if kind in (TEST_OUTSIDE, TEST_ONE_LISTED):
            truths = [self.look.uuid(), *(truths if kind == TEST_ONE_LISTED else [])]
            self.counts["clips with true images outside the gallery"] += 1
        self.truths[video_id] = truths
        for at in range(12):
            if kind != TEST_NO_FRAMES:
                seed = 90_000 + 100 * number + at
                color = 1000 * (live + 1) + product
                self.look.add_image(f"query/{video_id}", f"{video_id}-{at:04}", color, seed)
            if at % 3:  # a third of the frames is not in the file
                self.boxes[f"{video_id}-{at:04}"] = [[0.1, 0.1, 0.6, 0.6]] * (1 + number % 5)
        missing = kind in (TEST_NO_FRAMES, TEST_OUTSIDE)
        self.counts["clips without media"] += kind == TEST_NO_FRAMES
        self.counts["clips in missing.jsonl" if missing else "clips"] += 1
        return video_id
