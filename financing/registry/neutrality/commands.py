"""Draft a claim of carbon neutrality, match retirements to it, and have it certified or refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from financing.base.commands import (
    UNSIGNED,
    Command,
    Id,
    Kilograms,
    KilogramsFromZero,
    Moment,
    SignedAt,
    Text,
    use_case,
)
from financing.base.context import Context
from financing.base.quantities import Period, business_date
from financing.ledger.signing import signed_by_actor
from financing.registry.neutrality import model as rules
from financing.registry.neutrality.model import DOMAIN, FootprintLine, NeutralityClaim, ReductionLine
from financing.registry.unit import RegistryUnit
from financing.registry.verification.commands import accreditations
from financing.registry.verification.independence import Stakes, require_accredited, require_independent

SCOPE = "ISO14068-1"  # what an accreditation calls the standard


class StatedEmission(Command):
    scope: Literal[1, 2, 3]
    source: Text
    emitted_kg: KilogramsFromZero
    evidence: Text


class StatedReduction(Command):
    measure: Text
    reduced_kg: KilogramsFromZero
    evidence: Text


class DraftClaim(Command):
    """What was emitted in a period, by source, and what was reduced inside the boundary."""

    subject: Text
    boundary: Text
    starts_at: Moment
    ends_at: Moment
    footprint: Annotated[list[StatedEmission], Field(min_length=1, max_length=200)]
    reductions: list[StatedReduction] = Field(default_factory=list, max_length=200)


class MatchRetirement(Command):
    certificate_number: Id
    quantity_kg: Kilograms


class RefuseClaim(Command):
    remarks: Text


@use_case
def draft_claim(unit: RegistryUnit, context: Context, command: DraftClaim) -> NeutralityClaim:
    """State what was emitted and reduced in a period that is over. Raises `QuantityOutOfRange`, `PeriodInvalid`."""
    claim = NeutralityClaim(
        claim_id=context.new_id("neu"),
        entity=context.actor.id,
        subject=command.subject,
        boundary=command.boundary,
        period=Period(command.starts_at, command.ends_at),
        footprint=tuple(
            FootprintLine(each.scope, each.source, each.emitted_kg, each.evidence) for each in command.footprint
        ),
        reductions=tuple(ReductionLine(each.measure, each.reduced_kg, each.evidence) for each in command.reductions),
        drafted_at=context.at,
    )
    unit.neutrality.add(claim)
    return claim


@use_case
def match_retirement(unit: RegistryUnit, context: Context, claim_id: str, command: MatchRetirement) -> NeutralityClaim:
    """Use up part of a retirement for the actor's claim. Raises as `neutrality.match`."""
    claim = unit.neutrality.get(claim_id)
    context.require_party(claim.entity)
    retirement = unit.retirements.get(command.certificate_number)
    # Credits that were retired for somebody else do not offset the emissions of whoever retired them.
    named = {each.id for each in unit.organisations.all()}
    matched = rules.match(
        claim,
        retirement,
        command.quantity_kg,
        usable_by=retirement.beneficiary if retirement.beneficiary in named else retirement.retired_by,
        matched_before=unit.neutrality.matched(command.certificate_number),
    )
    unit.neutrality.add_match(context.new_id("mch"), claim_id, matched.matches[-1])
    unit.neutrality.save(matched)
    return matched


@use_case
def certify_claim(unit: RegistryUnit, context: Context, claim_id: str, command: SignedAt = UNSIGNED) -> NeutralityClaim:
    """Certify a claim whose residual is covered, as an accredited and independent verifier, and sign the certificate.

    Raises `NotPermitted`, `AccreditationMissing`, `ConflictOfInterest`, `ResidualNotCovered`, `InvalidState`, and what
    `signed_by_actor` refuses.
    """
    claim = unit.neutrality.get(claim_id)
    _require_certifier(unit, context, claim)
    number = unit.neutrality.next_number()
    signed_at = command.moment(context.at)
    certified = rules.certify(claim, context.actor.id, number, signed_at)
    signature = signed_by_actor(unit, context, DOMAIN, certified.document(), command, signed_at=signed_at.isoformat())
    signed = replace(certified, signature=signature)
    unit.neutrality.save(signed, number=number)
    return signed


@use_case
def refuse_claim(unit: RegistryUnit, context: Context, claim_id: str, command: RefuseClaim) -> NeutralityClaim:
    """Refuse a claim as a verifier: what it had matched is free again."""
    claim = unit.neutrality.get(claim_id)
    _require_certifier(unit, context, claim)
    refused = rules.refuse(claim, context.actor.id, command.remarks, context.at)
    unit.neutrality.free_matches(claim_id)
    unit.neutrality.save(refused)
    return refused


def _require_certifier(unit: RegistryUnit, context: Context, claim: NeutralityClaim) -> None:
    """Raise unless the actor is accredited for the standard today, and neither the entity nor of its group."""
    require_independent(context.actor.id, Stakes(claim.entity, (), frozenset()), unit.verification.relations())
    on = business_date(context.at)
    require_accredited(context.actor.id, SCOPE, on, accreditations(unit, context, on))
