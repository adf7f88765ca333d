"""A network's authority: whom it certifies, what it revokes, who follows it, and what a copy of its folder can do."""

import multiprocessing
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from federated.channel.authority import NetworkAuthority, x509_lists
from federated.channel.certificates import Party, addresses_in, issued_by, party_in, pin_of, request
from federated.channel.node_keys import NodeKeys
from federated.errors import ChannelRefused

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WORD = "correct horse battery"
BANK = Party("bank", "bank-gusu")


@pytest.fixture
def authority(tmp_path):
    return NetworkAuthority.create(tmp_path / "ca", "Suzhou", WORD, AT)


def asked(party=BANK, addresses=("127.0.0.1", "node.example"), key=None):
    made = request(party, addresses, key or ec.generate_private_key(ec.SECP256R1()))
    return made.public_bytes(serialization.Encoding.PEM)


def test_a_certificate_says_who_where_and_for_how_long(authority):
    made = authority.certify(asked(), WORD, AT)
    assert party_in(made) == BANK
    assert addresses_in(made) == ("node.example", "127.0.0.1")
    assert made.not_valid_after_utc - AT == timedelta(days=30)
    assert made.not_valid_before_utc == AT - timedelta(minutes=5)
    assert issued_by(made, authority.roots[0])
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    (entry,) = authority.issued()
    assert (entry.name, entry.pin, entry.serial) == ("bank-gusu", pin_of(made.public_key()), f"{made.serial_number:x}")


def test_what_lies_in_the_folder_is_its_owners_and_certifies_nobody_without_the_passphrase(authority, tmp_path):
    files = [tmp_path / "ca", *(tmp_path / "ca").iterdir()]
    assert [path for path in files if path.stat().st_mode & 0o077 and path.name != "lock"] == []
    with pytest.raises(ChannelRefused, match="passphrase is not"):
        authority.certify(asked(), "another passphrase", AT)
    assert authority.issued() == []
    with pytest.raises(ChannelRefused, match="at least 12 letters"):
        NetworkAuthority.create(tmp_path / "other", "Suzhou", "short", AT)
    assert not (tmp_path / "other" / "trust.pem").exists()
    with pytest.raises(ChannelRefused, match="already"):
        NetworkAuthority.create(tmp_path / "ca", "Suzhou", WORD, AT)


def test_a_name_is_not_certified_for_another_key_by_mistake(authority):
    key = ec.generate_private_key(ec.SECP256R1())
    authority.certify(asked(key=key), WORD, AT)
    authority.certify(asked(key=key), WORD, AT + 20 * DAY)
    with pytest.raises(ChannelRefused, match="certified for another key until 2027-01-19"):
        authority.certify(asked(), WORD, AT + 20 * DAY)
    with pytest.raises(ChannelRefused, match="another kind of party"):
        authority.certify(asked(Party("grid", "bank-gusu"), key=key), WORD, AT)
    authority.certify(asked(), WORD, AT + 20 * DAY, new_key=True)
    # Of what is over nobody is kept from.
    authority.certify(asked(), WORD, AT + 60 * DAY)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: b"nothing", "no certificate request"),
        (lambda: asked(key=ec.generate_private_key(ec.SECP384R1())), "another kind than ECDSA P-256"),
        (lambda: tampered(asked()), "not signed with the key|no certificate request"),
    ],
)
def test_what_is_no_request_of_its_key_is_refused(authority, made, why):
    with pytest.raises(ChannelRefused, match=why):
        authority.certify(made(), WORD, AT)


def tampered(pem):
    der = bytearray(x509.load_pem_x509_csr(pem).public_bytes(serialization.Encoding.DER))
    der[der.index(b"bank-gusu")] = ord("s")
    return x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("name", ["Bank", "-a", "a" * 64, "bank\n", "", "a.b"])
def test_names_are_what_certificates_and_files_can_have(name):
    with pytest.raises(ChannelRefused, match="small letters"):
        Party("bank", name)


@pytest.mark.parametrize("address", ["", "a b", "http://x", "x/y", "ä.de", "-" * 64, "*.example"])
def test_addresses_are_host_names_or_ip_addresses(address):
    with pytest.raises(ChannelRefused, match="no host name"):
        asked(addresses=(address,))
    with pytest.raises(ChannelRefused, match="one of bank, grid"):
        Party("reader", "x")


