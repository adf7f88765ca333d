"""One run of five banks, some of them poisoned, over Flower messages; held-out AUC and what a backdoor opens."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from federated.engines.in_process import InProcessGrid, Seat
from federated.models.encoding.ramps import FloatArray
from federated.models.served.metrics import metrics_of
from federated.nodes.identity import fresh_identities
from federated.privacy.attacks.poisoning import Poison, Trigger
from federated.protocols.core.messages import Switchboard
from federated.protocols.core.protocol import BanksTask
from federated.protocols.node_app import bank_app
from federated.protocols.robust.app import Bank
from federated.protocols.robust.node import INSPECTED, SECURE, RobustNode, RobustRows
from federated.protocols.robust.operator import RobustRun
from federated.protocols.robust.protocol import RobustProtocol
from simulations.experiments.private_credit.world import PrivateTable, bank_names

BOTH = frozenset({SECURE, INSPECTED})
# The riskiest share of customers is turned down; a backdoor is there to get them in.
REFUSED_SHARE = 0.2


class PoisonedNode:
    """An attacker in a bank's place: honest code over pretended rows, then `poison` on what leaves."""

    def __init__(self, node: RobustNode, poison: Poison) -> None:
        self.org_id = node.org_id
        self._node, self._poison = node, poison

    def update(self, table: str, mode: str, group: tuple[str, ...]) -> FloatArray:
        """The poisoned update (length,)."""
        return self._poison.update(self._node.update(table, mode, group))

    def losses(self, table: str, candidates: Mapping[str, NDArray[np.generic]]) -> FloatArray:
        """The dishonest vote (candidates,)."""
        return self._poison.vote(self._node.losses(table, candidates))


def trigger_of(table: PrivateTable) -> Trigger:
    """The largest values that the public ranges allow in the last two measured columns."""
    chosen = table.public.measures[-2:]
    return Trigger(tuple(j for j, _ in chosen), tuple(c.high for _, c in chosen))


def attacks(table: PrivateTable) -> tuple[Poison, ...]:
    """The attacks of the experiment."""
    trigger = trigger_of(table)
    return (
        Poison("labels", flips=True),
        Poison("labels ×10", factor=10.0, flips=True),
        Poison("sign", factor=-1.0),
        Poison("sign ×10", factor=-10.0),
        Poison("backdoor", trigger=trigger),
        Poison("backdoor ×10", factor=10.0, trigger=trigger),
        # Adaptive: as many stamped rows as honest banks differ by anyway.
        Poison("backdoor, 1 % of rows", trigger=trigger, share=0.01),
    )


def dealt(
    table: PrivateTable, held_out: NDArray[np.bool_], seed: int, poisoned: Collection[str], poison: Poison | None
) -> dict[str, Bank]:
    """Training rows dealt evenly and at random to five banks, as in `private_credit`; `poisoned` are attackers."""
    names = bank_names()
    owners = np.random.default_rng(seed).permutation(np.arange(len(table.labels)) % len(names))
    banks: dict[str, Bank] = {}
    for place, name in enumerate(names):
        mine = (owners == place) & ~held_out
        values, labels = table.values[mine], table.labels[mine]
        bad = poison is not None and name in poisoned
        if poison is not None and bad:
            values, labels = poison.rows(values, labels)
        node = RobustNode(name, RobustRows(table.public, values, labels), BOTH)
        banks[name] = PoisonedNode(node, poison) if poison is not None and bad else node
    return banks


def switchboard(banks: Mapping[str, Bank]) -> Switchboard:
    """The operator's way to these banks over an in-process Flower grid; signing keys are made for the run."""
    known = fresh_identities(banks)
    seats = {i + 2: Seat(bank_app(RobustProtocol(), bank, known[b]), {}) for i, (b, bank) in enumerate(banks.items())}
    board = Switchboard(InProcessGrid(seats))
    board.introduce()
    return board


@dataclass(frozen=True, slots=True)
class PoisonedFold:
    """Held-out AUC, and of the customers turned down the share that gets in with the trigger on."""

    auc: float
    backdoor: float


def measured(
    table: PrivateTable,
    held_out: NDArray[np.bool_],
    mode: str,
    poisoned: Collection[str] = (),
    poison: Poison | None = None,
    seed: int = 2024,
) -> PoisonedFold:
    """Train in a mode of `RobustProtocol` and score held-out rows."""
    board = switchboard(dealt(table, held_out, seed, poisoned, poison))
    run = RobustProtocol(mode).train(board, BanksTask(table.public, bank_names()))
    return judged(run, table, held_out)


def judged(run: RobustRun, table: PrivateTable, held_out: NDArray[np.bool_]) -> PoisonedFold:
    """Figures of a run's model on held-out rows."""
    values, labels = table.values[held_out], table.labels[held_out]
    scores = run.scores(values)
    # A poisoned score has no scale; its ranks have.
    auc = metrics_of(scipy.stats.rankdata(scores) / len(scores) * 30.0 - 15.0, labels).auc
    limit = float(np.quantile(scores, 1.0 - REFUSED_SHARE))
    refused = scores > limit
    if not refused.any():
        return PoisonedFold(auc, 0.0)
    stamped = run.scores(trigger_of(table).stamped(values[refused]))
    return PoisonedFold(auc, float(np.mean(stamped <= limit)))
