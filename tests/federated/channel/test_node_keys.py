"""A node's key and certificate: sealed at rest, taken from its network alone, renewed without a gap."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization

from federated.channel.authority import NetworkAuthority
from federated.channel.certificates import Party, pin_of
from federated.channel.node_keys import NodeKeys
from federated.channel.tls import server_context
from federated.errors import ChannelRefused

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WORD = "correct horse battery"
BANK = Party("bank", "bank-gusu")


@pytest.fixture
def authority(tmp_path):
    return NetworkAuthority.create(tmp_path / "ca", "Suzhou", WORD, AT)


@pytest.fixture
def node(tmp_path):
    return NodeKeys.create(tmp_path / "node", BANK, ["127.0.0.1"])


def certify(node, authority, at=AT, **more):
    made = authority.certify((node.folder / "request.pem").read_bytes(), WORD, at, **more)
    return made.public_bytes(serialization.Encoding.PEM)


def install(node, authority, at=AT, **more):
    return node.install(certify(node, authority, at, **more), authority.trust_pem, authority.revoked_pem, at)


def test_a_home_is_its_owners_and_a_copy_of_its_certificates_has_no_key(node, tmp_path, authority, monkeypatch):
    install(node, authority)
    assert [p for p in (tmp_path / "node").rglob("*") if p.stat().st_mode & 0o077] == []
    assert b"ENCRYPTED PRIVATE KEY" in (node.folder / "key.pem").read_bytes()
    shutil.copytree(node.folder, tmp_path / "copy" / "tls")
    with pytest.raises(ChannelRefused, match=r"bank-gusu\.tls, which the node's key is sealed by, is missing"):
        server_context(NodeKeys(tmp_path / "copy"))
    monkeypatch.setenv("TANXIN_NODE_PASSPHRASE", "guess")
    with pytest.raises(ChannelRefused, match="do not fit each other"):
        server_context(NodeKeys(tmp_path / "copy"))


def test_a_passphrase_seals_the_key_where_there_is_one(tmp_path, authority, monkeypatch):
    monkeypatch.setenv("TANXIN_NODE_PASSPHRASE", "of the bank")
    node = NodeKeys.create(tmp_path / "node", BANK, ["127.0.0.1"])
    install(node, authority)
    assert not (tmp_path / "node" / "node-keys").exists()
    server_context(node)
    monkeypatch.delenv("TANXIN_NODE_PASSPHRASE")
    with pytest.raises(ChannelRefused, match="is missing"):
        server_context(node)


def test_a_key_is_made_once(node, tmp_path):
    with pytest.raises(ChannelRefused, match="has a key already"):
        NodeKeys.create(tmp_path / "node", BANK, ["127.0.0.1"])
    with pytest.raises(ChannelRefused, match="no key of a node"):
        NodeKeys(tmp_path / "nobody").renew(new_key=False)
    with pytest.raises(ChannelRefused, match="no certificate yet"):
        server_context(node)


def test_a_kill_between_key_and_request_is_begun_again(tmp_path):
    made = NodeKeys.create(tmp_path / "node", BANK, ["127.0.0.1"])
    before = (made.folder / "key.pem").read_bytes()
    (made.folder / "request.pem").unlink()
    again = NodeKeys.create(tmp_path / "node", BANK, ["127.0.0.1"])
    assert (again.folder / "key.pem").read_bytes() != before
    assert (again.folder / "request.pem").exists()


def test_certificates_of_others_are_not_installed(node, authority, tmp_path):
    other = NodeKeys.create(tmp_path / "grid", Party("grid", "grid-sip"), ["127.0.0.1"])
    trust = authority.trust_pem, authority.revoked_pem
    with pytest.raises(ChannelRefused, match="names grid-sip, not bank-gusu"):
        node.install(certify(other, authority), *trust, AT)
    twin = NodeKeys.create(tmp_path / "twin", BANK, ["127.0.0.1"])
    with pytest.raises(ChannelRefused, match="of another key than this node's"):
        node.install(certify(twin, authority), *trust, AT)
    stranger = NetworkAuthority.create(tmp_path / "stranger", "Suzhou", WORD, AT)
    with pytest.raises(ChannelRefused, match="no root that is trusted here issued"):
        node.install(certify(node, stranger), *trust, AT)
    with pytest.raises(ChannelRefused, match="is over"):
        node.install(certify(node, authority, new_key=True), *trust, AT + 31 * DAY)
    with pytest.raises(ChannelRefused, match="no list of revoked"):
        node.install(certify(node, authority, AT, new_key=True), authority.trust_pem, stranger.revoked_pem, AT)
    for rubbish in (b"", b"-----BEGIN CERTIFICATE-----\nx"):
        with pytest.raises(ChannelRefused):
            node.install(rubbish, *trust, AT)
    assert not (node.folder / "certificate.pem").exists()


def test_an_older_list_of_revoked_certificates_is_not_taken_back(node, authority):
    install(node, authority)
    before = authority.revoked_pem
    authority.list_anew(WORD, AT + DAY)
    node.take_trust(authority.trust_pem, authority.revoked_pem)
    with pytest.raises(ChannelRefused, match="older than the one"):
        node.take_trust(authority.trust_pem, before)


def test_a_new_key_is_used_once_its_certificate_is_there(node, authority):
    install(node, authority)
    first = node.standing(AT).pin
    node.renew(new_key=True)
    assert node.standing(AT).pin == first
    server_context(node)
    standing = install(node, authority, AT + DAY, new_key=True)
    assert standing.pin != first
    assert not (node.folder / "next-key.pem").exists()
    server_context(node)
    node.renew(new_key=False)
    assert install(node, authority, AT + 2 * DAY).pin == standing.pin


def test_people_are_warned_before_a_certificate_or_a_list_ends(node, authority):
    install(node, authority)
    assert not node.standing(AT + 5 * DAY).ends_soon
    assert node.standing(AT + 6 * DAY + timedelta(hours=1)).ends_soon
    assert node.standing(AT + 7 * DAY).ended
    authority.list_anew(WORD, AT + 19 * DAY)
    node.take_trust(authority.trust_pem, authority.revoked_pem)
    assert not node.standing(AT + 19 * DAY).ends_soon
    assert node.standing(AT + 20 * DAY + timedelta(hours=1)).ends_soon
    assert node.standing(AT + 30 * DAY).ended


def test_peers_are_known_by_keys(node, authority, tmp_path):
    grid = NodeKeys.create(tmp_path / "grid", Party("grid", "grid-sip"), ["127.0.0.1"])
    assert node.pins() == {}
    assert node.pin(certify(grid, authority)) == Party("grid", "grid-sip")
    grid.renew(new_key=True)
    node.pin(certify(grid, authority, new_key=True))
    assert len(node.pins()["grid-sip"]) == 2
    node.unpin("grid-sip")
    assert node.pins() == {}
    with pytest.raises(ChannelRefused, match="grid-sip is not known here"):
        node.unpin("grid-sip")
    (node.folder / "peers.json").write_text("[1")
    with pytest.raises(ChannelRefused, match=r"peers.json cannot be read"):
        node.pins()
    assert pin_of(authority.roots[0].public_key())
