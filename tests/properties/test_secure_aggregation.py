"""The masked sum is the plain sum for any pattern of dropouts above the threshold; below it nothing is unmasked."""

import secrets
from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from soak import sized

from federated.errors import AggregationFailed
from federated.privacy.secure_aggregation.graph import committed, neighbours, seed_of
from federated.privacy.secure_aggregation.messages import Plan
from federated.privacy.secure_aggregation.operator import Operator
from federated.privacy.secure_aggregation.party import Party
from federated.privacy.secure_aggregation.ring import decoded, encoded, stream
from federated.privacy.secure_aggregation.sharing import PRIME, joined, split

KEYS = {f"bank-{i}": Ed25519PrivateKey.generate() for i in range(24)}
PUBLIC = {name: key.public_key() for name, key in KEYS.items()}


def world(count, degree, threshold, length=9):
    plan = Plan(secrets.token_bytes(16), degree, threshold, length, 24)
    names = list(KEYS)[:count]
    return Operator(plan), {name: Party(name, KEYS[name], PUBLIC, plan) for name in names}


def played(operator, parties, vectors, drops):
    """A whole round. `drops[name]` is the first step (1–5) that a party no longer answers."""

    def there(step):
        return [name for name in parties if drops.get(name, 9) > step]

    ads = operator.advertised({name: parties[name].advertise() for name in there(1)})
    nonces = operator.revealed({name: parties[name].reveal(ads) for name in ads}) if operator.sparse else {}
    inboxes = operator.shared({name: parties[name].share(ads, nonces) for name in there(2)})
    survivors = operator.masked({name: parties[name].mask(vectors[name], inboxes[name]) for name in there(3)})
    signatures = {name: parties[name].confirm(survivors) for name in there(4)}
    released = {name: parties[name].unmask(signatures) for name in there(5)}
    return operator.unmasked(released), survivors


@settings(max_examples=sized(25, 400), deadline=None)
@given(st.integers(2, 9), st.dictionaries(st.integers(0, 8), st.integers(1, 5), max_size=6), st.integers(0, 2**32 - 1))
def test_the_masked_sum_is_the_plain_sum_or_the_round_fails(count, dropping, seed):
    degree = count - 1
    threshold = (count + 1) // 2 + 1
    operator, parties = world(count, degree, threshold)
    rng = np.random.default_rng(seed)
    vectors = {name: rng.normal(scale=1e3, size=9) for name in parties}
    drops = {f"bank-{i}": step for i, step in dropping.items() if i < count}
    try:
        total, survivors = played(operator, parties, vectors, drops)
    except AggregationFailed:
        # Too few were there to the end, or so many had left at once that the agreed threshold no longer fits.
        left = sum(drops.get(name, 9) > 5 for name in parties)
        gone = sum(step <= 3 for step in drops.values())
        assert left < threshold or (gone and left - 1 < threshold)
        return
    expected = sum(vectors[name] for name in survivors)
    assert survivors == {name for name in parties if drops.get(name, 9) > 3}
    assert np.abs(total - expected).max() <= len(survivors) * 2.0**-25


def test_a_sparse_graph_of_many_parties_survives_dropouts():
    operator, parties = world(24, 6, 5, length=500)
    vectors = {name: np.random.default_rng(i).normal(size=500) for i, name in enumerate(parties)}
    total, survivors = played(operator, parties, vectors, {"bank-3": 3, "bank-17": 3})
    assert len(survivors) == 22
    assert np.abs(total - sum(vectors[name] for name in survivors)).max() <= 22 * 2.0**-25


