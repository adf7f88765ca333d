"""A grid company's own database of raw readings: a SQLite file by default, any other database by URL.

It knows meters by id only, and nothing of projects or credits. Rows are immutable; a correction is a new revision.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, func, insert, select, text

from financing.base.errors import DuplicateReading, NotFound, ReadingRejected
from financing.base.quantities import Period
from financing.base.signing import Signature
from financing.base.storage.database import lock_for_writing
from financing.registry.metering.node.port import Receipt, Span
from financing.registry.metering.node.statement import Question, Stated, statement_of
from financing.registry.metering.node.tables import COLUMNS, batch_t, immutability, node_tables, reading_t
from financing.registry.metering.readings import ReadingBatch
from financing.registry.metering.totals import MeteredTotal, total_of

DAY = 86_400
CHINA_OFFSET = 8 * 3_600
CHUNK = 100_000


class SqlGridNode:
    """The store of one grid company on one engine."""

    def __init__(self, engine: Engine, grid_id: str) -> None:
        self._engine, self._grid_id = engine, grid_id
        self._writing = engine.execution_options(tanxin_writer=True)
        with self._writing.begin() as connection:
            lock_for_writing(connection)
            node_tables.create_all(connection)
            for statement in immutability(connection.dialect.name):
                connection.execute(text(statement))

    def add(self, batch: ReadingBatch, signature: Signature, *, reason: str, at: datetime) -> Receipt:
        if len(batch) == 0:
            raise ReadingRejected("there is no reading in the batch", meter_id=batch.meter_id)
        commitment = batch.commitment()
        with self._writing.begin() as connection:
            lock_for_writing(connection)
            known = connection.execute(
                select(batch_t.c.id).where(
                    batch_t.c.meter_id == batch.meter_id,
                    batch_t.c.commitment == commitment,
                    batch_t.c.reason == reason,
                )
            ).scalar()
            if known is not None:
                return Receipt(known, commitment, len(batch), deduplicated=True, reason=reason)
            revisions = _revisions(connection, batch, reason)
            inserted = connection.execute(
                insert(batch_t).values(
                    meter_id=batch.meter_id,
                    interval_minutes=batch.interval_minutes,
                    first_at=int(batch.starts[0].astype(np.int64)),
                    last_at=int(batch.starts[-1].astype(np.int64)),
                    count=len(batch),
                    commitment=commitment,
                    reason=reason,
                    public_key=signature.public_key,
                    signature=signature.signature,
                    received_at=at,
                )
            )
            assert inserted.inserted_primary_key is not None
            batch_id = int(inserted.inserted_primary_key[0])
            _insert(connection, batch, revisions, batch_id)
        return Receipt(batch_id, commitment, len(batch), deduplicated=False, reason=reason)

    def statement(self, question: Question) -> Stated:
        through = self.last_batch(question.meter_id)
        batch = self.readings(question.meter_id, question.interval_minutes, question.period, through_batch=through)
        return Stated(statement_of(batch, through, self._grid_id, question), None)

    def total(self, meter_id: str, interval_minutes: int, period: Period, through_batch: int | None) -> MeteredTotal:
        batch = self.readings(meter_id, interval_minutes, period, through_batch=through_batch or None)
        return total_of(batch, period, through_batch or 0)

    def readings(
        self, meter_id: str, interval_minutes: int, period: Period, *, through_batch: int | None = None
    ) -> ReadingBatch:
        query = (
            select(reading_t.c.starts_at, reading_t.c.energy_wh, reading_t.c.export_wh, reading_t.c.register_wh)
            .where(
                reading_t.c.meter_id == meter_id,
                reading_t.c.starts_at >= int(period.start.timestamp()),
                reading_t.c.starts_at < int(period.end.timestamp()),
            )
            .order_by(reading_t.c.starts_at, reading_t.c.revision)
        )
        if through_batch is not None:
            query = query.where(reading_t.c.batch_id <= through_batch)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        starts = np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows))
        # Revisions of an interval follow each other; the last one holds.
        latest = np.append(starts[1:] != starts[:-1], True) if len(rows) else np.zeros(0, dtype=np.bool_)
        kept = [row for row, holds in zip(rows, latest.tolist(), strict=True) if holds]
        return ReadingBatch(
            meter_id,
            interval_minutes,
            starts[latest].astype("datetime64[s]"),
            np.fromiter((row[1] for row in kept), dtype=np.int64, count=len(kept)),
            _optional([row[2] for row in kept]),
            _optional([row[3] for row in kept]),
        )

    def last_batch(self, meter_id: str) -> int:
        with self._engine.connect() as connection:
            last_id = connection.execute(select(func.max(batch_t.c.id)).where(batch_t.c.meter_id == meter_id)).scalar()
        return int(last_id or 0)

    def corrected_after(self, meter_id: str, batch_id: int, period: Period) -> bool:
        query = (
            select(reading_t.c.starts_at)
            .where(
                reading_t.c.meter_id == meter_id,
                reading_t.c.batch_id > batch_id,
                reading_t.c.starts_at >= int(period.start.timestamp()),
                reading_t.c.starts_at < int(period.end.timestamp()),
            )
            .limit(1)
        )
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def span(self, meter_id: str) -> Span:
        query = select(
            func.count(func.distinct(reading_t.c.starts_at)),
            func.min(reading_t.c.starts_at),
            func.max(reading_t.c.starts_at),
        ).where(reading_t.c.meter_id == meter_id)
        with self._engine.connect() as connection:
            row = connection.execute(query).one()
        if not row[0]:
            return Span(0, None, None)
        return Span(int(row[0]), datetime.fromtimestamp(row[1], UTC), datetime.fromtimestamp(row[2], UTC))

    def daily_wh(self, meter_ids: tuple[str, ...], days: int) -> Mapping[int, int]:
        mine = reading_t.c.meter_id.in_(meter_ids)
        day = ((reading_t.c.starts_at + CHINA_OFFSET) // DAY).label("day")
        with self._engine.connect() as connection:
            last = connection.execute(select(func.max(reading_t.c.starts_at)).where(mine)).scalar()
            if last is None:
                return {}
            rows = connection.execute(
                select(day, func.sum(reading_t.c.energy_wh))
                .where(mine, reading_t.c.starts_at > int(last) - days * DAY, _latest())
                .group_by(day)
                .order_by(day)
            ).all()
        return {int(row[0]): int(row[1]) for row in rows}

    def summary(self) -> tuple[int, int]:
        query = select(func.count(), func.coalesce(func.sum(reading_t.c.energy_wh), 0)).where(_latest())
        with self._engine.connect() as connection:
            row = connection.execute(query.select_from(reading_t)).one()
        return int(row[0]), int(row[1])

    def signature_of(self, batch_id: int) -> Signature:
        """The meter's signature on a batch. Raises `NotFound`."""
        query = select(batch_t.c.meter_id, batch_t.c.public_key, batch_t.c.signature).where(batch_t.c.id == batch_id)
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFound("no such batch", batch_id=batch_id)
        return Signature(row.meter_id, row.public_key, row.signature)

    def close(self) -> None:
        self._engine.dispose()


