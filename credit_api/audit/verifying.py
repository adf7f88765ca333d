"""Walk the audit trail and say where it first breaks. Memory does not grow with the trail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from credit_api.app.errors import AuditTampered
from credit_api.audit.anchors import anchors
from credit_api.audit.model import AuditHead, event_hash
from credit_api.audit.store import AuditStore
from financing.lending.unit import UnitOfWork


@dataclass(frozen=True, slots=True)
class Verified:
    """The head, how many anchors agree, and how many events follow the last of them: an exported head covers those."""

    head: AuditHead
    anchors: int
    loose: int


def verify_trail(unit: UnitOfWork, exported: AuditHead | None = None) -> Verified:
    """Recompute every hash, and hold the trail against the heads that the ledger and, if given, a file hold.

    Run `unit.ledger.verify()` before: an anchor is worth what the ledger's chain is. Raises `AuditTampered` naming the
    first event that does not fit, in words that say what was done: edited, deleted, put elsewhere, cut off.
    """
    known = _Known(anchors(unit), exported)
    last = AuditHead()
    for event in AuditStore(unit.connection).walk():
        if event.seq != last.seq + 1:
            raise AuditTampered("events were deleted", seq=last.seq + 1, next_seq=event.seq)
        if event.previous_hash != last.hash:
            raise AuditTampered("an event stands in another's place, or its link was edited", seq=event.seq)
        if event_hash(last.hash, event.seq, event) != event.hash:
            raise AuditTampered("an event was edited", seq=event.seq)
        last = AuditHead(event.seq, event.hash)
        known.hold_against(last)
    known.require_reached(last)
    return Verified(last, known.anchors, last.seq - known.anchored)


class _Known:
    """Heads that are known from elsewhere, taken one by one as the walk comes to them."""

    def __init__(self, anchored: Iterable[AuditHead], exported: AuditHead | None) -> None:
        self._anchors = iter(anchored)
        self._next = next(self._anchors, None)
        self._exported = exported
        self.anchors = self.anchored = 0

    def hold_against(self, head: AuditHead) -> None:
        """Raise `AuditTampered` where a known head of this number has another hash."""
        while self._next is not None and self._next.seq <= head.seq:
            if self._next != head:
                raise AuditTampered(
                    "the ledger holds another head for this event: the trail was rewritten", seq=head.seq
                )
            self.anchors, self.anchored = self.anchors + 1, head.seq
            self._next = next(self._anchors, None)
        if self._exported is not None and self._exported.seq == head.seq and self._exported != head:
            raise AuditTampered(
                "the exported head has another hash for this event: the trail was rewritten", seq=head.seq
            )

    def require_reached(self, head: AuditHead) -> None:
        """Raise `AuditTampered` where a known head lies beyond the end of the trail."""
        if self._next is not None:
            raise AuditTampered("the end was cut off: the ledger holds a later head", seq=head.seq, held=self._next.seq)
        if self._exported is not None and self._exported.seq > head.seq:
            raise AuditTampered("the end was cut off: a later head was exported", seq=head.seq, held=self._exported.seq)
