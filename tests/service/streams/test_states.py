"""The state machine of a session, alone and in the database, driven at random."""

from __future__ import annotations

import tempfile
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sgmn.errors import SgmnError
from sgmn.service.database.engine import Database
from sgmn.service.database.migrate import upgrade
from sgmn.service.ids import new_id
from sgmn.service.log import LogRow, log_transaction, read_rows
from sgmn.service.settings import ServiceSettings
from sgmn.service.streams.states import (
    ACTIVE,
    STATES,
    TERMINAL,
    TRIGGERS,
    State,
    Trigger,
    next_state,
    parse_state,
)
from sgmn.service.streams.store import SessionGone, SessionStore, insert_session


def test_each_trigger_is_idempotent_and_no_state_but_the_last_is_a_dead_end() -> None:
    for state, trigger in product(STATES, TRIGGERS):
        once = next_state(state, trigger)
        assert next_state(once, trigger) == once
        assert state not in TERMINAL or once == state
    reached = {"queued"}
    for _ in STATES:
        reached |= {next_state(parse_state(s), t) for s in reached for t in TRIGGERS}
    assert reached == set(STATES)


@pytest.mark.parametrize("state", sorted(set(STATES) - TERMINAL))
def test_every_session_can_be_stopped_and_can_fail(state: State) -> None:
    stopped = next_state(state, "stop")
    assert stopped in ("stopping", "ended") and next_state(stopped, "finished") == "ended"
    assert next_state(state, "gave_up") == "failed"


@pytest.mark.parametrize("state", sorted(ACTIVE - {"stopping"}))
def test_a_session_recovers_from_a_crash_in_any_active_state(state: State) -> None:
    assert next_state(next_state(state, "crashed"), "frames") == "running"


def test_an_unknown_state_is_refused() -> None:
    with pytest.raises(SgmnError, match="'asleep' is no state"):
        parse_state("asleep")


def test_the_damage_of_a_stream_is_noted_once_even_if_its_end_is_told_twice() -> None:
    sessions = Sessions()
    sessions.create()
    [session] = sessions.expected
    for _ in range(2):
        row = sessions.store.end(session, "gave_up", "it is broken", [{"id": 1}], ["a", "b"])
        assert row["state"] == "failed"
    found = [row.data for row in sessions.published if row.type == "sgmn.session/1"]
    damage = [{"change": "damage", "problem": problem} for problem in ("a", "b")]
    assert found[1:3] == damage and found[3]["state"] == "failed" and len(found) == 4
    sessions.teardown()


class Sessions(RuleBasedStateMachine):
    """Several sessions in one database, with reports that come late, twice, or after a deletion."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(ServiceSettings(data=Path(self.folder.name)))
        upgrade(self.database)
        self.published: list[LogRow] = []
        self.store = SessionStore(self.database, self)
        self.expected: dict[str, State] = {}
        self.events: dict[str, int] = {}

    def publish(self, rows: list[LogRow]) -> None:
        self.published.extend(rows)

    @rule()
    def create(self) -> None:
        values: dict[str, Any] = dict.fromkeys(("source_redacted", "source_sealed"), "")
        values |= {"id": new_id("ses"), "shop_id": "s", "catalogue_id": "c", "index_version": 1}
        with log_transaction(self.database, self) as transaction:
            insert_session(transaction, {**values, "options": {}})
        self.expected[values["id"]], self.events[values["id"]] = "queued", 0

    @precondition(lambda self: self.expected)
    @rule(data=st.data(), trigger=st.sampled_from(TRIGGERS))
    def trigger(self, data: st.DataObject, trigger: Trigger) -> None:
        session = data.draw(st.sampled_from(sorted(self.expected)))
        row = self.store.change(session, trigger, "because")
        self.expected[session] = next_state(self.expected[session], trigger)
        assert row["state"] == self.expected[session]

    @precondition(lambda self: self.expected)
    @rule(data=st.data(), count=st.integers(1, 3), repeated=st.integers(0, 3))
    def report_events(self, data: st.DataObject, count: int, repeated: int) -> None:
        session = data.draw(st.sampled_from(sorted(self.expected)))
        first = max(1, self.events[session] + 1 - repeated)
        last = self.events[session] + count
        self.store.append_events(session, [{"id": n} for n in range(first, last + 1)])
        self.events[session] = last

    @precondition(lambda self: self.expected)
    @rule(data=st.data())
    def an_event_with_a_hole_before_it_is_refused(self, data: st.DataObject) -> None:
        session = data.draw(st.sampled_from(sorted(self.expected)))
        with pytest.raises(ValueError, match="comes after"):
            self.store.append_events(session, [{"id": self.events[session] + 2}])

    @rule(trigger=st.sampled_from(TRIGGERS))
    def report_about_a_deleted_session(self, trigger: Trigger) -> None:
        with pytest.raises(SessionGone):
            self.store.change("ses_gone", trigger)
        self.store.append_events("ses_gone", [{"id": 1}])

    @invariant()
    def logs_tell_the_same_as_states(self) -> None:
        for session, state in self.expected.items():
            with self.database.read() as connection:
                rows = read_rows(connection, session, 0, 10_000)
            assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
            assert [r for r in self.published if r.session_id == session] == rows
            changes = [row.data for row in rows if row.type == "sgmn.session/1"]
            assert changes[-1]["state"] == state
            states = [change["state"] for change in changes]
            assert [change["previous"] for change in changes[1:]] == states[:-1]
            assert all(before != after for before, after in pairwise(states))
            ids = [row.data["id"] for row in rows if row.type == "sgmn.event/1"]
            assert ids == list(range(1, self.events[session] + 1))

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
