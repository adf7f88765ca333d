"""The operator's side of protected training: it deals, adds up, and takes the steps of a side's coefficients.

Steps use ¼·XᵀX in place of the Hessian, over-relaxed (Böhning, Lindsay, "Monotonicity of quadratic-approximation
algorithms", AISM 1988): no row's curvature has to be known. Every node's share of a sum is needed, so a node that is
gone ends the run, and secure sums take as their threshold all nodes that hold shares. A sum is over the nodes that have
something to add: a node refuses a sum in which it would stand alone among others who add zeros.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy.linalg

from federated.errors import AggregationFailed, NoOverlap, TrainingFailed
from federated.models.encoding.binning import IntArray
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.random_leaves import RandomLeaves, best_trees, random_trees
from federated.privacy.secure_aggregation.graph import holders
from federated.privacy.secure_aggregation.ring import BITS, RingArray, decoded
from federated.privacy.vertical.dealer import Dealer
from federated.privacy.vertical.ring import GRADIENT_BITS
from federated.protocols.core.messages import Arrays, Content, Values, prefixed
from federated.protocols.core.secure_sum import secure_ring_sum
from federated.protocols.core.session import Session, Side
from federated.protocols.protected.settings import ProtectedSettings
from federated.protocols.protected.state import FIT, GRADIENT, HELD_OUT, SET_ASIDE, Marks

# Steps with ¼·XᵀX in place of the Hessian converge for any factor below 2.
RELAXATION = 1.8
Pair = tuple[str, str]


@dataclass
class ProtectedTraining:
    """One protected model over an open session of banks, or of banks and grid companies.

    After `fit`: a basis, coefficients (width,) and the nodes that fit rows, a side, banks first. `watch` is shown each
    gradient that is opened, with the number of its side. Raises what a node refuses with, `AggregationFailed` if a node
    is missing from a sum, `NoOverlap`.
    """

    session: Session
    settings: ProtectedSettings
    bases: list[RandomLeaves] = field(default_factory=list)
    betas: list[FloatArray] = field(default_factory=list)
    marks: dict[Pair, Marks] = field(default_factory=dict)
    watch: Callable[[int, FloatArray], None] = lambda *_: None
    fitting: list[tuple[str, ...]] = field(default_factory=list)

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
        """Agree on columns, fit ramps, choose trees, and fit all that is kept: steps of one side after the other."""
        s = self.settings
        self._introduce()
        if self.joint:
            self._mark()
        grams = [self._columns(k, side) for k, side in enumerate(self.session.sides)]
        self.betas = [np.zeros(basis.width) for basis in self.bases]
        self.betas[0][0] = self.session.prior
        dealers = self._hide() if self.joint else {}
        self._steps(s.ramp_rounds, grams, [basis.ramps for basis in self.bases], dealers)
        chosen = [self._choose(k, gram, dealers) for k, gram in enumerate(grams)]
        kept = [
            np.concatenate([basis.ramps, basis.leaves_of(trees)])
            for basis, trees in zip(self.bases, chosen, strict=True)
        ]
        self._keep(kept, dealers)
        self.bases = [basis.with_trees(trees) for basis, trees in zip(self.bases, chosen, strict=True)]
        self.betas = [beta[own] for beta, own in zip(self.betas, kept, strict=True)]
        grams = [gram[np.ix_(own, own)] for gram, own in zip(grams, kept, strict=True)]
        self._steps(s.rounds, grams, [np.arange(len(own)) for own in kept], dealers)

    def _steps(self, rounds: int, grams: list[FloatArray], moved: list[IntArray], dealers: dict[Pair, Dealer]) -> None:
        """`rounds` steps a side of the coefficients `moved`."""
        ridge = self.settings.ridge
        factors = []
        for gram, basis, own in zip(grams, self.bases, moved, strict=True):
            bound = 0.25 * gram[np.ix_(own, own)] + np.diag(basis.penalty(ridge)[own])
            try:
                factors.append(scipy.linalg.cho_factor(bound))
            except np.linalg.LinAlgError as error:
                raise TrainingFailed(f"a side's columns have no solvable system: {error}") from error
        for number in range(rounds):
            for k, basis in enumerate(self.bases):
                own = moved[k]
                gradient = self._gradient(k, dealers)[own]
                self.watch(k, gradient)
                penalised = gradient - (basis.penalty(ridge) * self.betas[k])[own]
                self.betas[k][own] += RELAXATION * scipy.linalg.cho_solve(factors[k], penalised)
                self.session.progress("protected", number, float(np.abs(penalised).max()))

    def _choose(self, k: int, gram: FloatArray, dealers: dict[Pair, Dealer]) -> list[int]:
        """The trees of a side that lower the loss most, by the gradient of all candidates, which no node is shown."""
        basis, rate = self.bases[k], self.session.rate
        most = self.settings.most_trees(k, sum(self.pairs.values()), basis)
        penalty = basis.penalty(self.settings.ridge)
        gradient = self._gradient(k, dealers) - penalty * self.betas[k]
        return best_trees(basis, rate * (1.0 - rate) * gram + np.diag(penalty), gradient, most)

    def _keep(self, kept: list[IntArray], dealers: dict[Pair, Dealer]) -> None:
        for k, side in enumerate(self.session.sides):
            others = kept[1 - k] if self.joint else np.zeros(0, dtype=np.int64)
            self.ask("keep", dict.fromkeys(side.orgs, Content({"own": kept[k], "others": others})))
        for dealer in dealers.values():
            dealer.keep(dict(zip(("bank", "grid"), kept, strict=True)))

    def ask(self, action: str, requests: dict[str, Content]) -> dict[str, Content]:
        """One message to each of these nodes."""
        return self.session.board.ask(f"query.protected_{action}", requests)

    def summed(self, of: str, over: Iterable[str], length: int, bits: int) -> FloatArray:
        """Secure sum of what the nodes `over` keep under `of`. Raises `AggregationFailed` unless all are in it."""
        return decoded(self.ring_summed(of, over, length, bits), bits)

    def ring_summed(self, of: str, over: Iterable[str], length: int, bits: int = 0) -> RingArray:
        """As `summed`, as integers modulo 2^64: where the operator adds a share of its own."""
        asked, degree, request = tuple(over), self.settings.degree, Content(config={"of": of})
        everyone = holders(len(asked), degree)
        total, survivors = secure_ring_sum(self.session.board, asked, length, degree, everyone, request, bits)
        missing = sorted(set(asked) - survivors)
        if missing:
            raise AggregationFailed(f"{', '.join(missing)} left the sum of {of}: shares are of use only together")
        return total

    def _introduce(self) -> None:
        run = secrets.token_bytes(16)
        named: dict[str, Values] = {side.role + "s": list(side.orgs) for side in self.session.sides}
        cards = self.ask("introduce", dict.fromkeys(self.orgs, Content(config=named | {"run": run})))
        for mine, other in ((0, 1), (1, 0)) if self.joint else ():
            config: dict[str, Values] = {}
            for peer in self.session.sides[other].orgs:
                config |= {f"{what}/{peer}": cards[peer].points(what) for what in ("key", "signature")}
            self.ask("meet", dict.fromkeys(self.session.sides[mine].orgs, Content(config=config)))

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
        """Agree on a side's columns, and sum up their Gram matrix."""
        s = self.settings
        trees = random_trees(side.binning, side.quantiles, s.candidates[k], s.depth, s.seed * 10 + k)
        basis = RandomLeaves(side.encoder, side.binning, trees, s.tree_ridge[k])
        self.bases.append(basis)
        config: dict[str, Values] = self.drawn | {"tree_ridge": s.tree_ridge[k]}
        told = self.ask("columns", dict.fromkeys(side.orgs, Content(prefixed("trees", trees.to_arrays()), config)))
        self.fitting.append(tuple(org for org in side.orgs if told[org].integer("rows")))
        width = basis.width
        upper = np.triu_indices(width)
        gram = np.zeros((width, width))
        gram[upper] = self.summed(f"gram {side.role}", self.fitting[k], len(upper[0]), BITS)
        return np.asarray(gram + gram.T - np.diag(np.diag(gram)))

    @property
    def pairs(self) -> dict[Pair, int]:
        """Pairs of a bank and a grid company that fit rows in common, and how many."""
        return {pair: int((marks == FIT).sum()) for pair, marks in self.marks.items() if (marks == FIT).any()}

    def _hide(self) -> dict[Pair, Dealer]:
        """Deal a key to each side of each pair, and have both hide their columns from each other."""
        dealers = {pair: Dealer(rows) for pair, rows in self.pairs.items()}
        told = {"rate": self.session.rate, "rows": sum(self.pairs.values())}
        config: dict[str, dict[str, Values]] = {org: dict(told) for org in self.orgs}
        for (bank, grid), dealer in dealers.items():
            config[bank][f"tape/{grid}"], config[grid][f"tape/{bank}"] = dealer.keys["bank"], dealer.keys["grid"]
        hidden = self.ask("hide", {org: Content(config=numbers) for org, numbers in config.items()})
        widths = dict(zip(("bank", "grid"), (basis.width for basis in self.bases), strict=True))
        for dealer in dealers.values():
            dealer.columns(widths)
        self.ask("hide", self.across(hidden, "hidden", dealers))
        return dealers

    def across(
        self,
        answers: dict[str, Content],
        name: str,
        pairs: Iterable[Pair],
        extra: Mapping[str, Arrays] | None = None,
    ) -> dict[str, Content]:
        """What each node of a pair sealed for the other, as messages to the other, with what is dealt to it."""
        requests: dict[str, Arrays] = {org: dict((extra or {}).get(org, {})) for org in self.orgs}
        for bank, grid in pairs:
            for sender, receiver in ((bank, grid), (grid, bank)):
                sealed = answers[sender].arrays.get(f"{name}/{receiver}") if sender in answers else None
                if sealed is not None:
                    requests[receiver][f"{name}/{sender}"] = sealed
        return {org: Content(arrays) for org, arrays in requests.items() if arrays}

    def _gradient(self, k: int, dealers: dict[Pair, Dealer]) -> FloatArray:
        """The gradient of side `k` at the current coefficients: shares of all parties, opened as their sum alone."""
        if not self.joint:
            return self._clear_gradient()
        owner = ("bank", "grid")[k]
        opening = {org: Content({"beta": self.betas[i]}) for i, s in enumerate(self.session.sides) for org in s.orgs}
        opened = self.ask("open", opening)
        extra: dict[str, Arrays] = {org: {} for org in self.orgs}
        for (bank, grid), dealer in dealers.items():
            extra[grid][f"corrections/{bank}"] = dealer.products(1)
        crossed = self.ask("cross", self.across(opened, "opened", dealers, extra))
        extra = {org: {} for org in self.orgs}
        for (bank, grid), dealer in dealers.items():
            extra[grid][f"corrections/{bank}"] = dealer.products(2)
            other, peer = (grid, bank) if owner == "bank" else (bank, grid)
            extra[other][f"gradient/{peer}"] = dealer.gradient(owner)
        handed = self.ask("residual", self.across(crossed, "opened", dealers, extra))
        self.ask("gradient", self.across(handed, "masked", dealers))
        return self.summed(GRADIENT, (*self.fitting[0], *self.fitting[1]), len(self.betas[k]), GRADIENT_BITS)

    def _clear_gradient(self) -> FloatArray:
        """The banks' gradient where no grid company takes part."""
        request = Content({"beta": self.betas[0]}, dict(self.drawn))
        self.ask("clear", dict.fromkeys(self.orgs, request))
        return self.summed(GRADIENT, self.fitting[0], len(self.betas[0]), BITS)

    def evaluated(self, pair: Pair) -> Marks:
        """Marks of the pair's positions that are set aside or held out, in order."""
        marks = self.marks[pair]
        return np.asarray(marks[np.isin(marks, (SET_ASIDE, HELD_OUT))])
