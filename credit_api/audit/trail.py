"""The audit trail of a running service: events with their commands, events of their own, and anchors in the ledger."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import datetime, timedelta

from credit_api.audit.anchors import anchor
from credit_api.audit.model import AuditEvent
from credit_api.audit.store import AuditStore
from credit_api.audit.strangers import Strangers
from financing.base.storage.writer import Writer
from financing.lending.unit import UnitOfWork

# The ledger holds the trail's head after so many events, and when so long has passed since it did.
ANCHOR_EVERY = 1_000
ANCHOR_AFTER = timedelta(hours=1)


class AuditTrail:
    """One for a service (`parts.audit`). Every method may be called from any thread."""

    def __init__(self, writer: Writer[UnitOfWork]) -> None:
        self._writer = writer
        self._strangers = Strangers()
        self._loose = False
        self._anchored_at: datetime | None = None

    def record(self, unit: UnitOfWork, event: AuditEvent) -> None:
        """Store an event in the transaction of what it tells of: both are committed, or neither is."""
        head = AuditStore(unit.connection).add(event)
        self._loose = True
        if head.seq % ANCHOR_EVERY == 0:
            anchor(unit, head, event.at)

    def submit(self, event: AuditEvent) -> Future[None]:
        """Store an event that belongs to no command's transaction, in one commit with whatever else waits.

        The future resolves after the commit. Raises `WriterClosed` once the service stops.
        """
        return self._writer.submit(lambda unit: self.record(unit, event))

    def note(self, event: AuditEvent) -> None:
        """As `submit`, waiting for the commit: a log-in, an event of a key, or a read, before it is answered.

        `parts.audit.note(AuditEvent.of(principal, at, "sign_in", "committed"))` tells of what a known caller did, and
        `AuditEvent.read(principal, at, "customers")` of what is about to be shown. Answer only after this has returned;
        when it raises (`WriterClosed`, a database that cannot be written), answer nothing but the failure. Ids only:
        what `AuditEvent.of` is given as `concerns` and `object_id` and is no id is left out.
        """
        self.submit(event).result()

    def stranger(self, address: str, code: str) -> None:
        """Count a refused request without a valid credential. Stored once a minute and address, with the count."""
        self._strangers.count(address, code)

    def tick(self, at: datetime) -> None:
        """Store what strangers tried since the last time, and anchor the head when an hour has passed."""
        knocks = self._strangers.take(at)
        if self._anchored_at is None:
            self._anchored_at = at
        due = at - self._anchored_at >= ANCHOR_AFTER
        if knocks or (due and self._loose):
            self._writer.execute(lambda unit: self._keep(unit, knocks, at, anchored=due))

    def close(self, at: datetime) -> None:
        """Store what is left and anchor the head, if this process added to the trail. Before the writer is closed."""
        knocks = self._strangers.take(at)
        if knocks or self._loose:
            self._writer.execute(lambda unit: self._keep(unit, knocks, at, anchored=True))

    def _keep(self, unit: UnitOfWork, knocks: list[AuditEvent], at: datetime, *, anchored: bool) -> None:
        for each in knocks:
            self.record(unit, each)
        if anchored:
            anchor(unit, AuditStore(unit.connection).head(), at)
            self._loose, self._anchored_at = False, at
