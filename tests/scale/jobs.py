"""Jobs that workers of the test cluster run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sgmn.catalogue.row_building import ChangedProduct, EncodedBatch, RowBuilder
from sgmn.errors import MediaError
from tests.catalogue.fakes import STAMP, FakeEncoder


@dataclass(frozen=True)
class SlowRows:
    """Builds rows of the fake model, a while for each batch."""

    seconds: float

    def open(self) -> Callable[[Sequence[ChangedProduct]], EncodedBatch]:
        builder = RowBuilder(FakeEncoder(), STAMP, 512, False)

        def build(batch: Sequence[ChangedProduct]) -> EncodedBatch:
            time.sleep(self.seconds)
            return builder.encode(builder.load(batch))

        return build


@dataclass(frozen=True)
class Squares:
    """Squares numbers, in any process; 13 is refused, and 99 ends the worker."""

    seconds: float = 0.0

    def open(self) -> Callable[[int], tuple[int, int]]:
        def square(number: int) -> tuple[int, int]:
            time.sleep(self.seconds)
            if number == 13:
                raise MediaError("is unlucky", "13", "take another number")
            if number == 99:
                os._exit(1)
            return number * number, os.getpid()

        return square
