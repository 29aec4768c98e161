"""What a Ray cluster is doing, for the message of a test that waited in vain."""

from __future__ import annotations

import os

import psutil


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
