"""A grid company's meters at its own node: readings come in there, signed by their meter, and totals go out, signed by
the node. No reading leaves it.

Guarantee: a registry's exchange learns of a meter that the company entered what a statement says (totals, gaps,
findings, a commitment), sums by day, how much is read, and whether readings were corrected. Threat model: an exchange
that asks for more, or for other meters; who answers in the company's name. Not covered: an exchange that asks for one
interval after the other learns them, as sums.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue
from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, String, Table, insert, select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse

from credit_api.nodes.hearing import on_message, on_question, refused
from credit_api.nodes.messages import Message
from credit_api.nodes.service import peer_of
from federated.channel.certificates import Party
from federated.consent.instants import Clock
from federated.errors import ChannelRefused, NotPermitted
from federated.nodes.identity import signing_key
from federated.nodes.store import NodeStore
from financing.base.errors import FinancingError, NotFound, ReadingRejected, SignatureInvalid
from financing.base.parameters import Parameters, load_parameters
from financing.base.quantities import Period, business_date
from financing.base.signing import Signature, is_weak, message_of, require_signed, sign_with
from financing.base.storage.columns import UtcDateTime
from financing.base.storage.database import lock_for_writing, open_engine
from financing.ledger.signing import KEY_DOMAIN, key_document
from financing.registry.metering.csv_readings import parse_readings
from financing.registry.metering.intervals import ends_of, is_interval
from financing.registry.metering.node.port import Receipt, Span
from financing.registry.metering.node.statement import DOMAIN, Question, total_document
from financing.registry.metering.node.store import SqlGridNode
from financing.registry.metering.readings import SIGNING_DOMAIN, require_within_capacity

FILE = "readings.db"
MOST_FILE_BYTES = 8 << 20
MOST_DAYS, MOST_METERS = 400, 200
meters = MetaData()
meter_t = Table(
    "meter",
    meters,
    Column("id", String, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("interval_minutes", Integer, nullable=False),
    Column("capacity_w", BigInteger, nullable=False),
    Column("load", Boolean, nullable=False),
    Column("public_key", String, nullable=False),
    Column("entered_at", UtcDateTime, nullable=False),
)
MeterId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]


class NewMeter(BaseModel):
    """A meter that the company measures; again, with another key or nameplate power from now on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    meter_id: MeterId
    interval_minutes: Annotated[int, Field(ge=1, le=43_200)]
    capacity_w: Annotated[int, Field(ge=1_000, le=10**12)]
    kind: Literal["pv", "load"] = "pv"
    public_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class MeterFile(BaseModel):
    """What stands beside a file of readings: whose it is, and the meter's signature."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    meter_id: MeterId
    csv: Annotated[str, Field(max_length=MOST_FILE_BYTES)]
    signature: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
    correction: Annotated[str, Field(max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""


class Nothing(BaseModel):
    """A question without terms."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TotalAsked(Message):
    """Asks for the total of a claim again."""

    meter_id: MeterId
    interval_minutes: Annotated[int, Field(ge=1, le=43_200)]
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    through_batch: Annotated[int, Field(ge=0)]


class CorrectedAsked(Message):
    """Asks whether readings of a period were corrected after a batch."""

    meter_id: MeterId
    after_batch: Annotated[int, Field(ge=0)]
    starts_at: AwareDatetime
    ends_at: AwareDatetime


class DaysAsked(Message):
    """Asks for sums by day of a project's meters."""

    meter_ids: Annotated[list[MeterId], Field(min_length=1, max_length=MOST_METERS)]
    days: Annotated[int, Field(ge=1, le=MOST_DAYS)]


class SpanAsked(Message):
    """Asks how much of a meter is read."""

    meter_id: MeterId


class DocumentTold(Message):
    """A document and the node's signature on it, or why there is none."""

    document: dict[str, JsonValue] = Field(default_factory=dict)
    public_key: str = ""
    signature: str = ""
    rejected: str = ""


class CorrectedTold(Message):
    corrected: bool


class SpanTold(Message):
    count: int
    first: AwareDatetime | None
    last: AwareDatetime | None


class DaysTold(Message):
    """Wh by day in China, as days since 1970-01-01."""

    sums: dict[int, int]


@dataclass(frozen=True, slots=True)
class Entered:
    """A meter as it stands at the node."""

    meter_id: str
    interval_minutes: int
    capacity_w: int
    load: bool
    public_key: str


