"""Grid companies' nodes elsewhere, as an exchange's registry asks them over mutual TLS: totals, and no reading."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from credit_api.nodes.messages import Message
from credit_api.nodes.meters import (
    CorrectedAsked,
    CorrectedTold,
    DaysAsked,
    DaysTold,
    DocumentTold,
    SpanAsked,
    SpanTold,
    TotalAsked,
)
from federated.channel.client import Channel, readable
from federated.channel.node_keys import NodeKeys
from federated.errors import FederatedError
from financing.base.errors import GridNodeUnavailable, NotPermitted, ReadingRejected
from financing.base.quantities import Period
from financing.base.signing import Signature
from financing.registry.metering.node.port import Receipt, Span
from financing.registry.metering.node.statement import Question, Stated, total_stated
from financing.registry.metering.readings import ReadingBatch
from financing.registry.metering.totals import MeteredTotal

Answer = TypeVar("Answer", bound=Message)


class RemoteMetering:
    """As `financing.registry.metering.node.port.MeteringNode`, elsewhere. What it does not answer is not known."""

    def __init__(self, keys: NodeKeys, grid_id: str, url: str) -> None:
        self._keys, self._stamp = keys, keys.stamp()
        self._channel = Channel(keys, grid_id, url)

    def add(self, batch: ReadingBatch, signature: Signature, *, reason: str, at: datetime) -> Receipt:
        """Raises `NotPermitted`: readings are handed to the grid company's own node."""
        del signature, reason, at
        self._own_business(batch.meter_id)

    def statement(self, question: Question) -> Stated:
        """What the node states, with its signature. Raises `ReadingRejected`, `GridNodeUnavailable`."""
        said = self._document("/metering/statement", question)
        return Stated(said.document, Signature(self._channel.name, said.public_key, said.signature))

    def total(self, meter_id: str, interval_minutes: int, period: Period, through_batch: int | None) -> MeteredTotal:
        """The total of a claim again. Raises `ReadingRejected`, `GridNodeUnavailable`."""
        asked = TotalAsked(
            meter_id=meter_id,
            interval_minutes=interval_minutes,
            starts_at=period.start,
            ends_at=period.end,
            through_batch=through_batch or 0,
        )
        try:
            return total_stated(self._document("/metering/total", asked).document)
        except (KeyError, TypeError, ValueError) as error:
            raise GridNodeUnavailable(f"{self._channel.name} does not answer as nodes do") from error

    def readings(self, meter_id: str, interval_minutes: int, period: Period) -> ReadingBatch:
        """Raises `NotPermitted`: readings do not leave the grid company's own node."""
        del interval_minutes, period
        self._own_business(meter_id)

    def corrected_after(self, meter_id: str, batch_id: int, period: Period) -> bool:
        """Whether readings were corrected since. Raises `GridNodeUnavailable`."""
        asked = CorrectedAsked(meter_id=meter_id, after_batch=batch_id, starts_at=period.start, ends_at=period.end)
        return self._asked("/metering/corrected", asked, CorrectedTold).corrected

    def span(self, meter_id: str) -> Span:
        """How much of a meter is read. Raises `GridNodeUnavailable`."""
        told = self._asked("/metering/span", SpanAsked(meter_id=meter_id), SpanTold)
        return Span(told.count, told.first, told.last)

    def daily_wh(self, meter_ids: tuple[str, ...], days: int) -> Mapping[int, int]:
        """Sums by day. Raises `GridNodeUnavailable`."""
        return self._asked("/metering/days", DaysAsked(meter_ids=list(meter_ids), days=days), DaysTold).sums

    def summary(self) -> tuple[int, int]:
        """Raises `NotPermitted`: what it holds in all a grid company tells nobody."""
        self._own_business("")

    def close(self) -> None:
        """Close connections."""
        self._channel.close()

    def _document(self, path: str, asked: BaseModel) -> DocumentTold:
        told = self._asked(path, asked, DocumentTold)
        if told.rejected:
            raise ReadingRejected(readable(told.rejected), grid_id=self._channel.name)
        return told

    def _asked(self, path: str, asked: BaseModel, answer: type[Answer]) -> Answer:
        try:
            if (now := self._keys.stamp()) != self._stamp:
                self._channel.reload()
                self._stamp = now
            content = self._channel.post(path, asked.model_dump_json().encode())
            return answer.model_validate_json(content)
        except (FederatedError, ValidationError) as error:
            why = error.detail if isinstance(error, FederatedError) else "it does not answer as nodes do"
            raise GridNodeUnavailable(f"{self._channel.name}: {why}", grid_id=self._channel.name) from error

    def _own_business(self, meter_id: str) -> NoReturn:
        context: dict[str, Any] = {"grid_id": self._channel.name} | ({"meter_id": meter_id} if meter_id else {})
        raise NotPermitted("these readings lie at the grid company's own node, and stay there", **context)
