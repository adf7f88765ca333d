"""Readings come in signed and go to the grid company's own node; the registry's books get a signed statement."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated

import numpy as np
from pydantic import Field

from financing.base.commands import Command, Moment, PublicKey, SignatureHex, Text, use_case
from financing.base.context import Context
from financing.base.errors import AlreadyExists, NotPermitted, ReadingRejected, SignatureInvalid
from financing.base.parameters.records import LoadLimits, PlausibilityLimits
from financing.base.quantities import INT64_MAX, Period, business_date
from financing.base.signing import Signature, is_weak, message_of, require_signed
from financing.ledger.signing import require_node, signed_in_service
from financing.registry.metering.findings import Finding
from financing.registry.metering.intervals import ends_of
from financing.registry.metering.model import MeteringStatement, MeterKey
from financing.registry.metering.node.port import MeteringNode, Receipt
from financing.registry.metering.node.statement import DOMAIN, Question, Stated, read_statement
from financing.registry.metering.readings import SIGNING_DOMAIN, ReadingBatch, require_within_capacity
from financing.registry.metering.totals import MeteredTotal
from financing.registry.methodology.commands import pinned
from financing.registry.methodology.definition import Methodology
from financing.registry.projects.model import Meter, Project
from financing.registry.unit import RegistryUnit

KEY_DOMAIN = "tanxin-meter-key-v1"
PLAUSIBILITY = "pv"
LOAD = "load"


def service_key_of(meter_id: str) -> str:
    """The name under which the service keeps the key of a meter that brought none."""
    plain = ":" not in meter_id and len(meter_id) <= 58
    return f"meter.{meter_id}" if plain else f"meter.{hashlib.sha256(meter_id.encode()).hexdigest()[:56]}"


# A load is up to 50,000 readings that become columns at once: plain integers, not a quantity each.
WattHourCount = Annotated[int, Field(strict=True, ge=0, le=INT64_MAX, description="watt-hours")]


class Reading(Command):
    starts_at: Moment
    generation_wh: WattHourCount
    export_wh: WattHourCount | None = None
    register_wh: WattHourCount | None = None


class LoadReadings(Command):
    """Readings in time order on the meter's grid; all or none have an export, all or none a cumulative register."""

    interval_minutes: int = Field(strict=True, ge=1, le=43_200)
    signature: SignatureHex | None = None
    correction: str = Field(default="", max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$", description="reason")
    readings: Annotated[list[Reading], Field(min_length=1, max_length=50_000)]

    def batch(self, meter_id: str) -> ReadingBatch:
        """The readings as columns. Raises `NotPermitted` where only some have a register."""
        export = [reading.export_wh for reading in self.readings if reading.export_wh is not None]
        register = [reading.register_wh for reading in self.readings if reading.register_wh is not None]
        if not {len(export), len(register)} <= {0, len(self.readings)}:
            raise NotPermitted("either every reading of a batch has a register or none has", meter_id=meter_id)
        return ReadingBatch(
            meter_id,
            self.interval_minutes,
            np.array([int(reading.starts_at.timestamp()) for reading in self.readings], dtype="datetime64[s]"),
            np.array([reading.generation_wh for reading in self.readings], dtype=np.int64),
            np.array(export, dtype=np.int64) if export else None,
            np.array(register, dtype=np.int64) if register else None,
        )


class ReplaceMeterKey(Command):
    """A meter's next public key, and the signature of its private half over the document that names both."""

    public_key: PublicKey
    proof: SignatureHex = Field(description="signature over `tanxin-meter-key-v1` and the key's document")
    why: Text


def meter_key_document(meter_id: str, public_key: str) -> dict[str, str]:
    """What a meter's next key signs (`KEY_DOMAIN`): for which meter it will sign."""
    return {"meter_id": meter_id, "public_key": public_key}


@use_case
def replace_meter_key(unit: RegistryUnit, context: Context, meter_id: str, command: ReplaceMeterKey) -> MeterKey:
    """Let a meter sign with another key from now on, as the grid company that measures it: the one before signs
    nothing more, and what it signed stays.

    Raises `NotPermitted` for another's meter, `SignatureInvalid` (no proof, or a key under which anybody signs),
    `AlreadyExists` for a key that a meter has or had.
    """
    meter = unit.projects.meter(meter_id)
    if meter.measured_by != context.actor.id:
        raise NotPermitted("another grid company measures this meter", meter_id=meter_id)
    if is_weak(command.public_key):
        raise SignatureInvalid("under a key of small order anybody signs: make another", field="public_key")
    proof = Signature(meter_id, command.public_key, command.proof)
    require_signed(proof, message_of(KEY_DOMAIN, meter_key_document(meter_id, command.public_key)), command.public_key)
    if unit.metering.key_is_known(command.public_key):
        raise AlreadyExists("a meter has or had this key: make another", public_key=command.public_key)
    key = MeterKey(meter_id, command.public_key, "meter", command.why)
    unit.metering.add_key(key, context.at)
    return key


@use_case
def load_readings(
    unit: RegistryUnit, context: Context, batch: ReadingBatch, signature: str | None = None, reason: str = ""
) -> Receipt:
    """Check a batch and hand it to the node of the grid company that measures the meter; the books do not change.

    `signature` is the meter's, hex, over `batch.signed_document(reason)`; a meter whose key the service keeps is
    signed for on receipt. The same batch again is a no-op that says so. Raises `NotPermitted`, `SignatureInvalid`,
    `DuplicateReading`, and `ReadingRejected` for another interval, one that has not ended, or more than the plant
    makes.
    """
    meter = unit.projects.meter(batch.meter_id)
    if meter.measured_by != context.actor.id:
        raise NotPermitted("another grid company measures this meter", meter_id=meter.meter_id)
    if batch.interval_minutes != meter.interval_minutes:
        raise ReadingRejected(
            "the meter reads another interval", meter_id=meter.meter_id, interval_minutes=meter.interval_minutes
        )
    _require_past(batch, context.at)
    project = unit.projects.get(meter.project_id)
    require_within_capacity(batch, _capacity(project), _reject_bps(unit, context, project, meter))
    signed = _signed(unit, context, batch, signature, reason)
    node: MeteringNode = context.nodes.of(meter.measured_by)
    return node.add(batch, signed, reason=reason, at=context.at)


def question_of(context: Context, project: Project, methodology: Methodology, meter: Meter, period: Period) -> Question:
    """What the registry asks of one meter's period: with the limits of today, and what the methodology asks for."""
    period.vintage()  # a claim of two years is refused before anybody adds up what they have
    rule = methodology.file.monitoring
    if rule is None:
        raise ReadingRejected("the methodology measures nothing", methodology=methodology.tag)
    role = methodology.file.roles[project.role_of(meter.meter_id, next(iter(methodology.file.roles)))]
    on = business_date(context.at)
    limits: PlausibilityLimits | LoadLimits
    if role.checks == "load":
        limits = context.parameters.load_limit(LOAD, on)
    else:
        limits = context.parameters.plausibility(PLAUSIBILITY, on)
    return Question(
        meter_id=meter.meter_id,
        interval_minutes=meter.interval_minutes,
        starts_at=period.start,
        ends_at=period.end,
        capacity_w=_capacity(project),
        latitude_deg=project.location.latitude_deg,
        longitude_deg=project.location.longitude_deg,
        limits=limits,
        rule=rule,
    )


def measure(context: Context, meter: Meter, question: Question) -> tuple[Stated, MeteredTotal, tuple[Finding, ...]]:
    """What the node holds of one meter now: its statement, the total with gaps as zero, and what the checks find."""
    node: MeteringNode = context.nodes.of(meter.measured_by)
    said = node.statement(question)
    return said, *read_statement(said.document, meter.measured_by, question)


def stated(unit: RegistryUnit, context: Context, period_id: str, meter: Meter, said: Stated) -> MeteringStatement:
    """The grid company's signed statement for a claim.

    Raises `SignatureInvalid` unless a key of the company's own node signed it, and holds; `SigningKeyMissing` for one
    of a node in this process outside a sandbox.
    """
    message = message_of(DOMAIN, said.document)
    if said.signature is None:
        signature = signed_in_service(unit, context, meter.measured_by, message)
    else:
        require_node(unit, context, meter.measured_by, said.signature, message)
        signature = said.signature
    return MeteringStatement(
        period_id=period_id,
        meter_id=meter.meter_id,
        grid_id=meter.measured_by,
        energy_wh=said.document["energy_wh"],
        commitment=said.document["commitment"],
        document=dict(said.document),
        signature=signature,
    )


def _reject_bps(unit: RegistryUnit, context: Context, project: Project, meter: Meter) -> int:
    roles = pinned(unit, context, project).file.roles
    role = roles[project.role_of(meter.meter_id, next(iter(roles)))]
    on = business_date(context.at)
    if role.checks == "load":
        return context.parameters.load_limit(LOAD, on).interval_load_factor_bps_reject
    return context.parameters.plausibility(PLAUSIBILITY, on).interval_capacity_factor_bps_reject


def _signed(unit: RegistryUnit, context: Context, batch: ReadingBatch, signature: str | None, reason: str) -> Signature:
    message = message_of(SIGNING_DOMAIN, batch.signed_document(reason))
    key = unit.metering.key(batch.meter_id)
    if key is not None and key.held_by == "meter":
        if signature is None:
            raise SignatureInvalid("readings of this meter come with its signature", meter_id=batch.meter_id)
        given = Signature(batch.meter_id, key.public_key, signature)
        require_signed(given, message, key.public_key)
        return given
    # The service keeps this meter's key for its grid company: it can tell who delivered, not that the meter signed.
    made = context.signer.sign(service_key_of(batch.meter_id), message)
    if signature is not None:
        require_signed(Signature(batch.meter_id, made.public_key, signature), message, made.public_key)
    return Signature(batch.meter_id, made.public_key, made.signature)


def _capacity(project: Project) -> int:
    if project.capacity_w is None:
        raise ReadingRejected("a project without nameplate power has no meters", project_id=project.project_id)
    return project.capacity_w


def _require_past(batch: ReadingBatch, at: datetime) -> None:
    """A meter reads what has been: an interval that ends after `at` was not measured."""
    if len(batch) and int(ends_of(batch.starts[-1:], batch.interval_minutes)[0].astype(int)) > at.timestamp():
        raise ReadingRejected(
            "an interval has not ended yet", meter_id=batch.meter_id, last_start=f"{batch.starts[-1]}Z"
        )
