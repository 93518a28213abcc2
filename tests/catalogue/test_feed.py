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
    return feed.read_feed(path, shop_id="s")


def test_a_table_with_standard_headers(tmp_path: Path):
    read = table(
        tmp_path, "product_id,title,image,category\np1,Lime,images/a.jpg,Fruit\np2,Kiwi,,\n"
    )
    assert read.rejected_rows == ()
    assert read.products == (
        Product("p1", "Lime", tmp_path / "images/a.jpg", shop_id="s", category="Fruit"),
        Product("p2", "Kiwi", shop_id="s"),
    )


def test_a_table_as_merchant_center_exports_it(tmp_path: Path):
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
def test_the_delimiter_is_detected_from_the_header(tmp_path: Path, delimiter: str):
    text = delimiter.join(["sku", "name"]) + "\n" + delimiter.join(["1", '"a, b; c | d"']) + "\n"
    assert table(tmp_path, text).products == (Product("1", "a, b; c | d", shop_id="s"),)


def test_invalid_rows_are_rejected_with_their_line_and_the_rest_is_read(tmp_path: Path):
    rows = [
        b"id,title,image",
        b"a,Alpha,",
        b"b,Beta",
        b",no id,",
        b"c,,",
        b"d,Delta,ftp://shop.example/d.jpg",
        b"",
        b"e,bad \xff byte,",
        b"a,again,",
        b'f,"two\nlines",',
        b'g,"quoted"x,',
        b"h,Eta,",
    ]
    read = table(tmp_path, b"\n".join(rows) + b"\n")
    assert [product.product_id for product in read.products] == ["a", "d", "f", "h"]
    assert read.products[2].title == "two\nlines"
    lines = [str(issue).removeprefix(f"{tmp_path}/feed.csv:") for issue in read.rejected_rows]
    starts = [
        "3:3: has 2 cells, but the header has 3",
        "4:1: 'product_id' is missing",
        "5:1: product 'c' has neither title nor image",
        "8:2: is not UTF-8 text",
        "9:1: product 'a' is already listed at ",
        "12:1: is not a valid table row",
    ]
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True)), lines
    (warning,) = read.warnings
    assert str(warning).startswith(
        f"{tmp_path}/feed.csv:6:1: image ftp://shop.example/d.jpg: is neither an http nor an https"
    )
    assert warning.message.endswith("indexed by its title only")


def test_an_unclosed_quote_is_reported_and_does_not_swallow_rows(tmp_path: Path):
    read = table(tmp_path, 'id,title\na,Alpha\nb,"Beta\nc,Gamma\n')
    assert [product.product_id for product in read.products] == ["a", "c"]
    (issue,) = read.rejected_rows
    assert str(issue).startswith(f"{tmp_path}/feed.csv:3:1: is not a valid table row")
    assert "check its quotes" in issue.message


def test_an_unclosed_quote_before_quoted_rows_rejects_only_its_own_row(tmp_path: Path):
    quoted = [f'"p{n}","Title, {n}"' for n in range(5000)]
    quoted[7], quoted[4990] = '"p7","open', '"p4990","open'
    plain = [f"q{n},{'Title ' * 20}" for n in range(3000)]
    plain[5] = 'q5,"open'
    read = table(tmp_path, "\n".join(["id,title", *quoted, *plain]))
    assert len(read.products) == 8000 - 3
    places = [issue.where.removeprefix(f"{tmp_path}/feed.csv:") for issue in read.rejected_rows]
    assert places == ["9:1", "4992:1", "5007:1"]


def test_a_row_may_have_several_lines_after_an_unclosed_quote(tmp_path: Path):
    read = table(tmp_path, 'id,title\na,"open\nb,"two\nlines"\nc,Gamma\n')
    assert [p.title for p in read.products] == ["two\nlines", "Gamma"]
    assert [issue.where for issue in read.rejected_rows] == [f"{tmp_path}/feed.csv:2:1"]


def test_a_cell_that_is_too_long_is_reported_as_such(tmp_path: Path):
    long = "x" * 140_000
    read = table(tmp_path, f"id,title\na,{long}\nb,Beta\n")
    assert [product.product_id for product in read.products] == ["b"]
    (issue,) = read.rejected_rows
    assert issue.message == "has a cell of more than 131072 characters; shorten it"
    lines = "\n".join(f"p{n},{'x' * 1000}" for n in range(200))
    read = table(tmp_path, f'id,title\na,"open\n{lines}\n')
    assert len(read.products) == 200
    assert "over several lines; close its quote" in read.rejected_rows[0].message


