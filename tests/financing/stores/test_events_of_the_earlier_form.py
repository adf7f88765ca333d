"""Events that were stored as one class of optional fields are read as the tagged union after migration 0008."""

import json
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text

from credit_api.app.database import migrate
from financing.base.quantities import Money, Rate
from financing.base.storage.database import open_engine
from financing.lending.loans.events import Disbursement, Holiday, RateChange, Repayment, Restructuring, WriteOff
from financing.lending.unit import UnitOfWork

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
NOTHING = {"amount": {"amount": 0}, "rate": None, "until": None, "scheme": None, "shorten": True, "full": False,
           "capitalised": False, "reversed": False}  # fmt: skip
EARLIER = (
    {"kind": "disbursement", "amount": {"amount": 500_000}},
    {"kind": "rate", "rate": {"amount": 410}},
    {"kind": "holiday", "until": "2027-01-31", "full": True},
    {"kind": "restructuring", "scheme": "annuity", "rate": {"amount": 300}, "capitalised": True},
    {"kind": "repayment", "amount": {"amount": 120_000}, "shorten": False},
    {"kind": "write_off"},
)
DAY = date(2026, 11, 22)
NOW = (
    Disbursement(value_on=DAY, amount_fen=Money(500_000)),
    RateChange(value_on=DAY, annual_rate_bps=Rate(410)),
    Holiday(value_on=DAY, until=date(2027, 1, 31), full=True),
    Restructuring(value_on=DAY, scheme="annuity", annual_rate_bps=Rate(300), capitalised=True),
    Repayment(value_on=DAY, amount_fen=Money(120_000), shorten=False),
    WriteOff(value_on=DAY),
)


def insert(engine):
    at = AT.replace(tzinfo=None) if engine.dialect.name == "sqlite" else AT
    rows = [
        "INSERT INTO organisation (id, kind, name_zh, name_en, created_at) VALUES "
        "('bank', 'bank', 'b', 'b', :at), ('dev', 'developer', 'd', 'd', :at)",
        "INSERT INTO credit_decision (id, bank_id, borrower_id, product, maker, requested_fen, outcome, "
        "max_amount_fen, record, decided_at) VALUES ('dec', 'bank', 'dev', 'p', '', 1, 'approve', 1, '{}', :at)",
        "INSERT INTO loan (id, number, decision_id, bank_id, borrower_id, product, committed_fen, terms, created_at) "
        "VALUES ('loan', 1, 'dec', 'bank', 'dev', 'p', 1, '{}', :at)",
    ]
    with engine.execution_options(tanxin_writer=True).begin() as connection:
        for row in rows:
            connection.execute(text(row), {"at": at})
        for number, earlier in enumerate(EARLIER, start=1):
            record = NOTHING | earlier | {"value_on": "2026-11-22", "sequence": number}
            connection.execute(
                text(
                    "INSERT INTO loan_event (number, sequence, kind, value_on, amount_fen, record, actor_id, "
                    "recorded_at) VALUES (1, :sequence, :kind, '2026-11-22', 0, :record, 'bank', :at)"
                ),
                {"sequence": number, "kind": earlier["kind"], "record": json.dumps(record), "at": at},
            )


def test_events_are_read_as_they_were_meant_and_still_never_change(database_url):
    engine = open_engine(database_url)
    migrate(engine, "0007")
    insert(engine)
    migrate(engine)
    with engine.connect() as connection:
        events = [stored.event for stored in UnitOfWork(connection).loans.events(1)]
    assert tuple(event.what for event in events) == NOW
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5, 6]
    with (
        pytest.raises(Exception, match="reversing"),
        engine.execution_options(tanxin_writer=True).begin() as connection,
    ):
        connection.execute(text("UPDATE loan_event SET record = '{}' WHERE sequence = 2"))
    engine.dispose()
