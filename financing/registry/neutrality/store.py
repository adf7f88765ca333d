"""Claims of carbon neutrality on one connection."""

from __future__ import annotations

from sqlalchemy import func, select, update

from financing.base.quantities import Carbon
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.records import Codec
from financing.base.storage.store import Store
from financing.registry.neutrality.model import Match, NeutralityClaim
from financing.registry.neutrality.tables import NeutralityMatchRow, NeutralityRow

claim_t = table_of(NeutralityRow)
match_t = table_of(NeutralityMatchRow)
_claims = Codec(NeutralityClaim)


class NeutralityStore(Store):
    def add(self, claim: NeutralityClaim) -> None:
        self._add(claim_t, claim, id=claim.claim_id, number=None, matched_kg=0, record=_claims.encode(claim))

    def save(self, claim: NeutralityClaim, *, number: int | None = None) -> None:
        self._connection.execute(
            update(claim_t)
            .where(claim_t.c.id == claim.claim_id)
            .values(
                state=claim.state,
                matched_kg=claim.matched.kg,
                certificate_number=claim.certificate_number,
                number=number,
                record=_claims.encode(claim),
            )
        )

    def get(self, claim_id: str) -> NeutralityClaim:
        query = select(claim_t.c.record).where(claim_t.c.id == claim_id)
        return _claims.decode(self._one(query, "no such claim of neutrality", claim_id=claim_id).record)

    def certified(self, certificate_number: str) -> NeutralityClaim:
        query = select(claim_t.c.record).where(claim_t.c.certificate_number == certificate_number)
        return _claims.decode(self._one(query, "no such certificate", certificate_number=certificate_number).record)

    def all(self, entity_id: str | None = None, *, window: Window = ALL) -> Page[NeutralityClaim]:
        """Claims of an entity, or (None) of all, newest first."""
        query = select(claim_t.c.drafted_at, claim_t.c.id, claim_t.c.record)
        if entity_id is not None:
            query = query.where(claim_t.c.entity_id == entity_id)
        keys = (Key(claim_t.c.drafted_at, descending=True), Key(claim_t.c.id))
        return page_of(self._connection, query, keys, window, lambda row: _claims.decode(row.record))

    def next_number(self) -> int:
        return 1 + (self._connection.execute(select(func.max(claim_t.c.number))).scalar_one() or 0)

    def add_match(self, match_id: str, claim_id: str, used: Match) -> None:
        self._add(match_t, used, id=match_id, claim_id=claim_id, freed=False)

    def free_matches(self, claim_id: str) -> None:
        """A refused claim uses nothing up."""
        self._connection.execute(update(match_t).where(match_t.c.claim_id == claim_id).values(freed=True))

    def matched(self, certificate_number: str) -> Carbon:
        """What claims have used of a retirement."""
        total = self._connection.execute(
            select(func.coalesce(func.sum(match_t.c.quantity_kg), 0)).where(
                match_t.c.certificate_number == certificate_number, match_t.c.freed.is_(False)
            )
        ).scalar_one()
        return Carbon(int(total))
