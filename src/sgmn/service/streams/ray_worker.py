"""A worker on a node of a Ray cluster, and the calls of the actor that runs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sgmn.service.streams.messages import ConnectionLost, Message

ANSWER_TIMEOUT_S = 20.0
KILL_TIMEOUT_S = 5.0


class ActorLost(ConnectionLost):
    """The actor has died, or its node has."""


class ActorSilent(TimeoutError):  # noqa: N818 - an event rather than an error
    """The actor has not answered in time."""


@dataclass(frozen=True)
class ActorCalls:
    """Calls the methods of an actor by name, with the exceptions of this package."""

    ray: Any
    actor: Any

    def __call__(self, name: str, *arguments: Any, timeout_s: float) -> Any:
        """Call a method and return its result.

        Raises:
            ActorLost: The actor is gone.
            ActorSilent: It has not answered in time.
            Exception: What the method has raised.
        """
        return self.result(self.send(name, *arguments), timeout_s)

    def send(self, name: str, *arguments: Any) -> Any:
        """Call a method and return a reference to its result; raises ActorLost."""
        try:
            return getattr(self.actor, name).remote(*arguments)
        except self.ray.exceptions.RayError as error:
            raise ActorLost(_first_line(error)) from error

    def result(self, reference: Any, timeout_s: float) -> Any:
        """Wait for a result of `send`; raises what a call raises."""
        errors = self.ray.exceptions
        try:
            return self.ray.get(reference, timeout=timeout_s)
        except errors.GetTimeoutError as error:
            raise ActorSilent(f"its node has not answered for {timeout_s:.0f} s") from error
        except errors.RayTaskError as error:
            raise error.cause from None
        except errors.RayError as error:
            raise ActorLost(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@dataclass
class RayWorker:
    """A worker on a node.

    Attributes:
        calls: Of the actor that runs it.
        number: Its number there.
        pid: Its process id there.
        heartbeat_timeout_s: Seconds without a message after which it counts as hung.
    """

    calls: ActorCalls
    number: int
    pid: int
    heartbeat_timeout_s: float
    _is_killed: bool = field(default=False, init=False)
    _status: int | None = field(default=None, init=False)

    def receive(self) -> Message:
        """Wait for its next message.

        Raises:
            ConnectionLost: It has exited, or its node is gone.
            TimeoutError: It hangs, or its node does not answer.
        """
        # The actor notices first that a worker hangs; its answer takes some time more.
        timeout_s = self.heartbeat_timeout_s + ANSWER_TIMEOUT_S
        try:
            message: Message = self.calls("receive", self.number, timeout_s=timeout_s)
        except ActorLost:
            self._is_killed = True  # its workers end with it
            raise
        return message

    def stop(self) -> None:
        """Ask it to end its session, without waiting for an answer."""
        try:
            self.calls.send("stop", self.number)
        except ActorLost:
            return  # `receive` says so, too

    def kill(self) -> int | None:
        """Kill it if it still runs, and return its exit status; None if that is unknown.

        If the node does not answer, it is killed as soon as the actor gets the call.
        """
        if not self._is_killed:
            self._is_killed = True
            try:
                self._status = self.calls("kill", self.number, timeout_s=KILL_TIMEOUT_S)
            except (ActorLost, ActorSilent):
                self._status = None
        return self._status
