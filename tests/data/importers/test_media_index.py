"""Shards of img2dataset are indexed by the addresses of their images."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgmn.data.importers.media_index import MediaIndex, find_shards, scan_shard
from sgmn.errors import MediaError
from sgmn.media.image import read_size
from tests.tools.scripts import import_tool

media = import_tool("lookalike_media")


@pytest.fixture(params=["files", "tar"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Five images in shards of two."""
    writer = media.ShardWriter(tmp_path / "media", request.param, shard_size=2)
    for number in range(5):
        writer.add(f"v{number % 2}-{number:04}", media.encode_image((200, 0, 0), number))
    writer.close()
    return tmp_path


def build(folder: Path) -> MediaIndex:
    index = MediaIndex(folder / "index.sqlite")
    for shard in index.missing_shards(find_shards(folder)):
        index.add_shard(shard, scan_shard(shard))
    return index


def test_images_are_found_by_the_names_in_their_addresses(folder: Path) -> None:
    with build(folder) as index:
        found = index.find(["v0-0000", "v1-0003", "v0-9999"])
        assert set(found) == {"v0-0000", "v1-0003"}
        assert {image.size for image in found.values()} == {(540, 960)}
        assert read_size(found["v1-0003"].path) == (36, 64)
        assert list(index.find_prefix("v0")) == ["v0-0000", "v0-0002", "v0-0004"]
        assert index.find_prefix("v") == {}
        assert len(index.find([f"v{i % 2}-{i:04}" for i in range(1200)])) == 5


def test_known_shards_are_not_scanned_again(folder: Path) -> None:
    shards = find_shards(folder)
    assert len(shards) == 3
    index = MediaIndex(folder / "index.sqlite")
    index.add_shard(shards[0], scan_shard(shards[0]))
    assert index.missing_shards(shards) == shards[1:]


def test_folders_of_plain_media_are_not_searched_for_shards(folder: Path) -> None:
    (folder / "query_1").mkdir()
    (folder / "query_1" / "x.tar").touch()
    assert len(find_shards(folder)) == 4
    assert len(find_shards(folder, ("frames", "query_*"))) == 3


def test_a_damaged_tar_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "00000.tar").write_bytes(b"no tar file" * 100)
    with pytest.raises(MediaError, match=r"00000\.tar: is a damaged shard"):
        scan_shard(tmp_path / "00000.tar")


def test_an_image_without_a_sidecar_is_not_indexed(tmp_path: Path) -> None:
    (tmp_path / "00000").mkdir()
    (tmp_path / "00000" / "000000000.jpg").write_bytes(media.encode_image((0, 0, 0), 0))
    assert scan_shard(tmp_path / "00000") == []
