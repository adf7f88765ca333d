"""A grid company's node: electricity features of the customers in its territory. It never sees a label or a score."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from federated.consent.record import ConsentRecord
from federated.consent.store import ConsentStore
from federated.consent.uses import Action
from federated.errors import NotPermitted
from federated.nodes import functions
from federated.nodes.budget import QueryBudget, default_budget, default_training_limit
from federated.nodes.node import Node, PartialRequest, PartialScore
from federated.nodes.row_sets import LEAST_APART, RowSets, kept_sets
from federated.nodes.seals import seal

BUDGET_STATE = "query budget"

# Of sets of customers, and of runs over each.
MANY = 1 << 30
LEAST = "least apart"


class GridNode(Node):
    """Holds the electricity side. Consents that name it reach it as copies of those given to a bank.

    It checks them itself, and takes no others: whom it does not serve is no business of its own.
    """

    role = "grid"

    def _require_own(self, record: ConsentRecord) -> None:
        # One of the form before is known already where it counts.
        if record.grid_id != self.org_id and self.consent(record.consent_id) is None:
            raise NotPermitted(f"this consent does not name {self.org_id}", consent_id=record.consent_id)

    @property
    def least_apart(self) -> int:
        """Over how few customers, and how few that two runs do not have in common, it opens something."""
        kept = self.store.state(LEAST)
        return LEAST_APART if kept is None else int(kept)

    def set_least_apart(self, least: int) -> None:
        """Keep another least number of customers."""
        self.store.put_state({LEAST: str(least).encode()})

    def row_sets(self, of: str) -> RowSets:
        """Its memory of runs: over whom of its customers they opened something (`of`). It opens no labels, so how many
        there may be is the banks' to say."""
        window = default_training_limit().window
        return kept_sets(self.store, of, self._clock(), window, MANY, MANY)

    @property
    def budget(self) -> QueryBudget:
        """How often banks may ask this node: what it set itself, else the common default."""
        own = self.store.state(BUDGET_STATE)
        return default_budget() if own is None else QueryBudget.from_bytes(own)

    def set_budget(self, budget: QueryBudget) -> None:
        """Let this node answer so often from now on; earlier answers count."""
        self.store.put_state({BUDGET_STATE: budget.to_bytes()})

    def keep_function(self, function_id: str, masked: NDArray[np.uint64]) -> None:
        """Keep this grid company's masked weights (entries,) of a hidden function.

        Raises `NotPermitted` if others are kept under this id, `NodeUnavailable`.
        """
        functions.keep_secret(self.store, function_id, masked.astype("<u8").tobytes())
        self.forget_functions()

    def masked_weights(self, function_id: str) -> NDArray[np.uint64]:
        """What `keep_function` kept. Raises `NodeUnavailable` if nothing was."""
        return np.frombuffer(self.kept_function(function_id), dtype="<u8").astype(np.uint64)

    def partial(self, request: PartialRequest, *, explained: bool = True) -> PartialScore | None:
        """This node's share of a customer's logit, None without a file, masked towards the bank that asks.

        By the approved version that the request names, and by the key that this node pinned for the bank, for which
        alone its reasons are sealed. Raises
        `VersionNotFound`, `VersionNotApproved`, `ModelCorrupt`, `NotPermitted` for a bank it knows no key of, consent
        errors, `InvalidTime` if the request says another time than this node's clock, `QueryBudgetSpent`, and
        `NodeUnavailable` if the node cannot use its own store.
        """
        found = self._partial(request, request.bank_id, explained=explained)
        if found is None:
            return None
        share, ranked = found
        sealed = seal(self.mask_key(request.bank_id), request.text(), ranked) if explained else b""
        return PartialScore(self.org_id, share, sealed)

    def _require_budget(self, consents: ConsentStore, request: PartialRequest, action: Action, now: datetime) -> None:
        if action is Action.SCORE:

            def consented() -> int:
                return self.store.own_consented(request.bank_id, now)

            self.budget.require(consents.uses, consented, request.bank_id, request.subject_id, now)
