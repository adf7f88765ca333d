"""Bring settlement money in: the exchange credits what reached its account at the payment system."""

from __future__ import annotations

from financing.base.context import Context
from financing.base.quantities import Money
from financing.ledger.accounts import CNY, AccountKey, AccountKind, cash
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, post_entry
from financing.ledger.store import Balance
from financing.ledger.unit import LedgerUnit


def deposit(unit: LedgerUnit, context: Context, organisation_id: str, amount: Money, reference: str) -> Balance:
    """Credit `amount` to a participant, mirrored on the exchange's settlement account.

    Raises `NotPermitted` unless the actor is an exchange, `NotFound`, `QuantityOutOfRange`.
    """
    context.require_kind("exchange")
    owner = unit.organisations.get(organisation_id)
    source = AccountKey(context.actor.id, AccountKind.SETTLEMENT, CNY)
    post_entry(unit, context, EntryKind.FUNDING, reference, [Leg(source, cash(owner.id), amount.require_positive())])
    return unit.ledger.balance(cash(owner.id))
