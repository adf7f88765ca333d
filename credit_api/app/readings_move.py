"""Readings that an older version kept in the registry's books move to the nodes of the grid companies, once."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from sqlalchemy import delete, select

from financing.base.signing import Signature, Signer, message_of
from financing.base.storage.columns import table_of
from financing.base.storage.writer import Writer
from financing.lending.unit import UnitOfWork
from financing.registry.metering.commands import service_key_of
from financing.registry.metering.node.stores import GridNodes
from financing.registry.metering.readings import SIGNING_DOMAIN, ReadingBatch
from financing.registry.metering.tables import ReadingRow
from financing.registry.projects.store import meter_t

reading_t = table_of(ReadingRow)


def move_readings(writer: Writer[UnitOfWork], nodes: GridNodes, signer: Signer, at: datetime) -> int:
    """Move every meter's readings and take them off the books; returns how many meters had some.

    They were delivered unsigned, so the service's key for the meter signs for them. A move that was cut short is done
    again: a node takes the same batch once.
    """

    def run(unit: UnitOfWork) -> int:
        meters = unit.connection.execute(
            select(meter_t.c.id, meter_t.c.measured_by, meter_t.c.interval_minutes).where(
                meter_t.c.id.in_(select(reading_t.c.meter_id).distinct())
            )
        ).all()
        for meter in meters:
            _move(unit, nodes, signer, meter.id, meter.measured_by, meter.interval_minutes, at)
        return len(meters)

    return writer.execute(run)


def _move(
    unit: UnitOfWork,
    nodes: GridNodes,
    signer: Signer,
    meter_id: str,
    grid_id: str,
    interval_minutes: int,
    at: datetime,
) -> None:
    rows = unit.connection.execute(
        select(reading_t.c.starts_at, reading_t.c.generation_wh, reading_t.c.export_wh)
        .where(reading_t.c.meter_id == meter_id)
        .order_by(reading_t.c.starts_at)
    ).all()
    whole = np.array([row[2] is not None for row in rows])
    # A meter may have gained its export register later: readings with and without one are two batches.
    for chosen, with_export in ((whole, True), (~whole, False)):
        part = [row for row, takes in zip(rows, chosen.tolist(), strict=True) if takes]
        if not part:
            continue
        batch = ReadingBatch(
            meter_id,
            interval_minutes,
            np.array([row[0] for row in part], dtype=np.int64).astype("datetime64[s]"),
            np.array([row[1] for row in part], dtype=np.int64),
            np.array([row[2] for row in part], dtype=np.int64) if with_export else None,
        )
        signed = signer.sign(service_key_of(meter_id), message_of(SIGNING_DOMAIN, batch.signed_document()))
        signature = Signature(meter_id, signed.public_key, signed.signature)
        nodes.of(grid_id).add(batch, signature, reason="", at=at)
    unit.connection.execute(delete(reading_t).where(reading_t.c.meter_id == meter_id))
