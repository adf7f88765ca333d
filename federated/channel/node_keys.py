"""A node's own key and certificate on the wire, in its home: made here, certified elsewhere, renewed before they end.

`tls/key.pem` (PKCS 8) is sealed by a passphrase (`channel.passphrase`), or without one by a secret in
`node-keys/<name>.tls`: a copy of the folder of certificates has no key. Guarantee and threat model are those of a
store's keys (`nodes.keys`). `peers.json` says by which keys peers are known (`certificates.pin_of`); of who is not in
it no connection is taken.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from federated.channel import key_file
from federated.channel.authority import WARN_SHARE, trusted, x509_lists
from federated.channel.certificates import CURVE, Party, addresses_in, issued_by, party_in, pin_of, request
from federated.channel.passphrase import PASSPHRASE, TOKEN, passphrase
from federated.errors import ChannelRefused

SECRETS, FOLDER = "node-keys", "tls"
KEY, NEXT_KEY, CERTIFICATE, REQUEST = "key.pem", "next-key.pem", "certificate.pem", "request.pem"
# Certificates that were looked at since files here changed last.
MOST_SEEN = 256
TRUST, REVOKED, PEERS = "trust.pem", "revoked.pem", "peers.json"


@dataclass(frozen=True, slots=True)
class Standing:
    """A node's certificate at an instant: whom it names, when it ends, whether that is soon, and when the list of
    revoked certificates is over."""

    party: Party
    addresses: tuple[str, ...]
    pin: str
    until: datetime
    list_until: datetime
    ended: bool
    ends_soon: bool


class NodeKeys:
    """What a node's home holds for the wire."""

    def __init__(self, home: Path) -> None:
        self._home, self.folder = home, home / FOLDER
        self._seen: dict[bytes, tuple[tuple[int, ...], Party, datetime]] = {}

    @staticmethod
    def create(home: Path, party: Party, addresses: Sequence[str]) -> NodeKeys:
        """A key, and a request for its certificate. Raises `ChannelRefused` where there is a key already."""
        made = NodeKeys(home)
        # A kill between key and request leaves a key that nobody was told of: another is made.
        if (made.folder / KEY).exists() and any((made.folder / name).exists() for name in (REQUEST, CERTIFICATE)):
            raise ChannelRefused(f"{home.name} has a key already: renew it")
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = ec.generate_private_key(CURVE())
        asked = request(party, addresses, key)
        made._write_key(KEY, party.name, key)
        key_file.written(made.folder / PEERS, b"{}\n")
        key_file.written(made.folder / REQUEST, asked.public_bytes(serialization.Encoding.PEM))
        return made

    def renew(self, *, new_key: bool) -> bytes:
        """A request for the next certificate, of the same key or of a new one, which is used once that is installed.

        Raises `ChannelRefused` where there is no key.
        """
        asked = self._request()
        party, name = party_in(asked), KEY
        if new_key:
            self._write_key(NEXT_KEY, party.name, ec.generate_private_key(CURVE()))
            name = NEXT_KEY
        again = request(party, addresses_in(asked), self._key(name)).public_bytes(serialization.Encoding.PEM)
        key_file.written(self.folder / REQUEST, again)
        return again

    def install(self, certificate_pem: bytes, trust_pem: bytes, revoked_pem: bytes, at: datetime) -> Standing:
        """Take a certificate of the own key, or of the next one, with what is trusted and what is revoked.

        Raises `ChannelRefused` for a certificate of another key or party, that is over, or that no root issued; and for
        roots that none trusted so far vouches for.
        """
        self.take_trust(trust_pem, revoked_pem)
        made, asked = _certificate(certificate_pem), self._request()
        if party_in(made) != party_in(asked):
            raise ChannelRefused(f"a certificate names {party_in(made).name}, not {party_in(asked).name}")
        if not any(issued_by(made, root) for root in self.roots()):
            raise ChannelRefused("no root that is trusted here issued this certificate")
        if made.not_valid_after_utc <= at:
            raise ChannelRefused("this certificate is over")
        names = [name for name in (KEY, NEXT_KEY) if (self.folder / name).exists()]
        pins = {pin_of(self._key(name).public_key()): name for name in names}
        name = pins.get(pin_of(made.public_key()))
        if name is None:
            raise ChannelRefused("a certificate is of another key than this node's")
        if name == NEXT_KEY:
            # The key first: with the certificate of before it opens no connection, and installing again mends that.
            os.replace(self.folder / NEXT_KEY, self.folder / KEY)
        key_file.written(self.folder / CERTIFICATE, made.public_bytes(serialization.Encoding.PEM))
        return self.standing(at)

    def take_trust(self, trust_pem: bytes, revoked_pem: bytes) -> None:
        """Take roots and lists of revoked certificates. Raises `ChannelRefused` for roots that nobody vouches for, and
        for lists that no root signed, or older ones than there are."""
        before = self.roots() if (self.folder / TRUST).exists() else []
        try:
            now = x509.load_pem_x509_certificates(trust_pem)
        except ValueError as error:
            raise ChannelRefused("these are no roots of a network") from error
        roots = trusted(before, now)
        lists = x509_lists(revoked_pem)
        for root in roots:
            own = [each for each in lists if each.issuer == root.subject and each.is_signature_valid(_key_of(root))]
            if len(own) != 1:
                raise ChannelRefused("a root has no list of revoked certificates, or several")
        if (self.folder / REVOKED).exists():
            newest = {each.issuer: each.last_update_utc for each in lists}
            for old in x509_lists((self.folder / REVOKED).read_bytes()):
                if old.issuer in newest and newest[old.issuer] < old.last_update_utc:
                    raise ChannelRefused("a list of revoked certificates is older than the one that is there")
        pem = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in roots)
        key_file.written(self.folder / REVOKED, revoked_pem)
        key_file.written(self.folder / TRUST, pem)

    def pin(self, certificate_pem: bytes) -> Party:
        """Know a peer by the key of this certificate, beside keys that it is known by."""
        made = _certificate(certificate_pem)
        party, pins = party_in(made), dict(self.pins())
        pins[party.name] = pins.get(party.name, frozenset()) | {pin_of(made.public_key())}
        self._write_pins(pins)
        return party

    def unpin(self, name: str) -> None:
        """Know a peer no more. Raises `ChannelRefused` for one that is not known."""
        pins = dict(self.pins())
        if pins.pop(name, None) is None:
            raise ChannelRefused(f"{name} is not known here")
        self._write_pins(pins)

    def pins(self) -> Mapping[str, frozenset[str]]:
        """By peer: the keys that it is known by."""
        try:
            raw = json.loads((self.folder / PEERS).read_text("utf-8"))
            return {str(name): frozenset(str(pin) for pin in pins) for name, pins in raw.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, TypeError) as error:
            raise ChannelRefused(f"{PEERS} cannot be read: {error}") from error

    def stamp(self) -> tuple[int, ...]:
        """Changes with every key, certificate, root or list that is installed here."""
        paths = [self.folder / name for name in (KEY, CERTIFICATE, TRUST, REVOKED)]
        return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)

    def known(self, certificate_der: bytes, at: datetime) -> Party:
        """Who shows this certificate, by pins and lists as they lie here now.

        Raises `ChannelRefused` for one that is not pinned any more, is over, or is on a list of revoked ones, and for
        everybody where a list is over.
        """
        files = [(self.folder / name).stat() for name in (PEERS, REVOKED)]
        stamp = tuple(each for file in files for each in (file.st_mtime_ns, file.st_ino))
        seen = self._seen.get(certificate_der)
        if seen is not None and seen[0] == stamp and at < seen[2]:
            return seen[1]
        try:
            certificate = x509.load_der_x509_certificate(certificate_der)
        except ValueError as error:
            raise ChannelRefused("what was shown is no certificate") from error
        party, until = party_in(certificate), certificate.not_valid_after_utc
        if pin_of(certificate.public_key()) not in self.pins().get(party.name, frozenset()):
            raise ChannelRefused(f"{party.name} is not known here by the key of its certificate")
        if certificate.not_valid_after_utc <= at:
            raise ChannelRefused(f"the certificate of {party.name} is over")
        for each in x509_lists((self.folder / REVOKED).read_bytes()):
            if each.issuer != certificate.issuer:
                continue
            if each.next_update_utc is None or each.next_update_utc <= at:
                raise ChannelRefused("the list of revoked certificates is over")
            if each.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
                raise ChannelRefused(f"the certificate of {party.name} was revoked")
            until = min(until, each.next_update_utc)
        if len(self._seen) >= MOST_SEEN:
            self._seen.clear()
        self._seen[certificate_der] = stamp, party, until
        return party

    def sign(self, content: bytes) -> bytes:
        """A signature (ECDSA P-256 over SHA-256, DER) with the key of the own certificate. Raises `ChannelRefused`."""
        return self._key(KEY).sign(content, ec.ECDSA(hashes.SHA256()))

    def roots(self) -> list[x509.Certificate]:
        """The roots that are trusted here. Raises `ChannelRefused` where there are none."""
        try:
            return x509.load_pem_x509_certificates((self.folder / TRUST).read_bytes())
        except (FileNotFoundError, ValueError) as error:
            raise ChannelRefused("no roots are trusted here: install a certificate first") from error

    def certificate(self) -> x509.Certificate:
        """The own certificate. Raises `ChannelRefused` where there is none."""
        try:
            return _certificate((self.folder / CERTIFICATE).read_bytes())
        except FileNotFoundError as error:
            raise ChannelRefused("this node has no certificate yet: have its request certified") from error

    def standing(self, at: datetime) -> Standing:
        """What people are told of the own certificate."""
        made = self.certificate()
        whole = made.not_valid_after_utc - made.not_valid_before_utc
        lists = x509_lists((self.folder / REVOKED).read_bytes())
        list_until = min(each.next_update_utc or each.last_update_utc for each in lists)
        left = made.not_valid_after_utc - at
        soon = left < whole / WARN_SHARE or list_until - at < timedelta(days=1)
        return Standing(
            party_in(made), addresses_in(made), pin_of(made.public_key()), made.not_valid_after_utc, list_until,
            ended=left <= timedelta(0) or list_until <= at, ends_soon=soon,
        )  # fmt: skip

    def password(self) -> bytes:
        """What `tls/key.pem` is sealed by. Raises `ChannelRefused` where it is gone."""
        return self._password(party_in(self._request()).name, make=False)

    def _request(self) -> x509.CertificateSigningRequest:
        try:
            return x509.load_pem_x509_csr((self.folder / REQUEST).read_bytes())
        except (FileNotFoundError, ValueError) as error:
            raise ChannelRefused(f"{self._home.name} has no key of a node: begin with `tanxin node init`") from error

    def _password(self, name: str, *, make: bool) -> bytes:
        word, path = passphrase(), self._home / SECRETS / f"{name}.tls"
        if word and not path.exists():
            return word.encode()
        if not path.exists() and not make:
            raise ChannelRefused(f"{SECRETS}/{path.name}, which the node's key is sealed by, is missing")
        return base64.b64encode(path.read_bytes() if path.exists() else key_file.made(path))

    def _write_key(self, name: str, party: str, key: ec.EllipticCurvePrivateKey) -> None:
        sealed = serialization.BestAvailableEncryption(self._password(party, make=True))
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed)
        key_file.written(self.folder / name, pem)

    def _key(self, name: str) -> ec.EllipticCurvePrivateKey:
        try:
            key = serialization.load_pem_private_key((self.folder / name).read_bytes(), self.password())
        except FileNotFoundError as error:
            raise ChannelRefused(f"{FOLDER}/{name} is missing") from error
        except (ValueError, TypeError) as error:
            raise ChannelRefused(
                f"{FOLDER}/{name} is not sealed by what this node has: {PASSPHRASE}, {TOKEN}?"
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ChannelRefused(f"{FOLDER}/{name} is a key of another kind than ECDSA P-256")
        return key

    def _write_pins(self, pins: Mapping[str, frozenset[str]]) -> None:
        text = json.dumps({name: sorted(of) for name, of in sorted(pins.items())}, indent=1)
        key_file.written(self.folder / PEERS, text.encode() + b"\n")


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise ChannelRefused("this is no certificate") from error


def _key_of(root: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = root.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ChannelRefused("a root has a key of another kind than ECDSA P-256")
    return key
