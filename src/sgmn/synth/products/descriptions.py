"""Descriptions of products as shops write them: praise, materials, care and some attributes.

Each part of a description is drawn from a random stream of its own, so that it changes nothing
else of a generated world.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from sgmn.synth.products.names import attribute_phrase
from sgmn.synth.products.spec import ProductSpec

_STREAM = 3  # of a design seed; 1 and 2 are those of the products and their titles
_ATTRIBUTE_PROB = 0.6  # that a description states an attribute
_MATERIAL_PROB = 0.6
_CARE_PROB = 0.5
_SIBLINGS_PROB = 0.3  # that a description names the other products of its group
_CLOSING_PROB = 0.4

_OPENINGS = (
    "Meet the {name} {kind} by {brand}.",
    "Treat yourself to something special: our {kind} from the {name} range.",
    "Discover the {name} collection from {brand} and fall in love with every detail.",
    "This {kind} brings a touch of joy to your everyday life.",
    "Looking for the perfect {kind}? You have just found it.",
    "{brand} has stood for quality and passion for more than thirty years.",
    "A modern classic, reimagined for people who care about the little things.",
    "Designed with love and made to last, this {kind} is a favorite of our customers.",
)
_ATTRIBUTE_SENTENCES = (
    "Details: {phrases}.",
    "Features: {phrases}.",
    "Recognizable at a glance: {phrases}.",
    "This version: {phrases}.",
)
_SIBLING_SENTENCES = (
    "Also available in {others}.",
    "Choose between {others} and many more in our shop.",
    "Combine it with the {others} version.",
)
_CLOSINGS = (
    "Order today and enjoy free returns within 30 days.",
    "A wonderful gift for birthdays, holidays or just because.",
    "Your satisfaction is our promise.",
    "Sign up for our newsletter and save 10% on your first order.",
    "Product images may differ slightly from the original.",
    "Shipped in plastic-free packaging within two working days.",
)
_MATERIALS = {
    "Drinks": ("Made from natural ingredients, without preservatives.", "Best served chilled."),
    "Food": ("Carefully selected ingredients, gently processed.", "May contain traces of nuts."),
    "Beauty": ("Dermatologically tested, vegan and free from parabens.", "With vitamin E."),
    "Kitchen": ("Made of hard-wearing, food-safe material.", "Suitable for all households."),
    "Fashion": ("Outer material: 80% cotton, 20% polyester.", "Breathable lining, neat seams."),
    "Home": ("Made of durable, certified materials.", "Handcrafted in small batches."),
    "Toys": ("Soft filling of recycled polyester, tested for safety.", "For children of any age."),
    "Electronics": ("Housing of robust ABS plastic, 24 months warranty.", "USB-C cable included."),
    "Stationery": ("120 g/m² acid-free paper, 192 pages.", "Thread-sewn binding, ribbon marker."),
}
_CARE = {
    "Drinks": ("Keep refrigerated after opening and consume within four days.", "Shake well."),
    "Food": ("Store in a cool and dry place.", "Close tightly after use."),
    "Beauty": ("Avoid contact with eyes.", "Apply daily to clean skin or hair."),
    "Kitchen": ("Dishwasher safe.", "Rinse with warm water before first use."),
    "Fashion": ("Wipe clean with a damp cloth.", "Hand wash only, do not tumble dry."),
    "Home": ("Clean with a soft, dry cloth.", "Keep away from direct sunlight."),
    "Toys": ("Machine washable at 30 °C.", "Surface washable, air dry."),
    "Electronics": ("Charge fully before first use.", "Do not expose to moisture."),
    "Stationery": ("Suitable for fountain pens.", "Store flat and dry."),
}


def describe_products(products: Sequence[ProductSpec]) -> Iterator[str]:
    """Yield the description of each product of a shop.

    Near-twins get the same text, except for the attribute in which they differ if it is stated.
    """
    groups: dict[str, list[ProductSpec]] = {}
    for product in products:
        groups.setdefault(product.group, []).append(product)
    for product in products:
        yield write_description(product, groups[product.group])


def write_description(product: ProductSpec, group: Sequence[ProductSpec]) -> str:
    """Write two to seven sentences about a product; `group` holds it and its near-twins."""
    rng = np.random.default_rng((*product.design_seed, _STREAM))
    category = product.category
    sentences = [str(rng.choice(_OPENINGS)).format(**product.attributes)]
    sentences += _state_attributes(product, rng)
    sentences += _maybe(_MATERIALS[category], _MATERIAL_PROB, rng)
    sentences += _maybe(_CARE[category], _CARE_PROB, rng)
    sentences += _name_siblings(product, group, rng)
    sentences += _maybe(_CLOSINGS, _CLOSING_PROB if len(sentences) > 1 else 1.0, rng)
    return " ".join(sentences)


def _maybe(sentences: Sequence[str], probability: float, rng: np.random.Generator) -> list[str]:
    sentence, draw = str(rng.choice(sentences)), rng.random()
    return [sentence] if draw < probability else []


def _state_attributes(product: ProductSpec, rng: np.random.Generator) -> list[str]:
    """State some attributes truthfully; brand, name and kind belong to the opening."""
    template = str(rng.choice(_ATTRIBUTE_SENTENCES))
    names = [key for key in product.attributes if key not in ("brand", "name", "kind")]
    stated = [key for key in names if rng.random() < _ATTRIBUTE_PROB]
    phrases = [attribute_phrase(key, product[key]) for key in stated]
    return [template.format(phrases=", ".join(phrases))] if phrases else []


def _name_siblings(
    product: ProductSpec, group: Sequence[ProductSpec], rng: np.random.Generator
) -> list[str]:
    template, draw = str(rng.choice(_SIBLING_SENTENCES)), rng.random()
    others = [sibling[sibling.varies] for sibling in group if sibling != product]
    if draw >= _SIBLINGS_PROB or not others:
        return []
    return [template.format(others=", ".join(others[:3]))]
