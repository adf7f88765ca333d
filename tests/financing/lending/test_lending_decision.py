from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from financing.base.errors import (
    AssessmentExpired,
    CorruptData,
    CreditStandardNotMet,
    InvalidState,
    NotPermitted,
    QuantityOutOfRange,
)
from financing.base.parameters.loader import load_parameters
from financing.base.quantities import Carbon, Money, Price, Rate
from financing.lending.origination.assessment import CreditAssessment, NoFile
from financing.lending.origination.decision import LoanApplication, decide, require_drawable
from financing.market.prices.model import Marked
from financing.valuation.pools import Lot, value_pool

AT = datetime(2026, 11, 22, tzinfo=UTC)
PARAMETERS = load_parameters()
PRODUCT = PARAMETERS.product("phcer_pledge_loan", date(2026, 11, 22))
CLASSES = PARAMETERS.classes_on(date(2026, 11, 22))
LOTS = (Lot("a", "PHCER", Carbon.from_tonnes(10_000)),)
MARKS = {"PHCER": Marked("PHCER", Price(3_000), AT, timedelta(0), "SIP")}
APPLICATION = LoanApplication("app-1", "plant", "bank", "phcer_pledge_loan", Money.from_yuan("100000"), 180, LOTS)
GOOD = CreditAssessment(
    "as-1", "plant", 712, 0.02, "B", "joint-3", AT - timedelta(days=1), AT + timedelta(days=20), "joint"
)


def decided(application=APPLICATION, credit=GOOD, marks=MARKS, product=PRODUCT, at=AT):
    pool = value_pool(application.collateral, marks, CLASSES)
    return decide(application, credit, pool, product=product, parameters=PARAMETERS, at=at)


def codes(decision):
    return [found.code for found in decision.reasons]


def test_a_good_application_is_approved_and_priced():
    decision = decided()
    assert (decision.outcome, decision.max_amount) == ("approve", Money.from_yuan("100000"))
    assert codes(decision) == ["standard_met"]
    workings = decision.workings
    # LPR 300 − 100 funding + PD 200 × LGD 1500 + 10.5 % × 10 % + 50 cost, against the grid 300 + 95.
    assert (workings.funding_rate, workings.expected_loss_rate) == (Rate(200), Rate(30))
    assert (workings.capital_rate, workings.cost_rate) == (Rate(105), Rate(50))
    assert (workings.risk_rate, workings.grid_rate, decision.rate) == (Rate(385), Rate(395), Rate(395))
    assert workings.expected_loss == Money.from_yuan("300")
    assert decision.valid_until == GOOD.valid_until


def test_the_same_inputs_give_the_same_decision_and_name_their_files():
    assert decided() == decided()
    files = dict(decided().parameter_hashes)
    assert set(files) == {"products/phcer_pledge_loan.toml", "lpr.toml", "collateral_classes.toml"}
    assert all(PARAMETERS.hashes[name] == digest for name, digest in files.items())


def test_risk_above_the_grid_sets_the_rate():
    decision = decided(credit=replace(GOOD, probability=0.10))
    assert decision.rate == decision.workings.risk_rate == Rate(505)


def test_a_loan_that_its_collateral_would_not_repay_has_a_higher_lgd():
    eager = PRODUCT.model_copy(update={"disposal_cost_bps": 4_000})
    workings = decided(replace(APPLICATION, amount=Money.from_yuan("135000")), product=eager).workings
    assert workings.loss_given_default == Rate(4_000)


def test_the_collateral_caps_the_amount():
    decision = decided(replace(APPLICATION, amount=Money.from_yuan("200000")))
    assert (decision.outcome, decision.max_amount) == ("approve", Money.from_yuan("135000"))
    assert codes(decision) == ["standard_met", "amount_reduced"]
    small = replace(APPLICATION, collateral=(Lot("a", "PHCER", Carbon(1)),))
    assert codes(decided(small)) == ["collateral_too_small"]


