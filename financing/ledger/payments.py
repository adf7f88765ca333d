"""Transfers that reached the settlement account, each of them once."""

from __future__ import annotations

from sqlalchemy import select

from financing.base.errors import AlreadyExists
from financing.base.storage.columns import table_of
from financing.base.storage.store import Store
from financing.ledger.tables import PaymentRow

payment = table_of(PaymentRow)
# Of transfers that were booked before their bank was asked for.
UNKNOWN_BANK = ""


class PaymentStore(Store):
    def require_new(self, payer_bank: str, reference: str) -> None:
        """Raise `AlreadyExists` for a transfer that is booked, or that may be: its number is there without a bank."""
        query = select(payment.c.entry_id).where(
            payment.c.reference == reference, payment.c.payer_bank.in_((payer_bank, UNKNOWN_BANK))
        )
        booked = self._connection.execute(query).first()
        if booked is not None:
            raise AlreadyExists(
                "this transfer of this bank is booked", reference=reference, bank=payer_bank, entry=booked.entry_id
            )

    def add(self, payer_bank: str, reference: str, entry_id: int) -> None:
        self._add(payment, payer_bank=payer_bank, reference=reference, entry_id=entry_id)