def _latest() -> Any:
    """Of each interval only the last revision."""
    other = reading_t.alias()
    later = select(other.c.revision).where(
        other.c.meter_id == reading_t.c.meter_id,
        other.c.starts_at == reading_t.c.starts_at,
        other.c.revision > reading_t.c.revision,
    )
    return ~later.exists()


def _revisions(connection: Connection, batch: ReadingBatch, reason: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The revision each reading becomes. Raises `DuplicateReading` for a known interval that is not being corrected,
    `ReadingRejected` for a correction of what was never read."""
    starts = batch.starts.astype(np.int64)
    rows = connection.execute(
        select(reading_t.c.starts_at, func.max(reading_t.c.revision))
        .where(
            reading_t.c.meter_id == batch.meter_id,
            reading_t.c.starts_at.between(int(starts[0]), int(starts[-1])),
        )
        .group_by(reading_t.c.starts_at)
        .order_by(reading_t.c.starts_at)
    ).all()
    known = np.array([row[0] for row in rows], dtype=np.int64)
    latest = np.array([row[1] for row in rows], dtype=np.int64)
    there = np.isin(starts, known)
    if reason:
        if not there.all():
            first = datetime.fromtimestamp(int(starts[~there][0]), UTC)
            raise ReadingRejected("a correction is of readings on record", first_at=first.isoformat())
        return latest[np.searchsorted(known, starts)] + 1
    if there.any():
        first = datetime.fromtimestamp(int(starts[there][0]), UTC)
        raise DuplicateReading(
            "readings of this meter and time are on record already; other values are sent as a correction",
            meter_id=batch.meter_id,
            first_at=first.isoformat(),
            count=int(there.sum()),
        )
    return np.zeros(len(batch), dtype=np.int64)


def _insert(
    connection: Connection, batch: ReadingBatch, revisions: np.ndarray[Any, np.dtype[np.int64]], batch_id: int
) -> None:
    """All rows in the driver's own bulk form: 100,000 at a time, so that memory stays bounded."""
    names = ", ".join(COLUMNS)
    for start in range(0, len(batch), CHUNK):
        part = slice(start, start + CHUNK)
        count = len(batch.starts[part])
        nothing = [None] * count
        rows = list(
            zip(
                [batch.meter_id] * count,
                batch.starts[part].astype(np.int64).tolist(),
                revisions[part].tolist(),
                batch.generation_wh[part].tolist(),
                nothing if batch.export_wh is None else batch.export_wh[part].tolist(),
                nothing if batch.register_wh is None else batch.register_wh[part].tolist(),
                [batch_id] * count,
                strict=True,
            )
        )
        if connection.dialect.name == "postgresql":
            cursor = connection.connection.cursor()
            with cursor.copy(f"COPY interval_reading ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.close()
        else:
            connection.exec_driver_sql(f"INSERT INTO interval_reading ({names}) VALUES (?,?,?,?,?,?,?)", rows)  # noqa: S608


def _optional(values: list[int | None]) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """A register is known for a batch only if every reading has it."""
    known = [value for value in values if value is not None]
    return np.array(known, dtype=np.int64) if known and len(known) == len(values) else None
