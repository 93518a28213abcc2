"""The states of a session, and the changes that are allowed.

`queued → starting → running ⇄ reconnecting → stopping → ended | failed`. After a crash of a worker,
of the encoder or of the service a session is `recovering`, then `running` again.
"""

from __future__ import annotations

from typing import Literal, get_args

from sgmn.errors import SgmnError

State = Literal[
    "queued", "starting", "running", "reconnecting", "recovering", "stopping", "ended", "failed"
]
Trigger = Literal[
    "admitted",  # there is room for one more stream
    "frames",  # a frame has been recognized
    "disconnected",  # the source delivers nothing and is being reconnected
    "crashed",  # the worker, the encoder or the service has died
    "stop",  # somebody wants the session to end
    "finished",  # the stream has ended and its last events are known
    "gave_up",  # it cannot go on
]

STATES: tuple[State, ...] = get_args(State)
TRIGGERS: tuple[Trigger, ...] = get_args(Trigger)
TERMINAL: frozenset[State] = frozenset({"ended", "failed"})
ACTIVE: frozenset[State] = frozenset(STATES) - TERMINAL - {"queued"}  # these have a worker
# States of which a session says after a crash that it recovers; one that stops just ends.
RECOVERABLE: frozenset[State] = ACTIVE - {"stopping"}

_CHANGES: dict[tuple[State, Trigger], State] = {
    ("queued", "admitted"): "starting",
    ("queued", "stop"): "ended",
    ("queued", "gave_up"): "failed",
    ("starting", "frames"): "running",
    ("starting", "disconnected"): "reconnecting",
    ("running", "disconnected"): "reconnecting",
    ("reconnecting", "frames"): "running",
    ("recovering", "frames"): "running",
    ("recovering", "disconnected"): "reconnecting",
    ("stopping", "finished"): "ended",
    ("stopping", "gave_up"): "failed",
    **{(state, "crashed"): "recovering" for state in RECOVERABLE},
    **{(state, "stop"): "stopping" for state in RECOVERABLE},
    **{(state, "finished"): "ended" for state in RECOVERABLE},
    **{(state, "gave_up"): "failed" for state in RECOVERABLE},
}


def next_state(state: State, trigger: Trigger) -> State:
    """Return the state after a trigger; the same state where the trigger changes nothing.

    A repeated trigger changes nothing, and no trigger leaves a terminal state. So starting,
    stopping and reporting are idempotent.

    >>> next_state("running", "stop"), next_state("stopping", "stop"), next_state("ended", "stop")
    ('stopping', 'stopping', 'ended')
    """
    return _CHANGES.get((state, trigger), state)


def parse_state(text: str) -> State:
    """Return a state by its name; raises SgmnError for an unknown one."""
    for state in STATES:
        if state == text:
            return state
    raise SgmnError(f"{text!r} is no state", "session", f"pass one of {', '.join(STATES)}")
