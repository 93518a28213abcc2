"""Streams that wait let Ray's own autoscaler add a node."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sgmn.service.streams import ray_fleet
from tests.scale.processes import descendants

# A process of its own: this one may be connected to another cluster.
SCRIPT = """
import sys
from time import monotonic, sleep
from sgmn.service.streams import ray_fleet

ray_fleet.PATIENCE_S = 1.0
fleet = ray_fleet.RayFleet(sys.argv[1], 1, "torch")
for attempt in range(120):  # the head takes a while to start
    try:
        fleet.start()
        break
    except ray_fleet.SgmnError:
        sleep(1)
assert not fleet.nodes(), fleet.nodes()
fleet.ask_for_node(True)
until_s = monotonic() + 180
while not fleet.nodes() and monotonic() < until_s:
    sleep(0.2)
print("nodes", len(fleet.nodes()))
fleet.close()
"""


CPUS = {"resources": {"CPU": 1, "object_store_memory": 100 << 20}, "node_config": {}}
PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"


@pytest.fixture
def autoscaling_cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a head without CPUs, whose autoscaler starts nodes on this machine."""
    pytest.importorskip("ray", reason="needs the extra ray")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = tmp_path / "autoscaler.json"
    config.write_text(json.dumps(autoscaler_config(address)))
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += ["--num-cpus=0", "--object-store-memory=100000000", "--include-dashboard=false"]
    command += ["--node-ip-address=127.0.0.1", f"--port={address.rpartition(':')[2]}"]
    command += [f"--autoscaling-config={config}", "--disable-usage-stats"]
    environment = {"AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1"}
    with (tmp_path / "head.txt").open("wb") as log:
        head = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=os.environ | environment
        )
    try:
        yield address
    finally:
        for process in [*descendants(head.pid), head.pid]:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        head.wait()


def autoscaler_config(address: str) -> dict[str, Any]:
    """Up to two nodes of one CPU, which Ray's provider for tests starts as processes."""
    head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    starts_nodes_itself = {"disable_node_updaters": True, "disable_launch_config_check": True}
    lists = ("cluster_synced_files", "initialization_commands", "setup_commands")
    return dict.fromkeys((*lists, "head_setup_commands", "worker_setup_commands"), ()) | {
        "cluster_name": "test",
        "max_workers": 2,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": 5,
        "provider": {"type": "external", "module": PROVIDER, "gcs_address": address}
        | starts_nodes_itself,
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        "head_start_ray_commands": (),
        "worker_start_ray_commands": (),
        "available_node_types": {
            "ray.head.default": head,
            "worker": {**CPUS, "min_workers": 0, "max_workers": 2},
        },
        "head_node_type": "ray.head.default",
    }


class Clock:
    """A clock that a test sets."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Cluster:
    """What the fleet asks of Ray: a cluster of nodes with two CPUs, none of which has an actor."""

    nodes_count = 1

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes as Ray lists them."""
        row = {"Alive": True, "Resources": {"CPU": 2.0}}
        return [row | {"NodeID": f"node {number}"} for number in range(self.nodes_count)]


def test_a_node_is_requested_after_a_while_and_the_request_is_withdrawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sdk = pytest.importorskip("ray.autoscaler.sdk", reason="needs the extra ray")
    asked: list[int] = []
    monkeypatch.setattr(sdk, "request_resources", lambda num_cpus: asked.append(num_cpus))
    monkeypatch.setattr(ray_fleet, "monotonic", clock := Clock())
    fleet, cluster = ray_fleet.RayFleet("", 1, "torch"), Cluster()
    monkeypatch.setattr(fleet, "_ray", cluster)

    def look(is_wanted: bool, after_s: float) -> list[int]:
        clock.now_s += after_s
        fleet.ask_for_node(is_wanted)
        fleet.look_at_cluster()
        return asked

    assert look(False, 0) == [0]  # withdraws what a service that crashed has left
    assert look(True, 1) == look(True, 59) == [0]
    assert look(True, 1) == look(True, 1) == [0, 3]
    cluster.nodes_count = 2
    assert look(True, 1) == [0, 3, 0] and look(True, 61) == [0, 3, 0, 5]
    fleet.close()
    assert asked == [0, 3, 0, 5, 0]


def test_a_request_that_fails_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    sdk = pytest.importorskip("ray.autoscaler.sdk", reason="needs the extra ray")
    asked: list[int] = []

    def request(num_cpus: int) -> None:
        asked.append(num_cpus)
        if len(asked) < 3:
            raise ConnectionError("no answer")

    monkeypatch.setattr(sdk, "request_resources", request)
    fleet = ray_fleet.RayFleet("", 1, "torch")
    monkeypatch.setattr(fleet, "_ray", Cluster())
    for _ in range(5):
        fleet.look_at_cluster()
    assert asked == [0, 0, 0]  # twice in vain, then never again
    fleet.close()
    assert asked == [0, 0, 0]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_streams_that_wait_add_a_node(autoscaling_cluster: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, autoscaling_cluster],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr + (tmp_path / "head.txt").read_text()
    assert ended.stdout.split() == ["nodes", "1"]
