"""A network namespace for each node of a local network: own addresses, own loopback, one bridge between them.

Needs root and `ip` (iproute2). Files are shared, so an organisation's own questions reach its node's socket as before.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from federated.errors import NodeUnavailable
from simulations.local_network.layout import IP, SUPERLINK, Layout, namespace

BRIDGE = "tx-bridge"


def make(layout: Layout) -> None:
    """Make what is not there yet. Raises `NodeUnavailable` where that is not permitted."""
    if not Path(f"/sys/class/net/{BRIDGE}").exists():
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{layout.hosts[SUPERLINK]}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
    known = _ip("netns", "list").split()
    for node in layout.nodes:
        name, number = namespace(node), layout.hosts[node].rpartition(".")[2]
        if name in known:
            continue
        _ip("netns", "add", name)
        _ip("link", "add", f"tx-veth{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", f"tx-veth{number}", "master", BRIDGE, "up")
        for words in (("addr", "add", f"{layout.hosts[node]}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
            _ip("-n", name, *words)
        _ip("-n", name, "link", "set", "lo", "up")


def cut(layout: Layout, node: str, *, off: bool) -> None:
    """Take a node's cable out, or put it back."""
    _ip("link", "set", f"tx-veth{layout.hosts[node].rpartition('.')[2]}", "down" if off else "up")


def remove(layout: Layout) -> None:
    """Remove all of them."""
    known = _ip("netns", "list").split()
    for node in layout.nodes:
        if namespace(node) in known:
            _ip("netns", "del", namespace(node))
    if Path(f"/sys/class/net/{BRIDGE}").exists():
        _ip("link", "del", BRIDGE)


def _ip(*words: str) -> str:
    done = subprocess.run([IP, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NodeUnavailable(f"ip {' '.join(words)}: {done.stderr.strip()} (network namespaces need root)")
    return done.stdout
