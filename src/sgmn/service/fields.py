"""Types of values that several requests have."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import Field
from starlette.convertors import Convertor, register_url_convertor


class _IdConvertor(Convertor[str]):
    """Part of a path before a verb, as in `{id}:stop`: without `:`, so that it is not taken in."""

    regex = "[^/:]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", _IdConvertor())  # for paths such as `/{session_id:id}`

NO_CONTROL = r"^[^\x00-\x1f\x7f]*$"

Name = Annotated[
    str,
    Field(min_length=1, max_length=200, pattern=NO_CONTROL, description="For people to read."),
]
ShopId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="The shop: letters, digits, '.', '_' and '-'.",
        examples=["shop-7"],
    ),
]


def id_pattern(prefix: str) -> str:
    """The pattern of ids that start with `prefix`; see `ids.py`."""
    return f"^{prefix}_[a-z2-7]{{26}}$"


def path_id(prefix: str, what: str) -> Any:
    """The path parameter of a resource whose ids start with `prefix`."""
    example = f"{prefix}_{'a' * 26}"
    return Path(pattern=id_pattern(prefix), description=f"The id of {what}.", examples=[example])


KeyId = Annotated[str, path_id("key", "a key")]
CatalogueId = Annotated[str, path_id("cat", "a catalogue")]
OperationId = Annotated[str, path_id("op", "an operation")]
SessionId = Annotated[str, path_id("ses", "a session")]
