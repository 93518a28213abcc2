"""The measuring scripts beside the package: what they count, and that their figures are sound."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from sgmn.catalogue.index import Index
from sgmn.data import dataset
from sgmn.errors import SgmnError
from sgmn.evaluation.ranking import Ranked
from sgmn.evaluation.report import Report
from sgmn.live.events import segments_of
from sgmn.live.evidence import TimelineSettings
from sgmn.live.recognizer import Recognition, Recognizer
from sgmn.live.session import events_of
from sgmn.live.timeline import segments
from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.records import Clip, ClipContent, Product, Segment, Utterance
from sgmn.workflows import evaluation, opening

FOLDER = Path(__file__).parents[1] / "tools"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    if not FOLDER.is_dir():
        pytest.skip("scripts/ is not part of a source distribution")
    monkeypatch.syspath_prepend(FOLDER)
    yield import_module


@pytest.fixture
def used(tiny: Callable[[], Any]) -> Embedder:
    """A model that compares everything with everything, what is said with what is shown too."""
    model = tiny()
    with torch.no_grad():
        model.network.head.cross.fill_(0.5)
    return Embedder(model, "cpu")


@pytest.fixture
def index(world: Path, used: Embedder, tmp_path: Path) -> Index:
    return indexed(dataset.read(world).products, used, tmp_path / "index")


def indexed(products: Iterable[Product], used: Embedder, path: Path) -> Index:
    made = Index.create_or_open(path, opening.stamp(used))
    made.update(products, used.products, max_side=used.max_side)
    return made


def talking(world: Path) -> list[Clip]:
    words = ("red milk today", "green milk", "blue milk for you", "hello juice")
    clips = zip(dataset.read(world).clips, words, strict=True)
    return [replace(clip, transcript=(Utterance(0, 1, said),)) for clip, said in clips]


def query(name: str, place: int | None, shelf: int = 40, **attributes: Any) -> Ranked:
    return Ranked(name, "s", place, ("x",), (0.5,), ("t",), shelf, attributes)


def test_as_they_are_is_what_evaluate_says(
    script: Callable[[str], ModuleType], world: Path, index: Index, used: Embedder
) -> None:
    clips = talking(world)
    answers = list(script("robustness").Trial(clips, index, used, 0).ranked())
    plain = list(evaluation.ranked(clips, index, used))
    for answer, expected in zip(answers, plain, strict=True):
        assert answer["as they are"].best == expected.best
        assert answer["as they are"].scores == pytest.approx(expected.scores, abs=1e-6)


def test_each_condition_changes_what_its_name_says(
    script: Callable[[str], ModuleType], world: Path, index: Index, used: Embedder, tmp_path: Path
) -> None:
    clips = talking(world)
    trial = script("robustness").Trial(clips, index, used, 0)
    answers = list(trial.ranked())
    bare = [replace(product, title="") for product in dataset.read(world).products]
    untitled = indexed(bare, used, tmp_path / "untitled")

    def expected(changed: list[Clip], shop: Index = index) -> list[Any]:
        return [answer.scores for answer in evaluation.ranked(changed, shop, used)]

    def found(name: str) -> list[Any]:
        return [pytest.approx(answer[name].scores, abs=1e-6) for answer in answers]

    silent = [replace(clip, transcript=()) for clip in clips]
    swapped = [
        replace(clip, transcript=(Utterance(0, 1, words),))
        for clip, words in zip(clips, trial.swapped, strict=True)
    ]
    assert expected(silent) == found("transcript removed")
    assert expected(swapped) == found("transcript of another clip")
    assert expected(clips, untitled) == found("titles removed")
    assert expected(silent, untitled) == found("picture only (no transcript, no titles)")
    assert [words_alone(clip, index, used) for clip in clips] == found("picture removed")
    assert expected(clips) == found("pictures of 64 px")  # these are of 32
    for name in ("half of the frames", "low light", "JPEG quality 15"):
        assert expected(clips) != found(name)


def words_alone(clip: Clip, index: Index, used: Embedder) -> tuple[float, ...]:
    """The scores of a clip without frames against its whole shelf, best first."""
    vectors = used.clips([ClipContent((), clip.words)])
    return tuple(
        index.shelf().scores(vectors, used.ranker)[0].sort(descending=True).values.tolist()
    )


def test_an_unreadable_clip_is_a_miss_under_every_condition(
    script: Callable[[str], ModuleType], world: Path, index: Index, used: Embedder
) -> None:
    clips = [replace(talking(world)[0], frames=(world / "gone.png",)), *talking(world)[1:]]
    trial = script("robustness").Trial(clips, index, used, 0)
    answers = list(trial.ranked())
    assert [rank.rank for rank in answers[0].values()] == [None] * 10
    assert len(answers) == 4 and answers[1]["picture removed"].rank is not None
    assert len(trial.damage) == 1 and "gone.png" in trial.damage[0]


def test_differences_are_paired_and_signed(script: Callable[[str], ModuleType]) -> None:
    robustness = script("robustness")
    ranks = {
        robustness.PLAIN: [1, 1, 1, 2],
        "worse": [1, 3, 2, 9],
        robustness.PICTURE: [2, 2, 2, 2],
    }
    answers = [{name: query(f"c{i}", own[i]) for name, own in ranks.items()} for i in range(4)]
    found = robustness.figures(answers, 0)
    assert found["worse"]["against_plain"]["recall_1"].difference == pytest.approx(-0.5)
    assert found["worse"]["against_picture"]["recall_1"].difference == pytest.approx(0.25)
    assert found["worse"]["estimates"]["recall_5"].value == 0.75
    assert found["worse"]["ranks"] == [1, 3, 2, 9]
    row = next(line for line in robustness.table(found).splitlines() if "worse" in line)
    assert "| 25.0 (" in row and "| -50.0 (" in row and "| +25.0 (" in row


def test_moments_are_those_of_the_stream(
    script: Callable[[str], ModuleType], stream: Path, index: Index, used: Embedder
) -> None:
    calibration = script("calibration")
    heard: list[Any] = []
    [given] = dataset.read(stream).streams
    recognizer = calibration.Recognizer(used, index.shelf())
    recognizer.watch(given.video, given.transcript, on_moment=heard.append)
    [watched] = calibration.watched([given], index, used, [])
    found = calibration.moments([watched], 1.0)
    assert found.sure == pytest.approx([belief.confidence for belief in heard])
    sold = ["p0" if belief.time_s < 20 else "p3" for belief in heard]
    assert found.right == [b.product_id == s for b, s in zip(heard, sold, strict=True)]
    assert len(watched.queries) == len(heard) == 20
    assert calibration.moments([watched], 50.0).sure[3] < found.sure[3]


def watched_by_hand(calibration: ModuleType) -> Any:
    """Eight windows: a for four of them, then b, which is plain only in the last two."""
    scores = np.array([[9.0, 0, 0]] * 4 + [[0, 1.0, 0.5]] * 2 + [[0, 9.0, 0]] * 2)
    times = 1.0 + 2.0 * np.arange(8)
    found = Recognition((), 16.0, times, scores, ("a", "b", "c"))
    truths = dict(enumerate(["a"] * 3 + ["b"] * 5))
    return calibration.Watched(found, truths)


@pytest.mark.parametrize("running", [False, True])
def test_a_segment_speaks_for_all_of_its_moments(
    script: Callable[[str], ModuleType], running: bool
) -> None:
    calibration = script("calibration")
    watched = watched_by_hand(calibration)
    found = watched.found
    given = (found.times, found.scores, found.product_ids)
    timeline = segments(*given, span_s=(0.0, 16.0))
    if running:
        timeline = segments_of(events_of(found, TimelineSettings()))
        assert timeline != segments(*given, span_s=(0.0, 16.0))  # or neither could be mistaken
    told = calibration.told([watched, watched], 1.0, running)
    inside = [next(s for s in timeline if s.start <= t < s.end) for t in found.times]
    assert told.sure == [segment.confidence for segment in inside] * 2
    assert told.right == [s.product_id == watched.truths[row] for row, s in enumerate(inside)] * 2
    assert len(set(told.groups)) == 2 * len(timeline) and told.loss is None
    assert calibration._cells("segments", 1.0, told)[5] == ""


def test_the_timeline_is_fitted_on_what_segments_tell(
    script: Callable[[str], ModuleType],
) -> None:
    fit, calibration = script("fit_timeline"), script("calibration")
    found = watched_by_hand(calibration).found
    plan = [Segment(0, 6, "a"), Segment(6, 12, "b")]
    sure = TimelineSettings(0.5, nothing_threshold=0.0)
    moments = list(fit.moments(plan, found, sure))
    told = calibration.segments(found.times, found.scores, found.product_ids, sure, (0, 16.0))
    assert len(moments) == 6 and moments[0].sure == told[0].confidence
    assert [m.right for m in moments[:4]] == [True, True, True, False]
    assert moments[3].loss > 3 * moments[0].loss > 0


def test_what_is_chosen_is_right_for_long_then_likely_then_calibrated(
    script: Callable[[str], ModuleType],
) -> None:
    fit = script("fit_timeline")
    made = [
        fit.Fit("too seldom right", [0.60, 0.60], 0.50, [0.0, 0.0]),
        fit.Fit("too unlikely", [0.80, 0.70], 1.02, [0.0, 0.0]),
        fit.Fit("least loss", [0.79, 0.70], 1.000, [0.2, 0.1]),
        fit.Fit("least error", [0.78, 0.69], 1.009, [0.1, 0.1]),
    ]
    assert fit.chosen(made).settings == "least error"


def test_only_what_the_truth_covers_is_judged(
    script: Callable[[str], ModuleType], stream: Path, index: Index, used: Embedder
) -> None:
    calibration = script("calibration")
    [given] = dataset.read(stream).streams
    holed = replace(given, timeline=(Segment(0, 10, "p0"), Segment(20, 30, None)))
    [watched] = calibration.watched([holed], index, used, [])
    assert [*watched.truths.values()] == ["p0"] * 5 + [None] * 5
    assert len(watched.queries) == 5 and len(calibration.moments([watched], 1.0).sure) == 10


def test_a_clip_speaks_for_its_best_truth_and_a_lost_truth_is_wrong(
    script: Callable[[str], ModuleType],
) -> None:
    calibration = script("calibration")
    queries = [
        calibration.Query.of(np.array([0.0, 2.0, 1.0]), ["a", "b", "c"], ("a", "c")),
        calibration.Query.of(np.array([3.0, 0.0]), ["d", "e"], ("d",)),
        calibration.Query.of(np.array([3.0, 0.0]), ["d", "e"], ("gone",)),
    ]
    logits, truth = calibration.padded(queries)
    assert truth.tolist() == [2, 0] and logits[1].tolist() == [3, 0, -np.inf]
    found = calibration.alone(queries, 1.0)
    assert found.right == [False, True, False]
    assert found.sure[1] == pytest.approx(1 / (1 + np.exp(-3)))
    assert calibration.alone(queries, 100.0).sure[1] == pytest.approx(0.5, abs=0.01)


def test_every_clip_is_in_one_bucket(script: Callable[[str], ModuleType]) -> None:
    curves = script("curves")
    values = [0, 2.9, 3, 8, 9, 400, None, -1]
    attributes = [{} if value is None else {"distractors": value} for value in values]
    queries = [query(f"c{i}", 1 + i % 2, **a) for i, a in enumerate(attributes)]
    reports = {"r": Report(tuple(queries))}
    found = curves.by_attribute(reports, curves.attribute(reports, "distractors"))["r"]
    assert {name: len(hits) for name, hits in found.items()} == {
        "0 to 3": 3,
        "3 to 6": 1,
        "6 to 9": 1,
        "from 9": 2,
        "(none)": 1,
    }
    assert list(found) == ["0 to 3", "3 to 6", "6 to 9", "from 9", "(none)"]
    assert found["0 to 3"].mean() == pytest.approx(1 / 3)


def test_named_buckets_ascend_and_what_is_not_said_is_an_error(
    script: Callable[[str], ModuleType],
) -> None:
    curves = script("curves")
    named = ["long", "short", "medium", "short"]
    report = Report(tuple(query(f"c{i}", 1, visible=v) for i, v in enumerate(named)))
    assert curves.attribute({"r": report}, "visibility") == "visible"
    assert list(curves.by_attribute({"r": report}, "visible")["r"]) == ["short", "medium", "long"]
    with pytest.raises(SgmnError, match="scale"):
        curves.attribute({"r": report}, "scale")
    fine, coarse = (
        Report((query("c", 1, area=0.1, scale="small"),)),
        Report((query("c", 1, scale="large"),)),
    )
    assert curves.attribute({"a": fine}, "scale") == "area"
    assert curves.attribute({"a": fine, "b": coarse}, "scale") == "scale"


def test_shelves_are_cut_to_what_all_have(script: Callable[[str], ModuleType]) -> None:
    curves = script("curves")
    reports = {"a": Report((query("c", 3, 30),)), "b": Report((query("c", None, 100),))}
    found = curves.by_shelf(reports)
    assert list(found["a"]) == ["2", "5", "10", "20", "30"] == list(found["b"])
    assert found["a"]["30"].tolist() == [0] and found["b"]["2"].tolist() == [0]
    assert found["a"]["2"].tolist() == pytest.approx([1 - 2 / 29])


def coordinates(root: ElementTree.Element) -> Iterator[tuple[float, float]]:
    """Every point that is drawn."""
    for part in root:
        name = part.tag.removeprefix(SVG)
        numbers = {key: float(value) for key, value in part.attrib.items() if is_number(value)}
        if name == "path":
            steps = re.findall(r"[-\d.]+", part.attrib["d"])
            yield from zip(map(float, steps[::2]), map(float, steps[1::2]), strict=True)
        elif name == "line":
            yield numbers["x1"], numbers["y1"]
            yield numbers["x2"], numbers["y2"]
        elif name == "circle":
            yield numbers["cx"], numbers["cy"]
        else:
            yield numbers["x"], numbers["y"]


def is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def test_a_figure_is_sound_and_in_its_frame(script: Callable[[str], ModuleType]) -> None:
    plotting = script("plotting")
    lines = [
        plotting.Line("a < b & c", [0, 1, 2], [0.0, 0.5, 1.0], [0.0, 0.4, 0.9], [0.1, 0.6, 1.0]),
        plotting.Line("long " * 30, [1], [0.25], [0.2], [0.3]),
    ]
    axis = plotting.Axis("size", -0.5, 2.5, [(0, "2"), (1, "5"), (2, "10")])
    root = ElementTree.fromstring(plotting.figure("T", axis, "R@1", lines, diagonal=True))
    assert root.tag == f"{SVG}svg"
    _, _, wide, high = map(float, root.attrib["viewBox"].split())
    points = list(coordinates(root))
    assert len(points) > 30
    assert all(0 <= x <= wide and 0 <= y <= high for x, y in points)
    texts = [part.text for part in root.iter(f"{SVG}text")]
    assert {"T", "size", "R@1", "2", "5", "10", "a < b & c"} <= set(texts)
    circles = [part.attrib for part in root.iter(f"{SVG}circle")]
    xs, ys = ([float(c[key]) for c in circles] for key in ("cx", "cy"))
    assert xs[0] < xs[1] == xs[3] < xs[2] and ys[0] > ys[3] > ys[1] > ys[2]
    assert ys[1] == pytest.approx((ys[0] + ys[2]) / 2, abs=0.1)
    assert xs[1] == pytest.approx((plotting.LEFT + wide - plotting.RIGHT) / 2, abs=0.1)
    assert max(len(text or "") for text in texts) == plotting.LETTERS  # the long name is cut


def test_each_way_to_a_timeline_is_what_its_name_says(
    script: Callable[[str], ModuleType], index: Index, used: Embedder, stream: Path
) -> None:
    streams, shelf = script("streams"), opening.Shelves(index)[""]
    shown = dataset.read_stream(stream / "streams" / "s.json")
    recognizer = Recognizer(used, shelf)
    found = streams.timelines(recognizer, shown)
    assert list(found) == ["windows alone", "online", "online, lag", "offline"]
    watched = recognizer.watch(shown.video, shown.transcript)
    assert found["offline"] == watched.segments
    assert found["online, lag"] == segments_of(tuple(events_of(watched)))
    for timeline in found.values():
        assert timeline[0].start == 0 and timeline[-1].end == pytest.approx(watched.duration_s)
        assert all(a.end == b.start for a, b in pairwise(timeline))
        assert all(a.product_id != b.product_id for a, b in pairwise(timeline))


def test_beliefs_hold_half_way_to_their_neighbours(script: Callable[[str], ModuleType]) -> None:
    held = script("streams")._held([(1, "a"), (3, "a"), (5, None), (7, "b")], 8.0)
    assert list(held) == [Segment(0, 4, "a"), Segment(4, 6, None), Segment(6, 8, "b")]


def test_one_visit_of_those_products_that_have_several_is_held_back(
    script: Callable[[str], ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """p0 has visits of 6, 3 and 4 photos, p1 two; what is seen of a visit lies close together."""
    monkeypatch.syspath_prepend(FOLDER / "train_builtin")
    sizes = {"p0": (6, 3, 4), "p1": (6, 3)}
    rows, vectors, visits = [], [], []
    for product, several in sizes.items():
        for visit, size in enumerate(several):
            for at in range(size):
                rows.append({"path": f"{product}-{visit}-{at}.jpg", "product_id": product})
                vectors.append(np.eye(3)[visit] + 0.05 * np.eye(3)[(visit + at) % 3])
                visits.append((product, visit))
    order = np.random.default_rng(0).permutation(len(rows))  # the photos of a product are mixed
    (tmp_path / "shop").mkdir()
    for row in rows:
        Image.new("RGB", (8, 8)).save(tmp_path / "shop" / row["path"])
    dataset.write_jsonl(tmp_path / "shop" / "photos.jsonl", [rows[at] for at in order])
    products = [{"product_id": product, "title": product} for product in sizes]
    dataset.write_jsonl(tmp_path / "shop" / "products.jsonl", products)
    split = script("split")
    monkeypatch.setattr(split, "seen", lambda paths: np.array(vectors)[order])
    monkeypatch.setattr(sys, "argv", ["split.py", str(tmp_path / "shop"), str(tmp_path / "out")])
    split.main()
    held, learnt = (
        {photo.path.name for photo in dataset.read(tmp_path / "out" / name).photos}
        for name in ("held", "train")
    )
    wanted = {row["path"] for row, visit in zip(rows, visits, strict=True) if visit == ("p0", 1)}
    assert held == wanted
    assert learnt == {row["path"] for row in rows} - wanted
    assert "3 photos: " in capsys.readouterr().out


def test_a_tower_tells_visits_apart_by_what_is_seen(
    script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A mosaic and a slope of light, each photographed thrice with some noise."""
    monkeypatch.syspath_prepend(FOLDER / "train_builtin")
    rng = np.random.default_rng(0)
    mosaic = np.kron(rng.integers(0, 256, (6, 6, 3)), np.ones((32, 32, 1)))
    slope = np.broadcast_to(np.linspace(0, 255, 192)[:, None, None], mosaic.shape)
    paths = [tmp_path / f"{number}.png" for number in range(6)]
    for number, path in enumerate(paths):
        noisy = (mosaic, slope)[number % 2] + rng.normal(0, 4, mosaic.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)
    split = script("split")
    found = split.visits(split.seen(paths))
    assert found[0] != found[1] and found.tolist() == [*found[:2]] * 3


