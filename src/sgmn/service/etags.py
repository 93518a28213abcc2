"""ETags: the version of a resource, and `If-Match` against lost updates."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header

from sgmn.service.problems import ApiError

IfMatch = Annotated[
    str | None,
    Header(
        max_length=200, description="The ETag of the version to change; 412 if it is not current."
    ),
]


def etag(version: int) -> str:
    """The ETag of a version.

    >>> etag(3)
    '"3"'
    """
    return f'"{version}"'


def require_match(if_match: str | None, version: int) -> None:
    """Answer 412 if the caller names another version than the current one."""
    if if_match is None or if_match.strip() == "*":
        return
    if etag(version) not in [part.strip() for part in if_match.split(",")]:
        detail = f"The resource has changed; its ETag is {etag(version)}. Read it again."
        raise ApiError(412, detail, headers={"ETag": etag(version)})
