"""The third node of a query: it deals to a pair of others, and sees nothing that they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from federated.errors import NotPermitted
from federated.governance.served import ApprovedModels
from federated.models.served.hidden import HiddenFunction
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.masks import new_secret, public_of, shared_key
from federated.nodes.node import OPERATOR
from federated.privacy.vertical.hidden_function import deal
from federated.privacy.vertical.hidden_weights import mask_of_weights, require_key
from federated.privacy.vertical.ring import Ring
from federated.serving.hidden.common import DEALT, MASK_KEY, Ready, dealer_for, hidden_of, shape_of
from federated.serving.hidden.seals import Link, dealt_to


@dataclass(frozen=True, slots=True)
class Dealt:
    """What a dealer sends: sealed for either side."""

    grid: bytes
    bank: bytes


class NodeDealer:
    """A bank's or a grid company's node as the dealer of a pair of others."""

    def __init__(self, node: BankNode | GridNode, models: ApprovedModels) -> None:
        self._node, self._models, self._masks = node, models, Ready[Ring]()

    def deal(self, version: str, bank: str, grid: str, queries: Sequence[bytes], *, explained: bool) -> list[Dealt]:
        """For queries of these hashes (`dealing_hash`), by a version whose approval holds.

        Raises `NotPermitted` unless this node deals to the pair, `NodeUnavailable` without the mask's key,
        `ModelCorrupt` for a key that is another's, and of the version what `ApprovedModels.approved` does.
        """
        function = hidden_of(self._models.approved(version, self._node.now()))
        if dealer_for(function, bank, grid) != self._node.org_id:
            raise NotPermitted(f"{self._node.org_id} does not deal to {bank} and {grid}", node=self._node.org_id)
        of = function.function_id

        def mask() -> Ring:
            key = require_key(function, grid, self._node.kept_dealing(of, grid))
            return mask_of_weights(key, function.shape[0])

        found = []
        for query in queries:
            links = [
                Link(self._node.mask_key(peer), query, dealt_to(peer, bank, grid, of, explained=explained))
                for peer in (bank, grid)
            ]
            found.append(_dealt(function, self._masks.get(f"{of} {grid}", mask), *links, explained=explained))
        return found


class OperatorDealer:
    """The operator as the dealer of a network of two, all of which it could read: with a new key a process."""

    def __init__(self) -> None:
        self._secret = new_secret()
        self.public = public_of(self._secret)
        self._keys = Ready[bytes]()

    def deal(
        self, function: HiddenFunction, bank: BankNode, grid: GridNode, query: bytes, key: bytes, *, explained: bool
    ) -> Dealt:
        """As `NodeDealer.deal` for one query, with the `key` of the mask that the bank sealed for it."""
        pair, of = (bank.org_id, grid.org_id), function.function_id
        links = [
            self._link(bank, query, dealt_to(bank.org_id, *pair, of, explained=explained)),
            self._link(grid, query, dealt_to(grid.org_id, *pair, of, explained=explained)),
        ]
        mask_key = links[0].open(MASK_KEY, key).astype("<u8").tobytes()
        mask = mask_of_weights(require_key(function, grid.org_id, mask_key), function.shape[0])
        return _dealt(function, mask, *links, explained=explained)

    def _link(self, node: BankNode | GridNode, query: bytes, purpose: str) -> Link:
        public, name = node.public_key(), node.org_id
        key = self._keys.get(public.hex(), lambda: shared_key(self._secret, public, f"{OPERATOR}|{name}"))
        return Link(key, query, purpose)


def _dealt(function: HiddenFunction, mask: Ring, bank: Link, grid: Link, *, explained: bool) -> Dealt:
    to_grid, to_bank = deal(shape_of(function), mask, grid.tape, bank.tape, explained=explained)
    return Dealt(grid.seal(DEALT, to_grid), bank.seal(DEALT, np.asarray(to_bank)))
