"""The commands as a user types them: what they print, write and refuse, and with which status."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sgmn import cli
from sgmn.model import checkpoint
from tests.command import Run


@pytest.fixture(scope="session")
def model(tiny: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    checkpoint.save(tiny(), folder)
    return folder


@pytest.fixture
def indexed(run: Run, world: Path, model: Path, tmp_path: Path) -> Path:
    assert run("index", world, "-o", tmp_path / "index", "-m", model).status == 0
    return tmp_path / "index"


def test_index_adds_replaces_and_removes(
    run: Run, world: Path, model: Path, tmp_path: Path
) -> None:
    shop, index = tmp_path / "shop", tmp_path / "index"
    shutil.copytree(world, shop)
    assert "6 added, 0 replaced" in run("index", shop, "-o", index, "-m", model).out
    assert "0 added, 0 replaced, 6 unchanged" in run("index", shop, "-o", index).out
    rows = (shop / "products.jsonl").read_text().replace("red milk", "white milk").splitlines()
    (shop / "products.jsonl").write_text("\n".join([*rows[:5], "{broken", '{"title": "x"}']))
    (shop / "p1.png").write_bytes(b"no picture")
    ended = run("index", shop, "-o", index)
    assert ended.status == 0
    assert "0 added, 1 replaced, 3 unchanged, 0 removed, 3 refused: 6 products" in ended.out
    for place in ("p1.png", "products.jsonl:6", "products.jsonl:7"):
        assert place in ended.err
    ended = run("index", "-o", index, "--remove", "p5, nobody")
    assert "1 removed" in ended.out and "unknown: nobody" in ended.out


def test_evaluate_and_compare(run: Run, world: Path, indexed: Path, tmp_path: Path) -> None:
    kept = tmp_path / "data"
    kept.mkdir()
    for picture in world.glob("p*.png"):
        shutil.copy(picture, kept)
    shutil.copy(world / "clips.jsonl", kept)
    for name, use in (("a", "picture"), ("b", "picture,words")):
        ended = run(
            "evaluate", kept, "-i", indexed, "--use", use, "--json", tmp_path / f"{name}.json"
        )
        assert ended.status == 0, ended.err
    report = json.loads((tmp_path / "a.json").read_text())
    assert report["overall"]["count"] == 4 and len(report["queries"]) == 4
    assert report["queries"][3]["rank"] is None  # its product is not in the shop: a miss
    ended = run("compare", tmp_path / "a.json", tmp_path / "b.json")
    assert ended.status == 0 and "R@1" in ended.out


def test_evaluate_streams(run: Run, stream: Path, indexed: Path) -> None:
    ended = run("evaluate", stream, "-i", indexed, "--markdown")
    assert ended.status == 0 and "| s | 0.7 |" in ended.out, ended.out


def test_watch_writes_a_timeline_and_chapters(
    run: Run, stream: Path, indexed: Path, tmp_path: Path
) -> None:
    timeline, chapters = tmp_path / "t.json", tmp_path / "c.vtt"
    ended = run(
        *("watch", stream / "streams" / "s.mp4", "-i", indexed, "-t", stream / "said.json"),
        *("-o", timeline, "--vtt", chapters, "--truth", stream / "streams" / "s.json"),
    )
    assert ended.status == 0, ended.err
    assert "of the time" in ended.out and "x" in ended.out
    spans = json.loads(timeline.read_text())["segments"]
    assert spans[0]["start"] == 0 and spans[-1]["end"] == pytest.approx(40, abs=0.6)
    assert chapters.read_text().startswith("WEBVTT")


def test_watch_writes_a_report_with_pictures(
    run: Run, stream: Path, indexed: Path, tmp_path: Path
) -> None:
    report, video = tmp_path / "out" / "report.html", stream / "streams" / "s.mp4"
    told = ("-t", stream / "said.json", "--truth", stream / "streams" / "s.json")
    ended = run("watch", video, "-i", indexed, *told, "--html", report)
    assert ended.status == 0, ended.err
    text = report.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>") and text.count("<article") >= 1
    assert "red apple" in text and "hello this is the red milk" in text and "6 products" in text
    right = float(ended.out.split("right for ")[1].split("%")[0])
    assert f"<b>{right:.0f}%</b>" in text
    ended = run("watch", tmp_path / "none.mp4", "-i", indexed, "--html", tmp_path)
    assert ended.status == 2 and "is a folder" in ended.err  # before the video is looked for


def test_check_lists_what_is_wrong(run: Run, world: Path) -> None:
    ended = run("check", world)
    assert ended.status == 2
    assert "gone" in ended.out and "6 products of 1 shops, 4 clips" in ended.out


def test_train_to_watch(run: Run, world: Path, stream: Path, tmp_path: Path, model: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        f'[model]\nsource = "{model}"\n[data]\nfolders = ["{world}"]\nframes = 2\n'
        "[train]\nsteps = 2\nbatch = 4\nworkers = 0\n"
    )
    ended = run("train", config, "-o", tmp_path / "run")
    assert ended.status == 0, ended.err
    assert "27 examples of 6 products (1 of products" in ended.out and "finished" in ended.out
    trained = tmp_path / "run" / "checkpoint"
    assert run("index", world, "-o", tmp_path / "index", "-m", trained).status == 0
    assert run("watch", stream / "streams" / "s.mp4", "-i", tmp_path / "index").status == 0
    again = run("train", config, "-o", tmp_path / "run")
    assert again.status == 2 and "--resume" in again.err


def refusals(world: Path, model: Path, indexed: Path, tmp: Path) -> dict[str, tuple[Any, ...]]:
    (tmp / "bad.mp4").write_bytes(b"\0" * 100)
    (tmp / "bad.srt").write_bytes(b"\xff\xfe\xff")
    (tmp / "bad.toml").write_text("[train]\nstep = 3\n")
    good = f'[model]\nsource = "{model}"\n[data]\nfolders = ["{world}"]\n[train]\nsteps = 1\n'
    (tmp / "good.toml").write_text(good + "workers = 0\n")
    (tmp / "device.toml").write_text(good + 'device = "foo"\n')
    (tmp / "empty").mkdir(exist_ok=True)
    (tmp / "empty" / "products.jsonl").write_text("")
    (tmp / "bare").mkdir(exist_ok=True)
    bare = {"clip_id": "c", "video": str(tmp / "bad.mp4"), "product_ids": ["p"]}
    (tmp / "bare" / "clips.jsonl").write_text(json.dumps(bare) + "\n")
    ablate = ("ablate", tmp / "good.toml", "-o", tmp / "a", "--dataset")
    video = tmp / "video.mp4"
    return {
        "no such video": ("watch", tmp / "none.mp4", "-i", indexed),
        "a corrupt video": ("watch", tmp / "bad.mp4", "-i", indexed),
        "a corrupt transcript": ("watch", video, "-i", indexed, "-t", tmp / "bad.srt"),
        "no index": ("watch", video, "-i", tmp / "none", "-m", model),
        "another model": ("watch", video, "-i", indexed, "-m", "small"),
        "no such shop": ("watch", video, "-i", indexed, "--shop", "nobody"),
        "nothing to use": ("watch", video, "-i", indexed, "--use", "sound"),
        "no dataset": ("check", tmp / "none"),
        "no catalogue": ("index", tmp / "none", "-o", tmp / "i", "-m", model),
        "no model": ("index", world, "-o", tmp / "i", "-m", tmp / "none"),
        "no report": ("compare", tmp / "none.json", tmp / "none.json"),
        "a wrong key": ("train", tmp / "bad.toml", "-o", tmp / "run"),
        "a folder as output": ("watch", video, "-i", indexed, "-o", tmp),
        "a report in a file": ("watch", video, "-i", indexed, "--html", tmp / "bad.mp4" / "r.html"),
        "a file in the way": ("watch", video, "-i", indexed, "-o", tmp / "bad.mp4" / "t.json"),
        "a run in a file": ("train", tmp / "good.toml", "-o", tmp / "bad.mp4" / "run"),
        "no such device": ("train", tmp / "device.toml", "-o", tmp / "run"),
        "clips of no catalogue": (*ablate, tmp / "bare"),
        "no such row": (*ablate, world, "--only", "+ magic"),
        "nothing to evaluate": ("evaluate", tmp / "empty", "-i", indexed),
        "nothing to take": ("index", tmp / "empty", "-o", tmp / "i", "-m", model),
        "a very long path": ("check", "x" * 300),
        "no shares": ("synth", tmp / "world", "--split", "half"),
        "no such split": ("synth", tmp / "world", "--only", "vla"),
        "no such number of shops": ("synth", tmp / "world", "--shops", 0),
    }


@pytest.mark.parametrize("name", list(refusals(Path(), Path(), Path(), Path(tempfile.mkdtemp()))))
def test_bad_input_is_one_line_and_status_2(
    name: str, run: Run, world: Path, model: Path, indexed: Path, stream: Path, tmp_path: Path
) -> None:
    shutil.copy(stream / "streams" / "s.mp4", tmp_path / "video.mp4")
    ended = run(*refusals(world, model, indexed, tmp_path)[name])
    assert ended.status == 2
    lines = ended.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("sgmn: "), ended.err
    assert "; " in lines[0], "says no remedy"


def test_a_clip_that_cannot_be_read_is_a_miss(
    run: Run, world: Path, indexed: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(world, data)
    (data / "bad.mp4").write_bytes(b"no video")
    more = [
        {"clip_id": "bad", "video": "bad.mp4", "product_ids": ["p0"], "split": "x"},
        {"clip_id": "unlabelled", "frames": ["p1.png"], "split": "x"},
    ]
    with (data / "clips.jsonl").open("a") as file:
        file.writelines(json.dumps(clip) + "\n" for clip in more)
    report = tmp_path / "out" / "r.json"
    ended = run("evaluate", data, "-i", indexed, "--json", report)
    assert ended.status == 0 and "damaged: " in ended.err and "bad.mp4" in ended.err
    assert "1 clips or streams have no truth" in ended.err
    found = {q["clip_id"]: q["rank"] for q in json.loads(report.read_text())["queries"]}
    assert len(found) == 5 and found["bad"] is None and found["c0"] is not None
    ended = run("evaluate", data, "-i", indexed, "--json", report, "--split", "x")
    assert len(json.loads(report.read_text())["queries"]) == 1


def test_bad_lines_are_skipped_only_when_asked(
    run: Run, world: Path, indexed: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(world, data)
    with (data / "clips.jsonl").open("a") as file:
        file.write('{"clip_id": 3}\n')
    assert run("evaluate", data, "-i", indexed).status == 2
    ended = run("evaluate", data, "-i", indexed, "--skip-bad")
    assert ended.status == 0 and "skipped: " in ended.err and "clips.jsonl:5" in ended.err


def test_titles_are_shown_as_they_are(
    run: Run, world: Path, stream: Path, model: Path, tmp_path: Path
) -> None:
    shop, index = tmp_path / "shop", tmp_path / "index"
    shutil.copytree(world, shop)
    text = (shop / "products.jsonl").read_text()
    for colour in ("red", "green", "blue"):
        text = text.replace(f"{colour} ", f"[{colour}] [/b] ")
    (shop / "products.jsonl").write_text(text)
    assert run("index", shop, "-o", index, "-m", model).status == 0
    ended = run("watch", stream / "streams" / "s.mp4", "-i", index, "-t", stream / "said.json")
    assert ended.status == 0, ended.err


def test_synth_makes_a_world_that_check_passes(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "world.toml"
    config.write_text(
        "[world]\nsize = [72, 128]\nfps = 4\nclip_s = [8, 9]\nimage_px = 64\nstreams = 0\n"
    )
    world = tmp_path / "world"
    asked = ("--shops", 1, "--products", 8, "--clips", 1, "--seed", 3, "--split", "0,0,1")
    ended = run("synth", world, "--config", config, *asked)
    assert ended.status == 0 and "1 clips" in ended.out, ended.err
    checked = run("check", world / "test")
    assert "0 errors" in checked.out and "8 products of 1 shops, 1 clips" in checked.out
    again = run("synth", world, "--config", config, *asked)
    assert again.status == 0


def test_synth_draws_a_contact_sheet(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "world.toml"
    config.write_text("[world]\nsize = [72, 128]\nimage_px = 64\nproducts = 8\n")
    assert run("synth", tmp_path / "sheet.png", "--preview", "--config", config).status == 0
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_debug_shows_the_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sgmn.errors import SgmnError

    for place in (1, 2, 3):
        arguments = ["sgmn", "check", str(tmp_path / "none")]
        arguments.insert(place, "--debug")
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SgmnError):
            cli.main()


def test_nothing_said_is_still_watched(
    run: Run, stream: Path, indexed: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.srt").write_text("")
    video = stream / "streams" / "s.mp4"
    assert run("watch", video, "-i", indexed, "-t", tmp_path / "empty.srt").status == 0
