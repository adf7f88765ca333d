"""A generated loan book of any size in real tables: loans of every scheme, some late, each with pledges of credits.

Loans are generated, their books are what the rules make of them, and their principal is booked in one balanced entry;
so an end of day finds a book that agrees with its general ledger.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from sqlalchemy import Connection, insert

from financing.base.context import Context
from financing.base.quantities import Price
from financing.base.storage.bulk import insert_rows, is_postgresql
from financing.ledger.accounts import CNY, AccountKey, AccountKind
from financing.ledger.entries import EntryKind, Posting, balanced
from financing.ledger.organisations import Organisation
from financing.lending.loans.book import LoanBook, Scheme
from financing.lending.loans.days import day_of
from financing.lending.loans.markets import market_of
from financing.lending.loans.payments import disburse, oldest_unpaid, pay
from financing.lending.loans.rolling import Dues, Market, advance
from financing.lending.unit import UnitOfWork
from financing.market.prices.model import PriceObservation
from financing.registry.credits.store import issuance_t
from financing.registry.projects.store import project_t
from financing.registry.verification.period_store import period_t

BANK, BORROWER, PRODUCT = "bank-generated", "dev-generated", "phcer_pledge_loan"
CLASSES = ("PHCER", "PHCER_WETLAND", "CCER", "CEA")
PRICES = {"PHCER": 3_000, "PHCER_WETLAND": 2_900, "CCER": 8_000, "CEA": 7_500}
KG = 1_000


@dataclass(frozen=True, slots=True)
class BookSize:
    loans: int
    pledges_per_loan: int
    seed: int = 2024


def generated_book(loans: int, seed: int, signed_from: date, on: date, market: Market) -> tuple[LoanBook, Dues]:
    """`loans` loans signed from `signed_from` on, taken to `on`; one in twenty has stopped paying. Exact and seeded."""
    draw = np.random.default_rng(seed)
    book = LoanBook.zeros(loans)
    start = day_of(signed_from)
    signed = start + draw.integers(0, max(day_of(on) - start, 1), loans)
    book.number[:] = np.arange(1, loans + 1)
    book.portfolio[:] = 1
    book.scheme[:] = draw.integers(0, len(Scheme), loans)
    book.basis[:] = draw.integers(0, 3, loans)
    book.period_months[:] = draw.choice([1, 3], loans)
    book.due_day[:] = np.minimum(1 + signed % 28, 28)
    book.rate_bps[:] = draw.integers(300, 700, loans)
    book.penal_bps[:] = book.rate_bps // 2
    book.principal_first[:] = 1
    book.matures_on[:] = signed + draw.integers(300, 1_000, loans)
    book.accrued_to[:] = signed
    book.pd_origin_bps[:] = book.pd_bps[:] = draw.integers(20, 900, loans)
    disburse(book, draw.integers(1_000_000, 50_000_000, loans), market)
    dues = advance(book, day_of(on), market)
    paying = draw.random(loans) > 0.05
    pay(book, np.where(paying, book.principal_due + book.interest_due + book.penal_owed, 0))
    oldest_unpaid(book, dues)
    return book, dues


def seed_book(connection: Connection, context: Context, size: BookSize, on: date, *, pledge_cover: float = 2.6) -> None:
    """Write a generated book, its pledges and its prices into a fresh, migrated database."""
    unit = UnitOfWork(connection)
    at = datetime.combine(on, datetime.min.time(), UTC) - timedelta(hours=8)
    for organisation, kind in ((BANK, "bank"), (BORROWER, "developer"), ("registry-generated", "registry")):
        unit.organisations.add(Organisation(organisation, kind, organisation, organisation, None), at)
    portfolio = unit.loans.portfolio(BANK, PRODUCT)
    book, dues = generated_book(
        size.loans, size.seed, date(on.year - 1, on.month, 1), on, market_of(context.parameters)
    )
    book.portfolio[:] = portfolio.portfolio_id
    _loans(connection, size, at)
    unit.loans.open_all(book)
    unit.loans.add_dues(dues)
    _pledges(connection, size, book, at, pledge_cover)
    for key, fen in PRICES.items():
        unit.prices.add_price(
            PriceObservation(key, Price(fen), at - timedelta(hours=1), "generated"), recorded_by=BANK, at=at
        )
    receivable = int((book.interest_owed + book.penal_owed).sum())
    income = int((book.interest_accrued + book.penal_accrued).sum())
    principal = int(book.principal.sum())
    postings = [
        Posting(AccountKey(BANK, AccountKind.LOAN_PRINCIPAL, CNY, "generated"), principal),
        Posting(AccountKey(BANK, AccountKind.INTEREST_RECEIVABLE, CNY, PRODUCT), receivable),
        Posting(AccountKey(BANK, AccountKind.INTEREST_INCOME, CNY, PRODUCT), -income),
        Posting(AccountKey(BANK, AccountKind.SETTLEMENT, CNY), -(principal + receivable - income)),
    ]
    unit.ledger.post(balanced(EntryKind.FUNDING, "generated", postings), at=at, actor_id=BANK)


def _loans(connection: Connection, size: BookSize, at: datetime) -> None:
    postgresql = is_postgresql(connection)
    moment: object = at if postgresql else at.replace(tzinfo=None).isoformat(" ", "microseconds")
    numbers = range(1, size.loans + 1)
    insert_rows(
        connection,
        "credit_decision",
        ("id", "bank_id", "borrower_id", "product", "maker", "requested_fen", "outcome", "max_amount_fen", "record",
         "decided_at"),
        ((f"dec_{n}", BANK, BORROWER, PRODUCT, "generated", 1, "approve", 1, "{}", moment) for n in numbers),
    )  # fmt: skip
    terms = json.dumps({"generated": True})
    insert_rows(
        connection,
        "loan",
        ("id", "number", "decision_id", "bank_id", "borrower_id", "product", "committed_fen", "terms", "created_at"),
        ((f"loan_{n}", n, f"dec_{n}", BANK, BORROWER, PRODUCT, 1, terms, moment) for n in numbers),
    )


def _pledges(connection: Connection, size: BookSize, book: LoanBook, at: datetime, cover: float) -> None:
    draw = np.random.default_rng(size.seed + 1)
    count = size.loans * size.pledges_per_loan
    if not count:
        return
    issuance = _issuance(connection, at)
    classes = draw.integers(0, len(CLASSES), count)
    price = np.array([PRICES[key] for key in CLASSES])[classes]
    worth = np.repeat(book.debt, size.pledges_per_loan) * cover * draw.uniform(0.7, 1.3, count) / size.pledges_per_loan
    kg = np.maximum((worth / price * KG).astype(np.int64), 1)
    moment: object = at if is_postgresql(connection) else at.replace(tzinfo=None).isoformat(" ", "microseconds")
    names = ("id", "pledgor_id", "pledgee_id", "issuance_id", "asset_class", "quantity_kg", "released_kg",
             "disposed_kg", "state", "loan_id", "reserved_at", "expires_at", "carry_over")  # fmt: skip
    no: object = False if is_postgresql(connection) else 0
    rows = (
        (f"plg_{place}", BORROWER, BANK, issuance, CLASSES[key], quantity, 0, 0, "posted",
         f"loan_{place // size.pledges_per_loan + 1}", moment, moment, no)
        for place, (key, quantity) in enumerate(zip(classes.tolist(), kg.tolist(), strict=True))
    )  # fmt: skip
    insert_rows(connection, "pledge", names, rows)


def _issuance(connection: Connection, at: datetime) -> str:
    """One issuance for all pledges to name; its credits are not part of what is measured."""
    first, last = date(2025, 1, 1), date(2025, 12, 31)
    connection.execute(
        insert(project_t).values(
            id="prj_generated",
            code="G0000001",
            owner_id=BORROWER,
            name="generated",
            methodology="PV1",
            capacity_w=10_000,
            record={"location": {"region": "SIP"}},
            created_at=at,
        )
    )
    connection.execute(
        insert(period_t).values(
            id="mon_generated",
            project_id="prj_generated",
            starts_at=datetime(2024, 12, 31, 16, tzinfo=UTC),
            ends_at=datetime(2025, 12, 31, 16, tzinfo=UTC),
            state="issued",
            generation_wh=0,
            reduction_kg=1,
            commitment="generated",
            record={},
            submitted_at=at,
        )
    )
    connection.execute(
        insert(issuance_t).values(
            id="iss_generated",
            registry_id="registry-generated",
            registry_code="GEN",
            period_id="mon_generated",
            transfer_id=None,
            project_id="prj_generated",
            owner_id=BORROWER,
            asset_class="PHCER",
            methodology_tag="PV1",
            project_code="G0000001",
            vintage=2025,
            quantity_kg=1,
            issued_at=at,
            first_day=first,
            last_day=last,
        )
    )
    return "iss_generated"
