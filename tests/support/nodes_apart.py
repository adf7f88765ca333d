"""Nodes of one trained network, each with a home, keys and an address of its own, served in threads."""

import shutil
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import serialization
from small_network import AT

from credit_api.app.settings import Limits
from credit_api.nodes.desk import Desk
from credit_api.nodes.local import local_server
from federated.channel.authority import NetworkAuthority
from federated.channel.certificates import Party
from federated.channel.client import Channel
from federated.channel.node_keys import NodeKeys
from federated.channel.own_socket import OwnNode, listening
from federated.governance.model_registry import ModelRegistry
from federated.operating.nodes import NodeSeat
from simulations.local_network.layout import free_ports

NOW = AT + timedelta(days=1)
BANK, GRID = "bank-gusu", "grid-sip"
WORD = "correct horse battery"


def certified(folder, orgs, registry):
    """Homes of nodes in `folder`, each with keys and a certificate, all pinned at each other."""
    at = datetime.now(UTC)
    authority, made = NetworkAuthority.create(folder / "ca", "Suzhou", WORD, at), []
    for org in orgs:
        keys = NodeKeys.create(folder / org, Party(org.split("-")[0], org), ["127.0.0.1"])
        certificate = authority.certify((keys.folder / "request.pem").read_bytes(), WORD, at)
        keys.install(
            certificate.public_bytes(serialization.Encoding.PEM), authority.trust_pem, authority.revoked_pem, at
        )
        shutil.copytree(registry, folder / org / "registry")
        made.append(keys)
    for one in made:
        for other in made:
            one.pin((other.folder / "certificate.pem").read_bytes())


class Apart:
    """Nodes of one trained network, with the homes that `certified` made in `folder`."""

    def __init__(self, home, folder):
        self.home, self.folder = home, folder
        self.stores = {path.stem: path for path in sorted((home / "nodes").glob("*.db"))}
        ports = free_ports(len(self.stores))
        self.urls = {org: f"https://127.0.0.1:{port}" for org, port in zip(self.stores, ports, strict=True)}
        self.keys = {org: NodeKeys(folder / org) for org in self.stores}
        self.serving = {}

    def desk(self, org, clock=lambda: NOW):
        peers = {name: url for name, url in self.urls.items() if name != org}
        return Desk.open(self.folder / org, self.stores[org], peers, clock)

    def serve(self, *orgs):
        for org in orgs:
            desk = self.desk(org)
            server = desk.server("127.0.0.1", int(self.urls[org].rpartition(":")[2]), Limits())
            thread = threading.Thread(target=server.run, daemon=True)
            thread.start()
            self.serving[org] = desk, server, thread
        for org in orgs:
            while not self.serving[org][1].started:
                assert self.serving[org][2].is_alive()
                time.sleep(0.01)
        for org in orgs:
            for name, peer in self.serving[org][0].peers.items():
                if name in self.serving:
                    peer.meet()

    def stop(self, *orgs):
        stopped = [self.serving.pop(org) for org in orgs]
        for _, server, _ in stopped:
            server.should_exit = True
        for desk, _, thread in stopped:
            thread.join(10)
            desk.close()


class Member:
    """Another party of the same network, an operator if no other kind is named, with everybody pinned."""

    def __init__(self, apart, name="operator", kind="operator"):
        self.home, at = apart.folder / name, datetime.now(UTC)
        self.keys = NodeKeys.create(self.home, Party(kind, name), ["127.0.0.1"])
        authority = NetworkAuthority(apart.folder / "ca")
        made = authority.certify((self.keys.folder / "request.pem").read_bytes(), WORD, at)
        pem = made.public_bytes(serialization.Encoding.PEM)
        self.keys.install(pem, authority.trust_pem, authority.revoked_pem, at)
        for one in apart.keys.values():
            one.pin(pem)
            self.keys.pin((one.folder / "certificate.pem").read_bytes())
        self.urls = apart.urls

    def seat(self, node):
        return NodeSeat(Channel(self.keys, node, self.urls[node], 20.0))


def version_of(apart, name="v0009", by="operator"):
    """A version's files as an operator's register has them."""
    made = ModelRegistry(apart.folder / "drafts")
    before = ModelRegistry(apart.home)
    manifest = replace(before.manifest("credit", "v0001"), version=name, registered_by=by)
    made.publish(manifest, before.load("credit", "v0001"))
    return made.files("credit", name)


class Running:
    """A node that answers on its socket, in a thread."""

    def __init__(self, apart, org):
        self.org, self.desk, self.home = org, apart.desk(org), apart.folder / org
        self.network = self.desk.network() if org == BANK else None
        self.own, self.server = listening(self.home), local_server(self.desk, self.network)
        self.thread = threading.Thread(target=self.server.run, args=([self.own],), daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.node = OwnNode(self.home)
        self.columns = self.desk.node.party.columns

    def close(self):
        self.server.should_exit = True
        self.thread.join(10)
        self.own.close()
        if self.network:
            self.network.close()
        self.desk.close()
