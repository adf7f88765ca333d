"""A loan under random service: after every command the ledger holds what its events lead to, to the fen."""

from collections import Counter
from datetime import timedelta
from random import Random

import pytest
from desk import BANK
from soak import sized

from financing.base.errors import FinancingError
from financing.base.quantities import business_date
from financing.ledger.accounts import AccountKind
from financing.lending.business_day.closing import CloseDays, close_days
from financing.lending.loans.commands import history_of, reverse_payment, service_loan
from financing.lending.loans.days import date_of
from financing.lending.loans.events import Freeze, Holiday, RateChange, Unfreeze
from financing.lending.loans.loan import LoanState, replay
from financing.lending.loans.markets import market_of
from financing.lending.loans.posting import positions
from financing.lending.origination.commands import RepayLoan, repay_loan

BORROWER = "dev-a"
OF_THE_LOAN = {
    AccountKind.LOAN_PRINCIPAL,
    AccountKind.LOAN_PRINCIPAL_OWED,
    AccountKind.INTEREST_EXPENSE,
    AccountKind.DEBT_FORGIVEN,
}


def require_agreement(desk, loan_id):
    """What the ledger holds of the loan is what its events lead to on the day its books were taken to."""

    def agree(unit):
        stored = unit.loans.get(loan_id)
        events = [each.event for each in unit.loans.events(stored.terms.number)]
        to = date_of(int(stored.book.accrued_to[0]))
        again = replay(stored.terms, events, to, market_of(desk.parts.parameters))
        expected = positions(stored.terms, again.book)
        for key, amount in expected.items():
            if key.kind in OF_THE_LOAN:
                assert unit.ledger.balance(key).posted == amount, key
        receivable = next(key for key in expected if key.kind is AccountKind.INTEREST_RECEIVABLE)
        assert unit.ledger.balance(receivable).posted == expected[receivable]
        assert unit.ledger.balance(receivable).posted >= 0

    desk.look(agree)


@pytest.mark.parametrize(("kind", "seed"), [("sqlite", 1), pytest.param("postgresql", 2, marks=pytest.mark.postgres)])
def test_random_service_keeps_ledger_and_events_together(desk, kind, seed):
    random = Random(seed)
    loan, _, _ = desk.lend(amount_fen=400_000)
    loan_id = loan.stored.terms.loan_id
    desk.fund(BORROWER, 50_000_000)

    def some_day():
        first, today = business_date(desk.now) - timedelta(days=200), business_date(desk.now)
        return first + timedelta(days=random.randrange((today - first).days + 1))

    def command():
        kind = random.choice(["repay", "repay", "late", "reverse", "rate", "freeze", "unfreeze", "holiday", "day"])
        if kind == "repay":
            return BORROWER, repay_loan, loan_id, RepayLoan(amount_fen=random.randrange(1, 30_000))
        if kind == "late":
            late = RepayLoan(amount_fen=random.randrange(1, 9_000), value_on=some_day())
            return BORROWER, repay_loan, loan_id, late
        if kind == "reverse":
            recorded = desk.ask(BANK, history_of, loan_id)
            return BANK, reverse_payment, loan_id, random.randint(2, len(recorded) + 1)
        if kind == "day":
            return BANK, close_days, CloseDays(through=business_date(desk.now))
        return BANK, service_loan, loan_id, change(kind, some_day())

    def change(kind, on):
        if kind == "rate":
            return RateChange(value_on=on, annual_rate_bps=random.randrange(0, 1_200))
        if kind == "holiday":
            until = business_date(desk.now) + timedelta(days=90)
            return Holiday(value_on=on, until=until, full=random.random() < 0.5)
        return Freeze(value_on=on) if kind == "freeze" else Unfreeze(value_on=on)

    done, most = Counter(), sized(*({"sqlite": (30, 300), "postgresql": (15, 100)}[kind]))
    for _ in range(most):
        desk.now += timedelta(days=random.randrange(0, 12))
        desk.price(3_000)
        asked = command()
        before = desk.snapshot()
        try:
            desk.run(*asked)
        except FinancingError:
            assert desk.snapshot() == before
        else:
            done[asked[1].name] += 1
        require_agreement(desk, loan_id)
        if desk.coverage(loan_id).stored.loan.state is not LoanState.ACTIVE:
            break
    assert done.total() > most / 3
    assert kind == "postgresql" or done["reverse_payment"], done
    desk.verify()
