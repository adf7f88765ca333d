"""What certificates of a network say: X.509, ECDSA P-256 over SHA-256 (TLS 1.3 stacks all have it; RFC 5280).

A node's certificate names it in a URI (`urn:tanxin:<kind>:<name>`), with the addresses that it is reached at, for TLS
as client and as server. It is short-lived: what is not renewed ends by itself, and what ends sooner is on the
authority's list of revoked certificates.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from federated.errors import ChannelRefused

KINDS = ("bank", "grid", "operator", "exchange", "authority")
CURVE = ec.SECP256R1
# Clocks of two hosts may differ by so much.
SKEW = timedelta(minutes=5)
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
URN = re.compile(rf"urn:tanxin:({'|'.join(KINDS)}):({NAME.pattern})")


@dataclass(frozen=True, slots=True)
class Party:
    """A member of a network: its kind (`KINDS`), and its name there. Raises `ChannelRefused` for another."""

    kind: str
    name: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ChannelRefused(f"a party is one of {', '.join(KINDS)}, not {self.kind}")
        if not NAME.fullmatch(self.name):
            raise ChannelRefused("a party's name has up to 63 small letters, digits and hyphens between them")

    @property
    def urn(self) -> str:
        """As certificates name it."""
        return f"urn:tanxin:{self.kind}:{self.name}"


def alternative_names(party: Party, addresses: Sequence[str]) -> x509.SubjectAlternativeName:
    """The party, and host names and IP addresses that it is reached at. Raises `ChannelRefused` for none of these."""
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(party.urn)]
    for address in addresses:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(address)))
        except ValueError:
            if not re.fullmatch(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*", address):
                raise ChannelRefused(f"{address!r} is no host name and no IP address") from None
            names.append(x509.DNSName(address))
    return x509.SubjectAlternativeName(names)


def subject_of(party: Party, network: str) -> x509.Name:
    """The name that stands in a certificate for people to read."""
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, network), x509.NameAttribute(NameOID.COMMON_NAME, party.name)]
    )


def request(party: Party, addresses: Sequence[str], key: ec.EllipticCurvePrivateKey) -> x509.CertificateSigningRequest:
    """What an authority is asked to certify; signed with the key, so whoever asks has it."""
    names = alternative_names(party, addresses)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, party.name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256())


def party_in(certificate: x509.Certificate | x509.CertificateSigningRequest) -> Party:
    """Whom a certificate or a request names. Raises `ChannelRefused` for one that names no party, or several."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise ChannelRefused("a certificate names no party of a network") from None
    found = [URN.fullmatch(urn) for urn in names.get_values_for_type(x509.UniformResourceIdentifier)]
    if len(found) != 1 or found[0] is None:
        raise ChannelRefused("a certificate names no party of a network, or several")
    return Party(*found[0].groups())


def addresses_in(certificate: x509.Certificate | x509.CertificateSigningRequest) -> tuple[str, ...]:
    """Host names and IP addresses of a certificate or a request."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    ips = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    return (*names.get_values_for_type(x509.DNSName), *ips)


def node_certificate(
    asked: x509.CertificateSigningRequest, issuer: x509.Certificate, at: datetime, life: timedelta
) -> x509.CertificateBuilder:
    """A node's certificate as `issuer` would sign it. Raises `ChannelRefused` for a request that is not signed with its
    own key, or whose key is of another kind."""
    if not asked.is_signature_valid or not isinstance(asked.public_key(), ec.EllipticCurvePublicKey):
        raise ChannelRefused("a request is not signed with the key that it asks for")
    key, party = asked.public_key(), party_in(asked)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, CURVE):
        raise ChannelRefused("a request asks for a key of another kind than ECDSA P-256")
    network = issuer.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    return (
        _builder(subject_of(party, str(network)), issuer.subject, key, at, min(at + life, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(certifies=False), critical=True)
        .add_extension(usage, critical=False)
        .add_extension(alternative_names(party, addresses_in(asked)), critical=False)
        .add_extension(_issuer_id(issuer), critical=False)
    )


def root_certificate(
    network: str, key: ec.EllipticCurvePublicKey, at: datetime, life: timedelta, issuer: x509.Certificate | None = None
) -> x509.CertificateBuilder:
    """An authority's certificate: its own, or by `issuer`, the one before it, for those who trust that one."""
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, network),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{network} authority {pin_of(key)[:16]}"),
        ]
    )
    until = at + life if issuer is None else min(at + life, issuer.not_valid_after_utc)
    builder = _builder(subject, subject if issuer is None else issuer.subject, key, at, until)
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(key) if issuer is None else _issuer_id(issuer)
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certifies=True), critical=True)
        .add_extension(by, critical=False)
    )


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether an issuer's key signed a certificate."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def pin_of(key: object) -> str:
    """SHA-256 (hex) of a public key as certificates have it: what a peer is pinned by, whatever certificate it has."""
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ChannelRefused("a certificate has a key of another kind than ECDSA P-256")
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def seconds(at: datetime) -> datetime:
    """An instant as certificates have it: UTC, whole seconds."""
    return at.astimezone(UTC).replace(microsecond=0)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, at: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(seconds(at - SKEW))
        .not_valid_after(seconds(until))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, certifies: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certifies, key_cert_sign=certifies, crl_sign=certifies, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _issuer_id(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