def test_a_masked_vector_looks_like_noise_and_changes_with_every_round():
    seen = []
    for _ in range(2):
        operator, parties = world(5, 4, 4, length=2_000)
        ads = operator.advertised({name: party.advertise() for name, party in parties.items()})
        inboxes = operator.shared({name: party.share(ads) for name, party in parties.items()})
        seen.append(parties["bank-0"].mask(np.zeros(2_000), inboxes["bank-0"]).values)
    high = [np.bincount((values >> np.uint64(61)).astype(int), minlength=8) for values in seen]
    for counts in high:
        # Chi-squared with 7 degrees of freedom: 26 is beyond its 99.95 % quantile.
        assert ((counts - 250.0) ** 2 / 250.0).sum() < 26
    assert not np.any(seen[0] == seen[1])


def half_way(count=5):
    operator, parties = world(count, count - 1, 4)
    ads = operator.advertised({name: party.advertise() for name, party in parties.items()})
    sent = {name: party.share(ads) for name, party in parties.items()}
    return operator, parties, ads, sent


def test_keys_that_the_operator_swapped_are_found_out():
    _, parties = world(5, 4, 4)
    ads = {name: party.advertise() for name, party in parties.items()}
    swapped = ads | {"bank-1": replace(ads["bank-1"], mask_key=ads["bank-2"].mask_key)}
    with pytest.raises(AggregationFailed, match="bank-1 is said to have signed"):
        parties["bank-0"].share(swapped)
    _, parties = world(5, 4, 4)
    old = {name: party.advertise() for name, party in parties.items()}
    _, fresh = world(5, 4, 4)
    replayed = {name: party.advertise() for name, party in fresh.items()} | {"bank-3": old["bank-3"]}
    with pytest.raises(AggregationFailed, match="bank-3"):
        fresh["bank-0"].share(replayed)


def test_shares_that_were_changed_are_found_out():
    _, parties, _, sent = half_way()
    spoilt = {other: sent[other]["bank-0"] for other in parties if other != "bank-0"}
    spoilt["bank-2"] = spoilt["bank-2"][:-1] + bytes([spoilt["bank-2"][-1] ^ 1])
    with pytest.raises(AggregationFailed, match="shares of bank-2 are of another round or changed"):
        parties["bank-0"].mask(np.zeros(9), spoilt)


def test_two_lists_of_survivors_unmask_nothing():
    operator, parties, _, sent = half_way()
    inboxes = operator.shared(sent)
    everyone = operator.masked({name: parties[name].mask(np.ones(9), inboxes[name]) for name in parties})
    without = everyone - {"bank-4"}
    lists = dict.fromkeys(["bank-0", "bank-1"], everyone) | dict.fromkeys(["bank-2", "bank-3"], without)
    signatures = {name: parties[name].confirm(survivors) for name, survivors in lists.items()}
    for name in lists:
        with pytest.raises(AggregationFailed):
            parties[name].unmask(signatures)


def test_a_party_releases_once_and_never_both_shares():
    operator, parties, _, sent = half_way()
    inboxes = operator.shared(sent)
    alive = [name for name in parties if name != "bank-4"]
    survivors = operator.masked({name: parties[name].mask(np.ones(9), inboxes[name]) for name in alive})
    signatures = {name: parties[name].confirm(survivors) for name in alive}
    released = parties["bank-0"].unmask(signatures)
    assert set(released.streams) == {"bank-0", "bank-1", "bank-2", "bank-3"}
    assert set(released.keys) == {"bank-4"}
    with pytest.raises(AggregationFailed, match="unmask came when done was due"):
        parties["bank-0"].unmask(signatures)


def test_steps_out_of_order_and_numbers_that_do_not_fit_are_refused():
    _, parties, _, sent = half_way()
    with pytest.raises(AggregationFailed, match="confirm came when mask was due"):
        parties["bank-0"].confirm(frozenset(parties))
    inbox = {other: sent[other]["bank-0"] for other in parties if other != "bank-0"}
    for bad in (np.full(9, np.nan), np.full(9, 1e12)):
        with pytest.raises(AggregationFailed, match="cannot be summed"):
            encoded(bad, 5)
    with pytest.raises(AggregationFailed, match="were agreed"):
        parties["bank-0"].mask(np.zeros(8), inbox)


