"""The trail's head inside the ledger's chain: an entry that moves nothing and holds the number and the hash.

Whoever cuts the trail short has to cut the ledger short too, and everything that was booked since stands on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import case, select

from credit_api.audit.model import AuditHead
from financing.base.errors import LedgerTampered
from financing.base.storage.columns import table_of
from financing.ledger.entries import EntryKind
from financing.ledger.tables import OrganisationRow
from financing.lending.unit import UnitOfWork

REFERENCE = re.compile(r"audit:(?P<seq>[1-9]\d{0,17}):(?P<hash>[0-9a-f]{64})")
organisation_t = table_of(OrganisationRow)
# Who keeps the books signs for the entry: the exchange, or whoever there is.
_KEEPER = select(organisation_t.c.id).order_by(case((organisation_t.c.kind == "exchange", 0), else_=1), "id").limit(1)


def anchor(unit: UnitOfWork, head: AuditHead, at: datetime) -> None:
    """Put the trail's head into the ledger's chain, unless it is there last. Nothing while no organisation is known."""
    keeper = unit.connection.execute(_KEEPER).scalar_one_or_none()
    reference = f"audit:{head.seq}:{head.hash}"
    if keeper is not None and head.seq and unit.ledger.last_reference(EntryKind.AUDIT_ANCHOR) != reference:
        unit.ledger.post_note(EntryKind.AUDIT_ANCHOR, reference, at=at, actor_id=keeper)


def anchors(unit: UnitOfWork) -> Iterator[AuditHead]:
    """Every head that the ledger holds, in the order of entries. Raises `LedgerTampered` for one of another form."""
    for entry_id, reference in unit.ledger.references(EntryKind.AUDIT_ANCHOR):
        match = REFERENCE.fullmatch(reference)
        if match is None:
            raise LedgerTampered("an anchor of the audit trail holds no head", entry_id=entry_id)
        yield AuditHead(int(match["seq"]), match["hash"])
