"""Decisions and what the second person said about them, on one connection."""

from __future__ import annotations

from sqlalchemy import insert, or_, select

from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.records import Codec
from financing.base.storage.store import Store
from financing.lending.origination.decision import Approval, DecisionRecord
from financing.lending.origination.tables import ApprovalRow, DecisionRow

decision_t = table_of(DecisionRow)
approval_t = table_of(ApprovalRow)
_decisions = Codec(DecisionRecord)


class DecisionStore(Store):
    def add(self, record: DecisionRecord) -> None:
        self._add(
            decision_t,
            record,
            record.application,
            record.decision,
            id=record.decision_id,
            bank_id=record.application.lender,
            requested_fen=record.application.amount.fen,
            record=_decisions.encode(record),
        )

    def get(self, decision_id: str) -> DecisionRecord:
        query = select(decision_t.c.record).where(decision_t.c.id == decision_id)
        return _decisions.decode(self._one(query, "no such decision", decision_id=decision_id).record)

    def by_bank(self, bank_id: str, window: Window = ALL) -> Page[DecisionRecord]:
        """Decisions that a bank made, newest first."""
        query = select(decision_t.c.record, decision_t.c.decided_at, decision_t.c.id).where(
            decision_t.c.bank_id == bank_id
        )
        keys = (Key(decision_t.c.decided_at, descending=True), Key(decision_t.c.id))
        return page_of(self._connection, query, keys, window, lambda row: _decisions.decode(row.record))

    def about(self, borrower_id: str, window: Window = ALL) -> Page[DecisionRecord]:
        """Decisions that concern a borrower, newest first."""
        query = select(decision_t.c.record, decision_t.c.decided_at, decision_t.c.id).where(
            decision_t.c.borrower_id == borrower_id
        )
        keys = (Key(decision_t.c.decided_at, descending=True), Key(decision_t.c.id))
        return page_of(self._connection, query, keys, window, lambda row: _decisions.decode(row.record))

    def of(self, organisation_id: str, window: Window = ALL) -> Page[DecisionRecord]:
        """Decisions that a bank made, or that concern a borrower, newest first."""
        query = select(decision_t.c.record, decision_t.c.decided_at, decision_t.c.id).where(
            or_(decision_t.c.bank_id == organisation_id, decision_t.c.borrower_id == organisation_id)
        )
        keys = (Key(decision_t.c.decided_at, descending=True), Key(decision_t.c.id))
        return page_of(self._connection, query, keys, window, lambda row: _decisions.decode(row.record))

    def add_approval(self, approval: Approval) -> None:
        self._connection.execute(insert(approval_t).values(**approval.model_dump()))

    def approval(self, decision_id: str) -> tuple[str, str] | None:
        """Who checked a decision and what the person said: (checker, confirmed or refused); None while nobody did."""
        row = self._connection.execute(select(approval_t).where(approval_t.c.decision_id == decision_id)).first()
        return (row.checker, row.outcome) if row else None
