"""Statements, keys, texts and findings stay as they were given, whoever asks the database to change them."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

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
def verified(world):
    """Books with at least one row in every table of measurement and verification."""
    world.admit("dev-a", "developer")
    project = world.project("dev-a")
    world.post("grid-sip", "/v1/meters/M-PV1/readings", world.readings_body())
    claim = world.claim("dev-a", project)
    base = f"/v1/monitoring-periods/{claim['monitoring_period_id']}"
    raised = {"severity": "clarification", "text": "which roof?"}
    finding = world.post("verifier-cqc", f"{base}/findings", raised)
    path = f"/v1/verification-findings/{finding['finding_id']}"
    world.post("dev-a", f"{path}/answer", {"text": "the northern one"})
    world.post("verifier-cqc", f"{path}/closure", {"text": ""})
    world.accept(claim)
    scope = {"organisation_id": "verifier-bsi", "methodology": "PV", "valid_from": "2026-01-01", "source": "minutes"}
    world.post("registry-sip", "/v1/accreditations", scope)
    relation = {"first_id": "dev-a", "second_id": "bank-gusu", "source": "declared"}
    world.post("registry-sip", "/v1/organisation-relations", relation)
    transition = {"status": "superseded", "reason": "version 2"}
    world.post("registry-sip", "/v1/methodologies/EV/1/transitions", transition)
    return world


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
