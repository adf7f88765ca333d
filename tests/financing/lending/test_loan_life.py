"""The life of a loan: every refusal moves nothing, every correction balances. What asks the database for more than a
row by its id runs on both kinds."""

from dataclasses import replace
from datetime import timedelta

from desk import BANK
from kinds import on_both, one_kind  # noqa: F401

from credit_api.http.auth.principal import MACHINE_ROLES, Principal
from financing.base.authority import Role, Work
from financing.base.context import Actor
from financing.base.quantities import Money, Rate, business_date
from financing.ledger.people import Person
from financing.lending.business_day.closing import CloseDays, close_days
from financing.lending.collateral.commands import ReservePledge, reserve_pledge
from financing.lending.collateral.pledge import PledgeState
from financing.lending.collateral.substituting import SubstitutePledge, substitute_pledge
from financing.lending.loans.classification import RiskClass
from financing.lending.loans.commands import (
    ReviewTarget,
    history_of,
    reverse_payment,
    review_target,
    schedule_of,
    service_loan,
)
from financing.lending.loans.events import Freeze, Holiday, RateChange, Recovery, Restructuring, WriteOff
from financing.lending.origination.approving import CheckDecision, check_decision
from financing.lending.origination.commands import (
    ApplyForLoan,
    DisburseLoan,
    RepayLoan,
    decide_application,
    disburse_loan,
    repay_loan,
)
from financing.lending.origination.earnings import GiveEarnings, give_earnings
from financing.lending.origination.securing import GiveGuarantee, give_guarantee, release_security, withdraw_security

BORROWER, OTHER_BANK = "dev-a", "bank-taihu"
SEEN = CheckDecision(outcome="confirmed", note="seen")


def id_of(loan):
    return loan.stored.terms.loan_id


def later(desk, days):
    desk.now += timedelta(days=days)


def in_days(desk, days):
    return desk.now.date() + timedelta(days=days)


def debt(desk, loan):
    return desk.coverage(id_of(loan)).debt.total.fen


def repay(desk, loan, amount_fen, **more):
    return desk.run(BORROWER, repay_loan, id_of(loan), RepayLoan(amount_fen=amount_fen, **more))


def close(desk, **through):
    return desk.run(BANK, close_days, CloseDays(**through))


def codes(record):
    return {reason.code for reason in record.decision.reasons}


@on_both
def test_a_payment_entered_late_gives_the_books_of_one_in_time(lent_desk):
    desk, loan, _, _ = lent_desk
    signed = desk.now.date()
    later(desk, 60)
    repay(desk, loan, 100_000)
    in_time = desk.balance(BORROWER, "cash"), debt(desk, loan)
    late = RepayLoan(amount_fen=50_000, value_on=signed + timedelta(days=30), external_id="bank-transfer-7")
    done = desk.run(BORROWER, repay_loan, id_of(loan), late)
    assert done.allocation.interest > Money(0)
    # 50,000 fen thirty days earlier save thirty days of interest on what they repaid, and cost 50,000.
    assert desk.balance(BORROWER, "cash") == in_time[0] - 50_000
    assert in_time[1] - 50_000 - done.standing.debt.total.fen > 0
    desk.assert_refused(BORROWER, "invalid_state", repay_loan, id_of(loan), late)
    events = desk.ask(BORROWER, history_of, id_of(loan))
    assert [(each.event.what.kind, each.external_id) for each in events] == [
        ("disbursement", None), ("repayment", None), ("repayment", "bank-transfer-7"),
    ]  # fmt: skip
    desk.verify()


@on_both
def test_a_reversal_restores_the_books_and_keeps_the_payers_number(lent_desk):
    desk, loan, _, _ = lent_desk
    later(desk, 30)

    def books():
        return debt(desk, loan), desk.balance(BORROWER, "cash"), desk.balance(BANK, "cash")

    before = books()
    repay(desk, loan, 70_000, external_id="x1")
    for who in (BORROWER, OTHER_BANK):
        desk.assert_refused(who, "not_permitted", reverse_payment, id_of(loan), 2)
    desk.run(BANK, reverse_payment, id_of(loan), 2)
    assert books() == before
    reversed_ = desk.ask(BANK, history_of, id_of(loan))[1]
    assert reversed_.event.reversed is True
    assert reversed_.external_id == "x1"
    desk.assert_refused(BANK, "invalid_state", reverse_payment, id_of(loan), 2)
    repay(desk, loan, 70_000, external_id="x1")
    desk.verify()


