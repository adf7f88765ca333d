"""Decisions, loans, pledges and margin calls on one connection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from financing.base.errors import NotFound
from financing.base.quantities import Carbon, Money
from financing.base.storage.columns import table_of
from financing.base.storage.records import Codec
from financing.ledger.accounts import Asset
from financing.lending.collateral.margin import MarginCall
from financing.lending.collateral.pledge import Pledge, PledgeState
from financing.lending.collateral.tables import MarginCallRow, PledgeRow
from financing.lending.loans.book import LoanBook
from financing.lending.loans.loan import (
    STATES,
    Loan,
    LoanState,
    LoanTerms,
    loan_of,
)
from financing.lending.loans.store import BookStore, account_t, one_of
from financing.lending.loans.tables import LoanRow
from financing.lending.origination.assessment import CreditAssessment, NoFile
from financing.lending.origination.decision import Decision, LoanApplication
from financing.lending.origination.tables import ApprovalRow, DecisionRow
from financing.valuation.pools import Lot

decision_t = table_of(DecisionRow)
loan_t = table_of(LoanRow)
pledge_t = table_of(PledgeRow)
call_t = table_of(MarginCallRow)
approval_t = table_of(ApprovalRow)


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """Everything a decision rested on. `prices` are (class, fen/t, observed at) as they stood."""

    decision_id: str
    borrower_id: str
    application: LoanApplication
    pledge_ids: tuple[str, ...]
    maker: str
    credit: CreditAssessment | NoFile
    prices: tuple[tuple[str, int, datetime], ...]
    decision: Decision


@dataclass(frozen=True, slots=True)
class StoredLoan:
    """What was agreed, and the loan's books (one row) as far as they were taken. `committed` may be drawn in all."""

    terms: LoanTerms
    book: LoanBook
    decision_id: str
    committed: Money

    @property
    def loan(self) -> Loan:
        return loan_of(self.terms, self.book)

    @property
    def product(self) -> str:
        return self.terms.product


@dataclass(frozen=True, slots=True)
class PledgedUse:
    """What a pledgor states of its credits: evidence, and when an allowance must be surrendered or is carried over."""

    evidence_hash: str | None = None
    compliance_year: int | None = None
    surrender_by: date | None = None
    carry_over: bool = False


@dataclass(frozen=True, slots=True)
class StoredPledge:
    pledge: Pledge
    registration_number: str | None
    registered_on: date | None = None
    freeze_number: str | None = None
    evidence_hash: str | None = None
    compliance_year: int | None = None
    surrender_by: date | None = None
    carry_over: bool = False

    @property
    def issuance_id(self) -> str:
        return Asset(self.pledge.lot.asset).issuance_id


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A margin call with the collateral's market value when it was made. `state`: open, cured or closed."""

    call_id: str
    call: MarginCall
    market: Money
    state: str
    closed_at: datetime | None


_decisions = Codec(DecisionRecord)
_terms = Codec(LoanTerms)


