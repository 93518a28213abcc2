"""Background work that runs as long as the service does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from sgmn.service.context import ServiceContext
from sgmn.service.operations.supervisor import run_operations
from sgmn.service.streams.service import run_streams
from sgmn.service.webhooks.sender import run_sender

Component = Callable[[ServiceContext], AbstractAsyncContextManager[None]]

# Started in this order, stopped in the reverse order.
COMPONENTS: tuple[Component, ...] = (run_operations, run_streams, run_sender)
