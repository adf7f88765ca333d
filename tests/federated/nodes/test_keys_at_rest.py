"""What somebody gains who has a copy of a node's store: no key of the node. And what a node needs to have its own."""

import os
import shutil
import signal
import sqlite3
from contextlib import closing, suppress

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federated.alignment import psi
from federated.alignment.session import AlignmentSession
from federated.errors import NodeUnavailable
from federated.nodes import keys, statements
from federated.nodes.grid import GridNode
from federated.nodes.identity import signing_key
from federated.nodes.keys import MASK, PASSPHRASE, SEALED_BY, SIGNING, TO_SCRUB, kept_key, key_file
from federated.nodes.masks import new_secret
from federated.nodes.store import NodeStore
from federated.serving import Network
from simulations.worlds.columns import load_schema

GRID, BANK = "grid-sip", "bank-gusu"
OLD = {
    SIGNING: Ed25519PrivateKey.generate().private_bytes_raw(),
    MASK: new_secret(),
    "psi/bank-gusu/secret": psi.new_secret(),
}


@pytest.fixture(autouse=True)
def no_passphrase(monkeypatch):
    monkeypatch.delenv(PASSPHRASE, raising=False)


@pytest.fixture
def quick(monkeypatch):
    """A cheaper derivation, for tests of what is done with its outcome."""
    monkeypatch.setattr(keys, "SCRYPT_N", 1 << 4)
    keys._scrypt.cache_clear()
    yield
    keys._scrypt.cache_clear()


@pytest.fixture
def store(tmp_path):
    """A grid company's new store, in a folder of stores."""
    schema = load_schema("generated-firms")
    opened = NodeStore.create(
        tmp_path / "home" / "nodes" / f"{GRID}.db",
        org_id=GRID,
        role="grid",
        schema=schema,
        data_origin="generated",
        authority=b"a" * 32,
        subjects=list("bcxy"),
        values=np.zeros((4, len(schema.grid.columns))),
    )
    yield opened
    opened.close()


@pytest.fixture
def before(store):
    """The store as an earlier version left it: keys in clear, one of them forgotten and in a free page only."""
    store._db.execute("PRAGMA secure_delete = OFF")  # some builds of SQLite have it on, others not
    many = [f"filler {i}" for i in range(50)]
    store.put_state(dict.fromkeys(many, b"f" * 900) | {"psi/bank-jinji/secret": b"forgotten key!" * 3})
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.drop_state([*many, "psi/bank-jinji/secret"])
    store.put_state(OLD)
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert lying_in(store, *OLD.values(), b"forgotten key!") == [*OLD.values(), b"forgotten key!"]
    return store


def lying_in(store, *secrets):
    """Those of some secrets that lie in clear in the folder of stores, `-wal` and `-shm` too."""
    files = [path.read_bytes() for path in sorted(store.path.parent.iterdir())]
    assert files
    return [secret for secret in secrets if any(secret in content for content in files)]


def in_store(store):
    return {name: store.state(name) for name in (*OLD, SEALED_BY)}


def again(store):
    return NodeStore(store.path)


def refused(store, why):
    """None of a store's keys is told, and nothing in it or beside it is changed."""
    found = in_store(store)
    beside = {path: path.read_bytes() for path in key_file(store).parent.glob("*")}
    for ask in (lambda: signing_key(store), GridNode(store).public_key, lambda: keys.put_key(store, MASK, b"x" * 32)):
        with pytest.raises(NodeUnavailable, match=why):
            ask()
    assert in_store(store) == found
    assert {path: path.read_bytes() for path in key_file(store).parent.glob("*")} == beside


# the attack


def test_a_copy_of_the_stores_holds_no_key_in_clear(store):
    secrets = (signing_key(store).private_bytes_raw(), GridNode(store)._secret())
    assert lying_in(store, *secrets) == []
    store.close()
    assert lying_in(store, *secrets) == []


def test_whoever_has_copied_the_stores_can_neither_sign_nor_unmask(home, network, tmp_path):
    node = network.grid_node(GRID)
    shutil.copytree(home / "nodes", tmp_path / "thief" / "nodes")
    copied = NodeStore(tmp_path / "thief" / "nodes" / f"{GRID}.db")
    taken = []
    for steal in (lambda: GridNode(copied).mask_key(BANK), lambda: signing_key(copied).private_bytes_raw()):
        with suppress(NodeUnavailable):
            taken.append(steal())
    copied.close()
    assert node.mask_key(BANK)
    assert taken == []


