"""X.509 certificates for signing PDF documents: a root of the registry, and one below it for each signing organisation.

Keys are ECDSA P-256 (PDF readers do not all verify Ed25519), PEM files that only the service's user can read. A reader
trusts the root, which is published at /v1/certificate-authority.pem; no public authority vouches for it.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = "root"
ROOT_YEARS, LEAF_YEARS = 20, 5


@dataclass(frozen=True, slots=True)
class Credential:
    """A key with its certificate, both PEM, and the root above it."""

    key_pem: bytes
    certificate_pem: bytes
    root_pem: bytes


class Authority:
    """Files under `folder`: `<id>.pem` holds key and certificate. Made at first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._gate = threading.Lock()

    def root_pem(self, at: datetime) -> bytes:
        with self._gate:
            return self._root(at)[1]

    def credential(self, organisation_id: str, name: str, at: datetime) -> Credential:
        """The signing credential of an organisation, whose certificate names it as `name`."""
        with self._gate:
            root_key, root_pem = self._root(at)
            stored = self._read(organisation_id)
            if stored is None:
                root = x509.load_pem_x509_certificate(root_pem)
                key = ec.generate_private_key(ec.SECP256R1())
                certificate = (
                    _builder(name, root.subject, key.public_key(), at, LEAF_YEARS)
                    .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                    .add_extension(_usage(signs_documents=True), critical=True)
                    .sign(root_key, hashes.SHA256())
                )
                stored = self._write(organisation_id, key, certificate)
            return Credential(*stored, root_pem)

    def _root(self, at: datetime) -> tuple[ec.EllipticCurvePrivateKey, bytes]:
        stored = self._read(ROOT)
        if stored is None:
            key = ec.generate_private_key(ec.SECP256R1())
            name = "Tanxin registry root"
            certificate = (
                _builder(name, _name(name), key.public_key(), at, ROOT_YEARS)
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .add_extension(_usage(signs_documents=False), critical=True)
                .sign(key, hashes.SHA256())
            )
            stored = self._write(ROOT, key, certificate)
        loaded = serialization.load_pem_private_key(stored[0], password=None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        return loaded, stored[1]

    def _read(self, name: str) -> tuple[bytes, bytes] | None:
        try:
            content = (self._folder / f"{name}.pem").read_bytes()
        except FileNotFoundError:
            return None
        border = content.index(b"-----BEGIN CERTIFICATE-----")
        return content[:border], content[border:]

    def _write(self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> tuple[bytes, bytes]:
        key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        certificate_pem = certificate.public_bytes(serialization.Encoding.PEM)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._folder / f"{name}.{os.getpid()}.new"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key_pem + certificate_pem)
        os.replace(draft, self._folder / f"{name}.pem")
        return key_pem, certificate_pem


def _name(common_name: str) -> x509.Name:
    # A common name has at most 64 bytes; a Chinese character takes three of them.
    fitting = common_name.encode()[:64].decode(errors="ignore")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, fitting)])


def _builder(
    name: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, at: datetime, years: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=1))
        .not_valid_after(at + timedelta(days=365 * years))
    )


def _usage(*, signs_documents: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs_documents,
        content_commitment=signs_documents,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not signs_documents,
        crl_sign=not signs_documents,
        encipher_only=False,
        decipher_only=False,
    )
