"""A node's process: its own store, its own keys, a copy of the network's register of models, and its peers.

Whoever runs it approves versions in that register by its own word; what it computes with is checked against it at every
query (`governance.served`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from credit_api.app.settings import Limits
from credit_api.nodes.peers import Peer, RemoteDealer, RemoteGrid, RemoteQueries
from credit_api.nodes.service import known_by, node_service
from federated.channel.node_keys import NodeKeys
from federated.channel.tls import server_context
from federated.consent.instants import Clock, system_clock
from federated.errors import ChannelRefused, FederatedError
from federated.governance.model_registry import ModelRegistry
from federated.governance.oversight import Oversight
from federated.governance.served import ApprovedModels
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.store import NodeStore
from federated.serving.hidden.bank import HiddenBank
from federated.serving.hidden.conversation import AskedDealer, AskedGrid, Conversations
from federated.serving.hidden.dealer import NodeDealer
from federated.serving.network import Network

# How long between two tries to meet a peer that is not there yet.
AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Desk:
    """One node with its peers. `close` ends it."""

    node: BankNode | GridNode
    keys: NodeKeys
    models: ApprovedModels
    oversight: Oversight
    peers: Mapping[str, Peer]

    @staticmethod
    def open(home: Path, store: Path, peers: Mapping[str, str], clock: Clock = system_clock) -> Desk:
        """A node by its home, which has its key and certificate and the register, its store, and peers' URLs by name.

        Raises `ChannelRefused` for a certificate that names another party than the store, what `NodeStore` raises, and
        `NodeUnavailable` for keys that cannot be opened.
        """
        keys = NodeKeys(home)
        opened = NodeStore(store)
        oversight = Oversight(home, ModelRegistry(home))
        try:
            party = keys.standing(clock()).party
            if (party.kind, party.name) != (opened.role, opened.org_id):
                raise ChannelRefused(f"this certificate is {party.name}'s, and the store {opened.org_id}'s")
            models = ApprovedModels(ModelRegistry(home), oversight.governance)
            node = (BankNode if opened.role == "bank" else GridNode)(opened, clock, models)
            node.public_key()
            known = {name: Peer(node, keys, name, url) for name, url in sorted(peers.items())}
        except FederatedError:
            opened.close()
            oversight.close()
            raise
        return Desk(node, keys, models, oversight, known)

    def network(self) -> Network:
        """The network as a bank's own systems see it: itself here, grid companies elsewhere. It closes them too.

        Raises `ChannelRefused` for a grid company's desk.
        """
        if not isinstance(self.node, BankNode):
            raise ChannelRefused(f"{self.node.org_id} is no bank: nobody scores there")
        grids = {name for name, pins in self.kinds().items() if pins == "grid"}
        dealers: dict[str, AskedDealer] = {name: RemoteDealer(peer) for name, peer in self.peers.items()}
        asked: dict[str, AskedGrid] = {name: RemoteQueries(self.peers[name]) for name in grids}
        dealers[self.node.org_id] = NodeDealer(self.node, self.models)
        conversations = Conversations({self.node.org_id: HiddenBank(self.node, self.models)}, asked, dealers)
        remote = {name: RemoteGrid(self.node, self.peers[name]) for name in grids}
        banks = {self.node.org_id: self.node}
        return Network(banks, remote, self.oversight, self.models, conversations=conversations)

    def kinds(self) -> dict[str, str]:
        """Of each peer, whether it is a bank or a grid company, by its name: as the register's versions name them."""
        pairs = [pair.split("|") for m in self.oversight.manifests() for pair in m.aligned_rows]
        grids = {grid for _, grid in pairs}
        return {name: "grid" if name in grids else "bank" for name in self.peers}

    def server(self, host: str, port: int, limits: Limits) -> uvicorn.Server:
        """What answers others."""
        config = uvicorn.Config(
            node_service(self.node, self.models), host=host, port=port, http=known_by(self.keys, limits),
            ssl_context_factory=lambda *_: server_context(self.keys), log_level="warning", access_log=False,
            lifespan="off", ws="none", server_header=False,
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        return uvicorn.Server(config)

    def meet(self, stopped: threading.Event, say: Callable[[str], None]) -> None:
        """Meet every peer, again and again those that are not there yet."""
        waiting = dict(self.peers)
        while waiting and not stopped.is_set():
            for name, peer in list(waiting.items()):
                try:
                    peer.meet()
                except FederatedError as error:
                    if error.code != "node_unavailable":
                        say(f"{name}: {error.detail}")
                        del waiting[name]
                    continue
                say(f"{name} is met")
                del waiting[name]
            stopped.wait(AGAIN_S)

    def close(self) -> None:
        """Close store, register and connections."""
        for peer in self.peers.values():
            peer.close()
        self.node.close()
        self.oversight.close()