def test_the_secret_of_an_alignment_that_is_under_way_lies_sealed_too(store, monkeypatch):
    secret = psi.new_secret()
    monkeypatch.setattr(psi, "new_secret", lambda: secret)
    session = AlignmentSession(store, BANK)
    session.blind({"b": psi.element("b", b"b" * 64)})
    assert lying_in(store, secret) == []
    assert kept_key(store, f"psi/{BANK}/secret") == secret
    session._forget()
    assert store.state(f"psi/{BANK}/secret") is None


# where the sealing key lies


def test_the_key_file_lies_beside_the_folder_of_stores_for_its_owner_only(store, tmp_path):
    signing_key(store)
    path = tmp_path / "home" / "node-keys" / f"{GRID}.key"
    assert key_file(store) == path
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() not in store.path.read_bytes()


def test_a_home_that_is_copied_whole_has_the_same_keys(store, tmp_path):
    signed, mask = signing_key(store).private_bytes_raw(), GridNode(store).public_key()
    shutil.copytree(tmp_path / "home", tmp_path / "copy")
    with closing(NodeStore(tmp_path / "copy" / "nodes" / f"{GRID}.db")) as copied:
        assert (signing_key(copied).private_bytes_raw(), GridNode(copied).public_key()) == (signed, mask)


def test_a_missing_key_file_is_said_and_no_other_is_made(store):
    signing_key(store)
    key_file(store).unlink()
    refused(store, "node-keys/grid-sip.key, which they are sealed by, is missing")
    assert not key_file(store).exists()


@pytest.mark.parametrize("content", [b"x" * 32, b"short"])
def test_another_key_file_opens_nothing(store, content):
    signing_key(store)
    key_file(store).write_bytes(content)
    refused(store, r"node-keys/grid-sip.key (is not the key|holds no key)")


def test_a_key_file_that_is_there_is_used_and_not_written_over(store):
    key_file(store).parent.mkdir()
    key_file(store).write_bytes(b"short")
    refused(store, "holds no key")
    key_file(store).write_bytes(b"k" * 32)
    signing_key(store)
    assert key_file(store).read_bytes() == b"k" * 32


def test_of_two_who_make_a_key_at_once_both_have_the_first(store):
    first, second = new_secret(), new_secret()
    assert keys.first_key(store, MASK, lambda: keys.first_key(store, MASK, lambda: first) and second) == first


def test_a_node_that_cannot_open_its_keys_is_down_and_others_go_on(home):
    (home / "node-keys" / f"{GRID}.key").unlink()
    opened = Network.open(home)
    assert opened.broken_ids == (GRID,)
    opened.close()


def test_a_network_none_of_whose_banks_can_open_its_keys_says_why(home):
    shutil.rmtree(home / "node-keys")
    with pytest.raises(
        NodeUnavailable, match="no bank's node can be opened: bank-gusu cannot open its keys: node-keys/"
    ):
        Network.open(home)


# a passphrase


def test_with_a_passphrase_there_is_no_key_file_and_a_copy_of_the_home_opens_nothing(store, monkeypatch, tmp_path):
    monkeypatch.setenv(PASSPHRASE, "冬至 2026")
    signed = signing_key(store).private_bytes_raw()
    assert not key_file(store).parent.exists()
    assert lying_in(store, signed) == []
    assert signing_key(again(store)).private_bytes_raw() == signed
    monkeypatch.setenv(PASSPHRASE, "冬至 2027")
    refused(store, "the passphrase in TANXIN_NODE_PASSPHRASE is not the one")
    for unset in (lambda: monkeypatch.setenv(PASSPHRASE, ""), lambda: monkeypatch.delenv(PASSPHRASE)):
        unset()
        refused(store, "TANXIN_NODE_PASSPHRASE is not set")
    assert not key_file(store).parent.exists()


def test_keys_move_under_a_passphrase_together_once_there_is_one(store, monkeypatch, quick):
    signed, mask = signing_key(store).private_bytes_raw(), GridNode(store).public_key()
    by_file = (store.state(SIGNING), store.state(MASK))
    monkeypatch.setenv(PASSPHRASE, "one")
    assert signing_key(store).private_bytes_raw() == signed
    key_file(store).unlink()
    assert lying_in(store, *by_file) == []
    assert GridNode(again(store)).public_key() == mask
    monkeypatch.setenv(PASSPHRASE, "another")
    refused(store, "is not the one")


def test_keys_do_not_move_under_a_passphrase_without_the_file_that_opens_them(store, monkeypatch, quick):
    signing_key(store)
    key_file(store).unlink()
    monkeypatch.setenv(PASSPHRASE, "one")
    refused(store, "is missing")


