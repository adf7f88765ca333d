"""A network's authority and two nodes from the command line, as people of three organisations would set them up."""

import json

import pytest
from typer.testing import CliRunner

from credit_api.cli.main import app

WORD = {"TANXIN_AUTHORITY_PASSPHRASE": "correct horse battery"}


@pytest.fixture
def tanxin(tmp_path):
    def run(*words, code=0, given=None):
        done = CliRunner().invoke(app, [str(word) for word in words], env=WORD, input=given)
        assert done.exit_code == code, done.output
        return done

    return run


@pytest.fixture
def ca(tanxin, tmp_path):
    tanxin("network", "ca", "init", "--folder", tmp_path / "ca", "--network", "Suzhou")
    return tmp_path / "ca"


def begun(tanxin, home, kind, name):
    told = tanxin("node", "init", "--home", home, "--kind", kind, "--name", name, "--address", "127.0.0.1").stdout
    return told.split("the key: ")[1].strip()


def certified(tanxin, ca, home, *more):
    request, out = home / "tls" / "request.pem", home / "certificate.pem"
    tanxin("network", "ca", "certify", "--folder", ca, "--request", request, "--out", out, *more)
    trust = ("--trust", ca / "trust.pem", "--revoked", ca / "revoked.pem")
    return tanxin("node", "install", "--home", home, "--certificate", out, *trust)


def test_a_network_of_two_nodes_is_set_up_renewed_and_one_is_put_out(tanxin, ca, tmp_path):
    bank, grid = tmp_path / "bank", tmp_path / "grid"
    keys = {home: begun(tanxin, home, *of) for home, of in ((bank, ("bank", "bank-a")), (grid, ("grid", "grid-x")))}
    for home, key in keys.items():
        assert "until 20" in certified(tanxin, ca, home, "--pin", key.upper()).stdout
    assert (
        "grid grid-x is known"
        in tanxin("node", "pin", "--home", bank, "--certificate", grid / "certificate.pem").stdout
    )
    told = json.loads(tanxin("node", "certificate", "--home", bank, "--json").stdout)
    assert (told["pin"], told["peers"]) == (keys[bank], {"grid-x": [keys[grid]]})
    shown = tanxin("network", "ca", "show", "--folder", ca).stdout
    assert "bank bank-a at 127.0.0.1: until" in shown
    # A certificate with a new key is one that is meant to be.
    tanxin("node", "renew", "--home", grid, "--new-key")
    request = grid / "tls" / "request.pem"
    words = ("network", "ca", "certify", "--folder", ca, "--request", request, "--out", grid / "next.pem")
    assert "certified for another key until" in tanxin(*words, code=2, given="y\n").stderr
    certified(tanxin, ca, grid, "--new-key", "--pin", json_pin(tanxin, ca, grid))
    tanxin("node", "unpin", "--home", bank, "--name", "grid-x")
    assert "grid-x is not known here" in tanxin("node", "unpin", "--home", bank, "--name", "grid-x", code=2).stderr
    # Who is put out is on the list that others take.
    assert "bank-a: 1 revoked" in tanxin("network", "ca", "revoke", "--folder", ca, "--name", "bank-a").stdout
    trust = ("--trust", ca / "trust.pem", "--revoked", ca / "revoked.pem")
    tanxin("node", "trust", "--home", grid, *trust)
    tanxin("network", "ca", "follow", "--folder", ca)
    tanxin("network", "ca", "lists", "--folder", ca)
    assert "list of revoked until" in tanxin("node", "trust", "--home", grid, *trust).stdout
    every = json.loads(tanxin("network", "ca", "show", "--folder", ca, "--json").stdout)
    assert [(each["name"], bool(each["revoked"])) for each in every] == [
        ("bank-a", True), ("grid-x", False), ("grid-x", False),
    ]  # fmt: skip


def json_pin(tanxin, ca, home):
    """What the node's people read off their own request."""
    told = tanxin("node", "renew", "--home", home, "--new-key").stdout
    return told.split("the key: ")[1].strip()


def test_a_request_that_was_exchanged_on_the_way_is_not_certified(tanxin, ca, tmp_path):
    key = begun(tanxin, tmp_path / "bank", "bank", "bank-a")
    begun(tanxin, tmp_path / "thief", "bank", "bank-a")
    request = tmp_path / "thief" / "tls" / "request.pem"
    words = ("network", "ca", "certify", "--folder", ca, "--request", request, "--out", tmp_path / "out.pem")
    assert "is of the key" in tanxin(*words, "--pin", key, code=2).stderr
    # Without the key that people told each other somebody is asked, and may say no.
    assert "for the key" in tanxin(*words, code=1, given="n\n").output
    assert not (tmp_path / "out.pem").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("network", "ca", "show", "--folder", "nowhere"), "no authority lies in nowhere"),
        (("network", "ca", "revoke", "--folder", "{ca}", "--name", "x", "--reason", "fun"), "not for fun"),
        (("node", "init", "--home", "h", "--kind", "x", "--name", "a", "--address", "127.0.0.1"), "a party is one of"),
        (("node", "init", "--home", "h", "--kind", "bank", "--name", "A", "--address", "127.0.0.1"), "small letters"),
        (("node", "init", "--home", "h", "--kind", "bank", "--name", "a", "--address", "no host"), "no host name"),
        (("node", "certificate", "--home", "h"), "no certificate yet"),
        (("node", "renew", "--home", "h"), "begin with `tanxin node init`"),
        (("node", "pin", "--home", "h", "--certificate", "none.pem"), "none.pem cannot be read"),
    ],
)
def test_mistakes_are_named_and_leave_nothing(tanxin, ca, tmp_path, monkeypatch, words, why):
    monkeypatch.chdir(tmp_path)
    assert why in tanxin(*(word.format(ca=ca) for word in words), code=2).stderr
    assert not (tmp_path / "h" / "tls" / "key.pem").exists()
