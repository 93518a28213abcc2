"""`sgmn index`: products are added, replaced, removed, rejected."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.catalogue.fetch.image_server import run_server
from tests.command import RunCommand


def test_index_adds_replaces_and_removes(
    run: RunCommand, world: Path, model_folder: Path, tmp_path: Path
) -> None:
    shop, index = tmp_path / "shop", tmp_path / "index"
    shutil.copytree(world, shop)
    assert "6 added, 0 replaced" in run("index", shop, "-o", index, "-m", model_folder).out
    assert "0 added, 0 replaced, 6 unchanged" in run("index", shop, "-o", index).out
    rows = (shop / "products.jsonl").read_text().replace("red milk", "white milk").splitlines()
    (shop / "products.jsonl").write_text("\n".join([*rows[:5], "{broken", '{"title": "x"}']))
    (shop / "p1.png").write_bytes(b"not an image")
    result = run("index", shop, "-o", index)
    assert result.status == 0
    assert "0 added, 1 replaced, 3 unchanged, 0 removed, 3 rejected" in result.out
    assert "6 products in" in result.out
    for place in ("p1.png", "products.jsonl:6", "products.jsonl:7"):
        assert place in result.err
    result = run("index", "-o", index, "--remove", "p5, nobody")
    assert "1 removed" in result.out and "unknown product: nobody" in result.out


def test_a_listing_without_its_image_is_indexed_by_its_title(
    run: RunCommand, world: Path, model_folder: Path, tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    shutil.copytree(world, shop)
    (shop / "p1.png").unlink()
    arguments = ("index", shop, "-m", model_folder, "-o")
    strict = run(*arguments, tmp_path / "strict", "--strict")
    assert strict.status == 0 and "5 added" in strict.out and "1 rejected" in strict.out
    assert "rejected: " in strict.err and "p1.png" in strict.err
    tolerant = run(*arguments, tmp_path / "tolerant")
    assert tolerant.status == 0 and "6 added" in tolerant.out and "0 rejected" in tolerant.out
    assert "warning: " in tolerant.err and "p1.png" in tolerant.err


def test_sync_follows_the_catalogue(
    run: RunCommand, world: Path, index: Path, tmp_path: Path
) -> None:
    shop = tmp_path / "shop"
    shutil.copytree(world, shop)
    rows = (shop / "products.jsonl").read_text().splitlines()
    (shop / "products.jsonl").write_text("\n".join([*rows[:4], "{broken"]))
    refused = run("index", shop, "-o", index, "--sync")
    assert refused.status == 2 and "products.jsonl:5" in refused.err
    (shop / "products.jsonl").write_text("\n".join(rows[:4]))
    result = run("index", shop, "-o", index, "--sync")
    assert "2 removed" in result.out and "4 products in" in result.out


def test_a_feed_by_its_address_with_a_report(
    run: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    report, cache, index = tmp_path / "rejected.csv", tmp_path / "cache", tmp_path / "index"
    with run_server() as server:
        rows = ["id,title,image", "a,Alpha,/image/a", "b,Beta,/missing/b", ",no id,"]
        server.content["/feed.csv"] = "\n".join(rows).encode()
        feed = f"{server.address}/feed.csv"
        arguments = ("index", feed, "-o", index, "-m", model_folder, "--cache", cache)
        refused = run(*arguments)
        assert refused.status == 2 and "which is not public; use --allow-private" in refused.err
        result = run(*arguments, "--allow-private", "--report", report)
        assert result.status == 0 and "2 added" in result.out, result.err
        assert result.out.splitlines()[-1].startswith("2 products in")
        lines = report.read_text().splitlines()
        assert lines[0] == "kind,file,line,column,message" and len(lines) == 3
        assert lines[1].startswith(f"rejected,{feed},4,1,'product_id' is missing")
        assert lines[2].startswith(f"warning,{feed},3,1,") and "status 404" in lines[2]
        assert "2 unchanged" in run(*arguments, "--allow-private").out


def test_titles_are_shown_as_they_are(
    run: RunCommand, world: Path, video: Path, transcript: Path, model_folder: Path, tmp_path: Path
) -> None:
    """Brackets in a title are not markup of the terminal."""
    shop, index = tmp_path / "shop", tmp_path / "index"
    shutil.copytree(world, shop)
    rows = [json.loads(line) for line in (shop / "products.jsonl").read_text().splitlines()]
    for row in rows:
        row["title"] = f"[b]{row['title']} [/i]"
    (shop / "products.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("index", shop, "-o", index, "-m", model_folder).status == 0
    result = run("watch", video, "-i", index, "-t", transcript)
    assert result.status == 0 and "[b]" in result.out and "[/i]" in result.out, result.err
