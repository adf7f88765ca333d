"""A batch of interval readings of one meter, columnar, on a sorted grid without duplicates.

Shapes: `starts` datetime64[s] (UTC, start of the interval), `generation_wh`, `export_wh` and `register_wh` int64, all
of length n. `generation_wh` is the energy metered, whatever the meter measures; self-use of a plant is generation −
export. `register_wh` is the meter's cumulative register at the end of the interval.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from financing.base.errors import DuplicateReading, ReadingRejected
from financing.base.quantities import INT64_MAX, Energy, Period
from financing.registry.metering.intervals import Starts, energy_limit_wh, instant, is_interval, off_grid

WattHours = NDArray[np.int64]

COMMITMENT_DOMAIN = b"tanxin-readings-v1"
REGISTER_DOMAIN = b"tanxin-readings-register-v1"
SIGNING_DOMAIN = "tanxin-meter-batch-v1"


@dataclass(frozen=True, slots=True, eq=False)
class ReadingBatch:
    """Readings of `meter_id`. Raises `DuplicateReading` or `ReadingRejected` when a rule of the meter is broken."""

    meter_id: str
    interval_minutes: int
    starts: Starts
    generation_wh: WattHours
    export_wh: WattHours | None = None
    register_wh: WattHours | None = None

    def __post_init__(self) -> None:
        _require_interval(self.meter_id, self.interval_minutes)
        object.__setattr__(self, "starts", _frozen(_seconds(self.starts)))
        object.__setattr__(self, "generation_wh", _frozen(_watt_hours(self.generation_wh, "generation")))
        _require_grid(self.starts, self.interval_minutes)
        _require_energy(self.starts, self.generation_wh, "generation")
        if self.export_wh is not None:
            object.__setattr__(self, "export_wh", _frozen(_watt_hours(self.export_wh, "export")))
            _require_energy(self.starts, self.export_wh, "export")
            above = self.export_wh > self.generation_wh
            _require_none(above, self.starts, "export exceeds generation")
        if self.register_wh is not None:
            object.__setattr__(self, "register_wh", _frozen(_watt_hours(self.register_wh, "register")))
            if len(self.register_wh) != len(self.starts):
                raise ReadingRejected("register has one value an interval", rows=len(self.register_wh))
            _require_none(self.register_wh < 0, self.starts, "register is negative")

    def __len__(self) -> int:
        return len(self.starts)

    def within(self, period: Period) -> ReadingBatch:
        """The readings whose interval starts inside `period`."""
        return self.where((self.starts >= instant(period.start)) & (self.starts < instant(period.end)))

    def where(self, chosen: NDArray[np.bool_]) -> ReadingBatch:
        """The readings that `chosen` marks."""
        export = None if self.export_wh is None else self.export_wh[chosen]
        register = None if self.register_wh is None else self.register_wh[chosen]
        return ReadingBatch(
            self.meter_id, self.interval_minutes, self.starts[chosen], self.generation_wh[chosen], export, register
        )

    def generation(self) -> Energy:
        return Energy(int(self.generation_wh.sum()))

    def export(self) -> Energy | None:
        return None if self.export_wh is None else Energy(int(self.export_wh.sum()))

    def commitment(self) -> str:
        """SHA-256 (hex) over the canonical readings: who holds them can show that a total was summed from them.

        The bytes are the domain, meter, interval, count and presence of export, then each column as little-endian
        int64 (seconds since 1970-01-01 UTC, then Wh; readings with a register have a domain of their own). It binds; it
        does not hide readings that can be guessed.
        """
        head = f"{self.meter_id}\n{self.interval_minutes}\n{len(self)}\n{int(self.export_wh is not None)}\n"
        domain = COMMITMENT_DOMAIN if self.register_wh is None else REGISTER_DOMAIN
        digest = hashlib.sha256(domain + b"\n" + head.encode())
        digest.update(self.starts.astype("<i8").tobytes())
        digest.update(self.generation_wh.astype("<i8").tobytes())
        if self.export_wh is not None:
            digest.update(self.export_wh.astype("<i8").tobytes())
        if self.register_wh is not None:
            digest.update(self.register_wh.astype("<i8").tobytes())
        return digest.hexdigest()

    def signed_document(self, reason: str = "") -> dict[str, str | int]:
        """What the meter signs (`SIGNING_DOMAIN`): its readings by commitment, and why they correct earlier ones."""
        return {
            "meter_id": self.meter_id,
            "interval_minutes": self.interval_minutes,
            "count": len(self),
            "commitment": self.commitment(),
            "correction": reason,
        }


def require_within_capacity(batch: ReadingBatch, capacity_w: int, capacity_factor_bps_max: int) -> None:
    """Raise `ReadingRejected` if an interval generates more than nameplate × time × the factor (kWh sent as Wh do)."""
    limit = energy_limit_wh(batch.starts, batch.interval_minutes, capacity_w, capacity_factor_bps_max)
    _require_none(batch.generation_wh > limit, batch.starts, "generation exceeds the plant's capacity")


def _require_interval(meter_id: str, interval_minutes: int) -> None:
    if not meter_id or meter_id != meter_id.strip():
        raise ReadingRejected("a meter has an id without surrounding blanks", meter_id=meter_id)
    if not is_interval(interval_minutes):
        raise ReadingRejected("the interval divides a day, or is a month", interval_minutes=interval_minutes)


def _seconds(starts: Starts) -> Starts:
    array = np.asarray(starts)
    if array.ndim != 1 or array.dtype.kind != "M" or np.isnat(array).any():
        raise ReadingRejected("interval starts are one column of times")
    seconds = array.astype("datetime64[s]")
    if (seconds != array).any():
        raise ReadingRejected("interval starts are whole seconds")
    return seconds


def _watt_hours(column: WattHours, name: str) -> WattHours:
    array = np.asarray(column)
    if array.ndim != 1 or array.dtype.kind != "i":
        raise ReadingRejected(f"{name} is one column of whole watt-hours", dtype=str(array.dtype))
    return array.astype(np.int64)


def _require_grid(starts: Starts, interval_minutes: int) -> None:
    seconds = starts.astype(np.int64)
    _require_none(off_grid(starts, interval_minutes), starts, "a reading is off the meter's grid")
    steps = np.diff(seconds)
    if (steps == 0).any():
        at = starts[1:][steps == 0][0]
        raise DuplicateReading("a reading occurs twice", first_at=str(at), count=int((steps == 0).sum()))
    if (steps < 0).any():
        raise ReadingRejected("readings are in time order", first_at=str(starts[1:][steps < 0][0]))


def _require_energy(starts: Starts, column: WattHours, name: str) -> None:
    if len(column) != len(starts):
        raise ReadingRejected(f"{name} has one value an interval", rows=len(column), intervals=len(starts))
    _require_none(column < 0, starts, f"{name} is negative")
    if len(column) and int(column.max()) > INT64_MAX // len(column):
        raise ReadingRejected(f"the sum of {name} does not fit 64 bits", largest=int(column.max()))


def _require_none(bad: NDArray[np.bool_], starts: Starts, detail: str) -> None:
    if bad.any():
        raise ReadingRejected(detail, first_at=f"{starts[bad][0]}Z", count=int(bad.sum()))


def _frozen(column: NDArray[np.generic]) -> NDArray[np.generic]:
    copy = column.copy()
    copy.flags.writeable = False
    return copy
