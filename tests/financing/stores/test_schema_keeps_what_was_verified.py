"""Statements, keys, texts and findings stay as they were given, whoever asks the database to change them."""

import pytest
from desk import REGISTRY, VERIFIER
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from financing.registry.methodology.commands import MoveMethodology, move_methodology
from financing.registry.verification.verifying import (
    AnswerFinding,
    CloseFinding,
    DeclareRelation,
    RaiseFinding,
    RecordAccreditation,
    answer_finding,
    close_finding,
    declare_relation,
    raise_finding,
    record_accreditation,
)

TABLES = (
    "meter_key",
    "metering_statement",
    "parameter_file",
    "methodology_transition",
    "accreditation",
    "organisation_relation",
    "signed_statement",
)


@pytest.fixture
def verified(desk):
    """Books with at least one row in every table of measurement and verification."""
    desk.admit("dev-a", "developer")
    project = desk.project("dev-a")
    desk.load()
    claim = desk.claim("dev-a", project)
    raised = RaiseFinding(severity="clarification", text="which roof?")
    finding = desk.run(VERIFIER, raise_finding, claim.monitoring_period_id, raised)
    desk.run("dev-a", answer_finding, finding.finding_id, AnswerFinding(text="the northern one"))
    desk.run(VERIFIER, close_finding, finding.finding_id, CloseFinding(text=""))
    desk.accept(claim)
    scope = {"organisation_id": "verifier-bsi", "methodology": "PV", "valid_from": "2026-01-01", "source": "minutes"}
    desk.run(REGISTRY, record_accreditation, RecordAccreditation(**scope))
    relation = DeclareRelation(first_id="dev-a", second_id="bank-gusu", source="declared")
    desk.run(REGISTRY, declare_relation, relation)
    desk.run(REGISTRY, move_methodology, "EV", 1, MoveMethodology(status="superseded", reason="version 2"))
    return desk


FORBIDDEN = [
    *(f"DELETE FROM {table}" for table in TABLES),
    "UPDATE meter_key SET public_key = public_key",
    "UPDATE metering_statement SET energy_wh = 1",
    "UPDATE parameter_file SET content = ''",
    "UPDATE methodology_transition SET status = 'approved'",
    "UPDATE accreditation SET methodology = 'EV'",
    "UPDATE organisation_relation SET source = ''",
    "UPDATE signed_statement SET signature = ''",
    "DELETE FROM verifier_finding",
    "UPDATE verifier_finding SET closing = 'again'",
    "UPDATE verifier_finding SET text = 'other'",
    "INSERT INTO reading (meter_id, starts_at, generation_wh) VALUES ('M-PV1', 0, 1)",
    "INSERT INTO monitoring_period SELECT 'again', project_id, starts_at, ends_at, 'submitted', generation_wh, "
    "reduction_kg, commitment, record, submitted_at FROM monitoring_period",
]


def test_the_database_refuses(verified):
    for statement in FORBIDDEN:
        with verified.parts.engine.execution_options(tanxin_writer=True).connect() as connection:
            with pytest.raises(DBAPIError):
                connection.execute(text(statement))
            connection.rollback()
