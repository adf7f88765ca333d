"""Commands as organisations issue them, without HTTP: on the books alone, with a clock that tests can set.

A world has a desk; a desk needs no world: one that is opened by itself has founders and no federated network.
"""

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import plants
import pytest

from credit_api.app.sandbox import OFFICER, OFFICERS, admit_founders, officer
from credit_api.app.settings import Settings
from credit_api.app.wiring import assemble
from credit_api.http.auth.principal import Principal
from credit_api.organisations.proposals import confirm_proposal
from financing.base.authority import EVERY_ROLE
from financing.base.context import Context
from financing.base.errors import AwaitsSecondPerson, FinancingError
from financing.ledger.accounts import AccountKind
from financing.ledger.deposits import Deposit, deposit
from financing.ledger.organisations import Organisation
from financing.ledger.people import Proposal
from financing.lending.business_day.pricing import RecordPrice, record_price
from financing.lending.collateral.commands import ReservePledge, reserve_pledge
from financing.lending.collateral.standing import loan_coverage
from financing.lending.origination.assessment import CreditAssessment
from financing.lending.origination.commands import ApplyForLoan, DisburseLoan, decide_application, disburse_loan
from financing.lending.unit import UnitOfWork
from financing.market.order_book.commands import advance
from financing.registry.credits.commands import IssueCredits, issue_credits
from financing.registry.metering.commands import load_readings
from financing.registry.projects.commands import RegisterProject, register_project
from financing.registry.verification.commands import StatePeriod, SubmitPeriod, state_period, submit_period

START = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
BANK, EXCHANGE, REGISTRY, VERIFIER, GRID = "bank-gusu", "exchange-seee", "registry-sip", "verifier-cqc", "grid-sip"
TRANSFER = {"payer_bank": "999305000001", "reference": "r"}


@dataclass(frozen=True)
class Founded:
    """What stands ready to be copied: its home, its founders' keys, and what is known of banks' customers."""

    home: Path
    keys: dict = field(default_factory=dict)
    best: dict = field(default_factory=dict)
    now: datetime = START
    number: int = 1


