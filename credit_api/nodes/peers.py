"""Nodes that run elsewhere, as a bank's node asks them: over mutual TLS, each by the keys that are pinned for it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from pydantic import ValidationError

from credit_api.nodes.messages import (
    AllDealt,
    Begin,
    ConsentAsked,
    ConsentFound,
    ConsentGiven,
    Deal,
    First,
    Meet,
    Message,
    Nonces,
    Sealed,
    Step,
    Withdrawal,
)
from federated.channel.client import Channel
from federated.channel.node_keys import NodeKeys
from federated.consent.record import ConsentRecord
from federated.consent.uses import Use
from federated.errors import (
    ConsentExpired,
    ConsentMissing,
    ConsentSignatureInvalid,
    ConsentWithdrawn,
    FederatedError,
    NodeUnavailable,
    PurposeNotCovered,
    QueryBudgetSpent,
    QueryLost,
    ScopeNotCovered,
    SealBroken,
)
from federated.models.encoding.binning import IntArray
from federated.nodes.bank import BankNode
from federated.nodes.grid import GridNode
from federated.nodes.node import PartialRequest, PartialScore
from federated.nodes.schema import PartySchema
from federated.serving.hidden.dealer import Dealt

Answer = TypeVar("Answer", bound=Message)
# What a grid company may refuse a query with.
TOLD = (
    ConsentMissing, ConsentWithdrawn, ConsentExpired, ConsentSignatureInvalid, PurposeNotCovered, ScopeNotCovered,
    QueryBudgetSpent, QueryLost, SealBroken,
)  # fmt: skip


class Peer:
    """One other node, reached at `url`: `met`, and its keys pinned, before anything else is asked."""

    def __init__(self, node: BankNode | GridNode, keys: NodeKeys, name: str, url: str) -> None:
        self.name, self._node = name, node
        self._channel = Channel(keys, name, url)
        self.met, self._gate = False, threading.Lock()

    def meet(self) -> None:
        """Pin each other's keys, for masks and for signatures, once.

        Raises `NotPermitted` for others than before, `NodeUnavailable`.
        """
        with self._gate:
            if not self.met:
                told = self._asked("/meet", Meet.of(self._node), Meet)
                told.pinned_by(self._node, self._channel.party)
                self.met = True

    def ask(self, path: str, message: Message, answer: type[Answer]) -> Answer:
        """What it answers. Raises what the node raised, and `NodeUnavailable` where it does not answer as nodes do."""
        self.meet()
        return self._asked(path, message, answer)

    def _asked(self, path: str, message: Message, answer: type[Answer]) -> Answer:
        content = self._channel.post(path, message.model_dump_json().encode())
        try:
            return answer.model_validate_json(content)
        except ValidationError as error:
            raise NodeUnavailable(f"{self.name} does not answer as nodes do", node=self.name) from error

    def reload(self) -> None:
        """Connect anew, by what lies in the home now."""
        self._channel.reload()

    def close(self) -> None:
        """Close its connections."""
        self._channel.close()


class RemoteDealer:
    """As `NodeDealer`, elsewhere."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def deal(self, version: str, bank: str, grid: str, queries: Sequence[bytes], *, explained: bool) -> list[Dealt]:
        """As `NodeDealer.deal`; the asking bank is whom the connection is with.

        Raises `NodeUnavailable` whatever it refuses with: of a customer, or of a consent, a dealer knows nothing.
        """
        del bank
        asked = Deal(version=version, grid=grid, queries=list(queries), explained=explained)
        try:
            told = self._peer.ask("/deal", asked, AllDealt).dealt
        except FederatedError as error:
            raise NodeUnavailable(f"{self._peer.name} does not deal: {error.detail}", node=self._peer.name) from error
        if len(told) != len(queries):
            raise NodeUnavailable(f"{self._peer.name} does not answer as nodes do", node=self._peer.name)
        return [Dealt(each.grid, each.bank) for each in told]