class OwnMeters:
    """Meters and readings of one grid company, in a file in its node's home."""

    def __init__(self, home: Path, store: NodeStore, now: Clock) -> None:
        self._engine = open_engine(f"sqlite:///{(home / FILE).resolve()}")
        self.readings = SqlGridNode(self._engine, store.org_id)
        (home / FILE).chmod(0o600)
        with self._engine.begin() as connection:
            meters.create_all(connection)
        self._store, self._now = store, now
        self._parameters: Parameters | None = None
        self._gate = threading.Lock()

    def put(self, given: NewMeter) -> Entered:
        """Enter a meter, or change its key or power from now on.

        Raises `ReadingRejected` for another interval than it had, `SignatureInvalid` for a key of small order.
        """
        if is_weak(given.public_key):
            raise SignatureInvalid("under a key of small order anybody signs: make another", field="public_key")
        if not is_interval(given.interval_minutes):
            raise ReadingRejected("an interval is a part of a day, a day, or a month", meter_id=given.meter_id)
        entered = Entered(
            given.meter_id, given.interval_minutes, given.capacity_w, given.kind == "load", given.public_key
        )
        with self._engine.execution_options(tanxin_writer=True).begin() as connection:
            lock_for_writing(connection)
            rows = connection.execute(select(meter_t).where(meter_t.c.id == given.meter_id)).all()
            if any(row.interval_minutes != given.interval_minutes for row in rows):
                raise ReadingRejected("this meter reads another interval", meter_id=given.meter_id)
            connection.execute(
                insert(meter_t).values(
                    id=entered.meter_id,
                    seq=len(rows),
                    interval_minutes=entered.interval_minutes,
                    capacity_w=entered.capacity_w,
                    load=entered.load,
                    public_key=entered.public_key,
                    entered_at=self._now(),
                )
            )
        return entered

    def get(self, meter_id: str) -> Entered:
        """A meter as it stands. Raises `NotFound`."""
        query = select(meter_t).where(meter_t.c.id == meter_id).order_by(meter_t.c.seq.desc()).limit(1)
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFound("the grid company measures no such meter here", meter_id=meter_id)
        return Entered(row.id, row.interval_minutes, row.capacity_w, row.load, row.public_key)

    def known(self, *meter_ids: str) -> tuple[str, ...]:
        """Those of these meters that the company entered."""
        query = select(meter_t.c.id).where(meter_t.c.id.in_(meter_ids)).distinct()
        with self._engine.connect() as connection:
            return tuple(connection.execute(query).scalars())

    def all(self) -> list[tuple[Entered, Span]]:
        """Every meter, and how much of it is read."""
        with self._engine.connect() as connection:
            ids = connection.execute(select(meter_t.c.id).distinct().order_by(meter_t.c.id)).scalars().all()
        return [(self.get(each), self.readings.span(each)) for each in ids]

    def load(self, file: MeterFile) -> Receipt:
        """Take a meter's signed file, whole or not at all; the same file again changes nothing.

        Raises `NotFound`, `SignatureInvalid`, `DuplicateReading`, and `ReadingRejected` for an interval that has not
        ended, or more than the plant makes.
        """
        meter, at = self.get(file.meter_id), self._now()
        batch = parse_readings(file.csv.encode(), meter.meter_id, meter.interval_minutes)
        signature = Signature(meter.meter_id, meter.public_key, file.signature)
        message = message_of(SIGNING_DOMAIN, batch.signed_document(file.correction))
        require_signed(signature, message, meter.public_key)
        if len(batch) and int(ends_of(batch.starts[-1:], batch.interval_minutes)[0].astype(int)) > at.timestamp():
            raise ReadingRejected("an interval has not ended yet", meter_id=meter.meter_id)
        require_within_capacity(batch, meter.capacity_w, self._reject_bps(meter, at))
        return self.readings.add(batch, signature, reason=file.correction, at=at)

    def statement(self, question: Question) -> DocumentTold:
        """What the node states to a registry, signed with the node's own key."""
        try:
            meter = self.get(question.meter_id)
            question.period.vintage()
            if meter.interval_minutes != question.interval_minutes:
                raise ReadingRejected("the meter reads another interval", meter_id=meter.meter_id)
            return self._signed(self.readings.statement(question).document)
        except FinancingError as error:
            return DocumentTold(rejected=error.detail)

    def total(self, asked: TotalAsked) -> DocumentTold:
        """The total of a claim again, as a statement has it; the exchange holds it against the signed one."""
        try:
            self.get(asked.meter_id)
            period = Period(asked.starts_at, asked.ends_at)
            period.vintage()
            total = self.readings.total(asked.meter_id, asked.interval_minutes, period, asked.through_batch)
        except FinancingError as error:
            return DocumentTold(rejected=error.detail)
        return DocumentTold(document=total_document(total))

    def registration(self) -> dict[str, str]:
        """What registers the node's key with a registry (`POST /v1/signing-keys`): its public half, and the proof."""
        key, org = self._key(), self._store.org_id
        public = key.public_key().public_bytes_raw().hex()
        proof = key.sign(message_of(KEY_DOMAIN, key_document(org, public, "node"))).hex()
        return {"public_key": public, "proof": proof, "held_by": "node"}

    def close(self) -> None:
        """Close the file."""
        self.readings.close()

    def _key(self) -> Ed25519PrivateKey:
        return signing_key(self._store)

    def _signed(self, document: Mapping[str, Any]) -> DocumentTold:
        made = sign_with(self._key(), self._store.org_id, message_of(DOMAIN, document))
        return DocumentTold(document=dict(document), public_key=made.public_key, signature=made.signature)

    def _reject_bps(self, meter: Entered, at: datetime) -> int:
        with self._gate:
            if self._parameters is None:
                self._parameters = load_parameters()
        on = business_date(at)
        if meter.load:
            return self._parameters.load_limit("load", on).interval_load_factor_bps_reject
        return self._parameters.plausibility("pv", on).interval_capacity_factor_bps_reject


