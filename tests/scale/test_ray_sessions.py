"""Sessions on the nodes of a Ray cluster: placed by load, and nothing is lost with a node."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sgmn.service.streams.admission import NO_NODE
from sgmn.service.streams.ray_fleet import RayFleet
from sgmn.service.streams.supervisor import Supervisor
from tests.scale.processes import descendants
from tests.service.process import wait_for
from tests.service.streams.conftest import encoder as encoder  # a fixture
from tests.service.streams.conftest import long_events as long_events  # a fixture
from tests.service.streams.conftest import long_video as long_video  # a fixture
from tests.service.streams.conftest import stream_index as stream_index  # a fixture
from tests.service.streams.world import StreamWorld, comparable, kill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def streams(cluster: Any, tmp_path: Path, stream_index: Path) -> Iterator[StreamWorld]:
    """Sessions that run on the nodes of the cluster."""
    yield StreamWorld(tmp_path, stream_index, fleet=RayFleet("", 1, "torch"))


def node_of(supervisor: Supervisor, session: str) -> str:
    status = supervisor.status(session)
    return "" if status is None else status.node


def kill_node(cluster: Any, node_id: str) -> None:
    """Kill a node as a power cut would: its raylet and everything that it runs."""
    [node] = [node for node in cluster.list_all_nodes() if node.node_id == node_id]
    raylet = node.all_processes["raylet"][0].process.pid
    for process in [raylet, *descendants(raylet)]:
        os.kill(process, signal.SIGKILL)
    cluster.remove_node(node, allow_graceful=False)


def test_a_node_that_is_killed_loses_and_repeats_no_event(
    cluster: Any,
    streams: StreamWorld,
    long_video: Path,
    long_events: list[tuple[Any, ...]],
) -> None:
    streams.options["realtime"] = True  # until the kill, so that neither stream has ended by then
    sessions = [streams.add(long_video) for _ in range(2)]
    head = cluster.head_node.node_id
    with streams.supervise() as supervisor:
        for session in sessions:
            streams.wait_for_windows(session, 3)
        places = {node_of(supervisor, session): session for session in sessions}
        assert len(places) == 2, "both streams are on one node, and none on the other"
        del streams.options["realtime"]
        kill(supervisor.worker_pids()[places[head]])  # a worker alone
        [lost] = set(places) - {head}
        kill_node(cluster, lost)
        for session in sessions:
            streams.wait_for_state(session, "ended", "failed")
        wait_for(lambda: set(supervisor.nodes()) == {head}, "the end of the node")
    cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    for session in sessions:
        assert comparable(streams.events(session)) == long_events
        assert streams.states(session).count("recovering") >= 1
    details = [row.data.get("detail") for row in streams.log(places[lost])]
    assert any("the worker process has died" in (detail or "") for detail in details)


def test_sessions_go_on_when_the_service_starts_again(
    streams: StreamWorld, long_video: Path, long_events: list[tuple[Any, ...]]
) -> None:
    session = streams.add(long_video)
    with streams.supervise() as supervisor:
        streams.wait_for_windows(session, 10)
        worker = supervisor.worker_pids()[session]
    wait_for(lambda: not Path(f"/proc/{worker}").exists(), "the end of the worker")
    streams.fleet = RayFleet("", 1, "torch")
    with streams.supervise():
        streams.wait_for_state(session, "ended", "failed")
    assert comparable(streams.events(session)) == long_events


def test_sessions_wait_while_the_cluster_has_no_node(
    cluster: Any, streams: StreamWorld, long_video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = streams.fleet
    assert isinstance(fleet, RayFleet)
    session = streams.add(long_video)
    with ExitStack() as stack, monkeypatch.context() as patch:
        patch.setattr(fleet, "nodes", dict)
        stack.enter_context(streams.supervise())
        found = wait_for(lambda: streams.row(session)["state_detail"], "the reason")
        assert (found, streams.row(session)["state"]) == (NO_NODE, "queued")
        patch.undo()
        streams.wait_for_windows(session, 1)
