"""The stores that a command of the registry may touch."""

from __future__ import annotations

from sqlalchemy import Connection

from financing.ledger.unit import LedgerUnit
from financing.registry.credits.serial_store import SerialStore
from financing.registry.credits.store import IssuanceStore
from financing.registry.metering.store import MeteringStore
from financing.registry.methodology.store import MethodologyStore
from financing.registry.neutrality.store import NeutralityStore
from financing.registry.oversight.guard_store import GuardStore
from financing.registry.oversight.store import CustodyStore
from financing.registry.packages.store import PackageStore
from financing.registry.projects.store import ProjectStore
from financing.registry.retirement.store import RetirementStore
from financing.registry.transfers.store import TransferStore
from financing.registry.verification.period_store import PeriodStore
from financing.registry.verification.store import VerificationStore


class RegistryUnit(LedgerUnit):
    serials: SerialStore

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.serials = SerialStore(connection)
        self.projects = ProjectStore(connection)
        self.periods = PeriodStore(connection)
        self.issuances = IssuanceStore(connection)
        self.retirements = RetirementStore(connection)
        self.custody = CustodyStore(connection)
        self.guard = GuardStore(connection)
        self.packages = PackageStore(connection)
        self.transfers = TransferStore(connection)
        self.neutrality = NeutralityStore(connection)
        self.metering = MeteringStore(connection)
        self.methodologies = MethodologyStore(connection)
        self.verification = VerificationStore(connection)
