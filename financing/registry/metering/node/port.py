"""What the registry may ask of a grid company's node: the home of raw readings, outside the registry's books."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from financing.base.quantities import Period
from financing.base.signing import Signature
from financing.registry.metering.node.statement import Question, Stated
from financing.registry.metering.readings import ReadingBatch
from financing.registry.metering.totals import MeteredTotal


@dataclass(frozen=True, slots=True)
class Receipt:
    """A batch as the node holds it. `deduplicated` is true when it was there already, byte for byte."""

    batch_id: int
    commitment: str
    count: int
    deduplicated: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """How many intervals of a meter are read, and the first and last interval start."""

    count: int
    first: datetime | None
    last: datetime | None


class MeteringNode(Protocol):
    """One grid company's store. Batches are numbered in the order received and never change."""

    def add(self, batch: ReadingBatch, signature: Signature, *, reason: str, at: datetime) -> Receipt:
        """Keep a signed batch; with a reason, as a new revision. Raises `DuplicateReading`, `ReadingRejected`."""
        ...

    def statement(self, question: Question) -> Stated:
        """What the readings of a meter's period say now: totals, gaps, findings. Raises `ReadingRejected` for none."""
        ...

    def total(self, meter_id: str, interval_minutes: int, period: Period, through_batch: int | None) -> MeteredTotal:
        """The total again, of batches up to `through_batch`: that of a claim, whatever was corrected since."""
        ...

    def readings(self, meter_id: str, interval_minutes: int, period: Period) -> ReadingBatch:
        """The latest revision of each reading in `period`. Raises `NotPermitted` where they lie elsewhere."""
        ...

    def corrected_after(self, meter_id: str, batch_id: int, period: Period) -> bool:
        """Whether a correction of readings in `period` came after this batch."""
        ...

    def span(self, meter_id: str) -> Span:
        """How much of a meter is read."""
        ...

    def daily_wh(self, meter_ids: tuple[str, ...], days: int) -> Mapping[int, int]:
        """Sums by day in China (days since 1970-01-01) over the last `days` days that have readings."""
        ...

    def summary(self) -> tuple[int, int]:
        """(intervals read, Wh) over everything the node holds, which is told inside one process alone."""
        ...


class MeteringNodes(Protocol):
    def of(self, grid_id: str) -> MeteringNode: ...

    def is_here(self, grid_id: str) -> bool:
        """Whether the node answers in this process."""
        ...
