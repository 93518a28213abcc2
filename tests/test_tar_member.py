"""Files inside tar shards are read in place."""

from __future__ import annotations

import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sgmn import tar_member
from sgmn.errors import MediaError
from sgmn.jsonl import path_exists
from sgmn.media.image import read_image, read_size
from sgmn.training.data.token_cache import hash_file


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """A tar file with two images and a text in a folder."""
    path = tmp_path / "00000.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in (
            ("a.png", encode((200, 30, 30))),
            ("folder/b.txt", b"text"),
            ("c@1.png", encode((30, 30, 200))),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, BytesIO(content))
    return path


def encode(color: tuple[int, int, int]) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 6), color).save(buffer, "PNG")
    return buffer.getvalue()


def test_members_have_the_bytes_that_tar_extracts(shard: Path, tmp_path: Path) -> None:
    members = list(tar_member.list_members(shard))
    assert [member.name for member in members] == ["a.png", "b.txt", "c@1.png"]
    with tarfile.open(shard) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    for member, path in zip(members, ("a.png", "folder/b.txt", "c@1.png"), strict=True):
        assert member.read() == (tmp_path / "out" / path).read_bytes()
        assert tar_member.parse_path(member.path) == member
        assert tar_member.read_bytes(member.path) == member.read()


def test_an_image_is_read_through_its_path(shard: Path) -> None:
    red, _, blue = (member.path for member in tar_member.list_members(shard))
    assert path_exists(red) and read_size(red) == (8, 6)
    assert np.array_equal(read_image(red)[0, 0], (200, 30, 30))
    assert np.array_equal(read_image(blue)[5, 7], (30, 30, 200))
    assert hash_file(red) != hash_file(blue) != ""


def test_a_member_that_is_gone_is_an_error(shard: Path) -> None:
    first = next(tar_member.list_members(shard)).path
    shard.write_bytes(shard.read_bytes()[:560])
    assert not path_exists(first)
    with pytest.raises(MediaError, match="too short"):
        read_image(first)
    shard.unlink()
    assert not path_exists(first)
    with pytest.raises(MediaError, match=r"cannot be read.*import the dataset again"):
        read_image(first)


def test_other_names_with_an_at_sign_are_plain_files(tmp_path: Path) -> None:
    path = tmp_path / "shot@2x.png"
    path.write_bytes(encode((1, 2, 3)))
    assert tar_member.parse_path(path) is None
    assert path_exists(path) and read_size(path) == (8, 6)
    assert tar_member.parse_path(tmp_path / "a.tar" / "shot@2x.png") is None