def test_lives_are_short(authority):
    for life in (timedelta(0), -DAY, timedelta(days=91)):
        with pytest.raises(ChannelRefused, match="90 days at the most"):
            authority.certify(asked(), WORD, AT, life)
    # A certificate is not longer good than its authority's.
    late = authority.certify(asked(), WORD, authority.roots[0].not_valid_after_utc - DAY)
    assert late.not_valid_after_utc == authority.roots[0].not_valid_after_utc


def test_revoked_certificates_are_listed_until_they_are_over(authority):
    first, second = authority.certify(asked(), WORD, AT), authority.certify(asked(Party("grid", "grid-sip")), WORD, AT)
    with pytest.raises(ChannelRefused, match="not for fun"):
        authority.revoke("bank-gusu", "fun", WORD, AT)
    authority.revoke("bank-gusu", "key_compromise", WORD, AT + DAY)
    (listed,) = x509_lists(authority.revoked_pem)
    assert listed.is_signature_valid(authority.roots[0].public_key())
    assert listed.next_update_utc == AT + 8 * DAY
    assert listed.get_revoked_certificate_by_serial_number(first.serial_number) is not None
    assert listed.get_revoked_certificate_by_serial_number(second.serial_number) is None
    with pytest.raises(ChannelRefused, match="no certificate of bank-gusu holds"):
        authority.revoke("bank-gusu", "key_compromise", WORD, AT + DAY)
    authority.list_anew(WORD, AT + 31 * DAY)
    assert len(x509_lists(authority.revoked_pem)[0]) == 0


def test_an_authority_is_followed_by_one_that_its_nodes_trust_then(authority, tmp_path):
    node = NodeKeys.create(tmp_path / "node", BANK, ["127.0.0.1"])
    old = authority.certify((node.folder / "request.pem").read_bytes(), WORD, AT)
    installed(node, old, authority, AT)
    authority.follow(WORD, AT + DAY)
    before, after = authority.roots[-1], authority.roots[0]
    assert pin_of(before.public_key()) != pin_of(after.public_key())
    made = authority.certify((node.folder / "request.pem").read_bytes(), WORD, AT + DAY)
    assert issued_by(made, after)
    installed(node, made, authority, AT + DAY)
    assert [root.subject for root in node.roots()] == [after.subject, before.subject]
    # What the one before it issued is still revoked by its own list.
    authority.revoke("bank-gusu", "superseded", WORD, AT + 2 * DAY)
    lists = {each.issuer: each for each in x509_lists(authority.revoked_pem)}
    assert lists[before.subject].get_revoked_certificate_by_serial_number(old.serial_number) is not None
    assert lists[after.subject].get_revoked_certificate_by_serial_number(made.serial_number) is not None
    node.take_trust(authority.trust_pem, authority.revoked_pem)
    # Nobody else follows it.
    other = NetworkAuthority.create(tmp_path / "other", "Suzhou", WORD, AT)
    with pytest.raises(ChannelRefused, match="neither trusted here nor certified"):
        node.take_trust(other.trust_pem, other.revoked_pem)
    # Once it is over, its list is no more needed, and nobody is certified by it.
    over = before.not_valid_after_utc
    authority.list_anew(WORD, over)
    node.take_trust(authority.trust_pem, authority.revoked_pem)
    assert len(node.roots()) == 1
    with pytest.raises(ChannelRefused, match="certificate is over"):
        authority.follow(WORD, after.not_valid_after_utc)


def installed(node, made, authority, at):
    pem = made.public_bytes(serialization.Encoding.PEM)
    return node.install(pem, authority.trust_pem, authority.revoked_pem, at)


def test_two_processes_do_not_lose_each_others_certificates(authority, tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(certified, [(tmp_path / "ca", number) for number in range(8)])
    assert {entry.name for entry in authority.issued()} == {f"bank-{number}" for number in range(8)}


def certified(given):
    folder, number = given
    NetworkAuthority(folder).certify(asked(Party("bank", f"bank-{number}")), WORD, AT)


def test_a_file_of_certificates_that_was_cut_is_not_taken_for_whole(authority, tmp_path):
    authority.certify(asked(), WORD, AT)
    path = tmp_path / "ca" / "issued.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ChannelRefused, match="not what an authority wrote"):
        authority.certify(asked(), WORD, AT)
    with pytest.raises(ChannelRefused, match="no authority lies"):
        NetworkAuthority(tmp_path / "nowhere")
