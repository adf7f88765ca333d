"""The runs of a home, registered versions and private ones, with what each bank's ledger says of its budget."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federated.errors import CorruptData, DataMissing
from federated.governance.manifest import PRIVACY_SHARES, Manifest
from federated.governance.model_registry import ModelRegistry
from federated.privacy.claims import Phase, vertical_phases
from federated.privacy.ledgers import ledgers_in

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spent:
    """One bank's account of one data set: ε spent and left at δ, and whether the run is among those that spent it."""

    bank: str
    dataset: str
    epsilon: float
    left: float
    delta: float
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `mechanism` is `protected`, `zoo` or `private`; ε and δ are None where no budget was spent."""

    name: str
    mechanism: Phase
    participants: tuple[str, ...]
    data_origin: str
    phases: tuple[Phase, ...]
    epsilon: float | None = None
    delta: float | None = None
    refused: tuple[str, ...] = ()
    accounts: tuple[Spent, ...] = ()


def runs_in(home: Path) -> list[Run]:
    """Versions by name, then private runs. Raises `DataMissing` for a home without any, `CorruptData`, `ModelCorrupt`,

    `PrivacyLedgerCorrupt`.
    """
    accounts = _accounts(home)
    runs = [_version(manifest) for manifest in ModelRegistry(home).manifests()]
    runs += [_private(path, accounts) for path in sorted((home / "private").glob("*.json"))]
    if not runs:
        detail = (
            f"no version and no private run is in {home}: `tanxin train --home` and `tanxin private train` leave them"
        )
        raise DataMissing(detail, file=str(home))
    return runs


def _accounts(home: Path) -> list[Spent]:
    accounts: list[Spent] = []
    if not list((home / "nodes").glob("bank-*.db")):
        return accounts
    with ledgers_in(home) as ledgers:
        for bank, ledger in ledgers.items():
            # The head is read first, which checks the chain: no figure comes from a ledger that was rewritten.
            ledger.head()
            for each in ledger.accounts():
                accounts.append(Spent(bank, each.dataset, each.epsilon, each.left, each.budget.delta, each.runs))
    return accounts


def _version(manifest: Manifest) -> Run:
    # Whatever does not state the protection of shares is taken to have none.
    protected = manifest.privacy == PRIVACY_SHARES
    return Run(
        name=f"{manifest.model} {manifest.version}",
        mechanism=Phase.PROTECTED if protected else Phase.ZOO,
        participants=manifest.participants,
        data_origin=manifest.data_origin,
        phases=vertical_phases(protected=protected),
    )


def _private(path: Path, accounts: list[Spent]) -> Run:
    try:
        raw: Json = json.loads(path.read_text("utf-8"))
        return Run(
            name=str(raw["run"]),
            mechanism=Phase.PRIVATE,
            participants=tuple(raw["agreed"]),
            data_origin=str(raw["data_origin"]),
            phases=(Phase.PRIVATE,),
            epsilon=float(raw["epsilon"]),
            delta=float(raw["delta"]),
            refused=tuple(sorted(raw["refused"])),
            accounts=tuple(each for each in accounts if raw["run"] in each.runs),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptData(f"the private run {path.name} cannot be read: {error}", file=str(path)) from error
