"""From a serial number back to readings and parameters: every kilogram is derived again, or the refusal says where
it fails."""

from __future__ import annotations

from dataclasses import dataclass

from financing.base.context import Context
from financing.base.errors import FinancingError, NotRederivable
from financing.base.quantities import Carbon, business_date
from financing.base.signing import message_of
from financing.ledger.serials import SerialText
from financing.ledger.signing import require_known
from financing.registry.credits.carry_over import CarryOver
from financing.registry.credits.model import Issuance
from financing.registry.metering.node.port import MeteringNode
from financing.registry.metering.node.statement import domain_of, total_stated
from financing.registry.metering.totals import MeteredTotal
from financing.registry.methodology.commands import derived_again
from financing.registry.methodology.engine import rederived
from financing.registry.methodology.reduction import ParameterValue, Step
from financing.registry.packages.looking import find_serial
from financing.registry.unit import RegistryUnit
from financing.registry.verification.monitoring import MonitoringPeriod, combined_commitment
from financing.registry.verification.statement import STATEMENT_DOMAIN, statement_document


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
    """Everything between a serial and its readings, each part checked. `kilograms` is what came out again.

    `carried` says how it became whole tonnes. `origin` is the issuance of the readings: another region's, for credits
    that were minted against it.
    """

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
    carried: CarryOver
    origin: Issuance


def explain(unit: RegistryUnit, context: Context, serial: str) -> Explanation:
    """Derive the credits behind `serial` again. The serial may be any part of an issuance's block.

    Raises `SerialInvalid`, `NotFound`, `SignatureInvalid`, and `NotRederivable` when readings, workings, parameter
    texts or kilograms are not what was issued.
    """
    issuance, text = find_serial(unit, serial)
    origin = _origin(unit, issuance)
    assert origin.period_id is not None
    claim = unit.periods.get(origin.period_id)
    meters = _meters(unit, context, claim)
    commitment = combined_commitment(tuple(total for _, total in meters), claim.reduction.inputs)
    if commitment != claim.commitment():
        raise NotRederivable("the readings are not those that were verified", commitment=commitment)
    kilograms, buffer = _kilograms(unit, claim)
    carried = unit.custody.carry_over(claim.monitoring_period_id)
    if carried is None:  # issued by the kilogram, before tonnes were
        carried = CarryOver(Carbon(0), Carbon(kilograms), Carbon(kilograms), Carbon(buffer), Carbon(0))
    if (kilograms, carried.issued) != (carried.reduction.kg, origin.quantity):
        raise NotRederivable("other kilograms come out", issued_kg=origin.quantity.kg, derived_kg=kilograms)
    statement = claim.statement
    if statement is None:
        raise NotRederivable("the period carries no statement", monitoring_period_id=claim.monitoring_period_id)
    return Explanation(
        serial=text,
        issuance=issuance,
        claim=claim,
        meters=tuple(explained for explained, _ in meters),
        commitment=commitment,
        parameters=claim.reduction.parameters,
        steps=claim.reduction.steps,
        verifier=statement.verifier,
        verifier_signed=_verifier_signed(unit, claim),
        kilograms=kilograms,
        carried=carried,
        origin=origin,
    )


def _origin(unit: RegistryUnit, issuance: Issuance) -> Issuance:
    """Follow transfers between regions back to the issuance that readings stand behind."""
    while issuance.transfer_id is not None:
        if ":" in issuance.transfer_id:
            raise NotRederivable(
                "these credits come from another registry's books, which derives them", transfer=issuance.transfer_id
            )
        sent = unit.transfers.get(issuance.transfer_id)
        if sent.minted is None or sent.minted != issuance.quantity or sent.minted > sent.quantity:
            raise NotRederivable("more was minted than was locked", transfer_id=sent.transfer_id)
        issuance = unit.issuances.get(sent.issuance_id)
    return issuance


def _meters(unit: RegistryUnit, context: Context, claim: MonitoringPeriod) -> list[tuple[MeterExplained, MeteredTotal]]:
    statements = {each.meter_id: each for each in unit.metering.statements(claim.monitoring_period_id)}
    meters = []
    for total in claim.totals:
        meter = unit.projects.meter(total.meter_id)
        node: MeteringNode = context.nodes.of(meter.measured_by)
        again = node.total(meter.meter_id, total.interval_minutes, total.period, total.through_batch)
        if again != total:
            raise NotRederivable("the grid node holds other readings", meter_id=meter.meter_id)
        statement = statements.get(meter.meter_id)
        if statement is not None:
            document = statement.document
            require_known(unit, statement.signature, message_of(domain_of(document), document))
            if total_stated(document) != total:
                raise NotRederivable("the grid company stated another total", meter_id=meter.meter_id)
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
        meters.append((explained, again))
    return meters


def _kilograms(unit: RegistryUnit, claim: MonitoringPeriod) -> tuple[int, int]:
    """From the archived files; where the claim is older than the archive, from its own workings."""
    stored = claim.reduction
    try:
        by_workings = rederived(stored)
    except FinancingError as error:
        raise NotRederivable(f"the workings contradict themselves: {error.detail}") from error
    project = unit.projects.get(claim.project_id)
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


def _verifier_signed(unit: RegistryUnit, claim: MonitoringPeriod) -> bool:
    """Whether the statement is signed; raises `SignatureInvalid` or `NotRederivable` if the signature is of another
    statement. One that predates signing is not signed."""
    signed = unit.verification.statement(claim.monitoring_period_id)
    if signed is None or claim.statement is None:
        return False
    if signed.document != statement_document(claim.statement):
        raise NotRederivable("the signed statement is another one", statement_id=signed.statement_id)
    require_known(unit, signed.signature, message_of(STATEMENT_DOMAIN, signed.document))
    return True
