"""How a fitted function of grid companies' columns is split when a run ends: its weights stay with banks.

The lead splits it (`privacy.vertical.hidden_weights`): banks get the weights, each grid company its masked weights,
dealers keys of masks, all sealed; what is public comes to the operator, which registers it. Whoever gets a part holds
it against what is public, and keeps it under the public function's id, where a score finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from federated.errors import ModelCorrupt, TrainingFailed
from federated.models.encoding.interactions import factored
from federated.models.encoding.principal import PrincipalColumns
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.random_leaves import RandomLeaves
from federated.models.learners.boosting import Trees
from federated.models.served.hidden import HiddenFunction
from federated.models.served.interacting import Components, Interactions
from federated.models.served.kept import SALT_BYTES, KeptFunction
from federated.models.served.public_columns import basis_arrays
from federated.privacy.vertical.dealer import dealer_of
from federated.privacy.vertical.hidden_weights import (
    BankWeights,
    Factors,
    ServedWeights,
    Split,
    require_key,
    require_weights,
    split,
)
from federated.protocols.core.encoders import binning_arrays, binning_of, encoder_arrays, encoder_of
from federated.protocols.core.messages import Arrays, Content, prefixed
from federated.protocols.protected.columns import digest_of_basis, digest_of_columns
from federated.protocols.protected.interacting import FACTORS
from federated.protocols.protected.state import Talk

PUBLIC = "function"


def columns_told(columns: PrincipalColumns) -> Arrays:
    """What a lead is told of a side's columns."""
    basis = columns.basis
    own: Arrays = {"directions": columns.directions}
    trees = prefixed("trees", basis.trees.to_arrays())
    return own | binning_arrays(basis.binning) | trees | prefixed("encoder", encoder_arrays(basis.encoder))


def _columns_of(content: Content) -> tuple[RandomLeaves, FloatArray]:
    """What `columns_told` wrote: the columns, and directions (width, components)."""
    encoder, trees = encoder_of(content.under("encoder")), Trees.from_arrays(content.under("trees"))
    return RandomLeaves(encoder, binning_of(content), trees), content.floats("directions")


