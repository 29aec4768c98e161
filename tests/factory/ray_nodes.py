"""Ray clusters of several nodes on this machine, and what they are doing when a test has waited in vain."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from tracemill.factory import cluster
from tracemill.factory.figures import ReplicaState
from tracemill.factory.pool import Pool


@contextmanager
def ray_cluster(nodes: int) -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster` of nodes with one core each, which this process has joined."""
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_worker_niceness", "0")
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        cluster.connect(started.address)
        for _ in range(nodes - 1):
            started.add_node(num_cpus=1)
        started.wait_for_nodes()
        yield started
    finally:
        import ray

        ray.shutdown()
        started.shutdown()


async def ready(pool: Pool, count: int) -> dict[str, str]:
    """Name → node of the replicas, once so many are ready."""
    deadline = time.monotonic() + 240
    while True:
        found = {one.name: one.node for one in pool.figures().replicas if one.state is ReplicaState.READY}
        if len(found) == count:
            return found
        assert time.monotonic() < deadline, f"not {count} replicas: {pool.figures()}\n{cluster_now()}"
        await asyncio.sleep(0.05)


def cluster_now() -> str:
    """Load and memory of the machine; nodes, actors and processes of the cluster that this process has joined."""
    from ray._private import state

    memory, free = psutil.virtual_memory(), state.available_resources_per_node()
    machine = f"load {os.getloadavg()}, memory {memory.percent} % of {memory.total >> 30} GiB"
    nodes = (f"node {one['NodeID'][:8]} alive {one['Alive']} free {free.get(one['NodeID'])}" for one in state.nodes())
    keys = ("Name", "State", "Pid", "NumRestarts", "DeathCause")
    actors = (" ".join(f"{key} {one.get(key)}" for key in keys) for one in state.actors().values())
    return "\n".join([machine, *nodes, *actors, *map(_shown, psutil.Process().children(recursive=True))])


def _shown(process: psutil.Process) -> str:
    try:
        took = sum(process.cpu_times()[:2])
        return f"{process.pid} {process.status()} CPU {took:.1f} s {' '.join(process.cmdline())[:60]}"
    except psutil.NoSuchProcess:
        return f"{process.pid} has ended"