def test_what_begins_today_ends_after_today(lent_desk):
    """Named without a day, an end between signing and today was taken: a loan that ran was over at a stroke."""
    desk, loan, _, _ = lent_desk
    later(desk, 20)
    for asked in (Holiday, Restructuring):
        desk.assert_refused(BANK, "period_invalid", service_loan, id_of(loan), asked(until=in_days(desk, -10)))
    assert desk.coverage(id_of(loan)).stored.loan.matures_on == loan.stored.loan.matures_on


def test_bad_events_are_refused_and_move_nothing(lent_desk):
    desk, loan, _, _ = lent_desk
    tomorrow, early = in_days(desk, 1), in_days(desk, -400)
    for who, asked, code in (
        (BORROWER, Freeze(), "not_permitted"),
        (BANK, Recovery(amount_fen=1), "not_permitted"),
        (BORROWER, Recovery(amount_fen=1), "invalid_state"),
        (BANK, Freeze(value_on=tomorrow), "period_invalid"),
        (BANK, Freeze(value_on=early), "period_invalid"),
        (BANK, Holiday(until=early), "period_invalid"),
        (BANK, WriteOff(), "invalid_state"),
    ):
        desk.assert_refused(who, code, service_loan, id_of(loan), asked)
    ahead = RepayLoan(amount_fen=1, value_on=tomorrow)
    desk.assert_refused(BORROWER, "period_invalid", repay_loan, id_of(loan), ahead)


def test_repaying_a_closed_loan_or_more_than_the_debt_is_refused(lent_desk):
    desk, loan, _, _ = lent_desk
    desk.fund(BORROWER, 10_000_000)
    owed = loan.debt.total.fen
    desk.assert_refused(BORROWER, "overpayment_refused", repay_loan, id_of(loan), RepayLoan(amount_fen=owed + 1))
    repay(desk, loan, owed)
    desk.assert_refused(BORROWER, "invalid_state", repay_loan, id_of(loan), RepayLoan(amount_fen=1))
    desk.assert_refused(BANK, "invalid_state", service_loan, id_of(loan), Freeze())


def test_a_rate_change_a_holiday_and_a_restructuring_show_in_the_schedule(lent_desk):
    desk, loan, _, _ = lent_desk

    def to_come():
        return desk.ask(BORROWER, schedule_of, id_of(loan)).to_come.instalments()

    before = to_come()
    assert [principal for _, _, principal in before] == [loan.debt.principal]
    desk.run(BANK, service_loan, id_of(loan), RateChange(annual_rate_bps=100))
    lower = desk.ask(BANK, schedule_of, id_of(loan)).to_come.instalments()
    assert lower[0][1] < before[0][1]
    until = in_days(desk, 400)
    after = desk.run(BANK, service_loan, id_of(loan), Restructuring(until=until, scheme="annuity", capitalised=True))
    assert after.stored.loan.matures_on == until
    ahead = to_come()
    assert len(ahead) > 10
    assert sum(principal.fen for _, _, principal in ahead) == after.debt.principal.fen
    desk.assert_refused(OTHER_BANK, "not_permitted", schedule_of, id_of(loan))


def large(desk):
    """A firm whose credits carry 600,000 yuan, and the bank's application for it."""
    issuance = desk.borrower()
    desk.price(500_000)
    return {"amount_fen": 60_000_000, "pledge_ids": [desk.pledge(BORROWER, issuance, 400_000).pledge.pledge_id]}


def test_a_large_decision_waits_for_another_person(desk):
    desk.fund(BANK, 1_000_000_000)
    record = desk.decide(**large(desk))
    assert record.decision.outcome == "approve", record
    decision_id = record.decision_id
    draw = DisburseLoan(decision_id=decision_id, amount_fen=60_000_000, registration_number="R1")
    desk.assert_refused(BANK, "decision_unchecked", disburse_loan, draw)
    desk.assert_refused(BANK, "decision_unchecked", check_decision, decision_id, SEEN)
    desk.assert_refused(OTHER_BANK, "not_permitted", check_decision, decision_id, SEEN)
    checker = f"{BANK}:second"
    assert desk.run(checker, check_decision, decision_id, SEEN).checker == "bank-gusu:second"
    desk.assert_refused(BANK, "decision_unchecked", check_decision, decision_id, SEEN)
    desk.assert_refused(checker, "invalid_state", check_decision, decision_id, SEEN)
    assert desk.run(BANK, disburse_loan, draw).stored.loan.drawn == Money(60_000_000)


