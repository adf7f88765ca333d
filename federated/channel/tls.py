"""TLS between nodes: version 1.3, both sides with certificates of the network, neither revoked, peers that are pinned.

Guarantee: a connection is with the holder of a key that this node has pinned for that name, and whom the network's
authority certifies now; what passes is read and changed by nobody else. An authority that certifies another key for a
name, or a node whose name is not pinned, is refused; so is everybody where the list of revoked certificates is over.
What is not covered: traffic analysis, and a peer whose key was stolen until its certificate ends or is revoked and the
list has arrived.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cryptography import x509

from federated.channel.certificates import Party, party_in, pin_of
from federated.channel.node_keys import CERTIFICATE, KEY, REVOKED, TRUST, NodeKeys
from federated.errors import ChannelRefused


class Connected(Protocol):
    """A TLS connection after its handshake: `ssl.SSLSocket`, or the `ssl_object` of a stream."""

    def getpeercert(self, binary_form: bool = ..., /) -> bytes | None:
        """The peer's certificate, DER."""
        ...


Pins = Callable[[], Mapping[str, frozenset[str]]]


def server_context(keys: NodeKeys) -> ssl.SSLContext:
    """For a node that is asked, by any peer that is pinned at that time.

    Raises `ChannelRefused` for a home without key, certificate or roots.
    """
    return _context(keys, ssl.PROTOCOL_TLS_SERVER, keys.pins)


def client_context(keys: NodeKeys, peer: str, met: Callable[[Party], None] = lambda _: None) -> ssl.SSLContext:
    """For a node that asks this peer, and no other: its certificate has the address that is asked for, too.

    `met` is told at each connection who it is with.
    """

    def pins() -> Mapping[str, frozenset[str]]:
        return {name: known for name, known in keys.pins().items() if name == peer}

    return _context(keys, ssl.PROTOCOL_TLS_CLIENT, pins, met)


def _context(
    keys: NodeKeys, protocol: int, pins: Pins, met: Callable[[Party], None] = lambda _: None
) -> ssl.SSLContext:
    keys.certificate()
    context = ssl.SSLContext(protocol)
    context.sslsocket_class = _knowing(ssl.SSLSocket, pins, met)
    context.sslobject_class = _knowing(ssl.SSLObject, pins, met)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_X509_STRICT
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        # By a ticket a peer would come back that was revoked in between.
        context.num_tickets = 0
    load(context, keys)
    return context


def load(context: ssl.SSLContext, keys: NodeKeys) -> None:
    """Have a context take key, certificate, roots and lists as they lie in the home now: for its next connections.

    Raises `ChannelRefused` where they do not fit each other.
    """
    folder = keys.folder
    try:
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY, password=keys.password())
        context.load_verify_locations(folder / TRUST)
        context.load_verify_locations(folder / REVOKED)
    except (ssl.SSLError, OSError) as error:
        raise ChannelRefused(f"the node's key, certificate and roots do not fit each other: {error}") from error


def _knowing(base: Any, pins: Pins, met: Callable[[Party], None]) -> Any:
    """A connection whose handshake fails with who is not pinned: nothing is sent or read after it."""

    class Knowing(base):  # type: ignore[misc]
        def do_handshake(self, *given: Any, **more: Any) -> None:
            super().do_handshake(*given, **more)
            try:
                met(peer_of(self, pins()))
            except ChannelRefused as error:
                raise ssl.SSLCertVerificationError(error.detail) from error

    return Knowing


def peer_of(connection: Connected, pins: Mapping[str, frozenset[str]]) -> Party:
    """Who is at the other end. Raises `ChannelRefused` unless it is known by the key that its certificate has."""
    der = connection.getpeercert(True)
    if not der:
        raise ChannelRefused("the other side showed no certificate")
    certificate = x509.load_der_x509_certificate(der)
    party = party_in(certificate)
    if pin_of(certificate.public_key()) not in pins.get(party.name, frozenset()):
        raise ChannelRefused(f"{party.name} is not known here by the key of its certificate")
    return party
