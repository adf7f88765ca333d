"""what happens to a loan is one tagged union, and evidence has one name

Events keep everything they said; only the shape of their record changes, so the rule that an event is never updated is
lifted for this one statement and put back.

Revision ID: 0008
Revises: 0007
"""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

from credit_api.app.migrations.rules import rules

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Which of the earlier record's fields each kind has, and what they are called now.
FIELDS = {
    "disbursement": {"amount": "amount_fen"},
    "rate": {"rate": "annual_rate_bps"},
    "holiday": {"until": "until", "full": "full"},
    "restructuring": {"until": "until", "scheme": "scheme", "rate": "annual_rate_bps", "capitalised": "capitalised"},
    "freeze": {},
    "unfreeze": {},
    "repayment": {"amount": "amount_fen", "shorten": "shorten"},
    "disposal": {"amount": "amount_fen"},
    "write_off": {},
    "recovery": {"amount": "amount_fen"},
}


def upgrade() -> None:
    bind = op.get_bind()
    op.alter_column("pledge", "evidence_hash", new_column_name="evidence_sha256")
    op.alter_column("security", "evidence_hash", new_column_name="evidence_sha256")
    postgresql = bind.dialect.name == "postgresql"
    op.execute(
        "ALTER TABLE loan_event DISABLE TRIGGER loan_event_stands"
        if postgresql
        else "DROP TRIGGER loan_event_no_update"
    )
    rows = bind.execute(sa.text("SELECT id, record FROM loan_event")).all()
    for row in rows:
        record = json.loads(row.record) if isinstance(row.record, str) else row.record
        bind.execute(
            sa.text("UPDATE loan_event SET record = :record WHERE id = :id"),
            {"id": row.id, "record": json.dumps(as_union(record))},
        )
    if postgresql:
        op.execute("ALTER TABLE loan_event ENABLE TRIGGER loan_event_stands")
    else:
        op.execute(next(each for each in rules("0007", "sqlite") if "loan_event_no_update" in each))


def as_union(record: Mapping[str, Any]) -> dict[str, Any]:
    """An earlier record (one class of optional fields) as the tagged union: what happened, and the order of entry."""
    kind = record["kind"]
    what: dict[str, Any] = {"kind": kind, "value_on": record["value_on"]}
    for earlier, name in FIELDS[kind].items():
        value = record.get(earlier)
        what[name] = value["amount"] if isinstance(value, Mapping) else value
    return {"what": what, "sequence": record["sequence"], "reversed": record.get("reversed", False)}