class RemoteQueries:
    """As `HiddenGrid`, elsewhere."""

    def __init__(self, peer: Peer) -> None:
        self._peer, self.name = peer, peer.name

    def begin(self, bank: str, count: int = 1) -> list[bytes]:
        """As `HiddenGrid.begin`; the asking bank is whom the connection is with."""
        del bank
        told = self._peer.ask("/begin", Begin(count=count), Nonces).nonces
        if len(told) != count:
            raise NodeUnavailable(f"{self.name} does not answer as nodes do", node=self.name)
        return told

    def first(
        self,
        request: PartialRequest,
        nonce: bytes,
        bank_nonce: bytes,
        dealt: bytes,
        factors: bytes | None = None,
        operator: bytes | None = None,
        *,
        explained: bool = True,
    ) -> bytes | None:
        """As `HiddenGrid.first`; no operator deals between nodes apart.

        Raises of what it refuses with what is about the customer's consent or this query (`TOLD`), and
        `NodeUnavailable` for anything else, as where the two clocks differ by more than a node tolerates: which of
        them is wrong nobody here can say, nor what is wrong in a grid company's house.
        """
        del operator
        asked = First(
            query=request, explained=explained, nonce=nonce, bank_nonce=bank_nonce, dealt=dealt, factors=factors
        )
        try:
            return self._peer.ask("/first", asked, Sealed).sealed
        except TOLD:
            raise
        except FederatedError as error:
            raise NodeUnavailable(f"{self.name} does not answer: {error.detail}", node=self.name) from error

    def shuffled(self, nonce: bytes, told: bytes) -> bytes:
        """As `HiddenGrid.shuffled`."""
        return self._step("/shuffled", nonce, told)

    def answered(self, nonce: bytes, asked: bytes) -> bytes:
        """As `HiddenGrid.answered`."""
        return self._step("/answered", nonce, asked)

    def _step(self, path: str, nonce: bytes, sealed: bytes) -> bytes:
        told = self._peer.ask(path, Step(nonce=nonce, sealed=sealed), Sealed).sealed
        if told is None:
            raise NodeUnavailable(f"{self.name} does not answer as nodes do", node=self.name)
        return told


class RemoteGrid:
    """A grid company's node elsewhere, for its bank's side (`serving.parties.GridParty`)."""

    role = "grid"

    def __init__(self, bank: BankNode, peer: Peer) -> None:
        self._bank, self._peer, self.org_id = bank, peer, peer.name

    @property
    def party(self) -> PartySchema:
        """The other half of the bank's own schema: all nodes of a network have one."""
        return self._bank.schema.grid

    @property
    def authority(self) -> bytes:
        """The bank's own: a node that pins another one refuses every consent."""
        return self._bank.authority

    def close(self) -> None:
        """Close connections."""
        self._peer.close()

    def partial(self, request: PartialRequest, *, explained: bool = True) -> PartialScore | None:
        """Raises `NodeUnavailable`: by a version that hides no function nothing is scored between nodes apart."""
        del request, explained
        raise NodeUnavailable("nodes apart score by hidden functions, and this version has none", node=self.org_id)

    def consent(self, consent_id: str) -> ConsentRecord | None:
        """A consent towards the asking bank that lies there."""
        return self._peer.ask("/consent", ConsentAsked(consent_id=consent_id), ConsentFound).consent

    def record_consent(self, record: ConsentRecord) -> ConsentRecord:
        """Deliver a consent."""
        return self._peer.ask("/consent/record", ConsentGiven(consent=record), ConsentGiven).consent

    def withdraw_consent(
        self, consent_id: str, bank_id: str, at: datetime, by: str, signature: bytes = b""
    ) -> ConsentRecord:
        """Deliver a withdrawal; the bank is whom the connection is with."""
        del bank_id
        asked = Withdrawal(consent_id=consent_id, at=at, by=by, signature=signature)
        return self._peer.ask("/consent/withdraw", asked, ConsentGiven).consent

    def uses_of(self, subject_id: str) -> list[Use]:
        """Raises `NodeUnavailable`: what it did with a subject's data a grid company tells the subject."""
        del subject_id
        raise NodeUnavailable(f"{self.org_id} tells the subject itself", node=self.org_id)

    def column_counts(self, cuts: Mapping[str, Sequence[float]], at: datetime) -> dict[str, IntArray]:
        """Raises `NodeUnavailable`: counts of its columns are not asked for by a bank."""
        del cuts, at
        raise NodeUnavailable(f"{self.org_id} counts its columns for the network, not for a bank", node=self.org_id)
