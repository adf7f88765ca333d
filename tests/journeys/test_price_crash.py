"""The carbon price falls by thirty per cent: calls, cures in cash and in credits, a disposal, balanced books."""

from datetime import timedelta

import pytest
from desk import BANK, EXCHANGE

from financing.base.quantities import Money, Price
from financing.lending.business_day.closing import CloseDays, close_days
from financing.lending.collateral.commands import PostPledge, ReleasePledge, post_pledge, release_pledge
from financing.lending.collateral.disposal_auction import (
    AuctionCollateral,
    auction_collateral,
    close_any,
    take_asking_price,
    withdraw_any,
)
from financing.lending.loans.loan import LoanState
from financing.lending.origination.commands import RepayLoan, repay_loan
from financing.market.auctions.commands import TakeAtAsking

BUYER = "buyer-green"
LOAN_FEN = 540_000  # the advance line: 45 % of 400 t at 30 CNY/t


@pytest.fixture
def ready(kind, tmp_path, ready_desks):
    with ready_desks.copied(kind, tmp_path / "home", borrowed) as found:
        yield found


@pytest.fixture
def desk(ready):
    return ready[0]


@pytest.fixture
def three_loans(ready):
    return ready[1]


def borrowed(desk):
    """Three developers with the same loan on the same collateral, each known to the bank as a good customer."""
    desk.admit(BUYER, "buyer")
    desk.fund(BANK, 100_000_000)
    desk.price(3_000)
    loans = {}
    for place in range(3):
        name = f"dev-{place}"
        desk.admit(name, "developer", f"subject-of-{name}")
        issuance = desk.credits(name, f"CR{place}")
        pledge = desk.pledge(name, issuance, 400_000).pledge
        record = desk.decide(name, amount_fen=LOAN_FEN, pledge_ids=[pledge.pledge_id])
        assert record.decision.outcome == "approve", record
        loan = desk.disburse(record, LOAN_FEN)
        loans[name] = (loan.stored.terms.loan_id, pledge.pledge_id, issuance.issuance_id)
    for _ in range(6):
        next_day(desk, 20)
        desk.price(3_000)
    while close(desk):
        pass
    return loans


def close(desk):
    return desk.run(BANK, close_days, CloseDays())


def repay(desk, who, loan_id, amount_fen):
    desk.run(who, repay_loan, loan_id, RepayLoan(amount_fen=amount_fen))


def next_day(desk, days=1):
    desk.now += timedelta(days=days)