def test_too_few_parties_are_refused_before_anything_is_masked():
    operator, parties = world(5, 4, 4)
    ads = operator.advertised({name: parties[name].advertise() for name in list(parties)[:2]})
    with pytest.raises(AggregationFailed, match="2 shares do not fit a threshold of 4"):
        parties["bank-0"].share(ads)


@given(st.binary(min_size=16, max_size=16), st.integers(1, 12), st.data())
@settings(max_examples=sized(25, 400), deadline=None)
def test_any_threshold_of_shares_gives_the_seed_back(seed, places, data):
    threshold = data.draw(st.integers(1, places))
    shares = dict(enumerate(split(seed, places, threshold), start=1))
    chosen = data.draw(st.permutations(sorted(shares)))[:threshold]
    assert joined({place: shares[place] for place in chosen}, threshold) == seed
    with pytest.raises(AggregationFailed):
        joined({place: shares[place] for place in chosen[1:]}, threshold)


def test_vectors():
    # f(x) = 1234 + 166 x + 94 x^2, the textbook polynomial (Shamir's secret sharing, Wikipedia), here modulo 2^130 - 5.
    shares = {x: (1234 + 166 * x + 94 * x * x).to_bytes(17, "big") for x in (2, 4, 5)}
    assert int.from_bytes(joined(shares, 3), "big") == 1234
    assert (1 << 130) - PRIME == 5
    # AES-256-CTR with a zero key and counter: the first block is AES-256 of zeros (NIST CAVP, ECB VarTxt family).
    assert stream(bytes(32), 2).astype("<u8").tobytes().hex() == "dc95c078a2408989ad48a21492842087"
    assert decoded(encoded(np.array([-1.5, 0.0, 2.0**-24]), 2)).tolist() == [-1.5, 0.0, 2.0**-24]


def test_the_graph_is_symmetric_connected_and_the_same_for_everybody():
    names = [f"n{i}" for i in range(30)]
    graph = neighbours(reversed(names), 6, b"round")
    assert graph == neighbours(names, 6, b"round")
    assert graph != neighbours(names, 6, b"other")
    assert all(len(set(near)) == 6 and name not in near for name, near in graph.items())
    assert all(name in graph[other] for name, near in graph.items() for other in near)
    reached, edge = {names[0]}, {names[0]}
    while edge:
        edge = {other for name in edge for other in graph[name]} - reached
        reached |= edge
    assert reached == set(names)


def test_the_graph_hangs_on_every_nonce_and_on_a_list_that_nobody_changes_once_one_is_shown():
    nonces = {f"bank-{i}": bytes([i]) * 32 for i in range(5)}
    commitments = {name: committed(b"id", name, nonce) for name, nonce in nonces.items()}
    drawn = seed_of(b"roster", b"id", commitments, nonces, 2)
    for name in nonces:
        # The same roster, so that only the nonce can tell: whoever commits last cannot compute the seed.
        other = nonces | {name: bytes(31) + b"x"}
        assert seed_of(b"roster", b"id", commitments | {name: committed(b"id", name, other[name])}, other, 2) != drawn
        with pytest.raises(AggregationFailed, match=f"{name} did not show the nonce"):
            seed_of(b"roster", b"id", commitments, other, 2)
    _, parties = world(5, 2, 3)
    ads = {name: party.advertise() for name, party in parties.items()}
    shown = {name: party.reveal(ads) for name, party in parties.items()}
    with pytest.raises(AggregationFailed, match="the list of keys changed after the own nonce was shown"):
        parties["bank-0"].share({name: ads[name] for name in list(ads)[:4]}, shown)
    _, parties = world(5, 2, 3)
    ads = {name: party.advertise() for name, party in parties.items()}
    with pytest.raises(AggregationFailed, match="nobody are not known here"):
        parties["bank-1"].reveal(ads | {"nobody": ads["bank-1"]})