class Concealing:
    """The handlers of one node. `follow` takes a point from the lead."""

    def __init__(self, talk: Talk, follow: Callable[[Content], None]) -> None:
        self._talk, self._follow = talk, follow

    def conceal_own(self, content: Content) -> Content:
        """Of the lead: what is public of the function of banks' columns that the fit came to, once a run, and what each
        other bank keeps of it. Its columns are the node's own: of others an operator would have any function of the
        coefficients computed."""
        state, talk = self._talk.state, self._talk
        if talk.name != state.lead:
            raise TrainingFailed(f"{talk.name} did not fit what banks keep")
        state.require_rest()
        state.tell_once("banks' function")
        basis, banks = self._own_basis(), state.parties.ours
        gamma = state.directions @ state.beta
        function, state.own_part = KeptFunction.of(basis, gamma, content.floats("bands"), banks)
        part = np.frombuffer(state.own_part, dtype=np.uint8)
        sealed: Arrays = {f"part/{bank}": talk.sealed(bank, part) for bank in sorted(banks - {talk.name})}
        return Content({**function.to_arrays(PUBLIC), **sealed})

    def keep_own(self, content: Content) -> Content:
        """Of a bank: keep the weights of banks' function. Raises `ModelCorrupt` for those of another, or of other
        columns than those that were fitted."""
        state, talk = self._talk.state, self._talk
        self._follow(content)
        state.require_rest()
        state.tell_once("weights of banks' function")
        function = KeptFunction.from_arrays(PUBLIC, content.arrays)
        kept = state.own_part if talk.name == state.lead else talk.unsealed(content, "part", state.lead)
        function.opened(kept)
        self._require_own(function.basis, function.function_id)
        gamma = np.frombuffer(kept[SALT_BYTES:], dtype="<f8")
        if not np.allclose(gamma, state.directions @ state.beta, rtol=1e-9, atol=1e-12):
            raise ModelCorrupt("banks' function is not what the fit came to", part=function.function_id)
        if frozenset(function.banks) != state.parties.ours:
            raise ModelCorrupt("a function is of other parties than this run", part=function.function_id)
        if state.node.rows.keep is not None:
            state.node.rows.keep(function.function_id, kept, {})
        return Content()

    def _own_basis(self) -> RandomLeaves:
        basis = self._talk.state.basis
        if basis is None:
            raise TrainingFailed(f"{self._talk.name}: no columns were made yet")
        return basis

    def _require_own(self, basis: RandomLeaves, function_id: str) -> None:
        """Raise `ModelCorrupt` for other columns than this node's own of the run."""
        self._require_same(self._own_basis(), basis, function_id)

    def _require_components(self, function: HiddenFunction) -> None:
        """Raise `ModelCorrupt` for products of other components of this side than were multiplied, or of more factors
        than a bank may ask for: of as many as there are components it could have each."""
        state, between, part = self._talk.state, function.interactions, function.function_id
        sizes = None if between is None else (between.bank.count, between.grid.count)
        if sizes != state.multiplied or (between is not None and between.factors > FACTORS):
            raise ModelCorrupt("a function is of other products than were fitted", part=part)
        if between is None:
            return
        told, first = (between.bank, 1) if state.is_bank else (between.grid, 0)
        fitted = Components(self._own_basis(), state.directions[:, first : first + told.count])
        fitted = fitted.slim() if state.is_bank else fitted
        self._require_same(fitted.basis, told.basis, part)
        if not np.array_equal(told.directions, fitted.directions):
            raise ModelCorrupt("a function is of other components than were fitted", part=part)

    @staticmethod
    def _require_same(fitted: RandomLeaves, basis: RandomLeaves, function_id: str) -> None:
        own, told = (basis_arrays("", each) | {"r": each.encoder.reference} for each in (fitted, basis))
        if own.keys() != told.keys() or not all(np.array_equal(own[name], told[name]) for name in own):
            raise ModelCorrupt("a function is of other columns than were fitted", part=function_id)

    def conceal(self, content: Content) -> Content:
        """Of the lead: split the function that the fit came to, once a run; what is public, and everybody's part."""
        state, talk = self._talk.state, self._talk
        if talk.name != state.lead or not len(state.weights):
            raise TrainingFailed(f"{talk.name} has no function of grid companies' columns to split")
        state.require_rest()
        state.tell_once("parts of a function")
        basis, directions = _columns_of(content)
        made_of = digest_of_columns(digest_of_basis(basis, state.rate), directions, content.floats("tight"))
        if made_of != state.others_made_of:
            # With columns of its own choice an operator reads those of grid companies by a bank's weights.
            raise TrainingFailed(f"{talk.name}: these are not the columns that grid companies say were fitted")
        ours, first = self._own_basis(), state.directions
        banks, grids, width = state.parties.ours, state.parties.theirs, len(state.weights) - state.appended
        between = None
        if state.multiplied is not None:
            k, n = state.multiplied
            bank, grid = Components(ours, first[:, 1 : 1 + k]).slim(), Components(basis, directions[:, :n])
            p, q = factored(state.weights[width:].reshape(k, n), FACTORS)
            between = Interactions(bank, grid, len(p)), Factors(p, q)
        gamma, reference = directions @ state.weights[:width], basis.encoder.reference
        found = split(basis, gamma, reference, content.floats("bands"), banks, grids, interactions=between)
        return Content({**found.function.to_arrays(PUBLIC), **self._sealed(found)})

    def _sealed(self, found: Split) -> Arrays:
        talk, out = self._talk, dict[str, NDArray[np.generic]]()
        banks, grids = sorted(talk.state.parties.ours), sorted(talk.state.parties.theirs)
        for bank in banks:
            if bank != talk.name:
                out[f"part/{bank}"] = talk.sealed(bank, np.frombuffer(found.secret, dtype=np.uint8))
        for grid in grids:
            out[f"part/{grid}"] = talk.sealed(grid, found.masked[grid].astype("<u8"))
        # Banks that deal have all keys of masks.
        for (dealer, grid), key in found.dealing().items():
            if dealer in grids:
                out[f"dealing/{grid}/{dealer}"] = talk.sealed(dealer, np.frombuffer(key, dtype=np.uint8))
        talk.state.part = found.secret
        return out

    def keep(self, content: Content) -> Content:
        """Keep the own part of what the lead split. Raises `ModelCorrupt` for one of another function."""
        state, talk = self._talk.state, self._talk
        state.tell_once("a part of a function")
        function = HiddenFunction.from_arrays(PUBLIC, content.arrays)
        lead = content.text("lead")
        if state.is_bank:
            own = state.part if talk.name == state.lead else talk.unsealed(content, "part", state.lead)
            for grid in state.parties.theirs:
                ServedWeights.of(function, own, grid)
            self._require_components(function)
            state.part, dealing = own, self._of_bank(function, own)
        else:
            own = talk.unsealed(content, "part", lead)
            require_weights(function, talk.name, np.frombuffer(own, dtype="<u8").astype(np.uint64))
            self._require_own(function.basis, function.function_id)
            self._require_components(function)
            keys = {grid: talk.unsealed(content, f"dealing/{grid}", lead) for grid in content.texts("deals_for")}
            dealing = {grid: require_key(function, grid, key) for grid, key in keys.items()}
        if {*function.banks, *function.committed} != state.parties.ours | state.parties.theirs:
            raise ModelCorrupt("a function is of other parties than this run", part=function.function_id)
        if state.node.rows.keep is not None:
            state.node.rows.keep(function.function_id, own, dealing)
        return Content()

    def _of_bank(self, function: HiddenFunction, secret: bytes) -> Mapping[str, bytes]:
        """Keys of masks that this bank deals by: it has them all."""
        held, name = BankWeights.from_bytes(secret), self._talk.name
        return {
            grid: held.mask_key(grid)
            for grid in function.committed
            if any(dealer_of(bank, grid, function.parties) == name for bank in function.banks)
        }
