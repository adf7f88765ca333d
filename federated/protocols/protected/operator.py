"""The operator's side of protected training: it passes on what nodes seal, adds up, and takes a side's steps.

Steps are `solver`'s: no row's curvature has to be known. Every node's share of a sum is needed, so nobody could drop
out of one anyway: a sum is one message of each node, behind masks that cancel (`state.Talk.masked`), and a node that is
gone ends the run. A sum is over the nodes that have something to add: a node refuses one in which it would stand alone
among others who add zeros.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.linalg

from federated.errors import AggregationFailed, NoOverlap, TrainingFailed
from federated.models.encoding.binning import IntArray
from federated.models.encoding.principal import PrincipalColumns, principal
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.random_leaves import RandomLeaves, best_trees, random_trees
from federated.privacy.secure_aggregation.ring import BITS, RingArray, decoded
from federated.privacy.vertical.columns import most_columns, most_gradients, spread_of
from federated.privacy.vertical.dealer import dealer_of
from federated.privacy.vertical.ring import GRADIENT_BITS
from federated.protocols.core.messages import Arrays, Content, Values, prefixed
from federated.protocols.core.session import Session, Side
from federated.protocols.protected.dealing import FITTING, ROLES, Dealing
from federated.protocols.protected.settings import ProtectedSettings
from federated.protocols.protected.solver import Problem, ascend
from federated.protocols.protected.state import BANKS_GRADIENT, FIT, GRADIENT, HELD_OUT, SET_ASIDE, Marks, Pair

# How many times the tolerance roundings may leave.
ROUNDED = 10.0
# Between which the ridge is, how near the one that is wanted has to be, in its logarithm, and no coefficients at all.
RIDGES, CLOSE, TINY = (0.2, 1e4), 0.15, 1e-9


@dataclass
class ProtectedTraining:
    """One protected model over an open session of banks, or of banks and grid companies.

    After `fit`: a basis, coefficients (width,) and the nodes that fit rows, a side, banks first. `watch` is shown each
    gradient that is opened, with the number of its side.
    Raises what a node refuses with, `AggregationFailed` if a node is missing from a sum, `NoOverlap`.
    """

    session: Session
    settings: ProtectedSettings
    bases: list[RandomLeaves | PrincipalColumns] = field(default_factory=list)
    betas: list[FloatArray] = field(default_factory=list)
    ridge: float = 0.0
    marks: dict[Pair, Marks] = field(default_factory=dict)
    watch: Callable[[int, FloatArray], None] = lambda *_: None
    fitting: list[tuple[str, ...]] = field(default_factory=list)
    dealing: Dealing = field(default_factory=Dealing)
    gradients: int = 0
    chosen: bool = False

    @property
    def joint(self) -> bool:
        """Whether grid companies take part."""
        return len(self.session.sides) > 1

    @property
    def orgs(self) -> tuple[str, ...]:
        """All nodes, banks first."""
        return tuple(org for side in self.session.sides for org in side.orgs)

    @property
    def drawn(self) -> dict[str, Values]:
        """How rows are set aside: the same in every message that needs it."""
        return {"set_aside": self.settings.set_aside, "seed": self.settings.seed}

    def fit(self) -> None:
        """Agree on columns, fit banks' ramps alone and then with grid companies' columns, choose trees, and fit all
        that is kept. Raises `TrainingFailed` where the fit does not come to rest."""
        self._introduce()
        if self.joint:
            self._mark()
        grams = [self._columns(k, side) for k, side in enumerate(self.session.sides)]
        start = [np.zeros(len(basis.ramps)) for basis in self.bases]
        start[0][0] = self.session.prior
        if self.joint:
            self._hide()
            # From 0 the first gradient of a grid company would say what its columns say alone, of everybody.
            self._fit(grams[:1], start[:1])
            start[0] = self.betas[0]
        self._fit(grams, start)
        trees = self._best_trees(grams[0])
        kept = np.concatenate([self.banks.ramps, self.banks.leaves_of(trees)])
        self._keep(kept)
        self.bases[0], self.chosen = self.banks.with_trees(trees), True
        self.betas = self._padded(self.betas)
        grams[0] = grams[0][np.ix_(kept, kept)]
        if trees:
            self._fit(grams, self.betas)

    @property
    def banks(self) -> RandomLeaves:
        """The banks' basis."""
        basis = self.bases[0]
        assert isinstance(basis, RandomLeaves)
        return basis

    @property
    def _weight(self) -> float:
        """Curvature of the log-likelihood along the constant, before anything is known of anybody."""
        rate, rows = self.session.rate, sum(self.pairs.values()) if self.joint else self.session.training_rows
        return rate * (1.0 - rate) * rows

    def _fit(self, grams: list[FloatArray], start: list[FloatArray]) -> None:
        """Fit the first columns of each side that `start` has, as many as it has; `betas` and `ridge` are then the
        fit's.

        The ridge is the one at which labels are likeliest where coefficients are drawn from its prior (the evidence),
        to second order: there ridge · Σ penalty · beta² is the number of coefficients that rows determine (MacKay,
        "Bayesian Interpolation", Neural Computation 1992, equation 4.9). It takes Gram matrices, of each side by
        itself, and coefficients: no row has to be set aside for it, and nothing more is opened.
        """
        widths, tolerance = [len(beta) for beta in start], self.settings.tolerance * sum(map(len, start))
        ends = np.cumsum(widths)[:-1]
        spectra = [self._spectrum(k, gram, width) for k, (gram, width) in enumerate(zip(grams, widths, strict=True))]
        here, raw, ridge = np.concatenate(start), None, self.settings.ridge
        for number in range(self.settings.ridges):
            most = min(self.settings.most, self._left(len(start)))
            if number and most <= 0:
                break
            found = ascend(
                self._problem(ridge, grams, widths), here, tolerance=tolerance, most=most, gradient=raw,
                watch=lambda spent, left: self.session.progress("protected", spent, left),
            )  # fmt: skip
            if found.left > ROUNDED * tolerance:
                # Less ridge takes logits to where the cubic is cut, and what is fitted there is no maximum.
                if number:
                    break
                detail = f"{found.evaluations} gradients, and a step would add {found.left:g} to the log-likelihood"
                raise TrainingFailed(f"the fit at ridge {ridge:g} does not come to rest: {detail}")
            here, raw = found.point, found.gradient
            self.ridge, self.betas = ridge, np.split(here, ends)
            determined = sum(float((own / (own + ridge)).sum()) for own in spectra)
            size = sum(float(self._relative(k)[: len(beta)] @ np.square(beta)) for k, beta in enumerate(self.betas))
            wanted = float(np.clip(determined / max(size, TINY), *RIDGES))
            if abs(np.log(wanted / ridge)) < CLOSE:
                break
            ridge = wanted

    def _left(self, sides: int) -> int:
        """How many gradients may still be opened for a fit of so many sides. Of both, nodes answer no more than
        `most_gradients`: half are for the fit before trees are chosen, and one chooses them."""
        if sides == 1:
            return self.settings.most
        most = most_gradients(sum(self.pairs.values()))
        return (most if self.chosen else most // 2) - self.gradients - 1

    def _relative(self, k: int) -> FloatArray:
        """Ridge of every column (width,) of side `k` where that of ramps is 1, and 0 of the constant."""
        relative = self.penalty(k, 1.0).copy()
        if k == 0:
            relative[0] = 0.0
        return relative

    def _spectrum(self, k: int, gram: FloatArray, width: int) -> FloatArray:
        """How much an average row's curvature, of all rows, says of each direction of side `k`'s first columns beside
        the prior's unit, (directions,); of the banks' the constant, which is free, is taken out."""
        own = gram[:width, :width]
        if k == 0:
            own = own[1:, 1:] - np.outer(own[0, 1:], own[0, 1:]) / own[0, 0]
        relative = self._relative(k)[:width][1 if k == 0 else 0 :]
        scaled = own / np.sqrt(np.outer(relative, relative))
        rate = self.session.rate
        return np.asarray(rate * (1.0 - rate) * np.maximum(scipy.linalg.eigvalsh(scaled), 0.0))

    def _problem(self, ridge: float, grams: list[FloatArray], widths: Sequence[int]) -> Problem:
        """Penalised log-likelihood of the first columns; its metric takes the curvature of an average row for all."""
        rate, penalties, factors = self.session.rate, [], []
        for k, (gram, width) in enumerate(zip(grams, widths, strict=True)):
            penalties.append(self.penalty(k, ridge)[:width])
            metric = rate * (1.0 - rate) * gram[:width, :width] + np.diag(penalties[-1])
            try:
                factors.append(scipy.linalg.cho_factor(metric))
            except np.linalg.LinAlgError as error:
                raise TrainingFailed(f"a side's columns have no solvable system: {error}") from error
        ends = np.cumsum(widths)[:-1]

        def gradient(point: FloatArray) -> FloatArray:
            parts = self._gradient(np.split(point, ends))
            for k, part in enumerate(parts):
                self.watch(k, part)
            return np.concatenate(parts)

        return Problem(gradient, np.concatenate(penalties), factors)

    def penalty(self, k: int, ridge: float) -> FloatArray:
        """Ridge of every column (width,) of side `k`, where that of ramps is `ridge`."""
        basis = self.bases[k]
        if isinstance(basis, PrincipalColumns):
            return basis.penalty(ridge)
        return basis.penalty(ridge, ridge * self.settings.leaf_ridge)

    def _best_trees(self, gram: FloatArray) -> list[int]:
        """The banks' trees that lower the loss most, by the gradient of all candidates: no node is shown it."""
        basis, rate = self.banks, self.session.rate
        # A side with one feature that can be split has no trees at all.
        most = min(self.settings.trees, len(basis.trees.feature))
        if not most:
            return []
        padded = self._padded(self.betas)
        gradients = self._gradient(padded)
        for k, part in enumerate(gradients):
            self.watch(k, part)
        penalty = basis.penalty(self.ridge, self.settings.choice * self._weight)
        curvature = rate * (1.0 - rate) * gram + np.diag(penalty)
        return best_trees(basis, curvature, gradients[0] - penalty * padded[0], most)

    def _keep(self, kept: IntArray) -> None:
        """Go on with these of the banks' columns."""
        all_of_theirs = [np.arange(basis.width) for basis in self.bases[1:]]
        for side, (own, others) in zip(
            self.session.sides,
            [(kept, *all_of_theirs), (*all_of_theirs, kept)] if self.joint else [(kept, kept[:0])],
            strict=True,
        ):
            self.ask("keep", dict.fromkeys(side.orgs, Content({"own": own, "others": others})))
        self.dealing.keep([kept, *all_of_theirs])

    def ask(self, action: str, requests: dict[str, Content]) -> dict[str, Content]:
        """One message to each of these nodes."""
        return self.session.board.ask(f"query.protected_{action}", requests)

    def summed(self, of: str, over: Iterable[str], length: int, bits: int) -> FloatArray:
        """Secure sum of what the nodes `over` keep under `of`. Raises `AggregationFailed` unless all are in it."""
        return decoded(self.ring_summed(of, over, length, bits), bits)

    def ring_summed(self, of: str, over: Iterable[str], length: int, bits: int = 0) -> RingArray:
        """As `summed`, as integers modulo 2^64: where the operator adds a share of its own."""
        names = sorted(over)
        request = Content(config={"of": of, "names": names, "length": length, "bits": bits})
        total = np.zeros(length, dtype=np.uint64)
        for org, answer in self.ask("sum", dict.fromkeys(names, request)).items():
            part = answer.array("masked")
            if part.shape != (length,) or part.dtype != np.uint64:
                raise AggregationFailed(f"{org} did not give {length} integers to the sum of {of}")
            total = total + np.asarray(part, dtype=np.uint64)
        return np.asarray(total)

    def _introduce(self) -> None:
        run = secrets.token_bytes(16)
        named: dict[str, Values] = {side.role + "s": list(side.orgs) for side in self.session.sides}
        cards = self.ask("introduce", dict.fromkeys(self.orgs, Content(config=named | {"run": run})))
        config: dict[str, Values] = {
            f"{what}/{org}": card.points(what) for org, card in cards.items() for what in ("key", "signature")
        }
        self.ask("meet", dict.fromkeys(self.orgs, Content(config=config)))

    def _mark(self) -> None:
        banks, grids = (side.orgs for side in self.session.sides)
        usable = self.ask("available", dict.fromkeys(grids, Content()))
        requests = {
            bank: Content({f"available/{g}": c.arrays[f"available/{bank}"] for g, c in usable.items()
                           if f"available/{bank}" in c.arrays}, dict(self.drawn))
            for bank in banks
        }  # fmt: skip
        marked = self.ask("mark", requests)
        self.marks = {
            (bank, grid): np.asarray(marked[bank].arrays[f"marks/{grid}"], dtype=np.int64)
            for bank in banks
            for grid in grids
            if f"marks/{grid}" in marked[bank].arrays
        }
        if not any((marks == FIT).any() for marks in self.marks.values()):
            raise NoOverlap("no bank shares a customer with any grid company")
        told = {
            g: {f"marks/{b}": m.astype(np.uint8) for (b, other), m in self.marks.items() if other == g} for g in grids
        }
        self.ask("mark", {grid: Content(dict(arrays)) for grid, arrays in told.items()})

    def _columns(self, k: int, side: Side) -> FloatArray:
        """Agree on a side's columns, and sum up their Gram matrix; grid companies' are their principal components."""
        s = self.settings
        trees = random_trees(side.binning, side.quantiles, s.candidates[k], s.depth, s.seed * 10 + k)
        basis = RandomLeaves(side.encoder, side.binning, trees)
        told = self.ask("columns", dict.fromkeys(side.orgs, Content(prefixed("trees", trees.to_arrays()), self.drawn)))
        self.fitting.append(tuple(org for org in side.orgs if told[org].integer("rows")))
        upper = np.triu_indices(basis.width)
        gram = np.zeros((basis.width, basis.width))
        gram[upper] = self.summed(f"gram {side.role}", self.fitting[k], len(upper[0]), BITS)
        gram = gram + gram.T - np.diag(np.diag(gram))
        if k == 0:
            self.bases.append(basis)
            return gram
        spread = spread_of(self.session.rate, self.session.rates)
        most = most_columns(sum(self.pairs.values()), spread, s.label_auc)
        few = principal(basis, gram, max(most, 1), s.leaf_ridge)
        self.ask("project", dict.fromkeys(side.orgs, Content({"directions": few.directions})))
        self.bases.append(few)
        return np.asarray(few.directions.T @ gram @ few.directions)

    @property
    def pairs(self) -> dict[Pair, int]:
        """Pairs of a bank and a grid company that fit rows in common, and how many."""
        return {pair: int((marks == FIT).sum()) for pair, marks in self.marks.items() if (marks == FIT).any()}

    def _hide(self) -> None:
        """Have dealers begin, and both sides of each pair hide their columns from each other."""
        widths = [basis.width for basis in self.bases]
        told: dict[str, Values] = {"rate": self.session.rate, "rows": sum(self.pairs.values()), **_widths(widths)}
        config = self.begun(FITTING, self.pairs, widths)
        hidden = self.ask("hide", {org: Content(config=told | config[org]) for org in self.orgs})
        counted: dict[str, Arrays] = {org: {} for org in self.orgs}
        for bank in self.session.banks.orgs:
            for name, sealed in hidden[bank].under("fitted").items():
                counted[name][f"fitted/{bank}"] = sealed
        self.ask("hide", self.across(hidden, "hidden", self.pairs, counted))

    def begun(self, purpose: str, rows: Mapping[Pair, int], widths: Sequence[int] = ()) -> dict[str, dict[str, Values]]:
        """What nodes are told for triples of this purpose: dealers the rows of their pairs; where a run has no third
        node the operator deals, and tells keys."""
        own = {pair: count for pair, count in rows.items() if dealer_of(*pair, self.orgs) is None}
        self.dealing.begin(purpose, own, widths)
        told, keys = self.rows_told(rows), self.dealing.keys(purpose)
        return {org: told[org] | keys.get(org, {}) for org in self.orgs}

    def rows_told(self, rows: Mapping[Pair, int]) -> dict[str, dict[str, Values]]:
        """By node: how many rows the pairs have to which it deals."""
        told: dict[str, dict[str, Values]] = {org: {} for org in self.orgs}
        for (bank, grid), count in rows.items():
            dealer = dealer_of(bank, grid, self.orgs)
            if dealer is not None:
                told[dealer][f"rows/{bank}/{grid}"] = count
        return told

    def dealt(self, answers: Mapping[str, Content], own: Arrays, pairs: Iterable[Pair]) -> dict[str, Arrays]:
        """By receiver: what was dealt to it, by nodes in their `answers` or by the operator, for each of `pairs`."""
        given = dict(own)
        for answer in answers.values():
            given |= answer.arrays
        found: dict[str, Arrays] = {org: {} for org in self.orgs}
        for bank, grid in pairs:
            for receiver, peer in ((bank, grid), (grid, bank)):
                if f"dealt/{receiver}/{peer}" in given:
                    found[receiver][f"dealt/{peer}"] = given[f"dealt/{receiver}/{peer}"]
        return found

    def across(
        self,
        answers: dict[str, Content],
        name: str,
        pairs: Iterable[Pair],
        extra: Mapping[str, Arrays] | None = None,
        config: Mapping[str, Values] | None = None,
    ) -> dict[str, Content]:
        """What each node of a pair sealed for the other, as messages to the other, with what is dealt to it."""
        requests: dict[str, Arrays] = {org: dict((extra or {}).get(org, {})) for org in self.orgs}
        for bank, grid in pairs:
            for sender, receiver in ((bank, grid), (grid, bank)):
                sealed = answers[sender].arrays.get(f"{name}/{receiver}") if sender in answers else None
                if sealed is not None:
                    requests[receiver][f"{name}/{sender}"] = sealed
        return {org: Content(arrays, dict(config or {})) for org, arrays in requests.items() if arrays}

    def _gradient(self, betas: Sequence[FloatArray]) -> list[FloatArray]:
        """Each side's gradient of its first columns, as many as `betas` has of it: shares of all parties, opened as
        their sum alone. Of banks' columns alone: banks' sums."""
        widths = [len(beta) for beta in betas]
        length = sum(widths)
        padded = self._padded(betas)
        if len(betas) == 1:
            request = Content({"beta": padded[0]}, self.drawn | {"width": length})
            self.ask("clear", dict.fromkeys(self.session.banks.orgs, request))
            return [self.summed(BANKS_GRADIENT, self.fitting[0], length, BITS)]
        config = _widths(widths)
        opening = {
            org: Content({"beta": padded[k]}, config) for k, side in enumerate(self.session.sides) for org in side.orgs
        }
        self.gradients += 1
        opened = self.ask("open", opening)
        dealt = self.dealt(opened, self.dealing.step(FITTING, widths), self.pairs)
        crossed = self.ask("cross", self.across(opened, "opened", self.pairs, dealt))
        handed = self.ask("residual", self.across(crossed, "opened", self.pairs))
        masked = self.across(handed, "masked", self.pairs)
        width = {org: widths[k] for k, side in enumerate(self.session.sides) for org in side.orgs}
        self.ask("gradient", {org: Content(c.arrays, {"width": width[org]}) for org, c in masked.items()})
        total = self.summed(GRADIENT, (*self.fitting[0], *self.fitting[1]), length, GRADIENT_BITS)
        return [np.asarray(part) for part in np.split(total, [widths[0]])]

    def _padded(self, betas: Sequence[FloatArray]) -> list[FloatArray]:
        """Coefficients (width,) of all columns of each side: zero after those of the first that are given."""
        return [
            np.concatenate([beta, np.zeros(basis.width - len(beta))])
            for beta, basis in zip(betas, self.bases, strict=False)
        ]

    def evaluated(self, pair: Pair) -> Marks:
        """Marks of the pair's positions that are set aside or held out, in order."""
        marks = self.marks[pair]
        return np.asarray(marks[np.isin(marks, (SET_ASIDE, HELD_OUT))])


def _widths(widths: Sequence[int]) -> dict[str, Values]:
    """What tells dealers how many first columns of each side they deal for."""
    return {f"width/{role}": width for role, width in zip(ROLES, widths, strict=True)}
