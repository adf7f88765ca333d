"""The stores that a command of the ledger may touch."""

from __future__ import annotations

from sqlalchemy import Connection

from financing.base.storage.unit import Unit
from financing.ledger.organisations import OrganisationStore
from financing.ledger.payments import PaymentStore
from financing.ledger.people import PeopleStore, ProposalStore
from financing.ledger.serials import SerialNumbers
from financing.ledger.signing_keys import SigningKeyStore
from financing.ledger.store import LedgerStore


class LedgerUnit(Unit):
    serials: SerialNumbers  # kept by the room above, which numbers what the ledger only counts

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.organisations = OrganisationStore(connection)
        self.people = PeopleStore(connection)
        self.proposals = ProposalStore(connection)
        self.ledger = LedgerStore(connection)
        self.payments = PaymentStore(connection)
        self.signing_keys = SigningKeyStore(connection)
