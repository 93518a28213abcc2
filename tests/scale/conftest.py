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
    from ray.cluster_utils import Cluster

    arguments = {"num_cpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=arguments)
    cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def ray_engine(cluster: Any) -> RayEngine:
    import ray

    return RayEngine(ray)
