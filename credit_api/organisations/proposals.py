"""Commands that take two people: what one has made, another of the same organisation confirms or refuses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from credit_api.http.auth.passwords import Sealer
from credit_api.organisations.people import invite_person, recover_person
from financing.base.authority import EVERY_ROLE
from financing.base.commands import UseCase, use_case
from financing.base.context import Context
from financing.base.errors import InvalidState, NotPermitted
from financing.ledger.people import Proposal, Word
from financing.lending.business_day.pricing import record_price
from financing.lending.loans.commands import service_loan
from financing.lending.unit import UnitOfWork

TAKES_TWO: dict[str, UseCase[UnitOfWork, Any, Any]] = {
    each.name: each for each in (record_price, service_loan, invite_person, recover_person)
}
SEALED = frozenset({"invite_person", "recover_person"})


@dataclass(frozen=True, slots=True)
class CarriedOut:
    """The proposal with the second person's word, and what the command led to."""

    proposal: Proposal
    result: Any


@use_case
def confirm_proposal(unit: UnitOfWork, context: Context, proposal_id: str, sealer: Sealer) -> CarriedOut:
    """Confirm what another person made, and carry it out in the same commit, as of now.

    Raises `NotPermitted` for its maker, `InvalidState` for one that was decided, and whatever the command refuses now;
    then the proposal waits on.
    """
    decided = _decide(unit, context, proposal_id, "confirmed")
    others = {"sealer": sealer} if decided.command in SEALED else {}
    given = TAKES_TWO[decided.command].again(decided.arguments, **others)
    # The maker had the role when it made the command; the second person needs only its own.
    actor = replace(context.actor, roles=EVERY_ROLE)
    return CarriedOut(
        decided, given.run(unit, replace(context, actor=actor, person=decided.maker, checker=context.person))
    )


@use_case
def refuse_proposal(unit: UnitOfWork, context: Context, proposal_id: str) -> Proposal:
    """Refuse what another person made, or take back what one made oneself is not: it stays on record, and is not
    carried out. Raises as `confirm_proposal`."""
    return _decide(unit, context, proposal_id, "refused")


def _decide(unit: UnitOfWork, context: Context, proposal_id: str, outcome: Word) -> Proposal:
    proposal = unit.proposals.get(proposal_id, context.actor.id)
    if proposal.outcome is not None:
        raise InvalidState("the proposal was decided already", proposal_id=proposal_id)
    if context.person in ("", proposal.maker):
        raise NotPermitted("a proposal is decided by another person than its maker", proposal_id=proposal_id)
    if outcome == "confirmed" and unit.people.get(proposal.maker, context.actor.id).ended_at is not None:
        raise InvalidState("who made the proposal has left", proposal_id=proposal_id)
    unit.proposals.decide(proposal, context.person, outcome, context.at)
    return proposal.model_copy(update={"checker": context.person, "outcome": outcome, "decided_at": context.at})
