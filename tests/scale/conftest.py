"""A Ray cluster of two nodes on this machine, which all tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sgmn.scale.ray_connection import import_ray
from sgmn.scale.ray_engine import RayEngine
from tests.cli.conftest import model_folder as model_folder  # a fixture


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU each; this process is connected to the first."""
    pytest.importorskip("ray", reason="needs the extra ray")
    ray = import_ray()
    cluster = _start_cluster()
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def _start_cluster(attempts: int = 3) -> Any:
    """Start the nodes; Ray gives a node 30 s to start, which a busy machine may exceed."""
    from ray.cluster_utils import Cluster

    arguments = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
    try:
        cluster = Cluster(initialize_head=True, head_node_args=arguments)
        cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    except Exception as error:
        if attempts == 1 or "timed out during startup" not in str(error):
            raise
        return _start_cluster(attempts - 1)
    return cluster


@pytest.fixture
def ray_engine(cluster: Any) -> RayEngine:
    import ray

    return RayEngine(ray)