def test_two_stores_with_one_passphrase_have_two_sealing_keys(store, monkeypatch, quick, tmp_path):
    monkeypatch.setenv(PASSPHRASE, "one")
    shutil.copytree(tmp_path / "home", tmp_path / "other")
    with closing(NodeStore(tmp_path / "other" / "nodes" / f"{GRID}.db")) as other:
        for each in (store, other):
            signing_key(each)
        sealing = [keys._sealing_key(each, each.state(SEALED_BY)) for each in (store, other)]
    assert sealing[0] != sealing[1]


def test_a_guess_of_a_passphrase_costs_what_owasp_recommends():
    assert (keys.SCRYPT_N, keys.SCRYPT_R, keys.SCRYPT_P) == (2**17, 8, 1)


def test_no_key_is_derived_or_read_for_a_query(store, monkeypatch):
    node = GridNode(store)
    node.pin_peer(BANK, keys.first_key(store, MASK, new_secret))
    first = node.mask_key(BANK)
    monkeypatch.setattr(keys, "_sealing_key", None)
    key_file(store).unlink()
    assert node.mask_key(BANK) == first


# a store of before


def test_a_store_of_before_has_its_keys_sealed_at_first_use_and_nothing_left_in_clear(before):
    assert signing_key(before).private_bytes_raw() == OLD[SIGNING]
    assert lying_in(before, *OLD.values(), b"forgotten key!") == []
    assert {name: kept_key(before, name) for name in OLD} == OLD
    assert before.state(TO_SCRUB) is None
    assert before.subject_ids() == frozenset("bcxy")


@pytest.mark.parametrize("step", ["after the key file", "before the pages are cleared"])
def test_a_kill_while_a_store_of_before_is_sealed_loses_no_key(before, step):
    child = os.fork()
    if child == 0:
        die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # noqa: E731
        with closing(NodeStore(before.path)) as opened:
            if step == "after the key file":
                keys._sealed = die
            else:
                opened.scrub = die
            signing_key(opened)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert key_file(before).is_file()
    assert (before.state(SEALED_BY) is None) == (step == "after the key file")
    assert {name: kept_key(before, name) for name in OLD} == OLD
    assert lying_in(before, *OLD.values(), b"forgotten key!") == []


def test_pages_that_somebody_still_reads_are_cleared_later(before):
    with closing(sqlite3.connect(before.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM state").fetchall()
        before._db.execute("PRAGMA busy_timeout = 10")
        assert signing_key(before).private_bytes_raw() == OLD[SIGNING]
        assert before.state(TO_SCRUB) is not None
        assert lying_in(before, OLD[SIGNING]) == [OLD[SIGNING]]
    signing_key(before)
    assert lying_in(before, *OLD.values(), b"forgotten key!") == []


def test_a_key_is_made_inside_a_transaction_that_is_open(before):
    with before.consents(write=True):
        assert signing_key(before).private_bytes_raw() == OLD[SIGNING]
    assert signing_key(before).private_bytes_raw() == OLD[SIGNING]
    assert lying_in(before, *OLD.values()) == []


# a store that somebody wrote into


def test_a_key_in_clear_among_sealed_ones_is_refused(store):
    signing_key(store)
    GridNode(store).public_key()
    store.put_state({SIGNING: OLD[SIGNING], MASK: OLD[MASK]})
    for ask in (lambda: signing_key(store), GridNode(store).public_key):
        with pytest.raises(NodeUnavailable, match="is not sealed, as its other keys are"):
            ask()


def test_sealed_keys_that_nothing_names_the_sealing_of_are_left_as_they_are(store):
    signing_key(store)
    store.drop_state([SEALED_BY])
    refused(store, "does not say any more what its keys are sealed by")


def test_a_sealed_key_opens_at_its_own_node_and_under_its_own_name_only(store, tmp_path):
    signing_key(store)
    GridNode(store).public_key()
    store.put_state({MASK: store.state(SIGNING)})
    with pytest.raises(NodeUnavailable, match="its mask key is not what was sealed there"):
        GridNode(store).public_key()
    store.put_state({SIGNING: store.state(SIGNING)[:-1]})
    with pytest.raises(NodeUnavailable, match="its signing_key is not what was sealed there"):
        signing_key(store)
    with sqlite3.connect(store.path) as db:
        db.execute("UPDATE meta SET value = 'grid-gaoxin' WHERE key = 'org_id'")
    db.close()
    with closing(again(store)) as renamed:
        shutil.copy(key_file(store), key_file(renamed))
        with pytest.raises(NodeUnavailable, match="is not the key"):
            signing_key(renamed)


def test_the_key_of_statements_is_sealed_anew_with_the_others(store, quick, monkeypatch):
    public = statements.public_key(store)
    monkeypatch.setenv(PASSPHRASE, "correct horse battery staple")
    assert statements.public_key(store) == public
