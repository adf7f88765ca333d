"""Where a local network's parties have their homes, and at which ports they answer."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path

from federated.channel.key_file import written
from federated.errors import CorruptData, DataMissing
from simulations.worlds.names import BANKS, GRIDS

OPERATOR, AUTHORITY = "operator", "identity-authority"
FILE = "network.json"
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Layout:
    """A local network under `home`; `ports` by party that answers there."""

    home: Path
    ports: dict[str, int]

    @staticmethod
    def at(home: Path) -> Layout:
        """The network under a home, with fresh ports if there is none yet. Raises `CorruptData`."""
        try:
            return Layout.known(home)
        except DataMissing:
            names = [*BANKS, *GRIDS, "superlink", *(f"supernode-{name}" for name in (*BANKS, *GRIDS))]
            found = Layout(home, dict(zip(names, free_ports(len(names)), strict=True)))
            written(home / FILE, (json.dumps(found.ports, indent=1) + "\n").encode())
            return found

    @staticmethod
    def known(home: Path) -> Layout:
        """The network under a home. Raises `DataMissing` if there is none, `CorruptData`."""
        try:
            ports = json.loads((home / FILE).read_text("utf-8"))
            return Layout(home, {str(name): int(port) for name, port in ports.items()})
        except FileNotFoundError:
            raise DataMissing(f"no local network under {home}") from None
        except (OSError, ValueError, AttributeError, TypeError) as error:
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
        return f"https://{HOST}:{self.ports[node]}"

    def urls(self, option: str, *, but: str = "") -> list[str]:
        """Options that name all nodes `but` one."""
        return [each for name in self.nodes if name != but for each in (option, f"{name}={self.url(name)}")]


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens at now."""
    probes = [socket.create_server((HOST, 0)) for _ in range(count)]
    try:
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
