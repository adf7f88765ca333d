"""TLS between two nodes on loopback: who is let in, and each way of not being who one says."""

import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization

from federated.channel.authority import NetworkAuthority
from federated.channel.certificates import Party
from federated.channel.node_keys import NodeKeys
from federated.channel.tls import client_context, peer_of, server_context
from federated.errors import ChannelRefused

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
WORD = "correct horse battery"


class Network:
    """A bank and a grid company of one network, each pinned at the other."""

    def __init__(self, folder, since=NOW - DAY):
        self.folder, self.authority = folder, NetworkAuthority.create(folder / "ca", "Suzhou", WORD, since)
        self.bank, self.grid = self.node("bank", "bank-gusu", since), self.node("grid", "grid-sip", since)
        for one, other in ((self.bank, self.grid), (self.grid, self.bank)):
            one.pin((other.folder / "certificate.pem").read_bytes())

    def node(self, kind, name, at, addresses=("127.0.0.1",), folder=""):
        node = NodeKeys.create(self.folder / (folder or name), Party(kind, name), addresses)
        self.install(node, at)
        return node

    def install(self, node, at, **more):
        asked = (node.folder / "request.pem").read_bytes()
        made = self.authority.certify(asked, WORD, at, **more).public_bytes(serialization.Encoding.PEM)
        node.install(made, self.authority.trust_pem, self.authority.revoked_pem, at)


@pytest.fixture
def network(tmp_path):
    return Network(tmp_path)


def talked(server, client, address="127.0.0.1", changed=lambda _: None, peer="grid-sip"):
    """What each side says of the other, or why there was no connection: the server's word, then the client's."""
    found = {}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        context = server_context(server)

        def answer():
            with listening.accept()[0] as raw:
                try:
                    with context.wrap_socket(raw, server_side=True) as connection:
                        found["server"] = peer_of(connection, server.pins())
                        connection.sendall(b"welcome")
                except (OSError, ChannelRefused) as error:
                    found["server"] = error

        asking = client_context(client, peer)
        changed(asking)
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            with (
                socket.create_connection(listening.getsockname(), timeout=10) as raw,
                asking.wrap_socket(raw, server_hostname=address) as connection,
            ):
                peer = peer_of(connection, client.pins())
                # In TLS 1.3 a client hears with the first answer that it was refused.
                assert connection.recv(7) == b"welcome"
                assert connection.version() == "TLSv1.3"
                found["client"] = peer
        except (OSError, ChannelRefused, AssertionError) as error:
            found["client"] = error
        thread.join(10)
    return found["server"], found["client"]


def test_nodes_that_know_each_other_talk(network):
    assert talked(network.grid, network.bank) == (Party("bank", "bank-gusu"), Party("grid", "grid-sip"))


def test_a_name_with_another_key_is_refused_though_the_authority_certified_it(network):
    """An authority that introduces somebody else under a name: both sides know the other by its key."""
    impostor = network.folder / "impostor"
    twin = NodeKeys.create(impostor, Party("bank", "bank-gusu"), ["127.0.0.1"])
    network.install(twin, NOW, new_key=True)
    twin.pin((network.grid.folder / "certificate.pem").read_bytes())
    server, client = talked(network.grid, twin)
    assert "bank-gusu is not known here by the key" in str(server)
    assert isinstance(client, Exception)
    # Nor is it asked: who asks knows the peer that it means, and sends nothing to another.
    network.bank.pin((network.bank.folder / "certificate.pem").read_bytes())
    server, client = talked(twin, network.bank, peer="bank-gusu")
    assert "bank-gusu is not known here by the key" in str(client)
    assert isinstance(server, Exception)


def test_who_asks_one_peer_is_not_answered_by_another(network):
    _, client = talked(network.grid, network.bank, peer="grid-gaoxin")
    assert "grid-sip is not known here" in str(client)


