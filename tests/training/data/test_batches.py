"""Batches are pure functions of seed and step, rightly labelled, and lose nothing silently."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sgmn.data import dataset
from sgmn.data.dataset import Photo
from sgmn.errors import RecordError, SettingsError
from sgmn.records import Clip, Product
from sgmn.training.config import DataConfig, LossConfig, ModelConfig, RunConfig, TrainConfig
from sgmn.training.data import example_loader, synthetic_transcripts
from sgmn.training.data.batches import Batches
from sgmn.training.data.composition import (
    ASKEW,
    MIRRORED,
    Scene,
    askew,
    blurred,
    elsewhere,
    gripped,
    rounded,
)
from sgmn.training.data.degradation import Wear, compressed, dimmed, lit, noisy, some_light
from sgmn.training.data.epoch_order import ByShop, shuffled
from sgmn.training.data.examples import Examples, keys
from sgmn.training.data.phrases import Phrases, phrases
from tests.conftest import noise

TRAIN = TrainConfig(steps=20, batch=6, workers=0)


@pytest.fixture
def batches(world: Path, tiny: Callable[[], Any]) -> Batches:
    data = DataConfig((world,), frames=3, negatives=1)
    return Batches(Examples([dataset.read(world)]), tiny().preparation, data, TRAIN)


def same(one: Any, other: Any) -> bool:
    pixels = zip(one.clips.pictures.groups, other.clips.pictures.groups, strict=True)
    return all(torch.equal(a[1], b[1]) for a, b in pixels) and torch.equal(
        one.clips.texts.ids, other.clips.texts.ids
    )


def test_a_batch_depends_on_seed_and_step_only(batches: Batches) -> None:
    first = batches[3]
    batches[0], batches[7]  # what was drawn in between does not matter
    assert same(first, batches[3])
    assert not same(first, batches[4])
    batches.train = replace(TRAIN, seed=1)
    assert not same(first, batches[3])


def test_an_epoch_sees_every_example_once(batches: Batches) -> None:
    count = len(batches.examples.items)
    assert count == 27  # 24 photos and 3 clips
    drawn = [place for step in range(9) for place in batches.places(step, shuffled)]
    assert len(set(drawn[:27])) == 27 and len(set(drawn[27:54])) == 27
    assert drawn[:27] != drawn[27:54]


def test_batches_by_shop_are_of_one_shop_as_far_as_it_fills_them() -> None:
    """Three epochs of 25 items of shops of 14, 7 and 4, in batches of 4 that go across epochs."""
    shops = [*"a" * 14, *"b" * 7, *"c" * 4]
    order = ByShop(shops, 4)
    epochs = [order(25, 3, epoch).tolist() for epoch in range(3)]
    assert all(sorted(epoch) == list(range(25)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    drawn = [shops[place] for epoch in epochs for place in epoch]
    batches = ["".join(sorted(set(drawn[at : at + 4]))) for at in range(0, 72, 4)]
    for shop, of_an_epoch in (("a", 3), ("b", 1), ("c", 1)):
        assert batches.count(shop) >= 3 * of_an_epoch
    assert order(25, 3, 1).tolist() == ByShop(shops, 4)(25, 3, 1).tolist()
    assert order(25, 4, 1).tolist() != epochs[1]
    whole = ByShop([*"a" * 8, *"b" * 8], 4)  # no batch lies in two epochs
    assert whole(16, 3, 0).tolist() != whole(16, 3, 1).tolist()
    few = ByShop(["a", "b"], 8)
    assert sorted(few(2, 0, 0).tolist()) == sorted(few(2, 0, 5).tolist()) == [0, 1]


def test_a_run_by_shop_draws_its_batches_so(world: Path, tiny: Callable[[], Any]) -> None:
    examples, prepare = Examples([dataset.read(world)]), tiny().preparation
    drawn = []
    for wanted in (False, True):
        data = DataConfig((world,), frames=1, by_shop=wanted)
        batches = pickle.loads(pickle.dumps(Batches(examples, prepare, data, TRAIN)))
        drawn.append(batches.order(27, 0, 0).tolist())  # as a process that makes batches has it
    shops = [item.shop_id for item in examples.items]
    assert drawn[0] == shuffled(27, 0, 0).tolist()
    assert drawn[1] == ByShop(shops, 6)(27, 0, 0).tolist() != drawn[0]


def test_by_shop_and_confusable_batches_exclude_each_other(tmp_path: Path) -> None:
    data = DataConfig((tmp_path,), by_shop=True)
    RunConfig(ModelConfig(), data, TRAIN, LossConfig(mining=False))
    with pytest.raises(SettingsError, match="'by_shop' is True"):
        RunConfig(ModelConfig(), data, TRAIN, LossConfig(mining=True))


def test_what_has_no_product_is_counted(batches: Batches) -> None:
    assert batches.examples.left_out == 1
    assert "1 of products that no products.jsonl lists" in batches.examples.summary()


def test_labels_name_the_products_of_each_clip(batches: Batches) -> None:
    for step in range(6):
        items = [batches.examples.items[place] for place in batches.places(step, shuffled)]
        listed = batches._listed(items, (), np.random.default_rng(0))
        assert len(set(listed)) == len(listed)
        batch = batches[step]
        assert batch.positive.any(1).all()
        assert batch.positive.shape == (6, batch.products.count)
        for row, item in enumerate(items):
            assert int(batch.positive[row].sum()) == len(keys(item))


def test_clips_of_other_splits_are_left_out(world: Path) -> None:
    data = dataset.read(world)
    splits = ("train", "test", "", "train")
    clips = tuple(replace(c, split=s) for c, s in zip(data.clips, splits, strict=True))
    examples = Examples([replace(data, clips=clips)], "train")
    assert examples.other_splits == 1
    assert sum(isinstance(item, Clip) for item in examples.items) == 2
    assert len(Examples([replace(data, clips=clips)]).items) == 27


def test_clips_may_count_more_often_and_views_as_photos(world: Path) -> None:
    data = dataset.read(world)
    more = Examples([data], clip_times=3, views=True)
    assert len(more.items) == 3 * 3 + 24 + 6 and more.left_out == 1
    assert sum(isinstance(item, Clip) for item in more.items) == 9
    assert len(more.photos["", "p0"]) == 5


def test_no_listed_product_is_refused(world: Path) -> None:
    data = replace(dataset.read(world), products=())
    with pytest.raises(RecordError, match="nothing to learn from"):
        Examples([data])


def test_silence_is_as_often_as_asked(batches: Batches) -> None:
    batches.contents.train = replace(TRAIN, drop_transcript=1.0)
    assert not len(batches[0].clips.texts.owner)
    batches.contents.train = replace(TRAIN, drop_transcript=0.0, drop_word=0.0)
    assert len(set(batches[0].clips.texts.owner.tolist())) == 6


def test_words_are_those_of_another_product_as_often_as_asked(
    batches: Batches, rng: np.random.Generator
) -> None:
    contents = batches.contents
    contents.sayings = {key: (f"told of {key[1]}",) for key in contents.examples.products}
    photo = contents.examples.photos["", "p2"][0]
    for share in (0.0, 0.4):
        contents.train = replace(TRAIN, drop_transcript=0.0, drop_word=0.0, wrong_transcript=share)
        said = [contents._words(photo, [], rng) for _ in range(400)]
        own = sum("told of p2" in words for words in said)
        others = sum("told of p" in words for words in said) - own
        assert others / (own + others) == pytest.approx(share, abs=0.08)


def test_transcripts_mostly_leave_the_name_unsaid() -> None:
    rng = np.random.default_rng(0)
    milk = Product("p0", "Arla Ecological Milk", category="Milk")
    other = Product("p1", "Granny Smith", category="Apple")
    said = [synthetic_transcripts.transcript(milk, [other], [], rng) for _ in range(400)]
    full = sum("arla ecological milk" in words for words in said) / 400
    category = sum("milk" in words for words in said) / 400
    assert full == pytest.approx(synthetic_transcripts.FULL, abs=0.08)
    assert category == pytest.approx(
        synthetic_transcripts.FULL + synthetic_transcripts.CATEGORY, abs=0.08
    )
    named = [sum(name in words for words in said) / 400 for name in ("granny smith", "apple")]
    assert all(0.08 < share < 0.25 for share in named)
    assert len(set(said)) > 300


def test_worn_words_lose_some_and_keep_order() -> None:
    words = " ".join(f"w{number}" for number in range(300))
    heard = synthetic_transcripts.worn(words, 0.2, np.random.default_rng(1)).split()
    kept = [word for word in heard if word.startswith("w")]
    assert 0.7 < len(kept) / 300 < 0.9 and len(heard) > len(kept)
    assert kept == sorted(kept, key=lambda word: int(word[1:]))
    assert synthetic_transcripts.worn(words, 0.0, np.random.default_rng(1)) == words


def test_a_scene_shows_what_is_held_and_leaves_the_ground() -> None:
    rng = np.random.default_rng(2)
    grey, red = np.full((60, 60, 3), 128, np.uint8), np.zeros((60, 60, 3), np.uint8)
    red[..., 0] = 255
    scene = Scene.of(grey, [grey], 160, rng)
    frame = scene.holding(red, 0.5, rng)
    assert frame.shape == (160, 90, 3)
    is_red = (frame[..., 0] == 255) & (frame[..., 1] == 0)
    assert 0.05 < is_red.mean() < 0.5
    assert np.abs(scene.ground.astype(int) - 128).max() <= 1


def test_round_corners_cover_less_than_sharp_ones() -> None:
    sharp, soft = rounded(40, 60, 0.0), rounded(40, 60, 0.3)
    assert sharp.shape == (40, 60, 1) and sharp[1:-1, 1:-1].min() == 1
    assert soft[0, 0] == soft[-1, -1] == 0 and soft[20, 30] == soft[20, 0] == 1
    assert 0.9 < soft.mean() < sharp.mean()


def test_fingers_cover_some_of_what_is_held() -> None:
    blue = np.zeros((80, 60, 3), np.uint8)
    blue[..., 2] = 255
    shares = []
    for seed in range(40):
        held = gripped(blue, np.random.default_rng(seed))
        assert held.shape == blue.shape and held.dtype == np.uint8
        shares.append((held[..., 0] > 0).mean())
    assert min(shares) > 0 and max(shares) < 0.35


def test_the_product_is_away_as_often_as_is_asked(batches: Batches) -> None:
    """Up to three quarters of four frames, so 0 to 3, and never all of them."""
    contents, rng = batches.contents, np.random.default_rng(4)
    key = next(iter(contents.examples.photos))
    beside = [k for k in contents.examples.photos if k != key][:2]
    white = [np.full((40, 40, 3), 255, np.uint8)] * 4
    bright = []
    for _ in range(300):
        frames = contents._composed(white, beside, rng)
        bright.append(sum(bool((frame.min(-1) > 240).mean() > 0.03) for frame in frames))
    found = np.bincount(bright, minlength=5) / len(bright)
    assert found[0] < 0.02 and (found[1:] > 0.08).all()
    assert 4 - np.mean(bright) == pytest.approx(1.5, abs=0.25)


def test_askew_a_picture_keeps_its_size_its_middle_and_mostly_its_sides(
    rng: np.random.Generator,
) -> None:
    """Left of the middle red, right of it blue; the border, of a fifth and more, is white."""
    picture = np.full((100, 60, 3), 255, np.uint8)
    picture[21:79, 13:47] = 0
    picture[21:79, 13:30, 0] = picture[21:79, 30:47, 2] = 200
    seen = [askew(picture, rng) for _ in range(200)]
    assert all(one.shape == picture.shape for one in seen)
    assert all((one[50, 30] < 255).any() for one in seen)
    assert all((one[50, 10:50].min() == 0) for one in seen)
    mirrored = np.mean([one[50, 40, 0] > one[50, 20, 0] for one in seen])
    assert mirrored == pytest.approx(MIRRORED, abs=0.1)
    white = np.mean([(one.min(-1) == 255).mean() for one in seen])
    assert white < (picture.min(-1) == 255).mean() - ASKEW / 2


def test_elsewhere_the_middle_stays_and_the_corners_are_of_another_place(
    rng: np.random.Generator,
) -> None:
    picture, around = np.full((100, 60, 3), 200, np.uint8), np.zeros((40, 80, 3), np.uint8)
    seen = [elsewhere(picture, around, rng) for _ in range(100)]
    assert all(one.shape == picture.shape and one[50, 30].min() > 100 for one in seen)
    corners = np.mean([one[[0, 0, -1, -1], [0, -1, 0, -1]].max() for one in seen])
    shares = [float((one[..., 0] > 100).mean()) for one in seen]
    assert corners < 1 and 0.05 < min(shares) < 0.2 and 0.4 < max(shares) < 0.8


def test_photos_are_seen_askew_and_as_often_elsewhere_as_is_meant(
    batches: Batches, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """The product's photos are white in a red frame, those of all others black."""
    shown = batches.contents
    known = shown.examples.pictured[""]
    white, black = np.full((80, 80, 3), 255, np.uint8), np.zeros((80, 80, 3), np.uint8)
    framed = white.copy()
    framed[[0, -1], :, 1:] = framed[:, [0, -1], 1:] = 0
    own = {photo.path for photo in shown.examples.photos[known[0]]}
    monkeypatch.setattr(shown, "_picture", lambda path: framed if path in own else black)
    photo = shown.examples.photos[known[0]][0]
    seen = [shown._photo(photo, rng) for _ in range(400)]
    away = np.mean([bool((one.max(-1) < 50).any()) for one in seen])
    assert away == pytest.approx(example_loader.ELSEWHERE * (len(known) - 1) / len(known), abs=0.08)
    red = [((one[..., 0] > 200) & (one[..., 1] < 50)).mean() for one in seen]
    assert np.mean(red) < 0.5 * ((framed[..., 1] == 0).mean())


