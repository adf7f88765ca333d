"""The sandbox's projects on other methodologies: a charging depot whose meter signs, and a wetland without meters.

Every figure of theirs is generated.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from financing.base.signing import message_of, sign_with
from financing.registry.metering.readings import SIGNING_DOMAIN, ReadingBatch
from simulations.worlds.api_client import ApiClient

REGISTRY, GRID, CHARGING_VERIFIER, WETLAND_VERIFIER = "registry-sip", "grid-sip", "verifier-sgs", "verifier-bsi"
DEPOT, WETLAND = "dev-weiting", "dev-yangcheng"
CAPACITY_W = 480_000
SURVEY = "generated survey, sandbox"


def seed_other_projects(api: ApiClient, started_at: datetime) -> None:
    """A depot from signed readings to issued credits, and a wetland that its certifier has a question about.

    Raises `Refused` where the API refuses, which a second run then continues from.
    """
    year = started_at.year - 1
    _depot(api, year)
    _wetland(api, year, started_at)


def _depot(api: ApiClient, year: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"tanxin sandbox meter M-EV001").digest())
    body = _project("EV001", "Weiting depot chargers (generated)", "EV", year) | {
        "capacity_w": CAPACITY_W,
        "choices": {"vehicle": "bus", "charger": "dc"},
        "meters": [
            {
                "meter_id": "M-EV001",
                "measured_by": GRID,
                "interval_minutes": 60,
                "public_key": key.public_key().public_bytes_raw().hex(),
            }
        ],
    }
    project = api.post(DEPOT, "/v1/projects", body, key="seed:project:EV001")
    first, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year, 12, 31, tzinfo=UTC)
    batch = _charging(first, end)
    signature = sign_with(key, batch.meter_id, message_of(SIGNING_DOMAIN, batch.signed_document())).signature
    readings = [
        {"starts_at": datetime.fromtimestamp(start, UTC).isoformat(), "generation_wh": wh}
        for start, wh in zip(batch.starts.astype(np.int64).tolist(), batch.generation_wh.tolist(), strict=True)
    ]
    loaded = {"interval_minutes": 60, "readings": readings, "signature": signature}
    api.post(GRID, "/v1/meters/M-EV001/readings", loaded, key="seed:readings:EV001")
    claim = _claim(api, DEPOT, project, first, end, {})
    statement = {name: claim[name] for name in ("commitment", "generation_wh", "reduction_kg")}
    path = f"/v1/monitoring-periods/{claim['monitoring_period_id']}/statement"
    api.post(CHARGING_VERIFIER, path, statement | {"opinion": "positive"}, key="seed:verify:EV001")
    issued = {"monitoring_period_id": claim["monitoring_period_id"]}
    api.post(REGISTRY, "/v1/issuances", issued, key="seed:issue:EV001")


def _wetland(api: ApiClient, year: int, started_at: datetime) -> None:
    body = _project("WET001", "Yangcheng Lake reed marsh (generated)", "WETLAND", year)
    project = api.post(WETLAND, "/v1/projects", body, key="seed:project:WET001")
    declared = {"area": "320", "methane": "140.5", "nitrous_oxide": "0.2", "half_width": "0.14"}
    first, end = datetime(year - 1, 12, 31, 16, tzinfo=UTC), datetime(year, 12, 31, 16, tzinfo=UTC)
    claim = _claim(api, WETLAND, project, first, end, declared)
    base = f"/v1/monitoring-periods/{claim['monitoring_period_id']}"
    due = {"verifier_id": WETLAND_VERIFIER, "due_on": (started_at + timedelta(days=21)).date().isoformat()}
    api.post(REGISTRY, f"{base}/assignment", due, key="seed:assign:WET001")
    question = {
        "severity": "clarification",
        "text": "How many chambers measured the methane flux, and in which months?",
    }
    api.post(WETLAND_VERIFIER, f"{base}/findings", question, key="seed:finding:WET001")


def _claim(
    api: ApiClient, owner: str, project: Any, first: datetime, end: datetime, declared: dict[str, str]
) -> dict[str, Any]:
    body = {
        "project_id": project["project_id"],
        "starts_at": first.isoformat(),
        "ends_at": end.isoformat(),
        "declared": {name: {"value": value, "evidence": SURVEY} for name, value in declared.items()},
    }
    claimed: dict[str, Any] = api.post(owner, "/v1/monitoring-periods", body, key=f"seed:period:{project['code']}")
    return claimed


def _project(code: str, name: str, methodology: str, year: int) -> dict[str, Any]:
    return {
        "code": code,
        "name": name,
        "methodology": methodology,
        "grid_connected_on": f"{year - 2}-06-01",
        "crediting_from": datetime(year - 1, 1, 1, tzinfo=UTC).isoformat(),
        "crediting_until": datetime(year + 9, 1, 1, tzinfo=UTC).isoformat(),
        "region": "SIP",
        "latitude_deg": 31.3,
        "longitude_deg": 120.6,
        "owns_the_reduction": True,
        "not_registered_elsewhere": True,
        "outside_ets_boundary": True,
    }


def _charging(first: datetime, end: datetime) -> ReadingBatch:
    """Hourly energy of a depot that charges its buses at night, generated with a fixed seed."""
    starts = np.arange(np.datetime64(int(first.timestamp()), "s"), np.datetime64(int(end.timestamp()), "s"), 3600)
    china_hour = (starts.astype(np.int64) // 3600 + 8) % 24
    busy = np.where((china_hour >= 22) | (china_hour < 6), 0.55, 0.12)
    noise = np.random.default_rng(20221116).uniform(0.6, 1.2, len(starts))
    return ReadingBatch("M-EV001", 60, starts, (busy * noise * CAPACITY_W).astype(np.int64))
