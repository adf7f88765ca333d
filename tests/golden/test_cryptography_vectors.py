"""Published vectors through the very calls that the protocols make, and the protocols' own derivations pinned."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import rbcl
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from federated.alignment import psi
from federated.consent.record import ConsentRecord, DataScope, Purpose
from federated.consent.signature import terms_bytes
from federated.errors import AlignmentFailed
from federated.nodes.masks import mask_of
from federated.privacy.secure_aggregation.messages import Plan
from federated.privacy.secure_aggregation.party import mask_private, pair_key
from federated.privacy.secure_aggregation.ring import stream
from federated.privacy.secure_aggregation.sharing import PRIME, joined

ONE = bytes([1]) + bytes(31)
GENERATOR = "e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"


def test_ristretto255_is_that_of_rfc_9496():
    generator = rbcl.crypto_scalarmult_ristretto255_base(ONE)
    assert generator.hex() == GENERATOR
    double = rbcl.crypto_scalarmult_ristretto255(bytes([2]) + bytes(31), generator)
    assert double.hex() == "6a493210f7499cd17fecb510ae0cea23a110e8d5b901f8acadd3095c73a3b919"
    uniform = bytes.fromhex(
        "5d1be09e3d0c82fc538112490e35701979d99e06ca3e2b5b54bffe8b4dc772c1"
        "4d98b696a1bbfb5ca32c436cc61c16563790306c79eaca7705668b47dffe5bb6"
    )
    element = rbcl.crypto_core_ristretto255_from_hash(uniform)
    assert element.hex() == "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46"


@pytest.mark.parametrize(
    "encoding",
    [
        "00" * 32,  # the identity
        "00" + "ff" * 31,  # not canonical
        "ed" + "ff" * 30 + "7f",  # p itself
        "01" + "00" * 31,  # negative
        "01" + "ff" * 30 + "7f",
        "26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371",  # not a square
        "4eac077a713c57b4f4397629a4145982c661f48044dd3f96427d40b147d9742f",
    ],
)
def test_encodings_that_rfc_9496_calls_bad_are_refused(encoding):
    with pytest.raises(AlignmentFailed, match="not a group element"):
        psi.double_blind(psi.new_secret(), bytes.fromhex(encoding))


def test_masks_are_aes_256_in_counter_mode():
    # The first block is AES(key, nonce · 2^64): NIST's AESAVS, VarTxt, 256-bit key, count 0.
    assert stream(bytes(32), 2, 1 << 63).astype("<u8").tobytes().hex() == "ddc6bf790c15760d8d9aeb6f9a75fd4e"


def test_keys_are_agreed_as_in_rfc_7748_and_derived_as_in_rfc_5869():
    scalar = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    u = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    agreed = X25519PrivateKey.from_private_bytes(scalar).exchange(X25519PublicKey.from_public_bytes(u))
    assert agreed.hex() == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    found = HKDF(SHA256(), 42, bytes(range(13)), bytes(range(0xF0, 0xFA))).derive(b"\x0b" * 22)
    wanted = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    assert found.hex() == wanted


def test_messages_are_signed_as_in_rfc_8032_and_sealed_as_in_rfc_8439():
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = Ed25519PrivateKey.from_private_bytes(secret)
    assert key.public_key().public_bytes_raw().hex() == (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    )
    assert key.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
        "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    text = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it."
    )
    sealed = ChaCha20Poly1305(bytes(range(0x80, 0xA0))).encrypt(
        bytes.fromhex("070000004041424344454647"), text, bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    )
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"


def test_shares_of_a_seed_by_hand():
    # 7 + 3x + 2x² at 1, 2 and 3: three shares give 7 back.
    shares = {x: ((7 + 3 * x + 2 * x * x) % PRIME).to_bytes(17, "big") for x in (1, 2, 3)}
    assert int.from_bytes(joined(shares, 3), "big") == 7


def test_the_protocols_own_derivations_stay_what_they_are():
    """A change here is another wire format, so that nodes of two releases no longer understand each other."""
    assert psi.hash_to_point(psi.element("TW-00001", bytes(64))).hex() == (
        "34b2c6e4fbd40bfb9b89eb420e2ab963f2ab0ae32f311e6092bcd8fdaa7f5970"
    )
    plan = Plan(bytes(16), 10, 6, 4, 24)
    one, other = mask_private(bytes(range(16)), plan), mask_private(bytes(16), plan)
    assert one.public_key().public_bytes_raw().hex() == (
        "74b1fd236e4444a795b7aee0d3e1e28bfa704baad692a5b8dc4f691fb9b26901"
    )
    key = pair_key(one, other.public_key().public_bytes_raw(), plan)
    assert key.hex() == "6655ad92d5ef209332884689a21c33c23d313a34969afea2f76408c9c831d46e"
    assert key == pair_key(other, one.public_key().public_bytes_raw(), plan)
    assert stream(key, 2).tolist() == [0x90653E752A840A79, 0x872DDB151CA6C7CF]
    assert mask_of(bytes(32), "query") == 0x9E1E996A7EA234B9


def test_the_bytes_that_a_subject_signs_stay_what_they_are():
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    record = ConsentRecord(
        "C-1", "S-1", "bank-gusu", frozenset({Purpose.MODEL_TRAINING}), frozenset(DataScope), start, end
    )
    assert hashlib.sha256(terms_bytes(record)).hexdigest() == (
        "8913b202a0dc7df7ae538c6b7d414af64afdd780c592a984231a07a02ad90791"
    )
    parts = [
        b"tanxin/consent/v2",
        b"C-1",
        b"S-1",
        b"bank-gusu",
        b"grid-sip",
        b"model_training",
        b"bank_file electricity",
    ]
    times = [int(at.timestamp() * 1_000_000).to_bytes(8, "big") for at in (start, end)]
    named = b"".join(len(part).to_bytes(4, "big") + part for part in [*parts, *times])
    assert terms_bytes(replace(record, grid_id="grid-sip")) == named