class LendingStore:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._books = BookStore(connection)

    def add_decision(self, record: DecisionRecord) -> None:
        self._connection.execute(
            insert(decision_t).values(
                id=record.decision_id,
                bank_id=record.application.lender,
                borrower_id=record.borrower_id,
                product=record.application.product,
                maker=record.maker,
                requested_fen=record.application.amount.fen,
                outcome=record.decision.outcome,
                max_amount_fen=record.decision.max_amount.fen,
                record=_decisions.encode(record),
                decided_at=record.decision.decided_at,
            )
        )

    def decision(self, decision_id: str) -> DecisionRecord:
        row = self._connection.execute(select(decision_t.c.record).where(decision_t.c.id == decision_id)).first()
        if row is None:
            raise NotFound("no such decision", decision_id=decision_id)
        return _decisions.decode(row.record)

    def decisions(self, organisation_id: str) -> list[DecisionRecord]:
        """Decisions that a bank made, or that concern a borrower, newest first."""
        query = (
            select(decision_t.c.record)
            .where(or_(decision_t.c.bank_id == organisation_id, decision_t.c.borrower_id == organisation_id))
            .order_by(decision_t.c.decided_at.desc(), decision_t.c.id)
        )
        return [_decisions.decode(row.record) for row in self._connection.execute(query)]

    def add_approval(
        self, *, decision_id: str, maker: str, checker: str, outcome: str, note: str, at: datetime
    ) -> None:
        self._connection.execute(
            insert(approval_t).values(
                decision_id=decision_id, maker=maker, checker=checker, outcome=outcome, note=note, decided_at=at
            )
        )

    def approval(self, decision_id: str) -> tuple[str, str] | None:
        """Who checked a decision and what the person said: (checker, confirmed or refused); None while nobody did."""
        row = self._connection.execute(select(approval_t).where(approval_t.c.decision_id == decision_id)).first()
        return (row.checker, row.outcome) if row else None

    def loan_of_decision(self, decision_id: str) -> str | None:
        """The loan drawn on a decision, if any."""
        row = self._connection.execute(select(loan_t.c.id).where(loan_t.c.decision_id == decision_id)).first()
        return row.id if row else None

    def add_loan(self, stored: StoredLoan, at: datetime) -> None:
        terms = stored.terms
        self._connection.execute(
            insert(loan_t).values(
                id=terms.loan_id,
                number=terms.number,
                decision_id=stored.decision_id,
                bank_id=terms.lender,
                borrower_id=terms.borrower,
                product=terms.product,
                committed_fen=stored.committed.fen,
                terms=_terms.encode(terms),
                created_at=at,
            )
        )
        self._books.open(stored.book)

    def save_loan(self, book: LoanBook) -> None:
        self._books.write(book)

    def loan(self, loan_id: str) -> StoredLoan:
        row = self._connection.execute(select(loan_t).where(loan_t.c.id == loan_id)).first()
        if row is None:
            raise NotFound("no such loan", loan_id=loan_id)
        return self._stored([row])[0]

    def loans(self, *, organisation_id: str | None = None, state: LoanState | None = None) -> list[StoredLoan]:
        """Loans that an organisation gave or took, newest first; of everyone for None."""
        query = select(loan_t).order_by(loan_t.c.created_at.desc(), loan_t.c.id)
        if organisation_id is not None:
            query = query.where(or_(loan_t.c.bank_id == organisation_id, loan_t.c.borrower_id == organisation_id))
        if state is not None:
            code = next(number for number, named in STATES.items() if named is state)
            query = query.join(account_t, account_t.c.number == loan_t.c.number).where(account_t.c.state == int(code))
        return self._stored(list(self._connection.execute(query)))

    def _stored(self, rows: list[Row[Any]]) -> list[StoredLoan]:
        book = self._books.read([row.number for row in rows])
        place = {number: at for at, number in enumerate(book.number.tolist())}
        return [
            StoredLoan(
                terms=_terms.decode(row.terms),
                book=one_of(book, place[row.number]),
                decision_id=row.decision_id,
                committed=Money(row.committed_fen),
            )
            for row in rows
        ]

    def add_pledge(self, pledge: Pledge, use: PledgedUse | None = None) -> None:
        use = use or PledgedUse()
        self._connection.execute(
            insert(pledge_t).values(
                id=pledge.pledge_id,
                pledgor_id=pledge.pledgor,
                pledgee_id=pledge.pledgee,
                issuance_id=Asset(pledge.lot.asset).issuance_id,
                asset_class=pledge.lot.asset_class,
                quantity_kg=pledge.lot.quantity.kg,
                released_kg=pledge.released.kg,
                disposed_kg=pledge.disposed.kg,
                state=pledge.state.value,
                loan_id=pledge.loan_id,
                registration_number=None,
                reserved_at=pledge.reserved_at,
                expires_at=pledge.expires_at,
                evidence_hash=use.evidence_hash,
                compliance_year=use.compliance_year,
                surrender_by=use.surrender_by,
                carry_over=use.carry_over,
            )
        )

    def save_pledge(
        self, pledge: Pledge, *, registration_number: str | None = None, registered_on: date | None = None
    ) -> None:
        changes: dict[str, Any] = {
            "state": pledge.state.value,
            "loan_id": pledge.loan_id,
            "released_kg": pledge.released.kg,
            "disposed_kg": pledge.disposed.kg,
        }
        if registration_number is not None:
            changes["registration_number"] = registration_number
            changes["registered_on"] = registered_on
            changes["freeze_number"] = f"FRZ-{pledge.pledge_id}"
        self._connection.execute(update(pledge_t).where(pledge_t.c.id == pledge.pledge_id).values(**changes))

    def pledge(self, pledge_id: str) -> StoredPledge:
        row = self._connection.execute(select(pledge_t).where(pledge_t.c.id == pledge_id)).first()
        if row is None:
            raise NotFound("no such pledge", pledge_id=pledge_id)
        return _pledge(row)

    def pledges(self, organisation_id: str) -> list[StoredPledge]:
        """Pledges that an organisation gave or holds, newest first."""
        rows = self._connection.execute(
            select(pledge_t)
            .where(or_(pledge_t.c.pledgor_id == organisation_id, pledge_t.c.pledgee_id == organisation_id))
            .order_by(pledge_t.c.reserved_at.desc(), pledge_t.c.id)
        )
        return [_pledge(row) for row in rows]

    def posted_pledges(self, loan_ids: Iterable[str]) -> dict[str, list[StoredPledge]]:
        """The posted pledges behind each loan, in the order they were reserved: one query for the whole book."""
        rows = self._connection.execute(
            select(pledge_t)
            .where(pledge_t.c.loan_id.in_(list(loan_ids)), pledge_t.c.state == PledgeState.POSTED.value)
            .order_by(pledge_t.c.loan_id, pledge_t.c.reserved_at, pledge_t.c.id)
        )
        found: dict[str, list[StoredPledge]] = {}
        for row in rows:
            found.setdefault(row.loan_id, []).append(_pledge(row))
        return found

    def add_call(self, call_id: str, call: MarginCall, market: Money) -> None:
        self._connection.execute(
            insert(call_t).values(
                id=call_id,
                loan_id=call.loan_id,
                state="open",
                debt_fen=call.debt.fen,
                market_fen=market.fen,
                shortfall_fen=call.shortfall.fen,
                cash_fen=call.cash.fen,
                cure_by=call.cure_by,
                called_at=call.called_at,
                closed_at=None,
            )
        )

    def close_call(self, call_id: str, state: str, at: datetime) -> None:
        self._connection.execute(update(call_t).where(call_t.c.id == call_id).values(state=state, closed_at=at))

    def open_calls(self, loan_ids: Iterable[str]) -> dict[str, StoredCall]:
        """The open margin call of each loan that has one."""
        rows = self._connection.execute(
            select(call_t).where(call_t.c.loan_id.in_(list(loan_ids)), call_t.c.state == "open")
        )
        return {row.loan_id: _call(row) for row in rows}

    def calls(self, organisation_id: str | None = None) -> list[StoredCall]:
        """Margin calls on loans that an organisation gave or took, newest first."""
        query = select(call_t).order_by(call_t.c.called_at.desc(), call_t.c.id)
        if organisation_id is not None:
            query = query.join(loan_t, loan_t.c.id == call_t.c.loan_id).where(
                or_(loan_t.c.bank_id == organisation_id, loan_t.c.borrower_id == organisation_id)
            )
        return [_call(row) for row in self._connection.execute(query)]


def _pledge(row: Row[Any]) -> StoredPledge:
    pledge = Pledge(
        pledge_id=row.id,
        pledgor=row.pledgor_id,
        pledgee=row.pledgee_id,
        lot=Lot(Asset.credits(row.issuance_id).code, row.asset_class, Carbon(row.quantity_kg)),
        reserved_at=row.reserved_at,
        expires_at=row.expires_at,
        state=PledgeState(row.state),
        loan_id=row.loan_id,
        released=Carbon(row.released_kg),
        disposed=Carbon(row.disposed_kg),
    )
    return StoredPledge(
        pledge,
        row.registration_number,
        row.registered_on,
        row.freeze_number,
        row.evidence_hash,
        row.compliance_year,
        row.surrender_by,
        bool(row.carry_over),
    )


def _call(row: Row[Any]) -> StoredCall:
    call = MarginCall(
        loan_id=row.loan_id,
        debt=Money(row.debt_fen),
        shortfall=Money(row.shortfall_fen),
        cash=Money(row.cash_fen),
        called_at=row.called_at,
        cure_by=row.cure_by,
    )
    return StoredCall(row.id, call, Money(row.market_fen), row.state, row.closed_at)
