"""What a job has done, and the type of the functions that do jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sgmn.row_issues import RowIssue
from sgmn.service.context import ServiceContext
from sgmn.service.operations.heart import Heart
from sgmn.service.operations.queue import Job


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job has done.

    Attributes:
        result: Numbers for the caller of the API.
        errors: Rows of the input that were rejected.
        warnings: Rows of the input that lack something.
        problem: Why the job failed; None if it succeeded.
        catalogue: New values of the catalogue's row.
    """

    result: Mapping[str, Any] = field(default_factory=dict)
    errors: tuple[RowIssue, ...] = ()
    warnings: tuple[RowIssue, ...] = ()
    problem: str | None = None
    catalogue: Mapping[str, Any] = field(default_factory=dict)


Handler = Callable[[ServiceContext, Job, Heart], Outcome]
