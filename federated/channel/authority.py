"""The certificate authority of a network: it certifies nodes' own keys, revokes certificates, is followed by another.

A folder of its own (0700): signing keys sealed by a passphrase, the roots that are trusted, lists of revoked
certificates, and a line for each certificate. Guarantee: whoever has a copy of the folder certifies nobody without the
passphrase; a name is certified for another key only if that is said. It never sees a private key of a node. Trusted is
what it says of who a node is: whoever has folder and passphrase can introduce any node, which peers that pin keys
(`tls`) still refuse.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from federated.channel import key_file
from federated.channel.certificates import (
    CURVE,
    Party,
    addresses_in,
    issued_by,
    node_certificate,
    party_in,
    pin_of,
    root_certificate,
    seconds,
)
from federated.errors import ChannelRefused

ROOTS, REVOKED, ISSUED, LOCK = "trust.pem", "revoked.pem", "issued.jsonl", "lock"
# Of a certificate's life, from when on people are warned.
WARN_SHARE = 3
ROOT_LIFE, NODE_LIFE, MOST_LIFE, LIST_LIFE = (timedelta(days=d) for d in (5 * 365, 30, 90, 7))
REASONS = ("key_compromise", "cessation_of_operation", "superseded", "affiliation_changed")


@dataclass(frozen=True, slots=True)
class Issued:
    """One certificate: whom it names, of which key (`pin_of`), from when to when (UTC), and when and why it was
    revoked, if it was."""

    serial: str
    kind: str
    name: str
    addresses: tuple[str, ...]
    pin: str
    by: str
    since: str
    until: str
    revoked: str = ""
    reason: str = ""

    def holds(self, at: datetime) -> bool:
        """Whether it is neither over nor revoked."""
        return not self.revoked and datetime.fromisoformat(self.until) > at


class NetworkAuthority:
    """An authority's folder. Everything that signs takes the passphrase."""

    def __init__(self, folder: Path) -> None:
        if not (folder / ROOTS).is_file():
            raise ChannelRefused(f"no authority lies in {folder.name}")
        self._folder = folder

    @staticmethod
    def create(folder: Path, network: str, passphrase: str, at: datetime) -> NetworkAuthority:
        """Begin a network. Raises `ChannelRefused` where there is one, or for a passphrase of fewer than 12 letters."""
        if (folder / ROOTS).exists():
            raise ChannelRefused(f"an authority lies in {folder.name} already")
        if not network.strip():
            raise ChannelRefused("a network has a name")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = ec.generate_private_key(CURVE())
        root = root_certificate(network, key.public_key(), at, ROOT_LIFE).sign(key, hashes.SHA256())
        _write_key(folder, key, passphrase)
        key_file.written(folder / REVOKED, _list([], root, key, at))
        key_file.written(folder / ISSUED, b"")
        # What says that there is an authority comes last.
        key_file.written(folder / ROOTS, _pem(root))
        return NetworkAuthority(folder)

    @property
    def roots(self) -> list[x509.Certificate]:
        """Certificates that nodes trust, the one that signs now first."""
        return x509.load_pem_x509_certificates((self._folder / ROOTS).read_bytes())

    @property
    def trust_pem(self) -> bytes:
        """What nodes trust, for their `trust.pem`."""
        return (self._folder / ROOTS).read_bytes()

    @property
    def revoked_pem(self) -> bytes:
        """The lists of revoked certificates, one of each root."""
        return (self._folder / REVOKED).read_bytes()

    def issued(self) -> list[Issued]:
        """All certificates, in the order in which they were issued."""
        lines = (self._folder / ISSUED).read_text("utf-8").splitlines()
        try:
            rows = [json.loads(line) for line in lines]
            return [Issued(**{**row, "addresses": tuple(row["addresses"])}) for row in rows]
        except (ValueError, TypeError, KeyError) as error:
            raise ChannelRefused(f"{ISSUED} is not what an authority wrote: {error}") from error

    def ending(self, at: datetime) -> list[str]:
        """What people should look after: certificates that hold for less than a third of their life, where the name has
        no later one, lists of revoked certificates that end within two days, and the root within a year."""
        last = {entry.name: entry for entry in self.issued()}
        found = []
        for entry in last.values():
            since, until = (datetime.fromisoformat(each) for each in (entry.since, entry.until))
            if not entry.revoked and until - at < (until - since) / WARN_SHARE:
                found.append(f"{entry.kind} {entry.name}: its certificate {'ends' if until > at else 'ended'} {until}")
        lists = min(each.next_update_utc or each.last_update_utc for each in x509_lists(self.revoked_pem))
        if lists - at < timedelta(days=2):
            found.append(f"the lists of revoked certificates end {lists}: sign them anew")
        if (root := self.roots[0].not_valid_after_utc) - at < timedelta(days=365):
            found.append(f"the root ends {root}: be followed by another")
        return found

    def certify(
        self, request_pem: bytes, passphrase: str, at: datetime, life: timedelta = NODE_LIFE, *, new_key: bool = False
    ) -> x509.Certificate:
        """Certify the key of a request for `life`, at most `MOST_LIFE`.

        Raises `ChannelRefused` for what is no request, or one by another key than the name was certified for last,
        unless that is meant (`new_key`) or over.
        """
        if not timedelta(0) < life <= MOST_LIFE:
            raise ChannelRefused(f"a certificate holds for {MOST_LIFE.days} days at the most")
        party, addresses, pin = asked_for(request_pem)
        asked = x509.load_pem_x509_csr(request_pem)
        with self._alone():
            others = [o for o in self.issued() if o.name == party.name and o.holds(at)]
            if any(o.kind != party.kind for o in others):
                raise ChannelRefused(f"{party.name} is certified as another kind of party")
            if others and others[-1].pin != pin and not new_key:
                raise ChannelRefused(f"{party.name} is certified for another key until {others[-1].until}")
            key, root = self._key(passphrase), self.roots[0]
            made = node_certificate(asked, root, at, life).sign(key, hashes.SHA256())
            entry = Issued(
                f"{made.serial_number:x}", party.kind, party.name, addresses, pin, pin_of(root.public_key()),
                made.not_valid_before_utc.isoformat(), made.not_valid_after_utc.isoformat(),
            )  # fmt: skip
            self._write([*self.issued(), entry])
        return made

    def revoke(self, name: str, reason: str, passphrase: str, at: datetime) -> list[Issued]:
        """Revoke all certificates of a name that hold. Raises `ChannelRefused` if there are none."""
        if reason not in REASONS:
            raise ChannelRefused(f"a certificate is revoked for {', '.join(REASONS)}, not for {reason}")
        with self._alone():
            every = self.issued()
            ended = [replace(o, revoked=seconds(at).isoformat(), reason=reason)
                     for o in every if o.name == name and o.holds(at)]  # fmt: skip
            if not ended:
                raise ChannelRefused(f"no certificate of {name} holds")
            by_serial = {o.serial: o for o in ended}
            after = [by_serial.get(o.serial, o) for o in every]
            # Lists go first: of two things that a kill may part, the one that nodes read.
            self._write_lists(after, passphrase, at)
            self._write(after)
        return ended

    def list_anew(self, passphrase: str, at: datetime) -> bytes:
        """Fresh lists of revoked certificates: nodes refuse everybody by one that is over."""
        with self._alone():
            self._write_lists(self.issued(), passphrase, at)
        return self.revoked_pem

    def follow(self, passphrase: str, at: datetime) -> x509.Certificate:
        """Be followed by an authority with a new key, which this one certifies: nodes that trust this one then trust
        the next. Both are trusted until this one's certificate is over; the next one certifies from now on, and this
        one still signs its list of revoked certificates. Raises `ChannelRefused` once this one's certificate is over.
        """
        with self._alone():
            before, old = self._valid(at), self._key(passphrase)
            if self.roots[0] not in before:
                raise ChannelRefused("the authority's certificate is over: nobody would trust what it certifies")
            network = str(before[0].subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value)
            key = ec.generate_private_key(CURVE())
            root = root_certificate(network, key.public_key(), at, ROOT_LIFE).sign(key, hashes.SHA256())
            cross = root_certificate(network, key.public_key(), at, ROOT_LIFE, before[0]).sign(old, hashes.SHA256())
            _write_key(self._folder, key, passphrase)
            # Until the roots are written this one signs, whose list is the first of those that are there.
            key_file.written(self._folder / REVOKED, self.revoked_pem + _list([], root, key, at))
            key_file.written(self._folder / ROOTS, b"".join(_pem(each) for each in (root, cross, *before)))
        return root

    def _valid(self, at: datetime) -> list[x509.Certificate]:
        return [each for each in self.roots if each.not_valid_after_utc > at]

    def _key(self, passphrase: str, root: x509.Certificate | None = None) -> ec.EllipticCurvePrivateKey:
        root = root or self.roots[0]
        path = self._folder / _key_name(root.public_key())
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), passphrase.encode())
        except FileNotFoundError as error:
            raise ChannelRefused(f"the authority's key {path.name} is missing") from error
        except (ValueError, TypeError) as error:
            raise ChannelRefused("the passphrase is not the authority's") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ChannelRefused(f"{path.name} is a key of another kind than ECDSA P-256")
        return key

    def _write(self, every: list[Issued]) -> None:
        text = "".join(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in every)
        key_file.written(self._folder / ISSUED, text.encode())

    def _write_lists(self, every: list[Issued], passphrase: str, at: datetime) -> None:
        valid = self._valid(at)
        own = [root for root in valid if root.subject == root.issuer]
        lists = [_list(every, root, self._key(passphrase, root), at) for root in own]
        key_file.written(self._folder / REVOKED, b"".join(lists))
        if len(valid) < len(self.roots):
            key_file.written(self._folder / ROOTS, b"".join(_pem(each) for each in valid))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time."""
        with (self._folder / LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def asked_for(request_pem: bytes) -> tuple[Party, tuple[str, ...], str]:
    """Whom a request names, at which addresses, and of which key. Raises `ChannelRefused` for what is no request."""
    try:
        asked = x509.load_pem_x509_csr(request_pem)
    except ValueError as error:
        raise ChannelRefused("this is no certificate request") from error
    return party_in(asked), addresses_in(asked), pin_of(asked.public_key())


def x509_lists(pem: bytes) -> list[x509.CertificateRevocationList]:
    """The lists of revoked certificates in PEM. Raises `ChannelRefused` for anything else."""
    end = b"-----END X509 CRL-----"
    try:
        return [x509.load_pem_x509_crl(part + end) for part in pem.split(end)[:-1]]
    except ValueError as error:
        raise ChannelRefused("these are no lists of revoked certificates") from error


def trusted(before: list[x509.Certificate], now: list[x509.Certificate]) -> list[x509.Certificate]:
    """The self-signed roots of `now` that are among `before` or certified by one of these, those certificates too.

    Raises `ChannelRefused` for a root that none vouches for; without any before, all are taken.
    """
    known = {pin_of(each.public_key()) for each in before if each.subject == each.issuer}
    roots = [each for each in now if each.subject == each.issuer and issued_by(each, each)]
    crossed = [each for each in now if each.subject != each.issuer]
    for root in roots:
        pin = pin_of(root.public_key())
        by = [c for c in crossed if pin_of(c.public_key()) == pin and any(issued_by(c, old) for old in before)]
        if before and pin not in known and not by:
            raise ChannelRefused("a root is neither trusted here nor certified by one that is")
    if not roots:
        raise ChannelRefused("these are no roots of a network")
    return roots


def _write_key(folder: Path, key: ec.EllipticCurvePrivateKey, passphrase: str) -> None:
    if len(passphrase) < 12:
        raise ChannelRefused("an authority's passphrase has at least 12 letters")
    sealed = serialization.BestAvailableEncryption(passphrase.encode())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed)
    key_file.written(folder / _key_name(key.public_key()), pem)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _list_builder(root: x509.Certificate, at: datetime, until: datetime) -> x509.CertificateRevocationListBuilder:
    own = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        x509.CertificateRevocationListBuilder()
        .issuer_name(root.subject)
        .last_update(seconds(at))
        .next_update(seconds(until))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False)
        .add_extension(x509.CRLNumber(int(seconds(at).timestamp())), critical=False)
    )


def _list(every: list[Issued], root: x509.Certificate, key: ec.EllipticCurvePrivateKey, at: datetime) -> bytes:
    """The list of what a root issued and was revoked, until it is over anyway."""
    builder, by = _list_builder(root, at, min(at + LIST_LIFE, root.not_valid_after_utc)), pin_of(root.public_key())
    for each in every:
        if each.revoked and each.by == by and datetime.fromisoformat(each.until) > at:
            flag = x509.CRLReason(x509.ReasonFlags[each.reason])
            entry = x509.RevokedCertificateBuilder(int(each.serial, 16), datetime.fromisoformat(each.revoked))
            builder = builder.add_revoked_certificate(entry.add_extension(flag, critical=False).build())
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _key_name(key: object) -> str:
    return f"authority-{pin_of(key)[:16]}.pem"
