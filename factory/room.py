"""What the Ray cluster has: its nodes, the room on them for one more replica, the actors that run already."""

from __future__ import annotations

from collections.abc import Set

from tracemill.factory.cluster import NAMESPACE


def most_gpus() -> float:
    """GPUs of the node that has most."""
    import ray

    return max((float(node["Resources"].get("GPU", 0)) for node in ray.nodes() if node["Alive"]), default=0.0)


def actors_named(prefix: str) -> list[str]:
    """Actors of ours that live and whose name begins so."""
    import ray.util

    found = ray.util.list_named_actors(all_namespaces=True)
    return sorted(one["name"] for one in found if one["namespace"] == NAMESPACE and one["name"].startswith(prefix))


def is_alive(node_id: str | None) -> bool:
    """Whether that node is in the cluster."""
    import ray

    return any(node["Alive"] and node["NodeID"] == node_id for node in ray.nodes())


def free_nodes(gpus: float, taken: Set[str | None]) -> list[str]:
    """Ids of nodes with room for one more replica, as often as there is room.

    Replicas without GPUs use all cores that there are, so a node holds one: those in `taken` have it.
    """
    from ray._private.state import available_resources_per_node

    found = []
    for node, resources in sorted(available_resources_per_node().items()):
        cpus = int(resources.get("CPU", 0))
        if gpus:
            found += [node] * min(cpus, int(resources.get("GPU", 0) / gpus + 1e-6))
        elif cpus and node not in taken:
            found.append(node)
    return found
