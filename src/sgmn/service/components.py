"""Background work that runs as long as the service does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from sgmn.service.context import ServiceContext
from sgmn.service.operations.supervisor import run_operations

Component = Callable[[ServiceContext], AbstractAsyncContextManager[None]]

# Started in this order, stopped in the reverse order.
COMPONENTS: tuple[Component, ...] = (run_operations,)
