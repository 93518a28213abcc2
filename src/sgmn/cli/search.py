"""`sgmn search`: the products that match a text, an image, or both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.options import IndexOption, ModelOption, RuntimeOption
from sgmn.errors import SgmnError
from sgmn.model.runtimes import TORCH

if TYPE_CHECKING:
    from sgmn.catalogue.index import Hit

TextArgument = Annotated[
    str, typer.Argument(metavar="[TEXT]", help="What to search for, such as: red running shoes.")
]
ImageOption = Annotated[
    Path | None,
    typer.Option("--image", metavar="FILE", help="Picture of the product to search for."),
]
CountOption = Annotated[
    int, typer.Option("-k", min=1, metavar="N", help="Number of products to print.")
]
SearchShopOption = Annotated[
    str | None,
    typer.Option("--shop", metavar="ID", help="Search only this shop. By default, all shops."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object per product.")]


def search(
    index: IndexOption,
    text: TextArgument = "",
    image: ImageOption = None,
    shop: SearchShopOption = None,
    count: CountOption = 10,
    as_json: JsonOption = False,
    model: ModelOption = None,
    runtime: RuntimeOption = TORCH,
) -> None:
    """Search products by text, by image, or by both.

    Searches all shops of the index unless --shop is given. For an index of more than about 50,000
    products, build a vector index first: sgmn index -o INDEX --vector-index
    """
    from sgmn.catalogue.index import Index

    if not text.strip() and image is None:
        raise SgmnError("nothing to search for", remedy="pass TEXT, --image or both")
    hits = Index.open(index, model, runtime).search(image=image, text=text, k=count, shop_id=shop)
    for hit in hits:
        typer.echo(_to_json(hit) if as_json else _to_line(hit))
    if not hits and not as_json:
        typer.echo("no products found")


def _to_line(hit: Hit) -> str:
    product = hit.product
    return "\t".join((f"{hit.score:.3f}", product.shop_id, product.product_id, product.title))


def _to_json(hit: Hit) -> str:
    product = hit.product
    fields = {
        "score": hit.score,
        "shop_id": product.shop_id,
        "product_id": product.product_id,
        "title": product.title,
    }
    return json.dumps(fields, ensure_ascii=False)
