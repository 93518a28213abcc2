"""Lists in pages: `?limit&cursor`, answered with the items and the next cursor."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

import sqlalchemy as sa
from fastapi import Depends, Query
from pydantic import BaseModel, Field

from sgmn.service.problems import ApiError

MAX_LIMIT = 200
Item = TypeVar("Item")
_KEY_TYPES = (str, int, float)


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next_cursor: str | None = Field(
        description="Pass it as `cursor` to get the next page; null on the last one."
    )


class PageQuery:
    """Which page a request asks for."""

    def __init__(
        self,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items per page.")] = 50,
        cursor: Annotated[
            str | None, Query(max_length=500, description="`next_cursor` of the page before.")
        ] = None,
    ) -> None:
        self.limit, self.after = limit, None if cursor is None else decode_cursor(cursor)

    def select(
        self, query: sa.Select[Any], *columns: sa.ColumnElement[Any], newest_first: bool = False
    ) -> sa.Select[Any]:
        """The rows of the page and one more, ordered by `columns`, which identify a row."""
        if self.after is not None:
            if len(self.after) != len(columns):
                raise _invalid_cursor()
            _require_types(self.after, columns)
            place, last = sa.tuple_(*columns), sa.tuple_(*map(sa.literal, self.after))
            query = query.where(place < last if newest_first else place > last)
        order = [column.desc() if newest_first else column for column in columns]
        return query.order_by(*order).limit(self.limit + 1)

    def cut(self, rows: Sequence[Any], *names: str) -> tuple[Sequence[Any], str | None]:
        """The rows of the page without the one more, and the next cursor from columns `names`."""
        if len(rows) <= self.limit:
            return rows, None
        rows = rows[: self.limit]
        return rows, encode_cursor([rows[-1][name] for name in names])


Paging = Annotated[PageQuery, Depends()]


def encode_cursor(values: Sequence[str | int | float]) -> str:
    """A cursor from the values by which a list is ordered.

    >>> decode_cursor(encode_cursor(["cat_1", 2]))
    ['cat_1', 2]
    """
    return base64.urlsafe_b64encode(json.dumps(list(values)).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> list[str | int | float]:
    """The values of a cursor; 400 if it is none."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _invalid_cursor() from None
    if not isinstance(values, list) or not all(type(value) in _KEY_TYPES for value in values):
        raise _invalid_cursor()
    return values


def first_text(values: Sequence[object] | None) -> str | None:
    """The value of a cursor that holds one text; 400 if it is another one."""
    if values is None:
        return None
    if len(values) != 1 or not isinstance(values[0], str) or "\0" in values[0]:
        raise _invalid_cursor()
    return values[0]


def _require_types(values: Sequence[object], columns: Sequence[sa.ColumnElement[Any]]) -> None:
    for value, column in zip(values, columns, strict=True):
        is_text = column.type.python_type is str
        if isinstance(value, str) != is_text or (isinstance(value, str) and "\0" in value):
            raise _invalid_cursor()
        if isinstance(value, int | float) and not abs(value) < 2**53:
            raise _invalid_cursor()


def _invalid_cursor() -> ApiError:
    errors = [("query.cursor", "is not a cursor of this list")]
    return ApiError(400, "The request has an invalid cursor.", errors)
