"""Bring settlement money in: the exchange credits what reached its account at the payment system."""

from __future__ import annotations

from pydantic import Field

from financing.base.commands import Command, Fen, Id, Text, issued_by
from financing.base.context import Context
from financing.ledger.accounts import CNY, AccountKey, AccountKind, cash
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, post_entry
from financing.ledger.store import Balance
from financing.ledger.unit import LedgerUnit


class Deposit(Command):
    organisation_id: Id
    amount_fen: Fen
    reference: Text = Field(description="the payment system's own number of the transfer")


@issued_by("exchange")
def deposit(unit: LedgerUnit, context: Context, command: Deposit) -> Balance:
    """Credit money to a participant, mirrored on the exchange's settlement account.

    Raises `NotPermitted` unless the actor is an exchange, `NotFound`, `QuantityOutOfRange`.
    """
    owner = unit.organisations.get(command.organisation_id)
    source = AccountKey(context.actor.id, AccountKind.SETTLEMENT, CNY)
    leg = Leg(source, cash(owner.id), command.amount_fen)
    post_entry(unit, context, EntryKind.FUNDING, command.reference, [leg])
    return unit.ledger.balance(cash(owner.id))
