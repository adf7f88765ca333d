"""What a node makes of the columns that an operator names, and by what banks approve of them.

An operator names trees, directions in their leaves, and how tightly kinds of columns are held; nothing follows from
labels, so it may. But a column of one customer, or a threshold between two, makes each gradient, and what a fit comes
to, say something of that customer. So priors are computed by nodes from the directions that columns are made of, and
banks open no gradient before they know how many customers each column of either side sets apart.

Guarantee: each column, but the constant, is between −1 and 1, and over customers that are fitted the squares of its
values about their mean add up to `LEAST_CUSTOMERS` at the least, and to `LEAST_WEIGHT` of what a principal component
has: so about as many customers at the least are set apart by it. Of a column of fewer banks add nothing to a gradient,
and its coefficient is 0. Squares add up to no more than a component has, so none cuts customers in two. Not covered are
nodes of a side that collude with the operator, whose customers may be all that a column has; nor what several columns
are of together: two may differ in one customer (ADR 0030).

Honest runs have columns of few customers too, for a component that few have is cut: the least of either side are of 2.9
customers of 498 (australian), 1.9 to 3 of 720 (german), 11 of 21,600 (taiwan), 14 of 1,512 (sba), 65 of 4,255 (polish5)
and 118 of 7,530 (heloc), which is 0.03 to 1 of a component's. So no run is refused for a few such columns, which are
left out: three of taiwan's 334, one of australian's 344, none on the first fold of the other four.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from federated.errors import TooFewRows, TrainingFailed
from federated.models.encoding.principal import FARTHEST, LEAST_VARIANCE, priors, projected
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.random_leaves import EXACT_DEPTH, RandomLeaves
from federated.models.learners.boosting import Trees
from federated.privacy.secure_aggregation.ring import decoded
from federated.privacy.vertical.ring import Ring
from federated.protocols.core.encoders import encoder_arrays
from federated.protocols.core.messages import Arrays, Content
from federated.protocols.protected.state import FIT, HELD, Prior, Talk, digest_of, gram_of

MOST_TREES = 4_000
# How much less a node's own customers may differ in its columns than all customers do.
LEAST_SPREAD = 0.25
# Beyond it a column is no number any more.
FARTHEST_DIRECTION = 1e9
# Between which intervals, and leaves of pairs, may be held times as tightly as a ramp.
PRECISIONS = (0.1, 100.0)
# How tight a part's widest prior may be, which of principal components is that of a direction in which customers differ
# most (0.004 to 0.01 on six public sets), and by how much numbers may be out of order that are rounded.
TIGHTEST, ROUNDED = 10.0, 1e-6
# The squares of a component's values add up to rows / 64, but where it is cut. Of these so much is left, and so many
# customers, at the least; and so much more is there at the most.
LEAST_WEIGHT, LEAST_CUSTOMERS, MOST_WEIGHT = 0.25, 3.0, 1.05
# Which share of a side's columns is not left out, at the least.
LEAST_KEPT = 0.5
MOMENTS = "moments"


class Columns:
    """The handlers of one node."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.forget()

    def forget(self) -> None:
        """Know of no columns."""
        self._basis: RandomLeaves | None = None
        # What a bank adds to the sums of its side's columns: of no sum that an operator could ask for.
        self._part: Ring | None = None

    def make(self, content: Content) -> Content:
        """Compute the own columns, and keep their Gram matrix over rows that are fitted for the next secure sum."""
        state, node, name = self._talk.state, self._talk.state.node, self._talk.name
        state.require_enough()
        state.tell_once("columns")
        trees, rate = Trees.from_arrays(content.under("trees")), content.number("rate")
        if trees.depth > EXACT_DEPTH or len(trees.feature) > MOST_TREES:
            detail = f"more than {MOST_TREES} trees, or than {EXACT_DEPTH} levels"
            raise TrainingFailed(f"{name}: {detail}: leaves of deep trees hold single customers")
        if not 0.0 < rate < 1.0:
            raise TrainingFailed(f"{name}: {rate:g} is no rate of default")
        self._basis = RandomLeaves(node.encoder, node.binning, trees)
        columns = state.columns = self._basis.columns(node.values)
        state.rate, state.basis = rate, self._basis
        state.made_of = digest_of_basis(self._basis, rate)
        rows = state.of_purpose(FIT)
        part = columns[rows]
        if len(rows):
            gram = np.asarray(part.T @ part, dtype=np.float64)
            state.sums[gram_of("bank" if state.is_bank else "grid")] = gram[np.triu_indices(len(gram))]
        state.beta = np.zeros(columns.shape[1])
        return Content(config={"rows": len(rows)})

    def project(self, content: Content) -> Content:
        """Go on with few columns, the own ones times `directions`; what they are like is sealed for every bank. Once a
        run, before any is hidden.

        Raises `TrainingFailed` for directions of other columns than these, or of no principal components.
        """
        state, name, directions = self._talk.state, self._talk.name, content.floats("directions")
        state.tell_once("directions")
        if state.sides:
            raise TrainingFailed(f"{name}: columns are projected before they are hidden")
        known = directions.ndim == 2 and len(directions) == state.columns.shape[1] >= directions.shape[1] > 0
        if self._basis is None or not known or not np.all(np.abs(directions) <= FARTHEST_DIRECTION):
            raise TrainingFailed(f"{name}: directions of {directions.shape} for {state.columns.shape[1]} columns")
        tight = np.array([content.number(f"{kind}_ridge") for kind in ("cell", "leaf")])
        state.prior = self._prior(directions, tight)
        state.columns = projected(state.columns, directions)
        state.made_of = digest_of_columns(state.made_of, directions, tight)
        state.directions = directions
        # A bank's first column is the constant.
        own = state.columns[state.of_purpose(FIT)].astype(np.float64)
        varied = own[:, int(state.is_bank) :]
        spread = np.minimum(varied.var(axis=0) * FARTHEST**2, 1.0).mean() if varied.size else 1.0
        if spread < LEAST_SPREAD:
            # Directions in which the own customers do not differ leave all that is opened to those of others.
            told = "the directions keep next to nothing of its own customers, or these hardly differ in its columns"
            raise TrainingFailed(f"{name}: {told}")
        state.beta = np.zeros(directions.shape[1])
        return self._told(np.concatenate([own.sum(axis=0), np.square(own).sum(axis=0)]))

    def _prior(self, directions: FloatArray, tight: FloatArray) -> Prior:
        """What coefficients of columns so directed may be. Raises `TrainingFailed`."""
        state, name = self._talk.state, self._talk.name
        assert self._basis is not None
        if not np.all((tight >= PRECISIONS[0]) & (tight <= PRECISIONS[1])):
            raise TrainingFailed(f"{name}: no column is held {tight} times as tightly as a ramp")
        precision = self._basis.precision(*tight.tolist())
        try:
            found = Prior(*priors(self._basis, directions, precision, constant=state.is_bank))
        except ValueError as error:
            raise TrainingFailed(f"{name}: {error}") from error
        if not of_components(found, constant=state.is_bank):
            raise TrainingFailed(f"{name}: the directions are none of principal components")
        return found

    def _told(self, moments: FloatArray) -> Content:
        """What banks approve of, sealed for each: the own part of columns' sums and of their squares', behind masks
        with the other nodes of the side, so that only the total is told; and what priors the own directions have."""
        state, talk = self._talk.state, self._talk
        assert state.prior is not None
        part = talk.masked(MOMENTS, moments, state.parties.ours)
        counts = np.array([len(state.prior.parts), *state.prior.parts], dtype=np.float64)
        banks = state.parties.ours - {talk.name} if state.is_bank else state.parties.theirs
        if state.is_bank:
            self._part = part
        out: Arrays = {}
        for bank in sorted(banks):
            out[f"moments/{bank}"] = talk.sealed(bank, part)
            out[f"prior/{bank}"] = talk.sealed(bank, counts, state.prior.relative)
            out[f"made_of/{bank}"] = talk.sealed(bank, np.frombuffer(state.made_of, dtype=np.uint8))
        return Content(out)

    def approve(self, content: Content) -> Content:
        """Of a bank: take what all nodes say of their columns, once a run, and know which of these are left out. Raises
        `TrainingFailed` where nodes of one side say different things, `TooFewRows` where next to no column is left."""
        state, talk = self._talk.state, self._talk
        state.require_enough()
        state.tell_once("what columns are like")
        own, own_part = state.prior, self._part
        if own is None or own_part is None:
            raise TrainingFailed(f"{talk.name}: no columns were projected yet")
        others, theirs = sorted(state.parties.ours - {talk.name}), sorted(state.parties.theirs)
        parts = {node: talk.ring(content, "moments", node, -1) for node in [*others, *theirs]}
        told = {node: _prior_of(talk.floats(content, "prior", node)) for node in [*others, *theirs]}
        made_of = {node: talk.unsealed(content, "made_of", node) for node in [*others, *theirs]}
        if any(made_of[bank] != state.made_of for bank in others) or len({made_of[grid] for grid in theirs}) > 1:
            raise TrainingFailed(f"{talk.name}: nodes of a side were told of different columns")
        state.others_made_of = made_of[theirs[0]] if theirs else b""
        banks = [own_part, *(parts[bank] for bank in others)]
        state.prior = self._approved({talk.name: own} | {bank: told[bank] for bank in others}, banks, constant=True)
        if theirs:
            grids = [parts[grid] for grid in theirs]
            state.others_prior = self._approved({grid: told[grid] for grid in theirs}, grids, constant=False)
        state.approved = True
        return Content()

    def _approved(self, told: Mapping[str, Prior], parts: Sequence[Ring], *, constant: bool) -> Prior:
        """The prior of a side's columns, with those held at 0 that are of too few customers."""
        name, fitted = self._talk.name, self._talk.state.fitted
        prior = next(iter(told.values()))
        for node, other in told.items():
            same = other.parts == prior.parts and np.array_equal(other.relative, prior.relative)
            if not same or not of_components(other, constant=constant):
                raise TrainingFailed(f"{name}: {node} has columns of other priors than its side's components")
        total, whole = decoded(np.asarray(np.sum(parts, axis=0, dtype=np.uint64))), fitted / FARTHEST**2
        sums, squares = (each[int(constant) :] for each in np.split(total, 2))
        # About the mean: what a column is of everybody says nothing of how many it sets apart.
        squares, free = squares - np.square(sums) / fitted, prior.relative[int(constant) :]
        if not np.all(squares <= MOST_WEIGHT * whole):
            raise TrainingFailed(f"{name}: a column sets customers apart by more than a principal component does")
        enough = squares >= max(LEAST_WEIGHT * whole, LEAST_CUSTOMERS)
        if enough.mean() < LEAST_KEPT:
            detail = f"most columns are of fewer than {LEAST_CUSTOMERS:g} of {fitted:,} customers"
            raise TooFewRows(f"{name}: {detail}: what is opened says something of each", least=int(LEAST_CUSTOMERS))
        return replace(prior, relative=np.append(prior.relative[: int(constant)], np.where(enough, free, HELD)))