def test_what_a_machine_decided_is_checked_by_who_registers_none(desk):
    """An administrator that checks, too, was two persons through a machine of its own."""
    asked = ApplyForLoan(borrower_id=BORROWER, tenor_days=180, **large(desk))
    machine = Principal(BANK, "bank", "", "", "mac_1", MACHINE_ROLES, frozenset({Work.LENDING}), "token", machine=True)
    credit = desk.assessment(f"subject-of-{BORROWER}")
    record = desk.run(desk.parts.context(machine), decide_application, asked, credit)
    desk.assert_refused(BANK, "decision_unchecked", check_decision, record.decision_id, SEEN)
    desk.assert_refused(f"{BANK}:second", "decision_unchecked", check_decision, record.decision_id, SEEN)
    checks = frozenset({Role.CHECKER})
    desk.parts.writer.execute(lambda unit: unit.people.add(Person("per_c", BANK, "c", checks, desk.now)))
    checker = replace(desk.context(BANK), actor=Actor(BANK, "bank", checks), person="per_c")
    assert desk.run(checker, check_decision, record.decision_id, SEEN).maker == "mac_1"


@on_both
def test_days_are_closed_once_in_order_and_a_crash_calls_margin(lent_desk):
    desk, loan, _, _ = lent_desk
    later(desk, 5)
    closed = close(desk)
    assert len(closed) == 5
    assert all(day.parked == 0 and day.loans == 1 for day in closed)
    assert close(desk) == ()
    book = desk.coverage(id_of(loan)).stored.book
    assert (RiskClass(int(book.risk_class[0])), int(book.stage[0])) == (RiskClass.NORMAL, 1)
    assert int(book.allowance[0]) > 0
    desk.price(2_100, confirmed=True)
    later(desk, 1)
    desk.price(1_800, confirmed=True)
    later(desk, 1)
    days = close(desk)
    assert [day.day for day in days] == sorted(day.day for day in days)
    assert desk.coverage(id_of(loan)).coverage.status.label in {"call", "liquidate"}
    desk.assert_refused(BORROWER, "not_permitted", close_days, CloseDays())
    desk.verify()


def test_a_date_closed_late_leaves_the_calls_that_were_made_after_it(lent_desk):
    """It cured them, a week before they were made: the prices of that day were still good."""
    desk, loan, _, _ = lent_desk
    later(desk, 7)
    desk.price(1_450, confirmed=True)
    made = desk.coverage(id_of(loan)).call
    assert made.state == "open"
    close(desk)
    calls = desk.look(lambda unit: unit.calls.of(BANK))
    assert [(each.call_id, each.state) for each in calls] == [(made.call_id, "open")]


def test_an_unpriced_book_raises_an_alert(lent_desk):
    desk, *_ = lent_desk
    later(desk, 40)
    close(desk, through=in_days(desk, -10))
    close(desk)
    alerts = desk.look(lambda unit: unit.days.alerts(BANK))
    assert ("price_missing", "PHCER") in {(alert.kind, alert.subject) for alert in alerts}


def test_another_pledge_takes_the_place_of_one_only_if_the_debt_stays_covered(desk):
    loan, pledge, issuance = desk.lend(pledge_kg=200_000, amount_fen=200_000)
    left = desk.balance(BORROWER, "holding", f"PHCER:{issuance.issuance_id}")

    def by(kilograms, registration):
        reserved = desk.pledge(BORROWER, issuance, kilograms).pledge.pledge_id
        return SubstitutePledge(by_pledge_id=reserved, registration_number=registration)

    desk.assert_refused(BANK, "coverage_insufficient", substitute_pledge, pledge.pledge_id, by(1_000, "R2"))
    new, old = desk.run(BANK, substitute_pledge, pledge.pledge_id, by(left - 1_000, "R3"))
    assert (new.pledge.state, old.pledge.state) == (PledgeState.POSTED, PledgeState.RELEASED)
    assert [held.pledge.pledge_id for held in desk.coverage(id_of(loan)).pledges] == [new.pledge.pledge_id]


def test_every_product_names_two_people(desk):
    today = business_date(desk.now)
    products = [each for each in desk.parts.parameters.products.records if each.holds_on(today)]
    assert len(products) >= 6
    assert all(each.approval.prepared_by != each.approval.approved_by for each in products)


EVIDENCE = "ab" * 32


def applied(desk, **more):
    return desk.decide(**({"amount_fen": 2_000_000} | more))