async def _exchange(request: Request) -> Party:
    party = await peer_of(request)
    if party.kind != "exchange":
        raise NotPermitted(f"{party.name} is no exchange", peer=party.name)
    return party


def _refused_readings(request: Request, error: Exception) -> JSONResponse:
    """A refusal of meters and readings, as one that every party of a network reads."""
    assert isinstance(error, FinancingError)
    return refused(request, ChannelRefused(f"{error.code}: {error.detail}", **error.context))


def state_totals(app: Starlette, own: OwnMeters) -> None:
    """What an exchange is told of meters, over mutual TLS."""
    app.add_exception_handler(FinancingError, _refused_readings)

    @on_message(app, "/metering/statement", Question, _exchange)
    def statement(asked: Question, _: Party) -> Message:
        return own.statement(asked)

    @on_message(app, "/metering/total", TotalAsked, _exchange)
    def total(asked: TotalAsked, _: Party) -> Message:
        return own.total(asked)

    @on_message(app, "/metering/corrected", CorrectedAsked, _exchange)
    def corrected(asked: CorrectedAsked, _: Party) -> Message:
        period = Period(asked.starts_at, asked.ends_at)
        after = any(own.readings.corrected_after(each, asked.after_batch, period) for each in own.known(asked.meter_id))
        return CorrectedTold(corrected=after)

    @on_message(app, "/metering/span", SpanAsked, _exchange)
    def span(asked: SpanAsked, _: Party) -> Message:
        spans = [own.readings.span(each) for each in own.known(asked.meter_id)]
        found = spans[0] if spans else Span(0, None, None)
        return SpanTold(count=found.count, first=found.first, last=found.last)

    @on_message(app, "/metering/days", DaysAsked, _exchange)
    def days(asked: DaysAsked, _: Party) -> Message:
        return DaysTold(sums=dict(own.readings.daily_wh(own.known(*asked.meter_ids), asked.days)))


def meter_routes(app: Starlette, own: OwnMeters) -> None:
    """What the company's own systems do on the socket: enter meters, hand files over, look at what is there."""
    app.add_exception_handler(FinancingError, _refused_readings)

    @on_question(app, "/meters/put", NewMeter)
    def put(given: NewMeter) -> dict[str, Any]:
        return _shown(own.put(given), own.readings.span(given.meter_id))

    @on_question(app, "/meters/load", MeterFile, 2 * MOST_FILE_BYTES)
    def load(file: MeterFile) -> dict[str, Any]:
        receipt = own.load(file)
        return {
            "meter_id": file.meter_id,
            "count": receipt.count,
            "commitment": receipt.commitment,
            "already_there": receipt.deduplicated,
        }

    @on_question(app, "/meters/registration", Nothing)
    def registration(_: Nothing) -> dict[str, str]:
        return own.registration()

    @on_question(app, "/meters/all", Nothing)
    def listed(_: Nothing) -> dict[str, Any]:
        return {"meters": [_shown(meter, span) for meter, span in own.all()]}


def _shown(meter: Entered, span: Span) -> dict[str, Any]:
    return {
        "meter_id": meter.meter_id,
        "interval_minutes": meter.interval_minutes,
        "capacity_w": meter.capacity_w,
        "kind": "load" if meter.load else "pv",
        "public_key": meter.public_key,
        "intervals": span.count,
        "first": span.first and span.first.isoformat(),
        "last": span.last and span.last.isoformat(),
    }