def test_reading_a_table_of_unclosed_quotes_takes_linear_time(tmp_path: Path):
    read = table(tmp_path, "id,title\n" + 'x","z\n' * 20_000)
    assert not read.products and len(read.rejected_rows) == 20_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no header line"),
        ("\n \n", "has no header line"),
        ("name,image\nx,y\n", "has the columns name, image; start with a header"),
        ("id,color\n1,red\n", "has the columns id, color"),
        ("id,title,Title\n1,a,b\n", "has the column 'title' twice"),
        ("id,title\n1,a\n".encode("utf-16"), "is not UTF-8 text"),
        (b"PK\x03\x04\0\0", "is not UTF-8 text"),
    ],
)
def test_a_file_that_is_not_a_product_table_is_an_error(
    tmp_path: Path, text: str | bytes, message: str
):
    with pytest.raises(RecordError) as caught:
        table(tmp_path, text)
    assert message in str(caught.value) and "feed.csv" in str(caught.value)


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=6), st.sampled_from(",;\t|"))
def test_any_table_that_csv_writes_is_read_row_by_row(tmp_path_factory, rows, delimiter: str):
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerows([("id", "title", "color"), *rows])
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(file.getvalue().encode())
    read = feed.read_feed(path)
    expected_rows = [
        tuple(cell.strip() for cell in row) for row in rows if any(c.strip() for c in row)
    ]
    expected = dict[str, tuple[str, str]]()
    for product_id, title, color in expected_rows:
        if product_id and title:
            expected.setdefault(product_id, (title, color))
    actual = {p.product_id: (p.title, p.attributes.get("color", "")) for p in read.products}
    assert actual == expected
    assert len(read.products) + len(read.rejected_rows) == len(expected_rows)


def test_json_lines_as_a_file_or_in_a_folder(tmp_path: Path):
    rows = [
        {"product_id": "a", "title": "Alpha", "image": "a.jpg", "price": 3},
        {"product_id": 5, "title": "five"},
        {"product_id": "b", "image": "ftp://x/b.jpg"},
        {"product_id": "c", "title": "c", "images": ["ftp://x/c.jpg"]},
        {"product_id": "a", "title": "again"},
    ]
    path = tmp_path / "products.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\nnonsense\n")
    for source in (path, tmp_path):
        read = feed.read_feed(source, shop_id="s")
        expected = Product("a", "Alpha", tmp_path / "a.jpg", shop_id="s", extra={"price": 3})
        assert read.products == (expected, Product("c", "c", shop_id="s"))
        places = [issue.where.removeprefix(f"{path}:") for issue in read.rejected_rows]
        assert places == ["2:2", "5:1", "6:1", "3:1"]
        messages = [issue.message for issue in read.rejected_rows]
        assert "pass a string" in messages[0]
        assert "and the product has neither title nor image; pass an address" in messages[3]
        assert [issue.where for issue in read.warnings] == [f"{path}:4:1"]


def test_a_folder_of_images(tmp_path: Path):
    for name in ("green_lime-1kg.jpg", "kiwi.PNG", ".DS_Store", "notes.txt", "kiwi.webp"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "more").mkdir()
    read = feed.read_feed(tmp_path)
    assert read.products == (
        Product("green_lime-1kg", "green lime 1kg", tmp_path / "green_lime-1kg.jpg"),
        Product("kiwi", "kiwi", tmp_path / "kiwi.PNG"),
    )
    names = {Path(issue.where).name: issue.message for issue in read.rejected_rows}
    assert set(names) == {"kiwi.webp", "more", "notes.txt"}
    assert "already listed" in names["kiwi.webp"] and "not an image file" in names["notes.txt"]


def test_an_unsupported_source_is_an_error(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "feed.xlsx").write_bytes(b"PK")
    for source, message in (
        (tmp_path / "nowhere", "does not exist"),
        (tmp_path / ("x" * 300 + ".csv"), "cannot be accessed (File name too long)"),
        (tmp_path / "empty", "neither products.jsonl nor images"),
        (tmp_path / "feed.xlsx", "not a supported catalogue format; pass a .jsonl, .csv or .tsv"),
    ):
        with pytest.raises(RecordError) as caught:
            feed.read_feed(source)
        assert message in str(caught.value) and str(source) in str(caught.value)