@pytest.mark.parametrize(
    ("changes", "outcome", "code"),
    [
        ({"score": 529}, "decline", "score_below_standard"),
        ({"score": 549}, "refer", "score_near_standard"),
        ({"probability": 0.1501}, "decline", "probability_above_standard"),
        ({"grade": "E"}, "decline", "grade_below_standard"),
        ({"basis": "bank_only"}, "refer", "bank_only"),
    ],
)
def test_the_credit_standard(changes, outcome, code):
    decision = decided(credit=replace(GOOD, **changes))
    assert (decision.outcome, codes(decision), decision.max_amount) == (outcome, [code], Money(0))
    with pytest.raises(CreditStandardNotMet):
        require_drawable(decision, Money(1), AT)


def test_no_file_is_referred_not_declined():
    decision = decided(credit=NoFile("plant"))
    assert (decision.outcome, codes(decision), decision.rate) == ("refer", ["no_file"], None)


def test_an_unpriced_pool_is_never_lent_on():
    decision = decided(marks={})
    assert (decision.outcome, codes(decision)) == ("refer", ["collateral_unpriced"])
    assert (decision.lendable, decision.max_amount, decision.workings) == (None, Money(0), None)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"tenor_days": 366}, "tenor_too_long"), ({"amount": Money(1_000_000_001)}, "amount_above_maximum")],
)
def test_what_the_product_does_not_offer_is_declined(changes, code):
    decision = decided(replace(APPLICATION, **changes))
    assert decision.outcome == "decline"
    assert code in codes(decision)


def test_other_products_classes_and_prices_are_declined():
    narrow = PRODUCT.model_copy(update={"eligible_classes": ("CEA",)})
    assert codes(decided(product=narrow)) == ["class_not_eligible"]
    cheap = PRODUCT.model_copy(update={"rate_bps_max": 394})
    assert codes(decided(product=cheap)) == ["price_above_maximum"]


def test_the_most_severe_reason_decides_and_all_are_told():
    decision = decided(credit=replace(GOOD, score=500, basis="bank_only"))
    assert (decision.outcome, codes(decision)) == ("decline", ["score_below_standard", "bank_only"])
    assert all(found.zh and found.en for found in decision.reasons)


def test_inputs_that_do_not_belong_together_are_refused():
    with pytest.raises(NotPermitted):
        decided(credit=NoFile("somebody"))
    with pytest.raises(AssessmentExpired):
        decided(at=GOOD.valid_until)
    with pytest.raises(AssessmentExpired):
        decided(at=GOOD.assessed_at - timedelta(seconds=1))
    with pytest.raises(InvalidState):
        decided(replace(APPLICATION, product="other"))
    for marks in (MARKS, {}):
        with pytest.raises(InvalidState):
            decide(
                APPLICATION,
                GOOD,
                value_pool([Lot("a", "PHCER", Carbon(1))], marks, CLASSES),
                product=PRODUCT,
                parameters=PARAMETERS,
                at=AT,
            )
    with pytest.raises(QuantityOutOfRange):
        replace(APPLICATION, amount=Money(0))


def test_only_what_was_approved_is_drawn_and_in_time():
    decision = decided()
    assert require_drawable(decision, Money.from_yuan("100000"), AT) == Rate(395)
    with pytest.raises(CreditStandardNotMet):
        require_drawable(decision, Money.from_yuan("100000.01"), AT)
    with pytest.raises(CreditStandardNotMet):
        require_drawable(decision, Money(1), decision.valid_until)


@pytest.mark.parametrize(
    "changes",
    [{"score": 299}, {"probability": 1.01}, {"probability": float("nan")}, {"valid_until": GOOD.assessed_at}],
)
def test_an_impossible_assessment_is_corrupt(changes):
    with pytest.raises(CorruptData):
        replace(GOOD, **changes)
