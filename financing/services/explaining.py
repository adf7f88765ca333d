"""From a serial number back to readings and parameters: every kilogram is derived again, or the refusal says where
it fails."""

from __future__ import annotations

from dataclasses import dataclass

from financing.errors import FinancingError, NotFound, NotRederivable
from financing.metering.totals import MeteredTotal, total_of
from financing.methodology.engine import rederived
from financing.methodology.reduction import ParameterValue, Step
from financing.persistence.registry_store import Issuance
from financing.persistence.unit_of_work import UnitOfWork
from financing.quantities import business_date
from financing.registry.monitoring import MonitoringPeriod, combined_commitment
from financing.registry.serials import SerialText, parse_serial
from financing.registry.verification import STATEMENT_DOMAIN, statement_document
from financing.services.context import Context
from financing.services.metering import STATEMENT_DOMAIN as METERING_DOMAIN
from financing.services.methodologies import derived_again
from financing.signing import message_of, require_signed


@dataclass(frozen=True, slots=True)
class MeterExplained:
    """One meter's total, recomputed at its grid node as it stood at the claim."""

    meter_id: str
    grid_id: str
    energy_wh: int
    intervals_missing: int
    commitment: str
    statement_signed: bool
    corrected_since: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything between a serial and its readings, each part checked. `kilograms` is what came out again."""

    serial: SerialText
    issuance: Issuance
    claim: MonitoringPeriod
    meters: tuple[MeterExplained, ...]
    commitment: str
    parameters: tuple[ParameterValue, ...]
    steps: tuple[Step, ...]
    verifier: str
    verifier_signed: bool
    kilograms: int
    buffer_kg: int


def explain(unit: UnitOfWork, context: Context, serial: str) -> Explanation:
    """Derive the credits behind `serial` again. The serial may be any part of an issuance's block.

    Raises `SerialInvalid`, `NotFound`, `SignatureInvalid`, and `NotRederivable` when readings, workings, parameter
    texts or kilograms are not what was issued.
    """
    text = parse_serial(serial)
    issuance = _issuance(unit, text)
    claim = unit.registry.period(issuance.period_id)
    meters = _meters(unit, context, claim)
    commitment = combined_commitment(tuple(total for _, total in meters), claim.reduction.inputs)
    if commitment != claim.commitment():
        raise NotRederivable("the readings are not those that were verified", commitment=commitment)
    kilograms, buffer = _kilograms(unit, claim)
    if kilograms != issuance.quantity.kg:
        raise NotRederivable("other kilograms come out", issued_kg=issuance.quantity.kg, derived_kg=kilograms)
    statement = claim.statement
    if statement is None:
        raise NotRederivable("the period carries no statement", monitoring_period_id=claim.monitoring_period_id)
    return Explanation(
        serial=text,
        issuance=issuance,
        claim=claim,
        meters=tuple(found for found, _ in meters),
        commitment=commitment,
        parameters=claim.reduction.parameters,
        steps=claim.reduction.steps,
        verifier=statement.verifier,
        verifier_signed=_verifier_signed(unit, context, claim),
        kilograms=kilograms,
        buffer_kg=buffer,
    )


def _issuance(unit: UnitOfWork, text: SerialText) -> Issuance:
    for each in unit.registry.issuances():
        same = (each.methodology_tag, each.project_code, each.first_day, each.last_day)
        if same == (text.methodology_tag, text.project_code, text.first_day, text.last_day):
            if text.last_kg > each.quantity.kg:
                raise NotFound("the issuance has fewer kilograms", issued_kg=each.quantity.kg)
            return each
    raise NotFound("no issuance has this serial")


def _meters(unit: UnitOfWork, context: Context, claim: MonitoringPeriod) -> list[tuple[MeterExplained, MeteredTotal]]:
    statements = {each.meter_id: each for each in unit.metering.statements(claim.monitoring_period_id)}
    found = []
    for total in claim.totals:
        meter = unit.registry.meter(total.meter_id)
        node = context.nodes.of(meter.measured_by)
        through = total.through_batch or None
        batch = node.readings(meter.meter_id, total.interval_minutes, total.period, through_batch=through)
        again = total_of(batch, total.period, total.through_batch)
        if again != total:
            raise NotRederivable("the grid node holds other readings", meter_id=meter.meter_id)
        statement = statements.get(meter.meter_id)
        if statement is not None:
            key = context.signer.public_key(statement.grid_id)
            require_signed(statement.signature, message_of(METERING_DOMAIN, statement.document), key)
        corrected = node.corrected_after(meter.meter_id, total.through_batch, total.period)
        explained = MeterExplained(
            meter.meter_id,
            meter.measured_by,
            again.generation.wh,
            again.intervals_missing,
            again.commitment,
            statement is not None,
            corrected,
        )
        found.append((explained, again))
    return found


def _kilograms(unit: UnitOfWork, claim: MonitoringPeriod) -> tuple[int, int]:
    """From the archived files; where the claim is older than the archive, from its own workings."""
    stored = claim.reduction
    try:
        by_workings = rederived(stored)
    except FinancingError as error:
        raise NotRederivable(f"the workings contradict themselves: {error.detail}") from error
    project = unit.registry.project(claim.project_id)
    if not project.methodology_sha256:
        return by_workings[0].kg, by_workings[1].kg
    anew = derived_again(unit, project, stored, business_date(claim.submitted_at))
    if (anew.steps, anew.parameters, anew.reduction, anew.buffer) != (
        stored.steps,
        stored.parameters,
        *by_workings,
    ):
        raise NotRederivable("the archived files give other workings", derived_kg=anew.reduction.kg)
    return anew.reduction.kg, anew.buffer.kg


def _verifier_signed(unit: UnitOfWork, context: Context, claim: MonitoringPeriod) -> bool:
    """Whether the statement is signed; raises `SignatureInvalid` or `NotRederivable` if the signature is of another
    statement. One that predates signing is not signed."""
    signed = unit.verification.statement(claim.monitoring_period_id)
    if signed is None or claim.statement is None:
        return False
    if signed.document != statement_document(claim.statement):
        raise NotRederivable("the signed statement is another one", statement_id=signed.statement_id)
    key = context.signer.public_key(signed.signature.signer_id)
    require_signed(signed.signature, message_of(STATEMENT_DOMAIN, signed.document), key)
    return True
