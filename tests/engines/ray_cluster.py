"""A Ray cluster of three node processes on this machine, one core each, which tests may harm."""

import shutil
import signal
import tempfile
from typing import Any

import psutil

MB = 1 << 20
STORE_MB = 80
"""Nearly the smallest that Ray takes."""

CHECKS = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 3000,
    "health_check_failure_threshold": 3,
    "grpc_client_keepalive_time_ms": 10_000,
    "grpc_client_keepalive_timeout_ms": 5_000,
}
"""A node that does not answer is given up after some 10 seconds instead of 30, its workers after 15
instead of 420."""


class RayCluster:
    """A head node, to which drivers connect, and others that come and go."""

    def __init__(self, others: int = 2) -> None:
        from ray.cluster_utils import Cluster

        # Not below pytest's folder: the names of sockets must be short.
        self.folder = tempfile.mkdtemp(prefix="ray-")
        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "temp_dir": self.folder,
                "include_dashboard": False,
                "_system_config": CHECKS,
                **self._size(),
            },
        )
        self.address: str = self._cluster.address
        self.nodes = [self.add_node(wait=False) for _ in range(others)]
        self._cluster.wait_for_nodes()

    def _size(self) -> dict[str, Any]:
        return {"num_cpus": 1, "object_store_memory": STORE_MB * MB}

    def add_node(self, *, wait: bool = True, **more: Any) -> Any:
        """Start a node that has a raylet and an object store of its own."""
        return self._cluster.add_node(wait=wait, **self._size(), **more)

    def remove(self, node: Any) -> None:
        """End a node that tests have not yet ended."""
        self._cluster.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        """End all nodes and remove what they have left."""
        self._cluster.shutdown()  # type: ignore[no-untyped-call]
        shutil.rmtree(self.folder, ignore_errors=True)


def raylet(node: Any) -> psutil.Process:
    """The process that is the node; its workers are its children."""
    (info,) = node.all_processes["raylet"]
    return psutil.Process(info.process.pid)


def stop(node: Any) -> list[psutil.Process]:
    """Stop a node with its workers, as a machine that hangs; what to continue."""
    parent = raylet(node)
    stopped = [parent, *parent.children(recursive=True)]
    for process in stopped:
        process.send_signal(signal.SIGSTOP)
    return stopped
