"""A bank's own store as rows of a private run: consented customers, and no protected column."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np

from federated.consent.record import Purpose
from federated.consent.uses import Action
from federated.errors import PrivacyPlanRefused
from federated.models.encoding.public_ranges import PublicTable
from federated.nodes.bank import BankNode
from federated.privacy.ledgers import dataset_of
from federated.protocols.private.node import PrivateRows


def stored_rows(node: BankNode, clock: Callable[[], datetime], fold: int) -> Callable[[PublicTable], PrivateRows]:
    """Rows whose consent covers model training now, without those of the held-out `fold` (−1: none is held out).

    The function raises `PrivacyPlanRefused` for a column that the bank lacks or does not lend on.
    """

    def rows(public: PublicTable) -> PrivateRows:
        lending = {node.party.columns[j]: j for j in node.party.lending}
        for name in public.names:
            if name not in lending:
                detail = f"{node.org_id} trains on no column {name}: unknown, or protected"
                raise PrivacyPlanRefused(detail, bank=node.org_id, column=name)
        at = clock()
        table, allowed = node.store.table(), node.training_consents(node.org_id, at)
        consented = np.array([subject in allowed for subject in table.subjects], dtype=np.bool_)
        known = table.labels >= 0
        training = known & consented & (table.folds != fold)
        used = {s: allowed[s].consent_id for s, own in zip(table.subjects, training.tolist(), strict=True) if own}

        def log(outcome: str) -> None:
            node.log_batch(Action.TRAINING, node.org_id, Purpose.MODEL_TRAINING, at, used, outcome)

        values, taking_part = table.values[:, [lending[name] for name in public.names]], training[known]
        return PrivateRows(dataset_of(node), values[known], table.labels[known], taking_part, taking_part, log)

    return rows
