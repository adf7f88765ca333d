"""The second person: a decision above the product's limit is drawn only when another officer has confirmed it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from financing.base.authority import Role
from financing.base.commands import Command, Text, use_case
from financing.base.context import Context
from financing.base.errors import CreditStandardNotMet, InvalidState, SecondPersonRequired
from financing.base.quantities import Money, business_date
from financing.lending.origination.decision import Approval, DecisionRecord
from financing.lending.unit import UnitOfWork

Word = Literal["confirmed", "refused"]


class CheckDecision(Command):
    outcome: Word
    note: Text = Field(description="why; kept with the decision")


@use_case
def check_decision(unit: UnitOfWork, context: Context, decision_id: str, command: CheckDecision) -> Approval:
    """Confirm or refuse a decision of the actor's bank, as a person who did not make it.

    Raises `SecondPersonRequired` (the maker itself; or, for what a machine decided, an administrator, who could have
    registered it), `InvalidState` (checked already, not an approval), `CreditStandardNotMet` above what a second person
    may confirm.
    """
    record = unit.decisions.get(decision_id)
    context.require_party(record.application.lender)
    if record.decision.outcome != "approve":
        raise InvalidState(f"the decision is to {record.decision.outcome}", decision_id=decision_id)
    if not context.person or context.person == record.maker:
        raise SecondPersonRequired("a decision is checked by another person than its maker", maker=record.maker)
    if Role.ADMINISTRATOR in context.actor.roles and not unit.people.is_person(record.maker):
        raise SecondPersonRequired("what a machine decided is checked by who registers no machines", maker=record.maker)
    if unit.decisions.approval(decision_id) is not None:
        raise InvalidState("the decision was checked already", decision_id=decision_id)
    product = context.parameters.product(record.application.product, business_date(record.decision.decided_at))
    if command.outcome == "confirmed" and record.decision.max_amount > Money(product.second_person_limit_fen):
        raise CreditStandardNotMet(
            "the amount is above what a second person may confirm", limit_fen=product.second_person_limit_fen
        )
    approval = Approval(
        decision_id=decision_id,
        maker=record.maker,
        checker=context.person,
        outcome=command.outcome,
        note=command.note,
        decided_at=context.at,
    )
    unit.decisions.add_approval(approval)
    return approval


def needs_second_person(context: Context, record: DecisionRecord) -> bool:
    """Whether the approved amount is above what its maker may grant alone."""
    product = context.parameters.product(record.application.product, business_date(record.decision.decided_at))
    return record.decision.max_amount > Money(product.second_person_above_fen)


def require_checked(unit: UnitOfWork, context: Context, record: DecisionRecord) -> None:
    """Raise `SecondPersonRequired` while a decision above the limit is not confirmed, or was refused."""
    approval = unit.decisions.approval(record.decision_id)
    if approval is not None and approval[1] == "refused":
        raise SecondPersonRequired("the second person refused the decision", checker=approval[0])
    if needs_second_person(context, record) and approval is None:
        raise SecondPersonRequired(
            "a second person has to confirm the decision first", max_amount_fen=record.decision.max_amount.fen
        )