def test_words_are_weighed_and_given_a_floor(
    script: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tiny: Callable[[], Any],
    world: Path,
    tmp_path: Path,
) -> None:
    monkeypatch.syspath_prepend(FOLDER / "train_builtin")
    words, model = script("words"), tmp_path / "model"
    checkpoint.save(tiny(), model)

    def run(*more: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["words.py", str(model), *more])
        words.main()
        return capsys.readouterr().out.splitlines()

    few = ("--clips", "12", "--sayings")
    lines = run(str(world), str(world), *few)
    alone = float(lines[0].split()[-1])
    rows = [[float(cell) for cell in line.split()] for line in lines[2:-1]]
    assert len(rows) == len(words.RATIOS) * len(words.FLOORS)
    assert all(row[4] == row[6] == alone for row in rows if row[0] == 0)  # words that weigh nothing
    named = [float(word) for word in lines[-1].replace("the least log loss:", "").split()[1::2]]
    least = min(row[2] for row in rows)
    assert any(row[:2] == named and row[2] == least for row in rows)  # losses show three digits
    both = run(str(world), str(world), "--world", str(world), *few)
    assert "1 of unknown products" in both[0]
    more = [[float(cell) for cell in line.split()] for line in both if line[:2] == " 0"]
    assert [row[4:7] for row in more] == [row[4:] for row in rows]  # composed clips, as before
    assert {len(row) for row in more} == {10} and [row[2] for row in more] != [r[2] for r in rows]
    run("--apply", "0.3", "--floor", "0.5", "--temperature", "0.5", "-o", str(tmp_path / "out"))
    with torch.no_grad():
        before, after = (checkpoint.load(m).network.head() for m in (model, tmp_path / "out"))
    assert float(after.text) == pytest.approx(0.3) and float(after.floor) == 0.5
    assert float(after.logit_scale) == pytest.approx(2 * float(before.logit_scale))


