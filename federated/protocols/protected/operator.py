"""The operator's side of protected training: it passes on what nodes seal, and adds up.

Steps are the lead's (`lead`), of banks alone too: no gradient is opened here. Every node's share of a sum is needed, so
nobody could drop out of one anyway: a sum is one message of each node, behind masks that cancel (`state.Talk.masked`),
and a node that is gone ends the run. A sum is over the nodes that have something to add: a node refuses one in which it
would stand alone among others who add zeros.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from federated.errors import AggregationFailed, NoOverlap, TrainingFailed
from federated.models.encoding.interactions import prior, products
from federated.models.encoding.principal import PrincipalColumns, principal
from federated.models.encoding.ramps import FloatArray
from federated.models.encoding.random_leaves import EXACT_DEPTH, RandomLeaves, interval_trees, joined, random_trees
from federated.models.served.hidden import HiddenFunction
from federated.models.served.kept import KeptFunction
from federated.privacy.secure_aggregation.ring import BITS, RingArray, decoded
from federated.privacy.vertical.dealer import dealer_of
from federated.privacy.vertical.ring import Ring
from federated.protocols.core.messages import Arrays, Content, Values, prefixed
from federated.protocols.core.session import Session, Side
from federated.protocols.protected.concealing import PUBLIC, columns_told
from federated.protocols.protected.dealing import FITTING, INTERACTIONS, ROLES, Dealing
from federated.protocols.protected.evidence import Block
from federated.protocols.protected.interacting import gathered
from federated.protocols.protected.settings import ProtectedSettings
from federated.protocols.protected.state import BANKS_GRADIENT, FIT, GRADIENT, HELD_OUT, Marks, Pair, Prior, gram_of

# Beyond roundings of a sum.
NO_VARIANCE = 1e-9


@dataclass
class ProtectedTraining:
    """One protected model over an open session of banks, or of banks and grid companies.

    After `fit`: a basis and the nodes that fit rows, a side, banks first. `gradients` are those of both sides.
    Raises what a node refuses with, `AggregationFailed` if a node is missing from a sum, `NoOverlap`.
    """

    session: Session
    settings: ProtectedSettings
    bases: list[PrincipalColumns] = field(default_factory=list)
    marks: dict[Pair, Marks] = field(default_factory=dict)
    fitting: list[tuple[str, ...]] = field(default_factory=list)
    dealing: Dealing = field(default_factory=Dealing)
    gradients: int = 0
    lead: str = ""
    rest: Content = field(default_factory=Content)

    @property
    def joint(self) -> bool:
        """Whether grid companies take part."""
        return len(self.session.sides) > 1

    @property
    def orgs(self) -> tuple[str, ...]:
        """All nodes, banks first."""
        return tuple(org for side in self.session.sides for org in side.orgs)

    def fit(self) -> None:
        """Agree on customers and columns, and have the lead fit. Raises `TrainingFailed` where no fit comes to rest."""
        self._introduce()
        if self.joint:
            self._mark()
        self._count()
        told = [self._columns(k, side) for k, side in enumerate(self.session.sides)]
        self._approve({org: content for side in told for org, content in side.items()})
        if self.joint:
            self._multiply()
            self._hide()
        self._fit()

    def _fit(self) -> None:
        """Pass gradients on to the lead until it says that the fit is at rest."""
        settings, spent = self.settings, 0
        told: dict[str, Values] = {of: getattr(settings, of) for of in ("tolerance", "most", "ridges", "ridge")}
        step = self._step(Content(config=told))
        while not step.integer("at_rest"):
            gradient = self._gradient if step.integer("together") else self._clear_gradient
            step = self._step(Content({"gradient": gradient(self._to_banks(step))}))
            spent += 1
            self.session.progress("protected", spent, None)
        # What the lead came to is where banks are, with the masks of another step.
        self.rest = step

    def penalty(self, ridges: Sequence[float]) -> FloatArray:
        """Ridge (width,) of all columns, banks' first and products last, where each part has one of `ridges`."""
        parts = [part for basis in self.bases for part in Prior(basis.relative, basis.parts).by_part]
        if self.joint and self.products:
            (ours, theirs), (k, n) = self.bases, self.multiplied
            parts.append(prior(ours.relative[1 : 1 + k], theirs.relative[:n]))
        held = zip(parts, ridges, strict=True)
        return np.concatenate([Block.of(part, 1.0, self.session.rate).penalty(ridge) for part, ridge in held])

    def _step(self, content: Content) -> Content:
        return self.ask("step", {self.lead: content})[self.lead]

    def ask(self, action: str, requests: dict[str, Content]) -> dict[str, Content]:
        """One message to each of these nodes."""
        return self.session.board.ask(f"query.protected_{action}", requests)

    def summed(self, of: str, over: Iterable[str], length: int, bits: int) -> FloatArray:
        """Secure sum of what the nodes `over` keep under `of`. Raises `AggregationFailed` unless all are in it."""
        return decoded(self.ring_summed(of, over, length), bits)

    def ring_summed(self, of: str, over: Iterable[str], length: int) -> RingArray:
        """As `summed`, as integers modulo 2^64: where the operator adds a share of its own."""
        names = sorted(over)
        request = Content(config={"of": of, "names": names, "length": length})
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
                           if f"available/{bank}" in c.arrays})
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

    def _count(self) -> None:
        """Have banks tell each other, sealed, of their customers, and agree to open sums over them."""
        banks = self.session.banks.orgs
        told = self.ask("rows", dict.fromkeys(banks, Content()))
        agreed = self.ask("rows", {bank: Content(_sealed_for(bank, "fitted", told)) for bank in banks})
        self.lead = agreed[banks[0]].text("lead")

    def _approve(self, told: Mapping[str, Content]) -> None:
        """Have banks approve of columns, by what all nodes seal for them."""
        requests = {
            bank: Content(
                {n: a for what in ("moments", "prior", "made_of") for n, a in _sealed_for(bank, what, told).items()}
            )
            for bank in self.session.banks.orgs
        }
        self.ask("approve", requests)

    def _columns(self, k: int, side: Side) -> dict[str, Content]:
        """Agree on a side's columns, sum up their Gram matrix, and go on with their principal components: what nodes
        seal of these for banks."""
        s = self.settings
        pairs = random_trees(side.binning, side.quantiles, s.trees, EXACT_DEPTH, s.seed * 10 + k)
        trees = joined(pairs, interval_trees(side.binning, s.cells))
        basis = RandomLeaves(side.encoder, side.binning, trees)
        rate: dict[str, Values] = {"rate": self.session.rate}
        told = self.ask("columns", dict.fromkeys(side.orgs, Content(prefixed("trees", trees.to_arrays()), rate)))
        self.fitting.append(tuple(org for org in side.orgs if told[org].integer("rows")))
        upper = np.triu_indices(basis.width)
        gram = np.zeros((basis.width, basis.width))
        gram[upper] = self.summed(gram_of(side.role), self.fitting[k], len(upper[0]), BITS)
        gram = gram + gram.T - np.diag(np.diag(gram))
        rows, own = gram[0, 0], np.diag(gram)
        if not np.any(own / rows - np.square(gram[0] / rows) > NO_VARIANCE):
            detail = (
                f"no column of any {side.role} differs between the customers that are fitted: it says nothing of them"
            )
            raise TrainingFailed(detail)
        few = principal(basis, gram, basis.precision(s.cell_ridge, s.leaf_ridge), s.components, constant=k == 0)
        self.bases.append(few)
        tight: dict[str, Values] = {"cell_ridge": s.cell_ridge, "leaf_ridge": s.leaf_ridge}
        return self.ask("project", dict.fromkeys(side.orgs, Content({"directions": few.directions}, tight)))

    @property
    def pairs(self) -> dict[Pair, int]:
        """Pairs of a bank and a grid company that fit rows in common, and how many."""
        return {pair: int((marks == FIT).sum()) for pair, marks in self.marks.items() if (marks == FIT).any()}

    @property
    def multiplied(self) -> tuple[int, int]:
        """How many components of each side, banks first, are multiplied with the other's."""
        ours, theirs = (basis.parts[0] - basis.constant for basis in self.bases)
        return min(self.settings.interactions, ours), min(self.settings.interactions, theirs)

    @property
    def products(self) -> int:
        """How many products of both sides' components there are."""
        ours, theirs = self.multiplied
        return ours * theirs

    def together(self, ours: FloatArray, theirs: FloatArray) -> FloatArray:
        """Products (rows, products) of both sides' columns (rows, width): for who measures and has both."""
        k, n = self.multiplied
        return products(ours[:, 1 : 1 + k], theirs[:, :n])

    @property
    def _widths(self) -> list[int]:
        return [basis.width + self.products for basis in self.bases]

    def _multiply(self) -> None:
        """Have pairs multiply components of their columns, on shares: one of banks' at a time, of all their rows."""
        rows = {pair: int((marks > 0).sum()) for pair, marks in self.marks.items() if (marks > 0).any()}
        ours, theirs = self.multiplied if self.products else (0, 0)
        for number in range(ours):
            sizes: dict[str, Values] = {"components/bank": ours, "components/grid": theirs, "number": number}
            self.multiply("interact", f"{INTERACTIONS} {number}", rows, theirs, sizes)

    def multiply(
        self, action: str, purpose: str, rows: Mapping[Pair, int], count: int, told: dict[str, Values]
    ) -> None:
        """Have both sides of every pair keep shares of `count` products of its rows: three messages of this action."""
        config = self.begun(purpose, rows)
        opened = self.ask(action, {org: Content(config=told | own) for org, own in config.items()})
        dealt = self.dealt(opened, self.dealing.vectors(purpose, count), rows)
        tags = self.ask(action, self.across(opened, "opened", rows, dealt, told))
        self.ask(action, self.across(tags, "tag", rows, config=told))

    def _hide(self) -> None:
        """Have dealers begin, and both sides of each pair hide their columns from each other."""
        widths = self._widths
        told: dict[str, Values] = {"rows": sum(self.pairs.values()), **_widths(widths)}
        config = self.begun(FITTING, self.pairs, widths)
        hidden = self.ask("hide", {org: Content(config=told | config[org]) for org in self.orgs})
        self.ask("hide", self.across(hidden, "hidden", self.pairs))

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

    def _clear_gradient(self, points: Mapping[str, Arrays]) -> RingArray:
        """The gradient of banks' columns, of banks alone, behind the lead's mask: at the point that it tells banks by
        `points`."""
        banks = self.session.banks.orgs
        self.ask("clear", {bank: Content(points.get(bank, {})) for bank in banks})
        return self.ring_summed(BANKS_GRADIENT, self.fitting[0], self.bases[0].width)

    def _gradient(self, points: Mapping[str, Arrays]) -> Ring:
        """Both sides' gradients behind the lead's mask, at the point that it tells banks by `points`."""
        widths = self._widths
        config = _widths(widths)
        self.gradients += 1
        weighed = self.ask("point", {org: Content(points.get(org, {})) for org in self.orgs})
        dealt = self.dealt(weighed, self.dealing.weighed(), self.pairs)
        passed = self.across(weighed, "weights", self.pairs, dealt, config)
        opened = self.ask("open", {org: Content(config=config) for org in self.orgs} | passed)
        dealt = self.dealt(opened, self.dealing.step(FITTING, widths), self.pairs)
        crossed = self.ask("cross", self.across(opened, "opened", self.pairs, dealt))
        handed = self.ask("residual", self.across(crossed, "opened", self.pairs))
        masked = self.across(handed, "masked", self.pairs)
        width = {org: widths[k] for k, side in enumerate(self.session.sides) for org in side.orgs}
        self.ask("gradient", {org: Content(c.arrays, {"width": width[org]}) for org, c in masked.items()})
        total = self.ring_summed(GRADIENT, (*self.fitting[0], *self.fitting[1]), sum(widths))
        return gathered(total, self.bases[0].width, self.products)

    def concealed(self) -> HiddenFunction:
        """Have the lead split the function of grid companies' columns, and everybody keep its part: what is public."""
        lead = self.lead
        tight = np.array([self.settings.cell_ridge, self.settings.leaf_ridge])
        told: Arrays = {"bands": self.session.sides[1].bands, "tight": tight, **columns_told(self.bases[1])}
        arrays = self.ask("conceal", {lead: Content(told)})[lead].arrays
        public = {name: array for name, array in arrays.items() if name.startswith(f"{PUBLIC}/")}
        requests = {}
        for org in self.orgs:
            own: Arrays = {f"part/{lead}": arrays[f"part/{org}"]} if f"part/{org}" in arrays else {}
            dealt = [grid for grid in self.session.sides[1].orgs if f"dealing/{grid}/{org}" in arrays]
            own |= {f"dealing/{grid}/{lead}": arrays[f"dealing/{grid}/{org}"] for grid in dealt}
            requests[org] = Content(public | own, {"lead": lead, "deals_for": dealt})
        self.ask("keep_part", requests)
        return HiddenFunction.from_arrays(PUBLIC, public)

    def own_function(self) -> KeptFunction:
        """Have banks keep the function of their columns, once they were told where the fit rests: what is public."""
        told = Content({"bands": self.session.banks.bands})
        arrays = self.ask("conceal_own", {self.lead: told})[self.lead].arrays
        public = {name: array for name, array in arrays.items() if name.startswith(f"{PUBLIC}/")}
        requests, points = {}, self.resting()
        for bank in self.session.banks.orgs:
            part: Arrays = {f"part/{self.lead}": arrays[f"part/{bank}"]} if f"part/{bank}" in arrays else {}
            requests[bank] = Content(public | part | points.get(bank, {}))
        self.ask("keep_own", requests)
        return KeptFunction.from_arrays(PUBLIC, public)

    def resting(self) -> dict[str, Arrays]:
        """What brings banks to where the fit came to rest, for each but the lead; they are told it once."""
        at, self.rest = self.rest, Content()
        return self._to_banks(at)

    def _to_banks(self, at: Content) -> dict[str, Arrays]:
        return {
            bank: {f"point/{self.lead}": at.arrays[f"point/{bank}"]}
            for bank in self.session.banks.orgs
            if f"point/{bank}" in at.arrays
        }

    def evaluated(self, pair: Pair) -> Marks:
        """Marks of the pair's rows that are held out, for figures."""
        marks = self.marks[pair]
        return np.asarray(marks[marks == HELD_OUT])


def _sealed_for(bank: str, name: str, answers: Mapping[str, Content]) -> Arrays:
    """What nodes sealed under a name for this bank, by node."""
    own = {org: content.arrays.get(f"{name}/{bank}") for org, content in answers.items()}
    return {f"{name}/{org}": sealed for org, sealed in own.items() if sealed is not None}


def _widths(widths: Sequence[int]) -> dict[str, Values]:
    """What tells dealers how many first columns of each side they deal for."""
    return {f"width/{role}": width for role, width in zip(ROLES, widths, strict=True)}
