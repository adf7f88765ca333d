"""Bring settlement money in: the exchange credits what reached its account at the payment system."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from financing.base.commands import Command, Fen, Id, Text, use_case
from financing.base.context import Context
from financing.ledger.accounts import CNY, AccountKey, AccountKind, cash
from financing.ledger.entries import EntryKind
from financing.ledger.posting import Leg, post_entry
from financing.ledger.store import Balance
from financing.ledger.unit import LedgerUnit

BankCode = Annotated[
    str, Field(pattern=r"^[0-9]{12}$", description="the payer bank's number in CNAPS (支付系统行号), twelve digits")
]


class Deposit(Command):
    organisation_id: Id
    amount_fen: Fen
    payer_bank: BankCode
    # A space more would be another transfer.
    reference: Annotated[
        Text,
        StringConstraints(strip_whitespace=True),
        Field(description="the payment system's own number of the transfer, one a payer bank"),
    ]


@use_case
def deposit(unit: LedgerUnit, context: Context, command: Deposit) -> Balance:
    """Credit money to a participant, mirrored on the exchange's settlement account.

    Raises `NotPermitted` unless the actor is an exchange, `NotFound`, `QuantityOutOfRange`, and `AlreadyExists` for a
    transfer that was credited before, to whomever.
    """
    owner = unit.organisations.get(command.organisation_id)
    unit.payments.require_new(command.payer_bank, command.reference)
    source = AccountKey(context.actor.id, AccountKind.SETTLEMENT, CNY)
    leg = Leg(source, cash(owner.id), command.amount_fen)
    posted = post_entry(unit, context, EntryKind.FUNDING, command.reference, [leg])
    unit.payments.add(command.payer_bank, command.reference, posted.entry_id)
    return unit.ledger.balance(cash(owner.id))
