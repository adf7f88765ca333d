"""The operator's side of both modes, and of the sum without protection that they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from flwr.app import Message

from federated.errors import AggregationFailed, FederatedError
from federated.models.encoding.hats import HatBasis
from federated.models.encoding.public_ranges import PublicTable
from federated.models.encoding.ramps import FloatArray
from federated.privacy.differential.moments import MomentShape, solved
from federated.privacy.robust.bounding import bounded
from federated.privacy.robust.groups import isolated, two_groups
from federated.privacy.robust.selection import agreeing
from federated.privacy.robust.votes import verdicts
from federated.protocols.core.messages import Arrays, Content, Switchboard, pack, prefixed
from federated.protocols.core.secure_sum import secure_sum
from federated.protocols.robust.node import INSPECTED, SECURE, public_basis


@dataclass(frozen=True, slots=True)
class RobustRun:
    """A finished run: score = units · `beta`, uncalibrated, of ½(2·P − 1).

    `chosen` are the banks whose updates are in the model; `judged` the median loss of each candidate, if any were.
    """

    mode: str
    basis: HatBasis
    beta: FloatArray
    chosen: tuple[str, ...]
    judged: Mapping[str, float]

    def scores(self, values: FloatArray) -> FloatArray:
        """Scores (rows,) of `values` (rows, columns)."""
        return np.asarray(self.basis.units(values) @ self.beta)


def train_inspected(board: Switchboard, table: PublicTable, banks: Sequence[str]) -> RobustRun:
    """Every bank's mean in clear, bounded here; those that agree best are averaged (`privacy.robust.selection`).

    Banks that refuse are left out. Raises `AggregationFailed` if fewer than three answer.
    """
    basis, shape = _basis(table)
    request = pack(Content(config={"table": table.table}))
    messages = [Message(request, board.node_ids[bank], "query.robust_inspected") for bank in banks]
    answers = board.read_present(board.exchange_present(messages))
    sent = {bank: content.arrays.get("update") for bank, content in answers.items()}
    updates = {
        bank: bounded(np.asarray(update, dtype=np.float64), shape)
        for bank, update in sent.items()
        if update is not None and update.shape == (shape.length,) and update.dtype.kind in "fiu"
    }
    chosen = agreeing(updates)
    mean = np.mean([updates[bank] for bank in chosen], axis=0)
    return RobustRun(INSPECTED, basis, solved(mean, shape, 0.0), chosen, {})


def train_secure(board: Switchboard, table: PublicTable, banks: Sequence[str]) -> RobustRun:
    """Sums of two fixed groups are opened; all banks judge both and their union, and the best median loss is taken.

    A group too few of which are left is no candidate, and neither is the union then. Raises `AggregationFailed`.
    """
    basis, shape = _basis(table)
    sums: dict[tuple[str, ...], FloatArray] = {}
    groups = two_groups(banks)
    if exposed := isolated(groups):
        raise AggregationFailed(f"these groups would open the vector of {', '.join(sorted(exposed))}")
    for group in groups:
        try:
            total, there = summed(board, table, group, shape.length)
        except FederatedError:
            continue
        sums[tuple(sorted(there))] = total
    if not sums:
        raise AggregationFailed("no group of banks could be summed")
    if len(sums) > 1:
        everybody = tuple(sorted(bank for group in sums for bank in group))
        sums[everybody] = np.asarray(sum(sums.values()))
    opened = list(sums)
    # Bounding a group's mean changes none that only honest banks made.
    betas = [solved(bounded(sums[g] / len(g), shape), shape, 0.0) for g in opened]
    sent: Arrays = prefixed("candidates", {f"{i:02d}": beta for i, beta in enumerate(betas)})
    request = Content(sent, {"table": table.table})
    messages = [Message(pack(request), board.node_ids[b], "query.robust_vote") for b in banks]
    answers = board.read_present(board.exchange_present(messages))
    votes = {b: np.asarray(c.arrays["losses"], dtype=np.float64) for b, c in answers.items() if "losses" in c.arrays}
    losses = verdicts(votes, len(opened))
    best = int(np.argmin(losses))
    judged = {" ".join(g): float(loss) for g, loss in zip(opened, losses, strict=True)}
    return RobustRun(SECURE, basis, betas[best], opened[best], judged)


def train_unprotected(board: Switchboard, table: PublicTable, banks: Sequence[str]) -> RobustRun:
    """One secure sum over all banks, as plain secure aggregation has it. Raises `AggregationFailed`."""
    basis, shape = _basis(table)
    total, there = summed(board, table, tuple(sorted(banks)), shape.length)
    return RobustRun("unprotected", basis, solved(total / len(there), shape, 0.0), tuple(sorted(there)), {})


MODES: Mapping[str, Callable[[Switchboard, PublicTable, Sequence[str]], RobustRun]] = {
    "unprotected": train_unprotected,
    SECURE: train_secure,
    INSPECTED: train_inspected,
}


def summed(
    board: Switchboard, table: PublicTable, group: tuple[str, ...], length: int
) -> tuple[FloatArray, frozenset[str]]:
    """Sum (length,) over the banks of a group that are there to the end: so many that one may collude."""
    request = Content(config={"table": table.table, "group": list(group)})
    return secure_sum(board, group, length, len(group) - 1, (len(group) + 1) // 2 + 1, request)


def _basis(table: PublicTable) -> tuple[HatBasis, MomentShape]:
    basis = public_basis(table)
    return basis, MomentShape(basis.width, basis.blocks)
