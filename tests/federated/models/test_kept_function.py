"""A function of banks' columns of which a version has columns and a commitment, and banks the weights."""

from dataclasses import replace

import numpy as np
import pytest
from hidden_world import basis_of, reference_and_bands, weights_of

from federated.errors import ModelCorrupt, NodeUnavailable
from federated.governance.weights import ScoringModel
from federated.models.served.kept import SALT_BYTES, KeptFunction
from federated.models.served.scorer import PartyScorer
from federated.models.served.tables import tabulated
from federated.nodes.bank import BankNode
from federated.nodes.store import NodeStore


@pytest.fixture(scope="module")
def made():
    """A function, what banks keep of it, the same in the clear, and raw values, some of them missing."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(300, 6))
    values[rng.random(values.shape) < 0.05] = np.nan
    basis = basis_of(values, 5)
    gamma, (_, bands) = weights_of(basis, 5), reference_and_bands(values)
    function, kept = KeptFunction.of(basis, gamma, bands, ("bank-b", "bank-a"))
    tables = tabulated([(1.0, each) for each in basis.functions(gamma)], basis.binning, basis.encoder.reference)
    return function, kept, PartyScorer(tables, bands), values


def test_a_bank_computes_with_what_it_keeps(made):
    function, kept, plain, values = made
    opened = function.opened(kept)
    assert np.array_equal(opened.logits(values), plain.logits(values))
    assert opened.explain(values[3])[1] == pytest.approx(plain.explain(values[3])[1])
    assert (function.n_features, function.exact, function.banks) == (6, True, ("bank-a", "bank-b"))


def test_it_is_read_back_as_it_was_written_and_says_nothing_of_weights(made):
    function, kept, plain, values = made
    arrays = function.to_arrays("joint_bank")
    assert KeptFunction.is_in("joint_bank", arrays)
    assert not KeptFunction.is_in("bank_only", arrays)
    read = KeptFunction.from_arrays("joint_bank", arrays)
    assert read.function_id == function.function_id
    assert np.array_equal(read.opened(kept).logits(values), plain.logits(values))
    gamma = np.frombuffer(kept[SALT_BYTES:], dtype="<f8")
    for name, array in arrays.items():
        assert array.dtype.kind != "f" or not np.isin(array, gamma[gamma != 0.0]).any(), name
    model = ScoringModel(function, plain, function)
    back = ScoringModel.from_arrays(model.to_arrays())
    assert isinstance(back.joint_bank, KeptFunction)
    assert isinstance(back.joint_grid, PartyScorer)
    assert back.bank_only.function_id == function.function_id


def test_the_same_weights_are_committed_to_otherwise_each_time(made):
    """A hash of weights alone could be tried: they are few where a fit was of few customers."""
    function, kept, *_ = made
    gamma = np.frombuffer(kept[SALT_BYTES:], dtype="<f8")
    again, other = KeptFunction.of(function.basis, gamma, function.bands, function.banks)
    assert again.commitment != function.commitment
    assert other[SALT_BYTES:] == kept[SALT_BYTES:]


@pytest.mark.parametrize("spoilt", [b"", b"\0" * 7, b"salt", b"weight", b"longer"])
def test_nobody_exchanges_what_banks_keep(made, spoilt):
    function, kept, *_ = made
    changed = {
        b"salt": bytes([kept[0] ^ 1]) + kept[1:],
        b"weight": kept[:-1] + bytes([kept[-1] ^ 1]),
        b"longer": kept + bytes(8),
    }.get(spoilt, spoilt)
    with pytest.raises(ModelCorrupt, match="not those of this function"):
        function.opened(changed)


@pytest.mark.parametrize("part", ["edges/0000", "trees/cut", "bands", "banks", "commitment", "reference", "id"])
def test_a_file_of_which_a_part_is_missing_or_changed_is_not_read(made, part):
    function, *_ = made
    arrays = function.to_arrays("joint_bank")
    name = f"joint_bank/kept/{part}"
    with pytest.raises(ModelCorrupt):
        KeptFunction.from_arrays("joint_bank", {key: value for key, value in arrays.items() if key != name})
    other = np.array(["bank-x"]) if part == "banks" else arrays[name].astype(arrays[name].dtype) + 1
    with pytest.raises(ModelCorrupt):
        KeptFunction.from_arrays("joint_bank", arrays | {name: other})


def test_a_function_of_no_bank_or_with_other_bands_does_not_hold_together(made):
    function, *_ = made
    for changed in (
        {"banks": ()},
        {"bands": function.bands[:-1]},
        {"bands": -function.bands},
        {"commitment": b"short"},
    ):
        with pytest.raises(ModelCorrupt, match="does not hold together"):
            replace(function, **changed)


def test_a_node_opens_its_own_part_alone_and_once(made, home):
    function, kept, plain, values = made
    store = NodeStore(next(iter(sorted((home / "nodes").glob("bank-*.db")))))
    bank = BankNode(store)
    with pytest.raises(NodeUnavailable, match="was given no part of this version's hidden function"):
        bank.opened_function(function)
    assert bank.opened_function(plain) is plain
    bank.keep_function(function.function_id, kept)
    first = bank.opened_function(function)
    assert np.array_equal(first.logits(values), plain.logits(values))
    assert bank.opened_function(function) is first
    store.close()