def digest_of_basis(basis: RandomLeaves, rate: float) -> bytes:
    """Of columns as they were told, and the overall rate of default with them."""
    cuts: Arrays = {str(j): cut for j, cut in enumerate(basis.binning.cuts)}
    return digest_of(basis.trees.to_arrays(), encoder_arrays(basis.encoder), cuts, np.array([rate]))


def digest_of_columns(basis: bytes, directions: FloatArray, tight: FloatArray) -> bytes:
    """Of components of columns of this digest."""
    return digest_of(np.frombuffer(basis, dtype=np.uint8), directions, tight)


def of_components(prior: Prior, *, constant: bool) -> bool:
    """Whether priors may be those of principal components: of each part tighter from one to the next, and bounded; of
    banks' columns the first is a constant, which is free."""
    free, each = prior.by_part[0][:1] if constant else np.zeros(0), prior.by_part
    parts = [each[0][int(constant) :], *each[1:]]
    return not free.any() and all(map(_ordered, parts))


def _ordered(relative: FloatArray) -> bool:
    positive = bool(np.all(relative > 0.0) and np.all(np.diff(relative) >= -ROUNDED * relative[1:]))
    # Components of less than a share `LEAST_VARIANCE` of the first one's variance are not kept.
    return positive and bool(
        np.all(relative[:1] <= TIGHTEST) and np.all(relative * LEAST_VARIANCE <= 1.01 * relative[:1])
    )


def _prior_of(numbers: FloatArray) -> Prior:
    """What a node said of its columns. Raises `TrainingFailed` for numbers that are of none."""
    count = int(numbers[0]) if len(numbers) else 0
    parts, relative = numbers[1 : 1 + count].astype(np.int64), numbers[1 + count :]
    if not 0 < count <= 2 or parts.size != count or not np.all(parts > 0) or int(parts.sum()) != len(relative):
        raise TrainingFailed(f"{len(numbers)} numbers are of no columns")
    return Prior(relative, tuple(parts.tolist()))