def test_the_own_picture_of_a_shop_is_never_elsewhere(
    batches: Batches, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """Its twin around it would be as good a reason to take it for the twin."""
    shown, known = batches.contents, batches.contents.examples.products["", "p0"]
    white, black = np.full((80, 80, 3), 255, np.uint8), np.zeros((80, 80, 3), np.uint8)
    of_p0 = [Photo(known.pictures[0], "p0"), *shown.examples.photos["", "p0"]]
    own = {photo.path for photo in of_p0}
    monkeypatch.setattr(shown, "_picture", lambda path: white if path in own else black)
    darkest = [min(shown._photo(photo, rng).min() for _ in range(40)) for photo in of_p0[:2]]
    assert darkest == [255, 0]


def test_all_frames_of_clips_and_photos_are_worn(
    batches: Batches, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setattr(Wear, "of", lambda *_: Wear(np.zeros((3, 2))))
    items = batches.examples.items
    for item in (next(i for i in items if isinstance(i, kind)) for kind in (Clip, Photo)):
        frames = batches.contents.clip(item, 0.5, rng).frames
        assert frames and all(frame.max() == 0 for frame in frames)


def test_light_and_blur_keep_the_picture_a_picture(rng: np.random.Generator) -> None:
    picture = noise(rng)
    assert np.array_equal(lit(picture, some_light(0.0, rng)), picture)
    soft = blurred(picture, 0.3)
    assert soft.shape == picture.shape and soft.std() < picture.std()
    light = some_light(0.3, rng)
    assert np.array_equal(dimmed(light, 0.5), light / 2)
    kept = [np.abs(compressed(picture, q).astype(int) - picture).mean() for q in (20, 90)]
    assert kept[0] > kept[1] > 0


def test_light_is_a_gain_and_an_offset_of_each_channel(rng: np.random.Generator) -> None:
    picture, light = noise(rng), np.array([[0.5, 0.1], [1.4, -0.2], [1.0, 0.3]])
    meant = np.clip(picture * light[:, 0] + 255 * light[:, 1], 0, 255)
    assert np.abs(lit(picture, light) - meant).max() <= 1  # the rest below a whole number is cut


def test_a_clip_is_dark_and_noisy_or_coarse_as_often_as_asked(rng: np.random.Generator) -> None:
    train = TrainConfig(jitter=0.0, dark=0.2, coarse=0.3)
    worn = [Wear.of(train, rng) for _ in range(500)]
    assert np.mean([w.light[0, 0] < 1 for w in worn]) == pytest.approx(0.2, abs=0.06)
    assert np.mean([w.longer_side <= 160 for w in worn]) == pytest.approx(0.3, abs=0.06)
    assert all((w.noise > 0) == (w.light[0, 0] < 1) for w in worn)
    assert all(48 <= w.longer_side <= 160 or w.longer_side == np.inf for w in worn)


def test_wear_keeps_the_size_and_nothing_of_it_the_picture(rng: np.random.Generator) -> None:
    picture, plain = noise(rng), some_light(0.0, rng)
    assert np.array_equal(Wear(plain).on(picture, rng), picture)
    coarse = Wear(plain, longer_side=max(picture.shape) / 4).on(picture, rng)
    assert np.array_equal(coarse, blurred(picture, 0.25)) and coarse.std() < picture.std()
    flat = np.full((60, 60, 3), 128, np.uint8)
    for made in (noisy(flat, 5.0, rng), Wear(plain, noise=5.0).on(flat, rng)):
        assert made.std() == pytest.approx(5, abs=0.3)


def test_half_of_the_frames_arrive_compressed_and_some_out_of_focus(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    done: list[str] = []
    for name in ("blurred", "compressed"):
        monkeypatch.setattr(
            example_loader, name, lambda seen, _, name=name: done.append(name) or seen
        )
    for _ in range(500):
        example_loader._sent(np.zeros((4, 4, 3), np.uint8), rng)
    assert done.count("compressed") == pytest.approx(250, abs=40)
    assert done.count("blurred") == pytest.approx(150, abs=35)


def test_sayings_are_told_of_their_product(tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    path.write_text(
        '{"product_id": "p0", "told": ["it is white", "for coffee"]}\n'
        '{"product_id": "p0", "shop_id": "s", "told": ["another"]}\n'
    )
    known = {("", "p0"), ("s", "p0")}
    told = synthetic_transcripts.sayings([path], known)
    assert told == {("", "p0"): ("it is white", "for coffee"), ("s", "p0"): ("another",)}
    rng = np.random.default_rng(0)
    said = [
        synthetic_transcripts.transcript(Product("p0", "Milk"), [], told["", "p0"], rng)
        for _ in range(300)
    ]
    shares = [sum(words in text for text in said) / 300 for words in told["", "p0"]]
    assert sum(shares) == pytest.approx(synthetic_transcripts.TOLD, abs=0.08) and min(shares) > 0.2
    with pytest.raises(RecordError, match=r"told\.jsonl:1.*'p0' is not among those to learn from"):
        synthetic_transcripts.sayings([path], set())


PHRASES = """
openings = ["hi"]
namings = ["now {name}"]
categories = ["some {name}"]
others = ["no {name}"]
fillings = ["buy it"]
"""


def test_phrases_of_a_file_are_said_instead(tmp_path: Path) -> None:
    (tmp_path / "phrases.toml").write_text(PHRASES)
    read, rng = phrases(tmp_path / "phrases.toml"), np.random.default_rng(0)
    milk, apple = Product("p0", "Arla Milk", category="Milk"), Product("p1", "Gala")
    said = [synthetic_transcripts.transcript(milk, [apple], [], rng, read) for _ in range(200)]
    parts = ("hi", "now arla milk", "some milk", "no gala", "buy it")
    assert all(text.startswith("hi") for text in said)
    left = " ".join(said)
    for part in sorted(parts, key=len, reverse=True):
        left = left.replace(part, "")
    assert not left.strip()
    counts = [sum(part in text for text in said) / 200 for part in parts[1:3]]
    assert counts == pytest.approx(
        [synthetic_transcripts.FULL, synthetic_transcripts.CATEGORY], abs=0.08
    )


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('namings = ["this"]', r"'namings' is 'this'.*name it once, as \{name\}"),
        ('others = ["{name} or {name}"]', "'others' is .*name it once"),
        ('fillings = ["{name}"]', "'fillings' is '{name}'.*name nothing there"),
        ("fillings = []", "'fillings' .*give at least one phrase"),
        ('greetings = ["hi"]', "unknown key 'greetings'"),
    ],
)
def test_phrases_that_cannot_be_said_are_refused(tmp_path: Path, line: str, wrong: str) -> None:
    (tmp_path / "phrases.toml").write_text(line)
    with pytest.raises(SettingsError, match=wrong) as refused:
        phrases(tmp_path / "phrases.toml")
    assert "phrases.toml" in str(refused.value)


def test_what_has_no_name_is_not_named() -> None:
    """Neither the product on sale nor one beside it; braces are said as they are."""
    rng, bare = np.random.default_rng(0), Product("p0", "", image=Path("p0.jpg"))
    odd = Phrases(("hi",), ("now {name} at 50% {off}",), (), ("no {name}",), ("buy",))
    assert not any(
        "now" in synthetic_transcripts.transcript(bare, [], [], rng, odd) for _ in range(50)
    )
    milk = Product("p1", "Milk")
    assert any(
        "now milk at 50% {off}" in synthetic_transcripts.transcript(milk, [], [], rng, odd)
        for _ in range(50)
    )


def test_what_is_made_up_is_of_the_configs_phrases_and_names_no_nameless_product(
    batches: Batches, tmp_path: Path, rng: np.random.Generator
) -> None:
    (tmp_path / "phrases.toml").write_text(PHRASES)
    data = replace(batches.data, phrases=tmp_path / "phrases.toml")
    made = example_loader.Contents(batches.examples, data, TRAIN, 32)
    key, beside = ("", "p2"), ("", "p1")
    known = batches.examples.products
    said = [made._made_up(key, [beside], rng) for _ in range(100)]
    assert all(text.startswith("hi") for text in said) and any("no " in text for text in said)
    batches.examples.products = known | {beside: replace(known[beside], title="")}
    assert not any("no " in made._made_up(key, [beside], rng) for _ in range(100))


def test_words_alone_look_at_nothing(
    batches: Batches, world: Path, tiny: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither photos nor films nor shop images are opened."""
    monkeypatch.delattr(example_loader, "_read")
    monkeypatch.delattr(example_loader, "_film")
    data, train = replace(batches.data, frames=0), replace(TRAIN, drop_transcript=0.0)
    batch = Batches(batches.examples, tiny().preparation, data, train)[0]
    assert batch.clips.pictures.count == batch.products.pictures.count == 0
    assert not batch.damage and batch.positive.any(1).all()
    assert set(batch.clips.texts.owner.tolist()) == set(range(len(batch.sold)))
    assert set(batch.products.texts.owner.tolist()) == set(range(len(batch.listed)))
