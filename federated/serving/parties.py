"""What a bank's side needs of a grid company's node, wherever that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from federated.consent.record import ConsentRecord
from federated.consent.uses import Use
from federated.models.encoding.binning import IntArray
from federated.nodes.node import PartialRequest, PartialScore
from federated.nodes.schema import PartySchema


class GridParty(Protocol):
    """A grid company's node: here (`nodes.grid`), or in a process of its own. Each raises what that node raises, and
    `NodeUnavailable` where it does not answer."""

    @property
    def org_id(self) -> str:
        """Its name."""
        ...

    @property
    def role(self) -> str:
        """`grid`."""
        ...

    @property
    def party(self) -> PartySchema:
        """Its half of the schema."""
        ...

    @property
    def authority(self) -> bytes:
        """The public key (32 bytes) of the identity authority that it pins."""
        ...

    def close(self) -> None:
        """End what was opened for it."""
        ...

    def partial(self, request: PartialRequest, *, explained: bool = True) -> PartialScore | None:
        """As `GridNode.partial`."""
        ...

    def consent(self, consent_id: str) -> ConsentRecord | None:
        """As `ConsentingNode.consent`."""
        ...

    def record_consent(self, record: ConsentRecord) -> ConsentRecord:
        """As `ConsentingNode.record_consent`."""
        ...

    def withdraw_consent(
        self, consent_id: str, bank_id: str, at: datetime, by: str, signature: bytes = b""
    ) -> ConsentRecord:
        """As `ConsentingNode.withdraw_consent`."""
        ...

    def uses_of(self, subject_id: str) -> list[Use]:
        """As `ConsentingNode.uses_of`."""
        ...

    def column_counts(self, cuts: Mapping[str, Sequence[float]], at: datetime) -> dict[str, IntArray]:
        """As `Node.column_counts`."""
        ...
