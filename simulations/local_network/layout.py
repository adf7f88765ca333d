"""Where a local network's parties have their homes, and at which ports they answer."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from federated.channel.key_file import written
from federated.errors import CorruptData, DataMissing
from simulations.worlds.names import BANKS, EXCHANGE, GRIDS

OPERATOR, AUTHORITY = "operator", "identity-authority"
FILE = "network.json"
HOST = "127.0.0.1"
# Below what systems give to outgoing connections (Linux from 32768, others from 49152).
PORTS = range(20_000, 32_000)
SUPERLINK = "superlink"
# Of namespaces: the network of their addresses, and the program that makes them.
NETWORK, IP = "10.77.0", "/usr/sbin/ip"


@dataclass(frozen=True, slots=True)
class Layout:
    """A local network under `home`; `ports` and `hosts` by party that answers there.

    With `namespaces` each node runs in a network namespace of its own, called `tx-<node>`, with its own address.
    """

    home: Path
    ports: dict[str, int]
    hosts: dict[str, str]
    namespaces: bool = False

    @staticmethod
    def at(home: Path, *, namespaces: bool = False) -> Layout:
        """The network under a home, with fresh ports if there is none yet. Raises `CorruptData`."""
        try:
            return Layout.known(home)
        except DataMissing:
            names = [
                *BANKS,
                *GRIDS,
                AUTHORITY,
                EXCHANGE,
                SUPERLINK,
                *(f"supernode-{name}" for name in (*BANKS, *GRIDS)),
            ]
            hosts = dict.fromkeys(names, HOST)
            if namespaces:
                hosts |= {name: f"{NETWORK}.{number}" for number, name in enumerate((*BANKS, *GRIDS), start=2)}
                hosts |= dict.fromkeys((AUTHORITY, EXCHANGE, SUPERLINK), f"{NETWORK}.1")
            found = Layout(home, dict(zip(names, free_ports(len(names)), strict=True)), hosts, namespaces)
            told = {"ports": found.ports, "hosts": found.hosts, "namespaces": namespaces}
            written(home / FILE, (json.dumps(told, indent=1) + "\n").encode())
            return found

    @staticmethod
    def known(home: Path) -> Layout:
        """The network under a home. Raises `DataMissing` if there is none, `CorruptData`."""
        try:
            told = json.loads((home / FILE).read_text("utf-8"))
            ports = {str(name): int(port) for name, port in told["ports"].items()}
            hosts = {str(name): str(host) for name, host in told["hosts"].items()}
            for party in (AUTHORITY, EXCHANGE):
                if party not in ports:
                    raise CorruptData(f"{home} was made by an earlier version, without {party}: take another --home")
            return Layout(home, ports, hosts, bool(told["namespaces"]))
        except FileNotFoundError:
            raise DataMissing(f"no local network under {home}") from None
        except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
            raise CorruptData(f"{home / FILE} cannot be read: {error}") from error

    @property
    def nodes(self) -> tuple[str, ...]:
        """Banks and grid companies."""
        return (*BANKS, *GRIDS)

    def of(self, party: str) -> Path:
        """A party's home."""
        return self.home / party

    def store(self, node: str) -> Path:
        """A node's store."""
        return self.of(node) / "nodes" / f"{node}.db"

    def url(self, node: str) -> str:
        """Where a node answers."""
        return f"https://{self.address(node)}"

    def address(self, party: str) -> str:
        """Host and port."""
        return f"{self.hosts[party]}:{self.ports[party]}"

    def within(self, node: str, command: list[str]) -> list[str]:
        """The command, in the node's own network namespace if it has one."""
        return [IP, "netns", "exec", namespace(node), *command] if self.namespaces else command

    def urls(self, option: str, *, but: str = "", of: Sequence[str] = ()) -> list[str]:
        """Options that name all nodes, or those `of` some, `but` one."""
        return [each for name in of or self.nodes if name != but for each in (option, f"{name}={self.url(name)}")]


def namespace(node: str) -> str:
    """How a node's network namespace is called."""
    return f"tx-{node}"


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens at now, and that no outgoing connection takes before somebody does.

    Raises `DataMissing` where there are too few.
    """
    found: list[int] = []
    for port in SystemRandom().sample(PORTS, min(len(PORTS), 100 + 10 * count)):
        if len(found) == count:
            break
        with suppress(OSError), socket.create_server((HOST, port)):
            found.append(port)
    if len(found) < count:
        raise DataMissing(f"of the {count} ports that parties listen at only {len(found)} are free")
    return found
