"""A loan under random service: after every command the ledger holds what its events lead to, to the fen."""

from datetime import timedelta
from random import Random

import pytest
from soak import sized

from financing.base.quantities import business_date
from financing.ledger.accounts import AccountKind
from financing.lending.loans.days import date_of
from financing.lending.loans.loan import replay
from financing.lending.loans.markets import market_of
from financing.lending.loans.posting import positions
from financing.lending.unit import UnitOfWork

BANK, BORROWER = "bank-gusu", "dev-a"
OF_THE_LOAN = {
    AccountKind.LOAN_PRINCIPAL,
    AccountKind.LOAN_PRINCIPAL_OWED,
    AccountKind.INTEREST_EXPENSE,
    AccountKind.DEBT_FORGIVEN,
}


def require_agreement(world, loan_id):
    """What the ledger holds of the loan is what its events lead to on the day its books were taken to."""
    with world.parts.reading() as connection:
        unit = UnitOfWork(connection)
        stored = unit.loans.get(loan_id)
        events = [each.event for each in unit.loans.events(stored.terms.number)]
        to = date_of(int(stored.book.accrued_to[0]))
        again = replay(stored.terms, events, to, market_of(world.parts.parameters))
        expected = positions(stored.terms, again.book)
        for key, amount in expected.items():
            if key.kind in OF_THE_LOAN:
                assert unit.ledger.balance(key).posted == amount, key
        receivable = next(key for key in expected if key.kind is AccountKind.INTEREST_RECEIVABLE)
        assert unit.ledger.balance(receivable).posted == expected[receivable]
        assert unit.ledger.balance(receivable).posted >= 0


@pytest.mark.parametrize(("kind", "seed"), [("sqlite", 1), pytest.param("postgresql", 2, marks=pytest.mark.postgres)])
def test_random_service_keeps_ledger_and_events_together(world, kind, seed):
    random = Random(seed)
    loan, _, _ = world.loan(amount_fen=400_000)
    loan_id = loan["loan_id"]
    world.fund(BORROWER, 50_000_000)
    path = f"/v1/loans/{loan_id}"

    def some_day():
        first, today = business_date(world.now) - timedelta(days=200), business_date(world.now)
        return str(first + timedelta(days=random.randrange((today - first).days + 1)))

    def command():
        kind = random.choice(["repay", "repay", "late", "reverse", "rate", "freeze", "unfreeze", "holiday", "day"])
        if kind == "repay":
            return BORROWER, f"{path}/repayments", {"amount_fen": random.randrange(1, 30_000)}
        if kind == "late":
            return BORROWER, f"{path}/repayments", {"amount_fen": random.randrange(1, 9_000), "value_on": some_day()}
        if kind == "reverse":
            return BANK, f"{path}/events/{random.randrange(2, 40)}/reversal", None
        if kind == "day":
            return BANK, "/v1/business-days", {"through": str(business_date(world.now))}
        body = {"kind": kind, "value_on": some_day()}
        if kind == "rate":
            body["annual_rate_bps"] = random.randrange(0, 1_200)
        if kind == "holiday":
            body |= {"until": str(business_date(world.now) + timedelta(days=90)), "full": random.random() < 0.5}
        return BANK, f"{path}/events", body

    done, most = 0, sized(*({"sqlite": (30, 300), "postgresql": (15, 100)}[kind]))
    for _ in range(most):
        world.now += timedelta(days=random.randrange(0, 12))
        world.price(3_000)
        who, where, body = command()
        headers = {"Authorization": f"Bearer {world.keys[who]}", "Idempotency-Key": f"r{next(world._numbers)}"}
        before = world.snapshot()
        answer = world.client.post(where, json=body, headers=headers)
        assert answer.status_code < 500, answer.text
        if answer.is_success:
            done += 1
        else:
            assert world.snapshot() == before
        require_agreement(world, loan_id)
        if world.get(BANK, path)["state"] != "active":
            break
    assert done > most / 3
    world.verify()
