"""Functions of grid companies' columns made by hand and split, so that banks know the weights and nobody else."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from hand_made import appointed, approved

from federated.governance.model_registry import ModelRegistry
from federated.governance.versions import Governance
from federated.governance.weights import ScoringModel
from federated.models.encoding.binning import merge_bins
from federated.models.encoding.random_leaves import RandomLeaves, random_trees
from federated.models.encoding.sketch import sketch
from federated.models.served.interacting import Components, Interactions
from federated.models.served.scorer import BAND_RANKS, PartyScorer
from federated.models.served.tables import tabulated
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.store import NodeStore
from federated.privacy.vertical.hidden_weights import Factors, Split, split

FEATURES = 7


def basis_of(values, seed, trees=20, ramps=8, bins=32):
    """Random columns of a table of raw values (rows, features)."""
    names = [f"x{j}" for j in range(values.shape[1])]
    binning, encoder = merge_bins([sketch(values)], bins, ramps, names, "grid")
    ranks = np.nanquantile(values, np.linspace(0.05, 0.95, 19), axis=0).T
    return RandomLeaves(encoder, binning, random_trees(binning, ranks, trees, 2, seed))


def weights_of(basis, seed, size=0.25):
    """Weights (basis.width,) of a lively function, in logits."""
    return size * np.random.default_rng(seed).normal(size=basis.width)


def made_split(seed, sign=1.0, key=b"\x07" * 32, grids=("grid-g", "grid-h"), banks=("bank-a", "bank-b")):
    """A split function of `FEATURES` columns, its weights, and raw values (400, features) with some missing."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(400, FEATURES))
    values[rng.random(values.shape) < 0.05] = np.nan
    basis = basis_of(values, seed)
    gamma = sign * weights_of(basis, seed)
    bands = np.nanquantile(values, BAND_RANKS, axis=0).T
    return split(basis, gamma, basis.encoder.reference, bands, banks, grids, key), gamma, values


@dataclass(frozen=True)
class Hidden:
    """A home whose champion `version` hides its function of electricity data, and the same function in clear."""

    home: Path
    version: str
    split: Split
    plain: PartyScorer
    model: ScoringModel


def reference_and_bands(values):
    """The typical customer and the bands of a table (rows, features) with missing values."""
    return np.nanmedian(values, axis=0), np.nanquantile(values, BAND_RANKS, axis=0).T


def hide(
    home, tables, at, version="v0003", banks=None, grids=None, *, seed=3, champion=True, kept=True, trees=40, factors=0
):
    """Register a version like v0001 but for a hidden function of these parties' columns, and give each node its part.

    Named `<version>-plain` is the same with the function in clear, but for products of both sides' components, of so
    many `factors`.
    """
    registry = ModelRegistry(home)
    manifest, like = registry.manifest("credit", "v0001"), registry.load("credit", "v0001")
    banks = tuple(org for org in manifest.participants if org.startswith("bank")) if banks is None else banks
    grids = tuple(org for org in manifest.participants if org.startswith("grid")) if grids is None else grids
    values = tables.grid_values[tables.joint][:, list(tables.schema.grid.lending)]
    basis = basis_of(values, seed, trees=trees)
    gamma, (reference, bands) = weights_of(basis, seed, 0.15), reference_and_bands(values)
    between = products_of(basis, tables, seed, factors) if factors else None
    made = split(basis, gamma, reference, bands, banks, grids, bytes([seed]) * 32, between)
    plain = PartyScorer(tabulated([(1.0, f) for f in basis.functions(gamma)], basis.binning, reference), bands)
    governance = Governance(home, registry)
    model = replace(like, joint_grid=made.function)
    for name, each in ((version, model), (f"{version}-plain", replace(like, joint_grid=plain))):
        governance.register(registry.publish(replace(manifest, version=name), each), at)
        approved(governance, name, at)
    if champion:
        appointed(governance, version, at)
    if kept:
        give(home, made)
    return Hidden(home, version, made, plain, model)


def products_of(basis, tables, seed, factors, components=5):
    """Components of a bank's columns and of `basis`, and lively factors of them."""
    rng = np.random.default_rng(seed)
    ours = basis_of(tables.bank_values[:, list(tables.schema.bank.lending)], seed)
    both = [Components(each, rng.normal(size=(each.width, components)) / 20.0) for each in (ours, basis)]
    sizes = rng.normal(size=(factors, components)), 0.3 * rng.normal(size=(factors, components))
    return Interactions(*both, factors), Factors(*sizes)


def give(home, made):
    """Give every node its part of a split function, as training does at its end."""
    of = made.function.function_id
    nodes = {}
    for path in (home / "nodes").glob("*.db"):
        store = NodeStore(path)
        nodes[store.org_id] = BankNode(store) if store.role == "bank" else GridNode(store)
    for bank in made.function.banks:
        nodes[bank].keep_function(of, made.secret)
    for grid, masked in made.masked.items():
        nodes[grid].keep_function(of, masked)
    for (dealer, grid), key in made.dealing().items():
        nodes[dealer].keep_dealing(of, grid, key)
    for node in nodes.values():
        node.store.close()