class Desk:
    def __init__(self, parts, now=START, number=1):
        self.parts, self.now, self.numbers = parts, now, count(number)
        self._kinds = {}
        parts.clock = lambda: self.now

    @classmethod
    def make(cls, home, database_url=""):
        """Found books in which nothing has happened yet."""
        with cls._on(Founded(home), database_url) as opened:
            opened.parts.writer.execute(lambda unit: admit_founders(unit, START))

    @classmethod
    @contextmanager
    def copied(cls, founded, home, database_url=""):
        """Books founded before: their home is copied, their database is a copy already or lies in the home."""
        shutil.copytree(founded.home, home)
        with cls._on(replace(founded, home=home), database_url) as opened:
            yield opened

    @classmethod
    @contextmanager
    def _on(cls, founded, database_url):
        parts = assemble(Settings(home=founded.home, database_url=database_url, sandbox=True))
        try:
            yield cls(parts, founded.now, founded.number)
        finally:
            parts.close()

    def founded(self):
        """These books as they stand, to be copied once they are closed."""
        return Founded(self.parts.settings.home, now=self.now, number=next(self.numbers))

    # commands and looks

    def context(self, who):
        """That of an organisation's officer; of another person, who is named after a colon (`bank-gusu:second`)."""
        organisation_id, _, person = who.partition(":")
        if organisation_id not in self._kinds:
            self._kinds[organisation_id] = self.look(lambda unit: unit.organisations.get(organisation_id).kind)
        kind, person = self._kinds[organisation_id], f"{organisation_id}:{person or OFFICER}"
        return self.parts.context(Principal(organisation_id, kind, "", "", person, EVERY_ROLE))

    def run(self, who, command, *arguments):
        """Run a command as an organisation, or in a context, in one commit, and return what it made."""
        context = who if isinstance(who, Context) else self.context(who)
        return self.parts.writer.execute(lambda unit: command(unit, context, *arguments))

    def run_in_market(self, who, command, *arguments):
        """As `run`, for commands that need the order books in memory."""
        return self.run(who, command, self.parts.order_books, *arguments)

    def advance(self, instrument):
        """Bring an instrument to the day, in a commit of its own, as the service does before a command on it."""
        self.run_in_market(EXCHANGE, advance, instrument)

    def run_by_two(self, who, command, *arguments):
        """As `run`; a command that takes two people is put down, and confirmed by another of the organisation."""
        try:
            return self.run(who, command, *arguments)
        except AwaitsSecondPerson as waits:
            put = Proposal(
                proposal_id=self.parts.new_id("pro"),
                organisation_id=who,
                command=command.name,
                object_id=str(waits.context["object_id"]),
                arguments=command.given(*arguments).arguments(),
                why=waits.detail,
                maker=self.context(who).person,
                made_at=self.now,
            )
            self.parts.writer.execute(lambda unit: unit.proposals.add(put))
            return self.run(f"{who}:second", confirm_proposal, put.proposal_id, self.parts.sealer).result

    def assert_refused(self, who, code, command, *arguments):
        """The command must be refused with `code`, and no balance may move: the refusal."""
        before = self.snapshot()
        with pytest.raises(FinancingError) as refusal:
            self.run(who, command, *arguments)
        assert refusal.value.code == code, refusal.value
        assert self.snapshot() == before
        return refusal.value

    def assert_refused_in_market(self, who, code, command, *arguments):
        """As `assert_refused`, for commands that need the order books in memory."""
        return self.assert_refused(who, code, command, self.parts.order_books, *arguments)

    def look(self, read):
        """What `read(unit)` finds in the books as they stand."""
        with self.parts.reading() as connection:
            return read(UnitOfWork(connection))

    def ask(self, who, query, *arguments):
        """What `query(unit, context, ...)` tells an organisation."""
        return self.look(lambda unit: query(unit, self.context(who), *arguments))

    def snapshot(self):
        """Head of the ledger, every balance and hold, every open serial block."""

        def seen(unit):
            balances = [(str(each.key), each.posted, each.held) for each in unit.ledger.balances()]
            return unit.ledger.head(), balances, unit.serials.verify()

        return self.look(seen)

    def verify(self):
        """The whole chain, every balance and every serial, recomputed."""
        return self.look(lambda unit: (unit.ledger.verify(), unit.serials.verify()))

    def balance(self, who, kind, asset="CNY"):
        """All that an organisation has in accounts of a kind."""
        kind = AccountKind(kind)
        rows = self.look(lambda unit: unit.ledger.balances(owner_id=who, kinds=[kind]))
        return sum(row.posted for row in rows if row.key.asset.code == asset)

    def coverage(self, loan_id):
        """A loan as it stands now: debt, collateral, margin call and what would cure it."""
        return self.ask(BANK, loan_coverage, loan_id)

    # the asset's story, step by step

    def admit(self, organisation_id, kind, subject_id=None):
        """A participant with two officers; a firm that banks know, if a subject is named."""

        def admitted(unit):
            named = Organisation(organisation_id, kind, organisation_id, organisation_id, subject_id)
            unit.organisations.add(named, self.now)
            for name in OFFICERS:
                officer(unit, organisation_id, name, self.now)

        self.parts.writer.execute(admitted)

    def fund(self, who, amount_fen):
        transfer = TRANSFER | {"reference": f"transfer {next(self.numbers)}"}
        self.run(EXCHANGE, deposit, Deposit(organisation_id=who, amount_fen=amount_fen, **transfer))

    def price(self, fen, *, confirmed=False):
        seen = RecordPrice(asset_class="PHCER", price_fen_per_tonne=fen, observed_at=self.now, source="test")
        return (self.run_by_two if confirmed else self.run)(EXCHANGE, record_price, seen)

    def project(self, owner, code="PV1"):
        return self.run(owner, register_project, RegisterProject(**plants.project_body(code)))

    def load(self, code="PV1", days=60, **plant):
        """Readings of a plant's meter go to its grid company's node; the books do not change."""
        batch = plants.readings(f"M-{code}", days, **plant)
        return self.ask(GRID, load_readings, batch)

    def claim(self, owner, project, *, first=plants.FIRST, days=60):
        asked = SubmitPeriod(project_id=project.project_id, starts_at=first, ends_at=first + timedelta(days=days))
        return self.run(owner, submit_period, asked)

    def accept(self, claim):
        statement = StatePeriod(
            opinion="positive",
            commitment=claim.commitment(),
            generation_wh=claim.generation(),
            reduction_kg=claim.reduction.reduction,
        )
        return self.run(VERIFIER, state_period, claim.monitoring_period_id, statement)

    def issue(self, claim):
        return self.run(REGISTRY, issue_credits, IssueCredits(monitoring_period_id=claim.monitoring_period_id))

    def credits(self, owner, code="PV1"):
        """From project to issued credits: the issuance."""
        project = self.project(owner, code)
        self.load(code)
        claim = self.claim(owner, project)
        self.accept(claim)
        return self.issue(claim).issuance

    # where the two stories meet

    def assessment(self, subject_id):
        """That a firm is a good customer, as a bank is told of it today."""
        until = self.now + timedelta(days=30)
        return CreditAssessment("inq_1", subject_id, 712, 0.02, "B", "v0001", self.now, until, "joint")

    def borrower(self, name="dev-a"):
        """A developer that banks know as a good customer, with credits and a price: the issuance."""
        self.admit(name, "developer", f"subject-of-{name}")
        return self.credits(name, f"PV{next(self.numbers)}")

    def pledge(self, owner, issuance, quantity_kg, **use):
        """Credits reserved for the bank."""
        asked = ReservePledge(bank_id=BANK, issuance_id=issuance.issuance_id, quantity_kg=quantity_kg, **use)
        return self.run(owner, reserve_pledge, asked)

    def decide(self, borrower="dev-a", **asked):
        """The bank's decision on an application of a good customer."""
        application = ApplyForLoan(borrower_id=borrower, **({"tenor_days": 180} | asked))
        return self.run(BANK, decide_application, application, self.assessment(f"subject-of-{borrower}"))

    def disburse(self, record, amount_fen):
        drawn = DisburseLoan(decision_id=record.decision_id, amount_fen=amount_fen, registration_number="REG-1")
        return self.run(BANK, disburse_loan, drawn)

    def lend(self, name="dev-a", *, pledge_kg=400_000, amount_fen=500_000):
        """A disbursed loan on a 30 CNY/t mark: (how it stands, pledge, issuance)."""
        self.fund(BANK, 100_000_000)
        issuance = self.borrower(name)
        self.price(3_000)
        pledge = self.pledge(name, issuance, pledge_kg).pledge
        record = self.decide(name, amount_fen=amount_fen, pledge_ids=[pledge.pledge_id])
        assert record.decision.outcome == "approve", record
        return self.disburse(record, amount_fen), pledge, issuance
