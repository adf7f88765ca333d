"""Bring settlement money in: the exchange credits what reached its account at the payment system."""

from __future__ import annotations

from financing.base.context import Context
from financing.base.quantities import Money
from financing.ledger.accounts import CNY, AccountKey, AccountKind, cash
from financing.ledger.entries import EntryKind, balanced, transfer
from financing.ledger.store import Balance
from financing.lending.unit_of_work import UnitOfWork


def deposit(unit: UnitOfWork, context: Context, organisation_id: str, amount: Money, reference: str) -> Balance:
    """Credit `amount` to a participant, mirrored on the exchange's settlement account.

    Raises `NotPermitted` unless the actor is an exchange, `NotFound`, `QuantityOutOfRange`.
    """
    context.require_kind("exchange")
    owner = unit.organisations.get(organisation_id)
    source = AccountKey(context.actor.id, AccountKind.SETTLEMENT, CNY)
    entry = balanced(EntryKind.FUNDING, reference, transfer(source, cash(owner.id), amount))
    unit.ledger.post(entry, at=context.at, actor_id=context.actor.id)
    return unit.ledger.balance(cash(owner.id))
