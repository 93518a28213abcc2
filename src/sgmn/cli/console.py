"""Terminal output shared by the commands: consoles and progress bars."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from sgmn.training import trainer

T = TypeVar("T")
SMOOTHING_STEPS = 20
# A file or pipe has no width of its own, and tables should not wrap there.
out = Console(width=None if sys.stdout.isatty() else 140)
err = Console(stderr=True)


def progress_bar(*extra: str) -> Progress:
    """Create a progress bar on standard error; `extra` are further text fields at its end."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        *(TextColumn(field) for field in extra),
        console=err,
    )


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Yield the items while a progress bar counts them."""
    with progress_bar() as bar:
        task = bar.add_task(description, total=total)
        for item in items:
            yield item
            bar.advance(task)


class TrainingBar:
    """Progress bar of a training run with loss, batch accuracy, learning rate and speed.

    The loss is the mean of the last `SMOOTHING_STEPS` steps.
    """

    def __init__(self, bar: Progress, steps: int) -> None:
        self.bar = bar
        self.task = bar.add_task("training", total=steps, figures="")
        self.losses: deque[float] = deque(maxlen=SMOOTHING_STEPS)

    def __call__(self, progress: trainer.StepReport) -> None:
        """Show a finished step."""
        self.losses.append(progress.loss)
        loss = sum(self.losses) / len(self.losses)
        figures = (
            f"loss {loss:.3f}  accuracy {progress.accuracy:.0%}  lr {progress.lr:.1e}"
            f"  {progress.samples_per_s:.0f} clips/s"
        )
        self.bar.update(self.task, completed=progress.step, figures=figures)


@contextmanager
def training_bar(steps: int) -> Iterator[TrainingBar]:
    """Show the progress bar of a training run."""
    with progress_bar("{task.fields[figures]}") as bar:
        yield TrainingBar(bar, steps)
