"""A bank's decision about a version, signed with the key of its node's certificate: whoever holds it can show it.

Guarantee: a decision that is entered names bank, version, hash of the manifest, act, note and id, and the holder of a
key that this party had pinned for that bank signed just that. It is proven later from the register and the network's
roots alone (`proven`), also when the certificate is over. Threat model: a bank that denies its word, a node that makes
one up for it, whoever edits the register. Not covered: a bank's key that was stolen, until it is revoked.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from credit_api.nodes.messages import Decided
from federated.channel.certificates import Party, issued_by, party_in
from federated.channel.node_keys import NodeKeys
from federated.consent.framing import framed
from federated.errors import ChannelRefused
from federated.governance.lifecycle import Event, Kind

DOMAIN = b"tanxin decision about a version\0v1"
# What a signed act makes of a version: a signature on one act proves no other event.
MADE = {
    "approve": (Kind.ENDORSED, Kind.APPROVED),
    "reject": (Kind.REJECTED,),
    "appoint": (Kind.NOMINATED, Kind.APPOINTED),
    "retire": (Kind.RETIRED,),
    "roll_back": (Kind.ROLLED_BACK,),
}
CERTIFICATE, SIGNATURE, ACT = "certificate", "signature", "act"


def content(bank: str, version: str, manifest_sha256: str, act: str, note: str, command: str) -> bytes:
    """What is signed: the domain, then every field, each with its length."""
    return framed(DOMAIN, *(part.encode() for part in (bank, version, manifest_sha256, act, note, command)))


def signed(keys: NodeKeys, bank: str, told: Decided) -> Decided:
    """A decision with the bank's own signature. Raises `ChannelRefused` without its key."""
    signature = keys.sign(_content(bank, told))
    certificate = keys.certificate().public_bytes(Encoding.DER)
    return told.model_copy(update={"certificate": certificate, "signature": signature})


def evidence(keys: NodeKeys, bank: str, told: Decided, at: datetime) -> dict[str, str]:
    """What is kept with a decision. Raises `ChannelRefused` unless this bank signed it, by a key that is known here."""
    own = keys.certificate().public_bytes(Encoding.DER)
    party = party_in(keys.certificate()) if told.certificate == own else keys.known(told.certificate, at)
    if party != Party("bank", bank):
        raise ChannelRefused(f"a decision of {bank} is signed by {party.name}")
    _require(x509.load_der_x509_certificate(told.certificate), told.signature, _content(bank, told), bank)
    texts = {CERTIFICATE: told.certificate, SIGNATURE: told.signature}
    return {ACT: told.act} | {name: base64.b64encode(value).decode() for name, value in texts.items()}


def proven(event: Event, manifest_sha256: str, roots: Sequence[x509.Certificate]) -> bool | None:
    """Whether a decision in a register was signed so by its bank; None for one of before there were signatures."""
    details: Mapping[str, str] = event.details
    if SIGNATURE not in details:
        return None
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(details[CERTIFICATE]))
        # What a roll-back names is what it leaves; and an event is what its signed act makes of a version.
        named = details["left"] if event.kind is Kind.ROLLED_BACK else event.version
        if event.kind not in MADE.get(details[ACT], ()):
            return False
        said = content(event.by, named, manifest_sha256, details[ACT], event.note, event.command)
        _require(certificate, base64.b64decode(details[SIGNATURE]), said, event.by)
        return party_in(certificate) == Party("bank", event.by) and any(issued_by(certificate, each) for each in roots)
    except (ChannelRefused, ValueError, KeyError):
        return False


def _content(bank: str, told: Decided) -> bytes:
    return content(bank, told.version, told.manifest_sha256, told.act, told.note, told.command)


def _require(certificate: x509.Certificate, signature: bytes, said: bytes, bank: str) -> None:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ChannelRefused(f"a decision of {bank} is signed with a key of another kind than ECDSA P-256")
    try:
        key.verify(signature, said, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise ChannelRefused(f"a decision of {bank} is not what {bank} signed") from None