def test_a_node_that_was_pinned_by_nobody_is_refused(network):
    other = network.node("bank", "bank-taihu", NOW)
    other.pin((network.grid.folder / "certificate.pem").read_bytes())
    server, _ = talked(network.grid, other)
    assert "bank-taihu is not known here" in str(server)


def test_another_network_is_refused(network, tmp_path):
    foreign = Network(tmp_path / "foreign")
    foreign.bank.pin((network.grid.folder / "certificate.pem").read_bytes())
    network.grid.pin((foreign.bank.folder / "certificate.pem").read_bytes())
    server, client = talked(network.grid, foreign.bank)
    assert isinstance(client, ssl.SSLCertVerificationError)
    assert isinstance(server, OSError)

    def trusting(context):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    server, client = talked(network.grid, foreign.bank, changed=trusting)
    assert "CERTIFICATE_VERIFY_FAILED" in str(server)
    assert isinstance(client, Exception)


def test_a_revoked_certificate_is_refused_once_the_list_has_arrived(network):
    network.authority.revoke("bank-gusu", "key_compromise", WORD, NOW - timedelta(hours=1))
    assert talked(network.grid, network.bank)[0] == Party("bank", "bank-gusu")
    network.grid.take_trust(network.authority.trust_pem, network.authority.revoked_pem)
    server, client = talked(network.grid, network.bank)
    assert "certificate revoked" in str(server)
    assert isinstance(client, Exception)


def test_nobody_is_let_in_by_a_list_that_is_over(tmp_path):
    network = Network(tmp_path, since=NOW - 10 * DAY)
    server, client = talked(network.grid, network.bank)
    assert "CRL has expired" in str(client)
    assert isinstance(server, OSError)


def test_a_certificate_that_is_over_is_refused(tmp_path):
    network = Network(tmp_path, since=NOW - 40 * DAY)
    network.authority.list_anew(WORD, NOW - DAY)
    for node in (network.bank, network.grid):
        node.take_trust(network.authority.trust_pem, network.authority.revoked_pem)
    assert "certificate has expired" in str(talked(network.grid, network.bank)[1])
    network.install(network.grid, NOW)
    assert "certificate has expired" in str(talked(network.grid, network.bank)[0])
    network.install(network.bank, NOW)
    assert talked(network.grid, network.bank)[1] == Party("grid", "grid-sip")


def test_who_shows_no_certificate_is_refused(network):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        context, told = server_context(network.grid), []

        def answer():
            with (
                listening.accept()[0] as raw,
                context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False) as connection,
            ):
                try:
                    connection.do_handshake()
                except ssl.SSLError as error:
                    told.append(error.reason)

        thread = threading.Thread(target=answer)
        thread.start()
        bare = ssl.create_default_context(cafile=network.bank.folder / "trust.pem")
        read = b""
        with (
            suppress(OSError),
            socket.create_connection(listening.getsockname()) as raw,
            bare.wrap_socket(raw, server_hostname="127.0.0.1") as connection,
        ):
            read = connection.recv(1)
        thread.join(10)
    assert (told, read) == (["PEER_DID_NOT_RETURN_A_CERTIFICATE"], b"")


def test_an_address_that_a_certificate_does_not_have_is_refused(network):
    _, client = talked(network.grid, network.bank, address="127.0.0.2")
    assert "IP address mismatch" in str(client)


def test_earlier_versions_of_tls_are_not_spoken(network):
    def older(context):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    server, client = talked(network.grid, network.bank, changed=older)
    assert isinstance(client, ssl.SSLError)
    assert "UNSUPPORTED_PROTOCOL" in str(server)


def test_after_the_authority_was_followed_old_and_new_certificates_talk(network):
    network.authority.follow(WORD, NOW)
    network.install(network.grid, NOW)
    network.bank.take_trust(network.authority.trust_pem, network.authority.revoked_pem)
    assert talked(network.grid, network.bank) == (Party("bank", "bank-gusu"), Party("grid", "grid-sip"))
    back = talked(network.bank, network.grid, peer="bank-gusu")
    assert back == (Party("grid", "grid-sip"), Party("bank", "bank-gusu"))
