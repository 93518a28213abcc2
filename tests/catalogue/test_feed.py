from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmn.catalogue import feed
from sgmn.catalogue.feed import Feed
from sgmn.errors import RecordError
from sgmn.records import Product


def table(folder: Path, text: str | bytes, name: str = "feed.csv") -> Feed:
    """The feed of a table with this text."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return feed.read(path, shop_id="s")


def test_a_table_with_our_headers(tmp_path: Path):
    read = table(
        tmp_path, "product_id,title,image,category\np1,Lime,images/a.jpg,Fruit\np2,Kiwi,,\n"
    )
    assert read.refused == ()
    assert read.products == (
        Product("p1", "Lime", tmp_path / "images/a.jpg", shop_id="s", category="Fruit"),
        Product("p2", "Kiwi", shop_id="s"),
    )


def test_a_table_as_merchants_export_it(tmp_path: Path):
    header = "g:id\tTitle\timage link\tadditional_image_link\tproduct type\tprice\tstore\tsku\n"
    row = "7\tGreen lime\ta.jpg\tb.jpg, c.jpg\tFruit > Citrus\t1.50 EUR\tlive\tX9\n"
    (product,) = table(tmp_path, "\ufeff" + header + row, "feed.tsv").products
    assert product == Product(
        "7",
        "Green lime",
        tmp_path / "a.jpg",
        (tmp_path / "b.jpg", tmp_path / "c.jpg"),
        shop_id="live",
        category="Fruit > Citrus",
        attributes={"price": "1.50 EUR", "sku": "X9"},
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_seen_from_the_header(tmp_path: Path, delimiter: str):
    text = delimiter.join(["sku", "name"]) + "\n" + delimiter.join(["1", '"a, b; c | d"']) + "\n"
    assert table(tmp_path, text).products == (Product("1", "a, b; c | d", shop_id="s"),)


def test_bad_rows_are_refused_with_their_line_and_the_rest_goes_on(tmp_path: Path):
    rows = [
        b"id,title,image",
        b"a,Alpha,",
        b"b,Beta",
        b",no id,",
        b"c,,",
        b"d,Delta,https://shop.example/d.jpg",
        b"",
        b"e,bad \xff byte,",
        b"a,again,",
        b'f,"two\nlines",',
        b'g,"quoted"x,',
        b"h,Eta,",
    ]
    read = table(tmp_path, b"\n".join(rows) + b"\n")
    assert [product.product_id for product in read.products] == ["a", "f", "h"]
    assert read.products[1].title == "two\nlines"
    lines = [str(refused).removeprefix(f"{tmp_path}/feed.csv:") for refused in read.refused]
    starts = [
        "3: has 2 cells where the header has 3",
        "4: 'product_id' is missing",
        "5: product 'c' has neither title nor image",
        "6: image 'https://shop.example/d.jpg' is an address",
        "8: is no UTF-8 text",
        "9: product 'a' was given before, at ",
        "12: is no table row",
    ]
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True)), lines


def test_an_open_quote_is_named_and_not_swallowed(tmp_path: Path):
    read = table(tmp_path, 'id,title\na,Alpha\nb,"Beta\nc,Gamma\n')
    assert [product.product_id for product in read.products] == ["a", "c"]
    (refused,) = read.refused
    assert str(refused).startswith(f"{tmp_path}/feed.csv:3: is no table row")
    assert "check its quotes" in refused.what


def test_an_open_quote_before_quoted_rows_costs_its_own_row_alone(tmp_path: Path):
    quoted = [f'"p{n}","Title, {n}"' for n in range(5000)]
    quoted[7], quoted[4990] = '"p7","open', '"p4990","open'
    plain = [f"q{n},{'Title ' * 20}" for n in range(3000)]
    plain[5] = 'q5,"open'
    read = table(tmp_path, "\n".join(["id,title", *quoted, *plain]))
    assert len(read.products) == 8000 - 3
    places = [refused.where.removeprefix(f"{tmp_path}/feed.csv:") for refused in read.refused]
    assert places == ["9", "4992", "5007"]


def test_a_row_may_go_over_lines_after_an_open_quote(tmp_path: Path):
    read = table(tmp_path, 'id,title\na,"open\nb,"two\nlines"\nc,Gamma\n')
    assert [p.title for p in read.products] == ["two\nlines", "Gamma"]
    assert [refused.where for refused in read.refused] == [f"{tmp_path}/feed.csv:2"]


def test_a_cell_that_is_too_long_is_called_so(tmp_path: Path):
    long = "x" * 140_000
    read = table(tmp_path, f"id,title\na,{long}\nb,Beta\n")
    assert [product.product_id for product in read.products] == ["b"]
    (refused,) = read.refused
    assert refused.what == "has a cell of more than 131072 characters; shorten it"
    lines = "\n".join(f"p{n},{'x' * 1000}" for n in range(200))
    read = table(tmp_path, f'id,title\na,"open\n{lines}\n')
    assert len(read.products) == 200
    assert "over several lines; close its quote" in read.refused[0].what


def test_a_table_of_open_quotes_takes_no_square_of_time(tmp_path: Path):
    read = table(tmp_path, "id,title\n" + 'x","z\n' * 20_000)
    assert not read.products and len(read.refused) == 20_000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no header line"),
        ("\n \n", "has no header line"),
        ("name,image\nx,y\n", "has the columns name, image; begin with a header"),
        ("id,colour\n1,red\n", "has the columns id, colour"),
        ("id,title,Title\n1,a,b\n", "has the column 'title' twice"),
        ("id,title\n1,a\n".encode("utf-16"), "is no UTF-8 text"),
        (b"PK\x03\x04\0\0", "is no UTF-8 text"),
    ],
)
def test_a_file_that_is_no_table_of_products_is_refused(tmp_path: Path, text, says: str):
    with pytest.raises(RecordError) as caught:
        table(tmp_path, text)
    assert says in str(caught.value) and "feed.csv" in str(caught.value)


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=6), st.sampled_from(",;\t|"))
def test_any_table_that_csv_writes_is_read_row_by_row(tmp_path_factory, rows, delimiter: str):
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerows([("id", "title", "colour"), *rows])
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(file.getvalue().encode())
    read = feed.read(path)
    given = [tuple(cell.strip() for cell in row) for row in rows if any(c.strip() for c in row)]
    good = dict[str, tuple[str, str]]()
    for product_id, title, colour in given:
        if product_id and title:
            good.setdefault(product_id, (title, colour))
    found = {p.product_id: (p.title, p.attributes.get("colour", "")) for p in read.products}
    assert found == good
    assert len(read.products) + len(read.refused) == len(given)


def test_json_lines_as_a_file_or_in_a_folder(tmp_path: Path):
    rows = [
        {"product_id": "a", "title": "Alpha", "image": "a.jpg", "price": 3},
        {"product_id": 5, "title": "five"},
        {"product_id": "b", "image": "http://x/b.jpg"},
        {"product_id": "c", "title": "c", "images": ["https://x/c.jpg"]},
        {"product_id": "a", "title": "again"},
    ]
    path = tmp_path / "products.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\nnonsense\n")
    for source in (path, tmp_path):
        read = feed.read(source, shop_id="s")
        expected = Product("a", "Alpha", tmp_path / "a.jpg", shop_id="s", extra={"price": 3})
        assert read.products == (expected,)
        places = [refused.where.removeprefix(f"{path}:") for refused in read.refused]
        assert places == ["2", "3", "4", "5", "6"]
        assert "give a text" in read.refused[0].what and "download it" in read.refused[1].what


def test_a_folder_of_pictures(tmp_path: Path):
    for name in ("green_lime-1kg.jpg", "kiwi.PNG", ".DS_Store", "notes.txt", "kiwi.webp"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "more").mkdir()
    read = feed.read(tmp_path)
    assert read.products == (
        Product("green_lime-1kg", "green lime 1kg", tmp_path / "green_lime-1kg.jpg"),
        Product("kiwi", "kiwi", tmp_path / "kiwi.PNG"),
    )
    names = {Path(refused.where).name: refused.what for refused in read.refused}
    assert set(names) == {"kiwi.webp", "more", "notes.txt"}
    assert "given before" in names["kiwi.webp"] and "is no picture" in names["notes.txt"]


def test_what_is_no_catalogue_is_refused(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "feed.xlsx").write_bytes(b"PK")
    for source, says in (
        (tmp_path / "nowhere", "does not exist"),
        (tmp_path / ("x" * 300 + ".csv"), "cannot be looked up (File name too long)"),
        (tmp_path / "empty", "neither products.jsonl nor pictures"),
        (tmp_path / "feed.xlsx", "is no catalogue that we know; give a .jsonl, .csv or .tsv"),
    ):
        with pytest.raises(RecordError) as caught:
            feed.read(source)
        assert says in str(caught.value) and str(source) in str(caught.value)
