"""A node's process: its own store, its own keys, a copy of the network's register of models, and its peers.

Whoever runs it approves versions in that register by its own word; what it computes with is checked against it at every
query (`governance.served`).
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from uuid import uuid4

import uvicorn

from credit_api.app.settings import Limits
from credit_api.identity.published_list import PATH
from credit_api.nodes.complaints import Complaints, Say
from credit_api.nodes.hearing import KEPT_S
from credit_api.nodes.messages import ActName, Decided, Decisions, Done
from credit_api.nodes.meters import OwnMeters, state_totals
from credit_api.nodes.metrics import Metrics
from credit_api.nodes.peers import Peer, RemoteDealer, RemoteGrid, RemoteQueries
from credit_api.nodes.register import Register
from credit_api.nodes.service import Attends, Trains, known_by, node_service
from federated.channel.node_keys import TRUST, NodeKeys
from federated.channel.published import published
from federated.channel.tls import load, server_context
from federated.consent.instants import Clock, system_clock
from federated.consent.revocations import MOST_BYTES
from federated.errors import ChannelRefused, FederatedError, NodeUnavailable
from federated.governance.lifecycle import Event
from federated.governance.model_registry import ModelRegistry
from federated.governance.oversight import Oversight
from federated.governance.served import ApprovedModels
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.identity import Identity, pinned_identity, pinned_kinds
from federated.nodes.store import NodeStore
from federated.serving.hidden.bank import HiddenBank
from federated.serving.hidden.conversation import AskedDealer, AskedGrid, Conversations
from federated.serving.hidden.dealer import NodeDealer
from federated.serving.network import Network

# How long between two tries to meet a peer that is not there yet, and between two rounds to all of them.
AGAIN_S, ROUND_S = 1.0, 60.0
# For how many queries of a grid company has a bank dealt before it asks them.
AHEAD = 32


@dataclass(frozen=True, slots=True)
class PinnedTraining:
    """Training as a SuperLink may begin it: for an operator that this node has pinned."""

    inner: Trains
    keys: NodeKeys

    def begin(self, run: bytes, operator: str) -> None:
        """As `Trains.begin`. Raises `ChannelRefused` for a name that nobody is pinned by."""
        if operator not in self.keys.pins():
            raise ChannelRefused(f"{operator} is not known here")
        self.inner.begin(run, operator)

    def answer(self, run: bytes, operator: str, number: int, message: bytes) -> bytes:
        """As `Trains.answer`."""
        return self.inner.answer(run, operator, number, message)


@dataclass(slots=True)
class Desk:
    """One node with its peers. `close` ends it."""

    home: Path
    node: BankNode | GridNode
    keys: NodeKeys
    models: ApprovedModels
    oversight: Oversight
    register: Register
    peers: Mapping[str, Peer]
    identity: str = ""
    own_network: Network | None = None
    meters: OwnMeters | None = None
    metrics: Metrics = field(default_factory=Metrics)
    _training: Trains | None = None
    _context: ssl.SSLContext | None = None
    _gate: threading.Lock = field(default_factory=threading.Lock)

    @staticmethod
    def open(
        home: Path, store: Path, peers: Mapping[str, str], clock: Clock = system_clock, identity: str = ""
    ) -> Desk:
        """A node by its home, which has its key and certificate and the register, its store, and peers' URLs by name.

        `identity` is where the identity authority publishes which subjects' keys it ended.

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
            governance = oversight.governance
            register = Register(home, governance, node.now, node.org_id, lambda: {*peers, *pinned_kinds(opened)}, keys)
            known = {name: Peer(node, keys, name, url) for name, url in sorted(peers.items())}
            meters = OwnMeters(home, opened, node.now) if isinstance(node, GridNode) else None
        except FederatedError:
            opened.close()
            oversight.close()
            raise
        return Desk(home, node, keys, models, oversight, register, known, identity.rstrip("/"), meters=meters)

    def network(self) -> Network:
        """The network as a bank's own systems see it: itself here, grid companies elsewhere. It closes them too.

        Grid companies that are met later join it. Raises `ChannelRefused` for a grid company's desk.
        """
        if not isinstance(self.node, BankNode):
            raise ChannelRefused(f"{self.node.org_id} is no bank: nobody scores there")
        grids = {name for name, kind in self.kinds().items() if kind == "grid"}
        dealers: dict[str, AskedDealer] = {name: RemoteDealer(peer) for name, peer in self.peers.items()}
        asked: dict[str, AskedGrid] = {name: RemoteQueries(self.peers[name]) for name in grids}
        dealers[self.node.org_id] = NodeDealer(self.node, self.models)
        conversations = Conversations({self.node.org_id: HiddenBank(self.node, self.models)}, asked, dealers, AHEAD)
        remote = {name: RemoteGrid(self.node, self.peers[name]) for name in grids}
        banks = {self.node.org_id: self.node}
        self.own_network = Network(banks, remote, self.oversight, self.models, conversations=conversations)
        return self.own_network

    def _joined(self, name: str) -> None:
        network, node = self.own_network, self.node
        if network is None or not isinstance(node, BankNode) or name in network.grid_ids:
            return
        if self.kinds()[name] == "grid":
            network.join(RemoteGrid(node, self.peers[name]), RemoteQueries(self.peers[name]))

    def attend(self, address: str, secret: bytes, stopped: threading.Event, say: Say) -> None:
        """Take messages of the own SuperNode at `address`, until `stopped`. Raises `NodeUnavailable` as `training`."""
        for point in entry_points(group="tanxin.node", name="attending"):
            made: Callable[[str, Callable[[], Trains], str, bytes], Attends] = point.load()
            made(self.node.org_id, self._pinned_training, address, secret).attend(stopped, say)

    def _pinned_training(self) -> Trains:
        return PinnedTraining(self.training(), self.keys)

    def kinds(self) -> dict[str, str]:
        """Of each peer, whether it is a bank or a grid company, by its name: as it was met, or as versions name it."""
        pairs = [pair.split("|") for m in self.oversight.manifests() for pair in m.aligned_rows]
        grids = {grid for _, grid in pairs}
        met = pinned_kinds(self.node.store)
        return {name: met.get(name, "grid" if name in grids else "bank") for name in self.peers}

    def training(self) -> Trains:
        """What answers an operator's messages. Raises `NodeUnavailable` where this program has nothing that trains."""
        with self._gate:
            if self._training is None:
                for point in entry_points(group="tanxin.node", name="training"):
                    made: Callable[[BankNode | GridNode, Callable[[], Identity]], Trains] = point.load()
                    self._training = made(self.node, lambda: pinned_identity(self.node.store))
            if self._training is None:
                raise NodeUnavailable(f"{self.node.org_id} has nothing that trains", node=self.node.org_id)
            return self._training

    def server(self, host: str, port: int, limits: Limits) -> uvicorn.Server:
        """What answers others."""
        service = node_service(self.node, self.models, self.register, self.training, self.keys)
        if self.meters is not None:
            state_totals(service, self.meters)
        config = uvicorn.Config(
            self.metrics.counting(service), host=host, port=port, http=known_by(limits),
            ssl_context_factory=lambda *_: self._serving(), log_level="warning", access_log=False,
            lifespan="off", ws="none", server_header=False, date_header=False, timeout_keep_alive=KEPT_S,
            proxy_headers=False, timeout_graceful_shutdown=2,
        )  # fmt: skip
        return uvicorn.Server(config)

    def _serving(self) -> ssl.SSLContext:
        self._context = server_context(self.keys)
        return self._context

    def reload(self) -> None:
        """Take certificates, roots and lists as they lie in the home now. Raises `ChannelRefused`."""
        if self._context is not None:
            load(self._context, self.keys)
        for peer in self.peers.values():
            peer.reload()

    def decide(self, version: str, act: ActName, note: str) -> tuple[Event, dict[str, str]]:
        """Decide about a version as this bank, and tell all peers: the event, and who was not told, with why.

        They learn it at their next round. Raises what `Register.decide` raises, `ChannelRefused` for a grid company.
        """
        if not isinstance(self.node, BankNode):
            raise ChannelRefused(f"{self.node.org_id} is no bank: banks decide about versions")
        told = Decided(
            version=version, manifest_sha256=self.register.sha256(version), act=act, note=note, command=uuid4().hex
        )
        told = self.register.signed(told)
        event, not_told = self.register.decide(told, self.node.org_id), dict[str, str]()
        for name, peer in self.peers.items():
            try:
                peer.ask("/decided", told, Done)
            except FederatedError as error:
                not_told[name] = error.detail
            except Exception as error:  # whatever a peer answers, others are still told
                not_told[name] = type(error).__name__
        return event, not_told

    def rounds(self, stopped: threading.Event, say: Say) -> None:
        """Until `stopped`: meet peers, again those that are not there yet, and ask banks what they decided."""
        unmet, next_round, complaints, stamp = set(self.peers), 0.0, Complaints(), self.keys.stamp()
        while not stopped.is_set():
            if (now := self.keys.stamp()) != stamp:
                try:
                    self.reload()
                    say("certificates, roots and lists are taken anew")
                    stamp = now
                except ChannelRefused as error:
                    say(error.detail)
            for name in sorted(unmet):
                if self._tried(name, lambda peer: peer.meet(), complaints, say):
                    say(f"{name} is met")
                    self._joined(name)
                    unmet.discard(name)
                    next_round = 0.0
            if time.monotonic() >= next_round:
                next_round = time.monotonic() + ROUND_S
                self._warn(say)
                self._take_list(complaints, say)
                for name, kind in self.kinds().items():
                    if kind == "bank" and name not in unmet:
                        self._tried(name, self._caught_up, complaints, say)
            stopped.wait(AGAIN_S)

    def _tried(self, name: str, what: Callable[[Peer], None], complaints: Complaints, say: Say) -> bool:
        """Whether it was done; why it was refused is said once."""
        try:
            what(self.peers[name])
        except FederatedError as error:
            if error.code != "node_unavailable":
                complaints.of(name, error.code, error.detail, say)
            return False
        except Exception as error:  # whatever a peer answers, others are still met
            complaints.of(name, type(error).__name__, type(error).__name__, say)
            return False
        complaints.ended(name)
        return True

    def _take_list(self, complaints: Complaints, say: Say) -> None:
        """Ask the identity authority for its list of ended keys, where it is known."""
        if self.identity:
            try:
                self.node.take_revocations(published(self.identity + PATH, MOST_BYTES, self.keys.folder / TRUST))
            except FederatedError as error:
                complaints.of("identity authority", error.code, error.detail, say)
            else:
                complaints.ended("identity authority")

    def _caught_up(self, peer: Peer) -> None:
        self.register.catch_up(peer.ask("/decisions", Done(), Decisions), peer.name)

    def _warn(self, say: Say) -> None:
        standing = self.keys.standing(self.node.now())
        if standing.ended or standing.ends_soon:
            say(f"the certificate ends at {standing.until:%Y-%m-%d %H:%M} UTC: renew it")

    def close(self) -> None:
        """Close store, register and connections."""
        for peer in self.peers.values():
            peer.close()
        if self.meters is not None:
            self.meters.close()
        self.node.close()
        self.oversight.close()