def test_others_words_are_never_of_the_same_product(
    script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(FOLDER / "train_builtin")
    truth = [3, 3, 1, 2, 3]
    assert list(script("words").exchanged(truth)) == [2, 2, 3, 4, 2]


def test_kinds_of_clips_count_alike_and_others_words_as_often_as_they_are_wrong(
    script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(FOLDER / "train_builtin")
    words, kinds = script("words"), []
    for clips, seed in ((3, 0), (7, 1)):
        rng = torch.Generator().manual_seed(seed)
        own, others = (
            words.Heard(torch.zeros(clips, 4), torch.rand(clips, 4, generator=rng), torch.ones(1))
            for _ in range(2)
        )
        kinds.append([words.Trial(own, others, torch.arange(clips) % 4)])
    one, other = (words.lost([kind], 0.5, -1.0, 9.0) for kind in kinds)
    assert words.lost(kinds, 0.5, -1.0, 9.0) == pytest.approx((one + other) / 2)
    trial = kinds[0][0]
    right, wrong = (
        words.lost([[words.Trial(heard, heard, trial.truth)]], 0.5, -1.0, 9.0)
        for heard in (trial.own, trial.others)
    )
    assert one == pytest.approx((1 - words.WRONG) * right + words.WRONG * wrong)


def test_each_held_back_photo_is_composed_once_before_any_again(
    script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(FOLDER / "train_builtin")
    drawn = script("words").drawn(list("abc"), 8, np.random.default_rng(0))
    assert len(drawn) == 8 and len({*drawn[6:]}) == 2
    assert sorted(drawn[:3]) == sorted(drawn[3:6]) == list("abc")


def test_left_out_is_each_part_and_term_that_a_model_has(
    script: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tiny: Callable[[], Any],
    world: Path,
    tmp_path: Path,
) -> None:
    left_out, model = script("left_out"), tiny()
    parts = replace(model.network.config.parts, kept=("emphasis", "guidance"))
    model = replace(model, network=model.network.with_parts(parts, model.network.config.terms))
    network = model.network
    network.config = replace(network.config, word_floor=0.4)
    with torch.no_grad():
        network.head.match.fill_(0.7)
    checkpoint.save(model, tmp_path / "model")
    monkeypatch.setattr(sys, "argv", ["left_out.py", str(tmp_path / "model"), str(world)])
    left_out.main()
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[2:] if line]
    parts = [f"without {part}" for part in network.config.parts.kept]
    terms = ["without the term match", "without the term text", "without the floor of words"]
    assert rows == [left_out.WHOLE, "towers alone", *parts, *terms]
    made = dict(left_out.variants(checkpoint.load(tmp_path / "model").network))
    kept = {*network.config.parts.kept}
    for part in kept:
        assert {*made[f"without {part}"].config.parts.kept} == kept - {part}
    floors = {name: float(variant.head.floor) for name, variant in made.items()}
    assert floors.pop("without the floor of words") == -1.0
    assert list(floors.values()) == pytest.approx([0.4] * len(floors))
    bare = left_out.without(network, terms=network.config.terms).head()
    assert float(bare.match) == float(bare.text) == 0.0
