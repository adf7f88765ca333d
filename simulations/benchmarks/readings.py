"""A million signed 15-minute readings: read from CSV, checked, stored at a grid node and totalled, beside a load row by
row of a sample, in one process on one disk. All readings are generated.
"""

from __future__ import annotations

import resource
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert

from financing.base.errors import ReadingRejected
from financing.base.parameters import load_parameters
from financing.base.quantities import Energy, Period
from financing.base.signing import Signature, message_of, require_signed, sign_with
from financing.base.storage.database import open_engine
from financing.registry.metering.csv_readings import parse_readings
from financing.registry.metering.node.store import SqlGridNode
from financing.registry.metering.node.tables import batch_t, reading_t
from financing.registry.metering.plausibility import Site, check_readings
from financing.registry.metering.readings import SIGNING_DOMAIN, ReadingBatch, require_within_capacity
from financing.registry.metering.solar import solar_elevation_deg
from financing.registry.metering.totals import total_of

AT = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = Period(datetime(2024, 12, 31, 16, tzinfo=UTC), datetime(2025, 12, 31, 16, tzinfo=UTC))
INTERVAL = 15
A_YEAR = 35_040
CAPACITY_W = 500_000
SUZHOU = (31.30, 120.60)


@dataclass(frozen=True, slots=True)
class ReadingsSpeed:
    """Seconds of each part, peak memory of the process, and how many times faster a reading is than row by row."""

    data_origin: str
    readings: int
    meters: int
    parse_s: float
    verify_and_store_s: float
    check_and_total_s: float
    total_s: float
    readings_per_s: float
    peak_memory_mib: float
    row_by_row_sample: int
    row_by_row_per_s: float
    times_row_by_row: float
    findings: int
    energy_wh: int


def measure_readings(readings: int = 1_000_000, sample: int = 5_000) -> ReadingsSpeed:
    """Load `readings` (a year a meter, the last one shorter) and `sample` row by row, on a fresh SQLite file each."""
    counts = [A_YEAR] * (readings // A_YEAR) + ([readings % A_YEAR] if readings % A_YEAR else [])
    key = Ed25519PrivateKey.generate()
    text = _csv(A_YEAR)
    clock = {"parse": 0.0, "store": 0.0, "check": 0.0}
    findings = energy = 0
    with tempfile.TemporaryDirectory() as folder:
        node = SqlGridNode(open_engine(f"sqlite:///{Path(folder) / 'node.db'}"), "grid-sip")
        for number, count in enumerate(counts):
            batch, signature = _arrive(text, f"M{number:03d}", count, key, clock)
            _store(node, batch, signature, clock)
            flagged, wh = _check(node, batch.meter_id, count, clock)
            findings, energy = findings + flagged, energy + wh
        node.close()
        slow = _row_by_row(Path(folder), text, sample)
    total = sum(clock.values())
    return ReadingsSpeed(
        data_origin="generated",
        readings=readings,
        meters=len(counts),
        parse_s=clock["parse"],
        verify_and_store_s=clock["store"],
        check_and_total_s=clock["check"],
        total_s=total,
        readings_per_s=readings / total,
        peak_memory_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        row_by_row_sample=sample,
        row_by_row_per_s=slow,
        times_row_by_row=readings / total / slow,
        findings=findings,
        energy_wh=energy,
    )


def _csv(count: int) -> list[str]:
    """A generated year of a plant: output follows the height of the sun."""
    starts = np.datetime64(int(YEAR.start.timestamp()), "s") + np.arange(count) * np.timedelta64(INTERVAL * 60, "s")
    height = np.sin(np.radians(np.maximum(solar_elevation_deg(starts, *SUZHOU), 0)))
    clear = np.random.default_rng(20221116).uniform(0.2, 0.7, count)
    wh = (height * clear * CAPACITY_W * INTERVAL / 60).astype(np.int64)
    stamps = np.datetime_as_string(starts)
    return [f"{stamp}Z,{value // 1000}.{value % 1000:03d}\n" for stamp, value in zip(stamps, wh.tolist(), strict=True)]


def _arrive(
    text: list[str], meter_id: str, count: int, key: Ed25519PrivateKey, clock: dict[str, float]
) -> tuple[ReadingBatch, Signature]:
    content = ("interval_start,generation_kwh\n" + "".join(text[:count])).encode()
    started = time.perf_counter()
    batch = parse_readings(content, meter_id, INTERVAL)
    clock["parse"] += time.perf_counter() - started
    return batch, sign_with(key, meter_id, message_of(SIGNING_DOMAIN, batch.signed_document()))


def _store(node: SqlGridNode, batch: ReadingBatch, signature: Signature, clock: dict[str, float]) -> None:
    limits = load_parameters().plausibility("pv", AT.date())
    started = time.perf_counter()
    require_signed(signature, message_of(SIGNING_DOMAIN, batch.signed_document()), signature.public_key)
    require_within_capacity(batch, CAPACITY_W, limits.interval_capacity_factor_bps_reject)
    node.add(batch, signature, reason="", at=AT)
    clock["store"] += time.perf_counter() - started


def _check(node: SqlGridNode, meter_id: str, count: int, clock: dict[str, float]) -> tuple[int, int]:
    parameters = load_parameters()
    rule = parameters.methodology("PV", 1).monitoring
    assert rule is not None
    period = Period(YEAR.start, YEAR.start + timedelta(minutes=INTERVAL * count))
    started = time.perf_counter()
    batch = node.readings(meter_id, INTERVAL, period)
    checked = check_readings(batch, period, Site(CAPACITY_W, *SUZHOU), parameters.plausibility("pv", AT.date()), rule)
    total = total_of(batch, period)
    clock["check"] += time.perf_counter() - started
    return len(checked), total.generation.wh


def _row_by_row(folder: Path, text: list[str], sample: int) -> float:
    """Readings a second when each line is parsed, checked and inserted by itself, in one transaction."""
    engine = open_engine(f"sqlite:///{folder / 'rows.db'}")
    SqlGridNode(engine, "grid-sip")
    factor_bps = load_parameters().plausibility("pv", AT.date()).interval_capacity_factor_bps_reject
    most = CAPACITY_W * INTERVAL * factor_bps // 600_000
    head = {"meter_id": "R", "interval_minutes": INTERVAL, "first_at": 0, "last_at": 0, "count": sample}
    signed = {"commitment": "0" * 64, "reason": "", "public_key": "0" * 64, "signature": "", "received_at": AT}
    started = time.perf_counter()
    with engine.execution_options(tanxin_writer=True).begin() as connection:
        connection.execute(insert(batch_t).values(id=1, **head, **signed))
        for line in text[:sample]:
            stamp, kwh = line.rstrip().split(",")
            starts_at = int(datetime.fromisoformat(stamp).timestamp())
            energy_wh = Energy.from_kwh(Decimal(kwh)).wh
            if starts_at % (INTERVAL * 60) or not 0 <= energy_wh <= most:
                raise ReadingRejected("a generated reading is out of its limits")
            connection.execute(
                insert(reading_t).values(meter_id="R", starts_at=starts_at, revision=0, energy_wh=energy_wh, batch_id=1)
            )
    elapsed = time.perf_counter() - started
    engine.dispose()
    return sample / elapsed