def test_a_crash_of_thirty_per_cent_runs_through_calls_cures_and_a_disposal(desk, three_loans):
    assert {desk.coverage(loan).coverage.status.label for loan, _, _ in three_loans.values()} == {"healthy"}

    def money_of_all():
        return sum(desk.balance(who, "cash") for who in (BANK, BUYER, EXCHANGE, *three_loans))

    def calls():
        return desk.look(lambda unit: unit.calls.of(BANK))

    money = money_of_all()
    desk.price(2_100, confirmed=True)  # −30 %
    next_day(desk)
    closed = close(desk)[-1]
    found = {step["step"]: step for step in closed.steps}
    # Four months of interest on 45 % of 3,000 make 65.1 % of 2,100: past the line of the call (65).
    assert found["revalue"]["call"] == found["call_margins"]["called"] + len(calls()) == 3
    assert {call.state for call in calls()} == {"open"}
    assert len(calls()) == 3
    cash_cured, credit_cured, sold = three_loans

    loan_id = three_loans[cash_cured][0]
    cure = desk.coverage(loan_id).cash_cure.fen
    desk.fund(cash_cured, cure)
    repay(desk, cash_cured, loan_id, cure - 1)
    assert desk.coverage(loan_id).call.state == "open"
    repay(desk, cash_cured, loan_id, 1)
    assert desk.coverage(loan_id).call is None
    money += cure

    loan_id = three_loans[credit_cured][0]
    needed = desk.coverage(loan_id).credit_cures[0].quantity
    extra = desk.credits(credit_cured, "MORE")
    topped = desk.pledge(credit_cured, extra, needed).pledge.pledge_id
    desk.run(BANK, post_pledge, topped, PostPledge(loan_id=loan_id, registration_number="R9"))
    assert desk.coverage(loan_id).call is None

    loan_id, pledge_id, issuance_id = three_loans[sold]

    def for_six_days():
        return AuctionCollateral(
            quantity_kg=400_000,
            start_fen_per_tonne=2_400,
            decrement_fen_per_tonne=100,
            step_seconds=600,
            opens_at=desk.now,
            closes_at=desk.now + timedelta(days=6),
        )

    # The cure period runs.
    desk.assert_refused(BANK, "disposal_not_allowed", auction_collateral, pledge_id, for_six_days())
    desk.assert_refused(sold, "not_permitted", auction_collateral, pledge_id, for_six_days())
    next_day(desk, 5)
    close(desk)
    alerts = desk.look(lambda unit: unit.days.alerts(BANK))
    assert ("call_past_due", loan_id) in {(alert.kind, alert.subject) for alert in alerts}

    auction_id = desk.run(BANK, auction_collateral, pledge_id, for_six_days()).terms.auction_id
    desk.fund(BUYER, 5_000_000)
    money += 5_000_000
    desk.now += timedelta(minutes=20)  # 2,200 by now
    take = TakeAtAsking(quantity_kg=300_000, price_max_fen_per_tonne=2_250)
    desk.assert_refused(sold, "not_permitted", take_asking_price, auction_id, take)
    before = desk.coverage(loan_id).debt.total.fen
    contract = desk.run(BUYER, take_asking_price, auction_id, take).contract
    assert contract.price == Price(2_200)
    after = desk.coverage(loan_id)
    assert after.stored.loan.state is LoanState.REPAID
    # What was not needed is under the pledge again, not with the lender, and can be released without a debt.
    assert sum(held.pledge.outstanding.kg for held in after.pledges) == 100_000
    desk.run(BANK, release_pledge, pledge_id, ReleasePledge(quantity_kg=100_000))
    assert desk.balance(BUYER, "holding", f"PHCER:{issuance_id}") == 300_000
    gross = 300 * 2_200
    fee = 462  # 0.7 ‰ of 660,000
    costs = 32_977  # 5 % of what the fee leaves: 32,976.90
    surplus = desk.balance(sold, "cash") - LOAN_FEN
    assert surplus > 0
    assert surplus == gross - fee - costs - before
    assert money_of_all() == money
    next_day(desk)
    assert close(desk)[-1].parked == 0
    desk.verify()


def test_unsold_collateral_goes_back_under_its_pledge_and_the_price_can_be_reset(desk, three_loans):
    loan_id, pledge_id, issuance_id = three_loans["dev-0"]
    desk.price(2_100, confirmed=True)
    next_day(desk, 5)

    def auction(start):
        terms = AuctionCollateral(
            quantity_kg=400_000,
            start_fen_per_tonne=start,
            decrement_fen_per_tonne=50,
            step_seconds=3_600,
            opens_at=desk.now,
            closes_at=desk.now + timedelta(hours=5),
        )
        return desk.run(BANK, auction_collateral, pledge_id, terms).terms.auction_id

    first = auction(2_600)
    asset = f"PHCER:{issuance_id}"
    assert desk.balance("dev-0", "pledged", asset) == 0
    assert desk.balance(BANK, "escrow", asset) == 400_000
    desk.assert_refused("dev-1", "not_permitted", withdraw_any, first)
    desk.now += timedelta(hours=6)
    desk.run("dev-1", close_any, first)
    assert desk.balance("dev-0", "pledged", asset) == 400_000
    assert desk.balance(BANK, "holding", asset) == 0
    second = auction(2_000)
    # A loan that is cured while its collateral is on sale sells nothing more.
    cure = desk.coverage(loan_id).debt.total
    assert cure > Money(0)
    desk.fund("dev-0", cure)
    repay(desk, "dev-0", loan_id, cure)
    desk.fund(BUYER, 5_000_000)
    take = TakeAtAsking(quantity_kg=1_000, price_max_fen_per_tonne=9_999)
    desk.assert_refused(BUYER, "disposal_not_allowed", take_asking_price, second, take)
    desk.run(BANK, withdraw_any, second)
    desk.run(BANK, release_pledge, pledge_id, ReleasePledge(quantity_kg=400_000))
    assert desk.balance("dev-0", "pledged", asset) == 0
    desk.verify()
