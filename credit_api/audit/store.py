"""The audit trail on one connection: added to, and read in its order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from sqlalchemy import bindparam, insert, select

from credit_api.audit.model import AuditEvent, AuditHead, StoredAuditEvent, event_hash
from credit_api.audit.tables import AuditEventRow
from financing.base.storage.columns import table_of
from financing.base.storage.paging import Key, Page, Window, page_of
from financing.base.storage.store import Store, value_of

audit_t = table_of(AuditEventRow)
FACTS = tuple(each.name for each in fields(AuditEvent))
# How many events are in memory at once while the chain is walked.
STRIDE = 5_000
# Built once: an event is added by every command.
_HEAD = select(audit_t.c.seq, audit_t.c.hash).order_by(audit_t.c.seq.desc()).limit(1)
_ADD = insert(audit_t)
_AFTER = select(audit_t).where(audit_t.c.seq > bindparam("after")).order_by(audit_t.c.seq).limit(STRIDE)


class AuditStore(Store):
    def head(self) -> AuditHead:
        row = self._connection.execute(_HEAD).first()
        return AuditHead(row.seq, row.hash) if row else AuditHead()

    def add(self, event: AuditEvent) -> AuditHead:
        """Put an event at the end of the chain; the new head."""
        last = self.head()
        head = AuditHead(last.seq + 1, event_hash(last.hash, last.seq + 1, event))
        facts = {name: getattr(event, name) for name in FACTS}
        self._connection.execute(_ADD, facts | {"seq": head.seq, "previous_hash": last.hash, "hash": head.hash})
        return head

    def of(self, organisation_id: str, window: Window) -> Page[StoredAuditEvent]:
        """What one organisation did, newest first."""
        query = select(audit_t).where(audit_t.c.organisation_id == organisation_id)
        keys = (Key(audit_t.c.seq, descending=True),)
        return page_of(self._connection, query, keys, window, lambda row: value_of(StoredAuditEvent, row))

    def walk(self) -> Iterator[StoredAuditEvent]:
        """Every event in the order of numbers, `STRIDE` of them in memory at once."""
        after, rows = -1, None
        while rows is None or len(rows) == STRIDE:
            rows = self._connection.execute(_AFTER, {"after": after}).all()
            for row in rows:
                after = row.seq
                yield value_of(StoredAuditEvent, row)
