from __future__ import annotations

import io
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sgmn.background import ahead, behind
from sgmn.catalogue import entries
from sgmn.catalogue.entries import content_hash, thumbnail
from sgmn.catalogue.index import Index
from sgmn.errors import MediaError, RecordError
from sgmn.records import Product
from tests.catalogue.fakes import FakeEmbed, titled


def test_the_next_batch_is_read_while_one_is_encoded_and_never_more(index: Index, embed: FakeEmbed):
    taken, most = [], []

    def products():
        for product in titled(20):
            taken.append(product)
            yield product

    def slow(batch):
        wanted = min(len(embed.titles) + 2 * 4, 20)
        until = time.monotonic() + 5
        while len(taken) < wanted and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(0.02)  # for an eager reader to run on
        most.append(len(taken) - len(embed.titles))
        return embed(batch)

    index.update(products(), slow, batch=4)
    assert most == [8, 8, 8, 8, 4]


def test_ahead_keeps_order_and_errors():
    assert list(ahead(iter(range(5)))) == list(range(5))
    assert list(ahead(iter(()))) == []

    def breaks():
        yield 1
        raise ZeroDivisionError

    items = ahead(breaks())
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_behind_runs_one_action_at_a_time_on_one_other_thread():
    threads = set()

    def action(item: int) -> int:
        threads.add(threading.current_thread().name)
        if item == 3:
            raise ZeroDivisionError
        return item * 2

    assert list(behind(action, iter(range(3)))) == [0, 2, 4]
    assert len(threads) == 1 and threading.current_thread().name not in threads
    with pytest.raises(ZeroDivisionError):
        list(behind(action, iter(range(5))))


def test_the_hash_sees_every_field_and_every_pixel(pictured):
    base = pictured("a", category="c", attributes={"x": 1, "y": 2})
    assert base.image is not None
    first = content_hash(base)
    assert content_hash(replace(base, attributes={"y": 2, "x": 1})) == first
    changes = [
        {"title": "b"},
        {"category": "d"},
        {"shop_id": "s"},
        {"product_id": "b"},
        {"attributes": {}},
        {"extra": {"k": 1}},
        {"images": (base.image,)},
        {"image": None},
    ]
    hashes = {content_hash(replace(base, **change)) for change in changes}
    assert len(hashes | {first}) == len(changes) + 1
    pictured("a", (0, 0, 1))
    assert content_hash(base) != first


def test_what_cannot_be_hashed_says_why(tmp_path):
    with pytest.raises(MediaError, match=r"gone.png: cannot be read"):
        content_hash(Product("a", image=tmp_path / "gone.png"))
    with pytest.raises(RecordError, match="product 'a' of shop 's': cannot be stored"):
        content_hash(Product("a", "t", shop_id="s", attributes={"x": float("inf")}))


def test_a_thumbnail_is_a_small_jpeg_of_the_same_shape():
    image = Image.open(io.BytesIO(thumbnail(np.full((300, 600, 3), 80, np.uint8))))
    assert image.format == "JPEG" and image.size == (entries.THUMBNAIL_SIDE, 80)
    tiny = Image.open(io.BytesIO(thumbnail(np.zeros((5, 9, 3), np.uint8))))
    assert tiny.size == (9, 5)