@on_both
def test_a_guarantee_and_credits_secure_one_loan_and_the_guarantee_is_demanded(desk):
    desk.fund(BANK, 100_000_000)
    issuance = desk.borrower()
    desk.price(3_000)
    desk.admit("guarantor", "buyer")
    pledge = desk.pledge(BORROWER, issuance, 400_000).pledge
    product = {"product": "guaranteed_carbon_loan", "pledge_ids": [pledge.pledge_id]}
    assert "security_missing" in codes(applied(desk, **product))
    deed = GiveGuarantee(
        bank_id=BANK,
        borrower_id=BORROWER,
        amount_fen=1_500_000,
        valid_until=in_days(desk, 400),
        evidence_sha256=EVIDENCE,
    )
    desk.assert_refused(BORROWER, "not_permitted", give_guarantee, deed)
    given = desk.run("guarantor", give_guarantee, deed).security
    record = applied(desk, **product, security_ids=[given.security_id])
    assert (record.decision.outcome, record.decision.max_amount) == ("approve", Money(2_000_000)), record
    loan = desk.disburse(record, 2_000_000)
    # 2,000,000 less the guaranteed 1,500,000 stand against 400 t at 30 CNY.
    assert loan.coverage.status.label == "healthy"
    desk.assert_refused(BANK, "coverage_insufficient", release_security, given.security_id)
    desk.assert_refused("guarantor", "invalid_state", withdraw_security, given.security_id)
    desk.fund(BORROWER, 1_000_000)
    repay(desk, loan, loan.debt.total.fen)
    assert desk.run(BANK, release_security, given.security_id).state == "released"
    desk.verify()


def test_a_plants_electricity_secures_a_loan_once_and_is_no_credit(desk):
    desk.fund(BANK, 100_000_000)
    desk.borrower()
    desk.price(3_000)
    (project,) = desk.look(lambda unit: unit.projects.all(BORROWER))
    terms = {
        "bank_id": BANK,
        "project_id": project.project_id,
        "years": 2,
        "share_bps": 8_000,
        "evidence_sha256": EVIDENCE,
    }
    bills = GiveEarnings(kind="receivable", **terms)
    desk.assert_refused(BANK, "not_permitted", give_earnings, bills)
    given = desk.run(BORROWER, give_earnings, bills)
    security_id, value = given.security.security_id, given.security.value.fen
    assert value == sum(month["fen"] for month in given.record["months"])
    # 5 MW × 1,000 h × 2 years × about 0.56 CNY, less degradation and discount.
    assert 450_000_000 < value < 560_000_000
    desk.assert_refused(BORROWER, "not_permitted", give_earnings, GiveEarnings(kind="income_stream", **terms))
    as_credit = ReservePledge(bank_id=BANK, issuance_id=security_id, quantity_kg=1_000)
    desk.assert_refused(BORROWER, "not_found", reserve_pledge, as_credit)
    assert "security_not_taken" in codes(applied(desk, product="phcer_pledge_loan", security_ids=[security_id]))
    secured = {"product": "receivable_pledge", "security_ids": [security_id]}
    record = applied(desk, **secured)
    assert record.decision.outcome == "approve", record
    loan = desk.disburse(record, 2_000_000)
    again = ApplyForLoan(borrower_id=BORROWER, tenor_days=180, amount_fen=2_000_000, **secured)
    credit = desk.assessment(f"subject-of-{BORROWER}")
    desk.assert_refused(BANK, "invalid_state", decide_application, again, credit)
    ahead = desk.ask(BORROWER, schedule_of, id_of(loan)).to_come
    assert len(ahead) >= 6
    desk.verify()


def test_a_tenor_past_the_credits_use_is_declined(desk):
    desk.fund(BANK, 100_000_000)
    issuance = desk.borrower()
    desk.price(3_000)
    soon = in_days(desk, 60)
    stored = desk.pledge(BORROWER, issuance, 400_000, compliance_year=2026, surrender_by=soon)
    assert stored.use.surrender_by == soon
    record = applied(desk, amount_fen=400_000, pledge_ids=[stored.pledge.pledge_id])
    assert record.decision.outcome == "decline"
    assert "tenor_past_validity" in codes(record)


def test_the_rate_of_a_sustainability_linked_loan_follows_its_target(desk):
    desk.fund(BANK, 100_000_000)
    issuance = desk.borrower()
    desk.price(3_000)
    product = "sustainability_linked_loan"
    pledge = desk.pledge(BORROWER, issuance, 400_000, product=product).pledge
    loan = desk.disburse(applied(desk, product=product, pledge_ids=[pledge.pledge_id], amount_fen=400_000), 400_000)
    rate = loan.stored.loan.rate.bps
    reached = ReviewTarget(reached=True, evidence_sha256=EVIDENCE)
    desk.assert_refused(BORROWER, "not_permitted", review_target, id_of(loan), reached)
    assert desk.run(BANK, review_target, id_of(loan), reached).stored.loan.rate == Rate(rate - 10)
    missed = ReviewTarget(reached=False, evidence_sha256=EVIDENCE)
    assert desk.run(BANK, review_target, id_of(loan), missed).stored.loan.rate == Rate(rate + 5)
