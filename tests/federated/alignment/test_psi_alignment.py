import numpy as np
import pytest
import rbcl
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.alignment import psi
from federated.alignment.session import AlignmentSession
from federated.errors import AlignmentFailed
from federated.nodes.store import NodeStore
from simulations.worlds.columns import load_schema

IDS = st.sets(st.text(min_size=1, max_size=12), max_size=12)


def intersect(bank_ids, grid_ids):
    bank_secret, grid_secret = psi.new_secret(), psi.new_secret()
    bank_order, grid_order = sorted(bank_ids), sorted(grid_ids, reverse=True)
    bank_doubled = psi.double_blind(grid_secret, psi.blind(bank_secret, elements(bank_order)))
    grid_doubled = psi.double_blind(bank_secret, psi.blind(grid_secret, elements(grid_order)))
    common = psi.common_tags(bank_doubled, grid_doubled)
    return psi.own_rows(bank_order, bank_doubled, common), psi.own_rows(grid_order, grid_doubled, common)


@settings(max_examples=60, deadline=None)
@given(IDS, IDS)
def test_both_sides_find_exactly_the_intersection_in_the_same_order(bank_ids, grid_ids):
    of_bank, of_grid = intersect(bank_ids, grid_ids)
    assert of_bank == of_grid
    assert set(of_bank) == bank_ids & grid_ids


def elements(ids):
    return [psi.element(each, b"s" * 64) for each in ids]


def named(ids):
    return dict(zip(ids, elements(ids), strict=True))


def test_the_same_id_under_another_signature_is_another_element():
    secret, other = psi.new_secret(), psi.new_secret()
    given = psi.double_blind(other, psi.blind(secret, elements(["TW-1"])))
    probed = psi.double_blind(secret, psi.blind(other, [psi.element("TW-1", b"t" * 64), b"TW-1"]))
    assert psi.common_tags(given, probed) == []
    # The border between id and signature is where it is: no two subjects share an element.
    assert psi.element("a", b"b" * 64) != psi.element("ab", b"b" * 63)


def test_many_batches_keep_their_order():
    secret, members = psi.new_secret(), [f"{i}".encode() for i in range(2 * psi.BATCH + 7)]
    assert psi.split(psi.blind(secret, members), 32)[-9:] == psi.split(psi.blind(secret, members[-9:]), 32)


def test_blinded_points_of_one_id_cannot_be_linked_between_runs():
    assert psi.blind(psi.new_secret(), [b"TW-00001"]) != psi.blind(psi.new_secret(), [b"TW-00001"])


@pytest.mark.parametrize(
    "message",
    [
        b"\x01" * 33,
        b"\xff" * 32,
        bytes(32),
        b"\x01" * 32,
        psi.hash_to_point(b"a") * 2,
        psi.hash_to_point(b"a") + bytes(32),
    ],
    ids=["ragged", "not canonical", "identity", "not on the curve", "twice", "identity after a good one"],
)
def test_malformed_points_are_refused(message):
    with pytest.raises(AlignmentFailed):
        psi.double_blind(psi.new_secret(), message)


def test_a_point_is_a_group_element():
    assert rbcl.crypto_core_ristretto255_is_valid_point(psi.hash_to_point("企业".encode()))


def test_tags_that_do_not_fit_what_was_sent_are_refused():
    tags = psi.double_blind(psi.new_secret(), psi.blind(psi.new_secret(), [b"a", b"b"]))
    assert len(tags) == 2 * psi.TAG_BYTES
    with pytest.raises(AlignmentFailed, match="none of the own ones"):
        psi.own_rows(["a", "b"], tags, [b"8 bytes!"])
    with pytest.raises(AlignmentFailed, match="2 tags came back for 1 points"):
        psi.own_rows(["a"], tags, [])
    with pytest.raises(AlignmentFailed, match="twice"):
        psi.common_tags(tags[:8] * 2, tags)


@pytest.fixture
def stores(tmp_path):
    schema = load_schema("generated-firms")
    made = []
    for org, role, names in (("bank-gusu", "bank", "abcd"), ("grid-sip", "grid", "bcxy")):
        columns = len(schema.party(role).columns)
        made.append(
            NodeStore.create(
                tmp_path / f"{org}.db",
                org_id=org,
                role=role,
                schema=schema,
                data_origin="generated",
                authority=b"a" * 32,
                subjects=list(names),
                values=np.arange(len(names) * columns, dtype=float).reshape(len(names), columns),
                labels=[0, 1, 0, 1] if role == "bank" else None,
            )
        )
    yield made
    for store in made:
        store.close()


def test_a_session_keeps_its_state_in_the_node_and_forgets_the_secret(stores):
    bank, grid = AlignmentSession(stores[0], "grid-sip"), AlignmentSession(stores[1], "bank-gusu")
    of_bank, of_grid = bank.blind(named("abcd")), grid.blind(named("bcxy"))
    grid_doubled, bank_doubled = bank.double(of_grid), grid.double(of_bank)
    assert bank.match(bank_doubled) == grid.match(grid_doubled)
    assert stores[0].alignment("grid-sip") == stores[1].alignment("bank-gusu")
    assert set(stores[0].alignment("grid-sip")) == {"b", "c"}
    assert stores[0].state("psi/grid-sip/secret") is None
    with pytest.raises(AlignmentFailed):
        bank.double(of_grid)


def test_a_peer_that_returns_other_tags_is_noticed_by_the_digest(stores):
    bank, grid = AlignmentSession(stores[0], "grid-sip"), AlignmentSession(stores[1], "bank-gusu")
    of_bank, of_grid = bank.blind(named("abcd")), grid.blind(named("bcxy"))
    grid_doubled, bank_doubled = bank.double(of_grid), grid.double(of_bank)
    forged = b"".join(bytes([k]) * 8 for k in range(4))
    assert len(forged) == len(grid_doubled)
    assert bank.match(bank_doubled)[1] != grid.match(forged)[1]


def test_forty_bytes_an_id_each_way():
    ids = [f"TW-{i:05d}".encode() for i in range(50)]
    points = psi.blind(psi.new_secret(), ids)
    assert len(points) + len(psi.double_blind(psi.new_secret(), points)) == 40 * len(ids)
