"""The asset's story in the sandbox: plants, a year of their readings, claims, verification and issuance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from financing.registry.metering.readings import ReadingBatch
from financing.registry.metering.research_files import import_half_hourly_kw
from simulations.worlds.api_client import ApiClient
from simulations.worlds.names import DEVELOPERS, GRIDS, REGISTRY, VERIFIER
from simulations.worlds.plants import LATITUDE_DEG, LONGITUDE_DEG, generate_hourly

CAPACITIES_KW = (5_600, 2_400, 4_200, 1_800, 3_600, 900, 2_900, 1_200, 2_100, 700, 1_500, 480)
RESEARCH_FILE = "pv_simulated_42_households_halfhourly.csv.gz"


@dataclass(frozen=True, slots=True)
class Roof:
    """One plant of the sandbox."""

    code: str
    owner: str
    name: str
    capacity_w: int
    grid: str
    latitude_deg: float
    longitude_deg: float
    batch: ReadingBatch


def roofs_of(year: int, energy: Path | None) -> list[Roof]:
    """Two plants a developer for the whole of `year`, and two reference roofs where the research file is at hand."""
    roofs = [generated_roof(number, year) for number in range(len(CAPACITIES_KW))]
    path = energy / RESEARCH_FILE if energy is not None else None
    if path is not None and path.exists():
        roofs = [*_reference_roofs(path, year), *roofs]
    return roofs


def generated_roof(number: int, year: int) -> Roof:
    """One of the generated plants, for the whole of `year`."""
    capacity_w = CAPACITIES_KW[number] * 1000
    owner, _, name = DEVELOPERS[number % len(DEVELOPERS)]
    code = f"SIP{number + 1:03d}"
    output = generate_hourly(capacity_w, f"{year}-01-01", f"{year + 1}-01-01", seed=1000 + number)
    batch = ReadingBatch(f"M-{code}", 60, output.starts, output.generation_wh)
    label = f"{name} roof {number // len(DEVELOPERS) + 1} (generated)"
    return Roof(code, owner, label, capacity_w, GRIDS[number % len(GRIDS)], LATITUDE_DEG, LONGITUDE_DEG, batch)


def _reference_roofs(path: Path, year: int) -> list[Roof]:
    """Two roofs of the shared research file (Scotland, March to May), a hundredfold, on the dates of `year`."""
    first = datetime(year, 3, 1, tzinfo=UTC)
    roofs = []
    for number, column in enumerate(("PV001", "PV002")):
        code = f"REF{number + 1:03d}"
        batch = import_half_hourly_kw(path, f"M-{code}", column, first, scale=100).batch
        capacity_w = int(np.ceil(batch.generation_wh.max() * 2 / 1000) * 1000)
        owner, _, _ = DEVELOPERS[number]
        label = f"Reference roof {column} x100 (shared research file)"
        roofs.append(Roof(code, owner, label, capacity_w, GRIDS[0], 55.86, -4.25, batch))
    return roofs


def posted_readings(api: ApiClient, roof: Roof) -> None:
    """Hand a plant's readings over to the service, which keeps its grid company's node."""
    batch = roof.batch
    path = f"/v1/meters/{batch.meter_id}/readings.csv?interval_minutes={batch.interval_minutes}"
    api.post_csv(roof.grid, path, csv_of(batch), key=f"seed:readings:{roof.code}")


def bring_in_credits(
    api: ApiClient, roof: Roof, *, last_step: int, hand_over: Callable[[ApiClient, Roof], None] = posted_readings
) -> Any:
    """Register, load, claim and, as far as `last_step` says (1 verify, 2 issue), verify and issue one plant's year."""
    batch = roof.batch
    start, end = _span(batch)
    project = api.post(
        roof.owner,
        "/v1/projects",
        {
            "code": roof.code,
            "name": roof.name,
            "capacity_w": roof.capacity_w,
            "grid_connected_on": date(start.year - 2, 6, 1).isoformat(),
            "crediting_from": datetime(start.year - 1, 1, 1, tzinfo=UTC).isoformat(),
            "crediting_until": datetime(start.year + 9, 1, 1, tzinfo=UTC).isoformat(),
            "region": "SIP",
            "latitude_deg": roof.latitude_deg,
            "longitude_deg": roof.longitude_deg,
            "meters": [
                {
                    "meter_id": batch.meter_id,
                    "measured_by": roof.grid,
                    "interval_minutes": batch.interval_minutes,
                }
            ],
            "owns_the_reduction": True,
            "not_registered_elsewhere": True,
            "outside_ets_boundary": True,
        },
        key=f"seed:project:{roof.code}",
    )
    hand_over(api, roof)
    claim = api.post(
        roof.owner,
        "/v1/monitoring-periods",
        {"project_id": project["project_id"], "starts_at": start.isoformat(), "ends_at": end.isoformat()},
        key=f"seed:period:{roof.code}",
    )
    if last_step < 1:
        return None
    statement = {
        "opinion": "positive",
        "commitment": claim["commitment"],
        "generation_wh": claim["generation_wh"],
        "reduction_kg": claim["reduction_kg"],
        "remarks": "readings, totals and factor re-calculated",
    }
    period_id = claim["monitoring_period_id"]
    api.post(VERIFIER, f"/v1/monitoring-periods/{period_id}/statement", statement, key=f"seed:verify:{roof.code}")
    if last_step < 2:
        return None
    return api.post(REGISTRY, "/v1/issuances", {"monitoring_period_id": period_id}, key=f"seed:issue:{roof.code}")


def _span(batch: ReadingBatch) -> tuple[datetime, datetime]:
    first, last = (int(batch.starts[place].astype(np.int64)) for place in (0, -1))
    return datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC) + timedelta(
        minutes=batch.interval_minutes
    )


def csv_of(batch: ReadingBatch) -> str:
    """Readings as a file."""
    starts = np.datetime_as_string(batch.starts)
    lines = [
        f"{start}Z,{wh // 1000}.{wh % 1000:03d}" for start, wh in zip(starts, batch.generation_wh.tolist(), strict=True)
    ]
    return "interval_start,generation_kwh\n" + "\n".join(lines) + "\n"
