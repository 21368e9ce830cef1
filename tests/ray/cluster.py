"""A Ray cluster of two machines, as processes of this one: one of them can be lost."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.ports import free_port

# Half a minute, the default, is too short beside other tests; read at the import.
os.environ.setdefault("RAY_raylet_start_wait_time_s", "150")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Else workers wait for whatever else this machine does.
os.environ.setdefault("RAY_worker_niceness", "0")

MEMORY = 200 * 2**20

_PORTS = (
    "metrics_agent_port",
    "runtime_env_agent_port",
    "dashboard_agent_listen_port",
    "metrics_export_port",
)


def _node() -> dict[str, Any]:
    return {"num_cpus": 1, "object_store_memory": MEMORY} | {name: free_port() for name in _PORTS}


@contextmanager
def two_machines() -> Iterator[tuple[Any, Any]]:
    """Start a cluster with a CPU on each of two machines; yield it and the one to be lost."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=_node() | {"include_dashboard": False})
    try:
        yield cluster, cluster.add_node(**_node())
    finally:
        cluster.shutdown()
