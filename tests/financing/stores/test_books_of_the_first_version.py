"""Books written by the first version: claims keep their kilograms, readings find their new home."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from credit_api.app.database import migrate
from credit_api.app.readings_move import move_readings
from credit_api.app.signers import FileSigner
from financing.base.quantities import Carbon, Energy, Period
from financing.base.storage.database import open_engine
from financing.base.storage.writer import Writer
from financing.lending.unit import UnitOfWork
from financing.registry.metering.node.stores import GridNodes
from financing.registry.methodology.engine import rederived
from financing.registry.verification.monitoring import MonitoringState

AT = datetime(2025, 6, 1, tzinfo=UTC)
PERIOD = {"start": "2025-05-01T00:00:00Z", "end": "2025-05-02T00:00:00Z"}
DAY = Period(datetime(2025, 5, 1, tzinfo=UTC), datetime(2025, 5, 2, tzinfo=UTC))


def workings(mode, claimed, green, kg):
    return {
        "methodology": "PV",
        "version": 1,
        "claim_mode": mode,
        "period": PERIOD,
        "vintage": 2025,
        "generation": {"amount": 24_000},
        "export": {"amount": 6_000},
        "green_power_sold": {"amount": green},
        "claimed": {"amount": claimed},
        "factor_key": "jiangsu_average_2022",
        "factor": {"amount": 597_800},
        "project_emissions_factor": {"amount": 0},
        "leakage_factor": {"amount": 0},
        "net_factor": {"amount": 597_800},
        "reduction": {"amount": kg},
        "parameter_hashes": [["grid_factors.toml", "0" * 64]],
    }


def project():
    return {
        "project_id": "prj",
        "code": "P",
        "owner": "dev",
        "name": "roof",
        "methodology": "PV",
        "methodology_version": 1,
        "capacity_w": 5_000,
        "grid_connected_on": "2024-01-01",
        "crediting_period": {"start": "2024-02-01T00:00:00Z", "end": "2034-01-01T00:00:00Z"},
        "location": {"region": "SIP", "latitude_deg": 31.3, "longitude_deg": 120.6},
        "meter_ids": ["M1"],
        "declarations": {
            "owns_the_reduction": True,
            "not_registered_elsewhere": True,
            "outside_ets_boundary": True,
        },
    }


def claim(reduction):
    total = {
        "meter_id": "M1",
        "period": PERIOD,
        "interval_minutes": 60,
        "generation": {"amount": 24_000},
        "export": {"amount": 6_000},
        "intervals_expected": 24,
        "intervals_missing": 0,
        "commitment": "c" * 64,
    }
    return {
        "monitoring_period_id": "mon",
        "project_id": "prj",
        "owner": "dev",
        "period": PERIOD,
        "totals": [total],
        "reduction": reduction,
        "findings": [],
        "submitted_at": "2025-06-01T00:00:00Z",
        "state": "issued",
        "statement": None,
        "issuance_id": "iss",
    }


@pytest.mark.parametrize(
    ("mode", "claimed", "green", "kg"),
    [("all", 23_000, 1_000, 13), ("self_use", 18_000, 0, 10), ("export", 6_000, 0, 3)],
)
def test_old_books_go_on(database_url, tmp_path, mode, claimed, green, kg):
    engine = open_engine(database_url)
    migrate(engine, "0001")
    insert(engine, claim(workings(mode, claimed, green, kg)), kg)
    migrate(engine)
    writer, nodes = Writer(engine, UnitOfWork), GridNodes(tmp_path / "nodes")
    signer = FileSigner(tmp_path / "signing", for_others=True)
    assert move_readings(writer, nodes, signer, AT) == 1
    assert move_readings(writer, nodes, signer, AT) == 0
    moved = nodes.of("grid").readings("M1", 60, DAY)
    assert (moved.generation(), moved.export()) == (Energy(24_000), Energy(6_000))
    with engine.connect() as connection:
        unit = UnitOfWork(connection)
        found = unit.periods.get("mon")
        assert found.state is MonitoringState.ISSUED
        assert rederived(found.reduction) == (Carbon(kg), Carbon(0)) == (found.reduction.reduction, Carbon(0))
        assert unit.projects.get("prj").role_of("M1", "pv") == "pv"
    writer.close()
    nodes.close()
    engine.dispose()


def insert(engine, record, kg):
    at = {"at": AT.replace(tzinfo=None) if engine.dialect.name == "sqlite" else AT}
    rows = [
        "INSERT INTO organisation (id, kind, name_zh, name_en, created_at) VALUES "
        "('dev', 'developer', 'd', 'd', :at), ('grid', 'grid', 'g', 'g', :at)",
        "INSERT INTO project (id, code, owner_id, name, methodology, capacity_w, record, created_at) VALUES "
        "('prj', 'P', 'dev', 'roof', 'PV1', 5000, :project, :at)",
        "INSERT INTO meter (id, project_id, measured_by, interval_minutes) VALUES ('M1', 'prj', 'grid', 60)",
        "INSERT INTO monitoring_period (id, project_id, starts_at, ends_at, state, generation_wh, reduction_kg, "
        "commitment, record, submitted_at) "
        "VALUES ('mon', 'prj', :start, :end, 'issued', 24000, :kg, :hash, :claim, :at)",
    ]
    naive = engine.dialect.name == "sqlite"
    values = at | {
        "start": DAY.start.replace(tzinfo=None) if naive else DAY.start,
        "end": DAY.end.replace(tzinfo=None) if naive else DAY.end,
        "kg": kg,
        "hash": "c" * 64,
        "project": json.dumps(project()),
        "claim": json.dumps(record),
    }
    with engine.execution_options(tanxin_writer=True).begin() as connection:
        for row in rows:
            connection.execute(text(row), values)
        first = int(DAY.start.timestamp())
        for hour in range(24):
            reading = {"start": first + hour * 3600, "made": 1_000, "sent": 250}
            connection.execute(text("INSERT INTO reading VALUES ('M1', :start, :made, :sent)"), reading)
