"""What the specification says beyond the vectors, worked by hand: interest before the status date, fees, penalties,
prepayments, scaling, termination, covers of running contracts."""

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest

from financing.base.errors import ContractInvalid
from financing.lending.contracts.actus.events import Observation
from financing.lending.contracts.actus.running import observation_of, run, standing
from financing.lending.contracts.day_counts import exact_year_fraction, year_fraction
from financing.lending.contracts.instalments import Basis, Progress

NOTHING = Observation({})
# 1,000 at 6 % for 2026, interest on 1 July and 1 January: 30 each by 30E/360.
PAM = {
    "contractType": "PAM", "contractID": "loan", "contractRole": "RPA", "statusDate": "2025-12-31T00:00:00",
    "initialExchangeDate": "2026-01-01T00:00:00", "maturityDate": "2027-01-01T00:00:00", "notionalPrincipal": "1000",
    "nominalInterestRate": "0.06", "dayCountConvention": "30E360", "currency": "CNY",
    "cycleAnchorDateOfInterestPayment": "2026-07-01T00:00:00", "cycleOfInterestPayment": "P6ML0",
}  # fmt: skip
LAM = PAM | {
    "contractType": "LAM", "cycleAnchorDateOfPrincipalRedemption": "2026-04-01T00:00:00",
    "cycleOfPrincipalRedemption": "P3ML0", "nextPrincipalRedemptionPayment": "250",
}  # fmt: skip


def moment(text):
    return datetime.fromisoformat(text)


def happened(kind, on, value=None, contract="loan"):
    return observation_of({}, [{"type": kind, "time": on, "value": value, "contractId": contract}])


def payoffs(raw, observed=NOTHING, kind=None):
    return [
        (each.kind, each.at.date(), round(each.payoff, 9)) for each in run(raw, observed) if kind in {None, each.kind}
    ]


def test_interest_before_the_status_date_counts_from_the_last_payment():
    late = PAM | {"statusDate": "2026-10-01T00:00:00"}
    assert payoffs(late) == [("IP", date(2027, 1, 1), 30.0), ("MD", date(2027, 1, 1), 1000.0)]
    # Stated by the terms, that is what has accrued by the status date: 2 and a quarter of 60.
    assert payoffs(late | {"accruedInterest": "2"}, kind="IP") == [("IP", date(2027, 1, 1), 17.0)]
    # Before the first payment the vectors begin with nothing at the status date: a quarter of 60 until 1 July.
    assert payoffs(PAM | {"statusDate": "2026-04-01T00:00:00"}, kind="IP")[0] == ("IP", date(2026, 7, 1), 15.0)


@pytest.mark.parametrize(
    ("terms", "fees"),
    [
        ({"feeBasis": "A", "feeRate": "5", "cycleOfFee": "P6ML0"}, [5.0, 5.0]),
        ({"feeBasis": "A", "feeRate": "5"}, [5.0, 5.0]),  # from the anchor alone: then and at maturity
        ({"feeBasis": "N", "feeRate": "0.01", "cycleOfFee": "P6ML0"}, [5.0, 5.0]),  # half of 1 % of 1,000
        ({"feeBasis": "N", "feeRate": "0.01", "cycleOfFee": "P6ML0", "statusDate": "2026-10-01"}, [5.0]),
        (
            {"feeBasis": "N", "feeRate": "0.01", "cycleOfFee": "P6ML0", "statusDate": "2026-10-01", "feeAccrued": "1"},
            [3.5],
        ),
    ],
)
def test_fees(terms, fees):
    raw = PAM | {"cycleAnchorDateOfFee": "2026-07-01T00:00:00"} | terms
    assert [paid for _, _, paid in payoffs(raw, kind="FP")] == fees


def test_a_fee_on_an_unknown_basis_is_refused():
    with pytest.raises(ContractInvalid):
        run(PAM | {"feeRate": "5", "cycleOfFee": "P6ML0"}, NOTHING)


def test_a_prepayment_lowers_the_interest_that_follows():
    # 400 on 1 October: 15 until then on 1,000, 9 after it on 600.
    found = payoffs(PAM, happened("PP", "2026-10-01", 400))
    assert found[2:] == [
        ("PP", date(2026, 10, 1), 400.0), ("IP", date(2027, 1, 1), 24.0), ("MD", date(2027, 1, 1), 600.0),
    ]  # fmt: skip
    assert payoffs(PAM, happened("PP", "2026-10-01", 400, contract="another")) == payoffs(PAM)


@pytest.mark.parametrize("value", [1001, "nan", "many", None])
def test_a_prepayment_beyond_what_is_owed_or_no_number_is_refused(value):
    with pytest.raises(ContractInvalid):
        run(PAM, happened("PP", "2026-10-01", value))


@pytest.mark.parametrize(
    ("terms", "paid"),
    [
        ({"penaltyType": "A", "penaltyRate": "7"}, 7.0),
        ({"penaltyType": "N", "penaltyRate": "0.01"}, 2.5),  # a quarter of a year of 1 % on 1,000
        ({"penaltyType": "I", "marketObjectCodeOfRateReset": "LPR"}, 7.5),  # 6 % less the market's 3 %
        ({"penaltyType": "I", "marketObjectCodeOfRateReset": "LPR", "contractRole": "RPL"}, -7.5),
    ],
)
def test_a_penalty_comes_with_the_prepayment(terms, paid):
    data = {"LPR": {"data": [{"timestamp": "2026-01-01", "value": "0.03"}]}}
    amount = -400 if terms.get("contractRole") == "RPL" else 400
    seen = observation_of(data, [{"type": "PP", "time": "2026-10-01", "value": amount, "contractId": "loan"}])
    found = payoffs(PAM | terms, seen)
    assert [each for each in found if each[0] in {"PY", "PP"}] == [
        ("PY", date(2026, 10, 1), paid), ("PP", date(2026, 10, 1), float(amount)),
    ]  # fmt: skip


def test_a_penalty_of_no_known_type_or_without_its_market_rate_is_refused():
    for terms in ({}, {"penaltyType": "X"}, {"penaltyType": "I", "marketObjectCodeOfRateReset": "LPR"}):
        with pytest.raises(ContractInvalid):
            run(PAM | terms, happened("PY", "2026-10-01"))


def test_scaling_starts_from_the_stated_multiplier_and_asks_for_its_index():
    scaled = PAM | {
        "scalingEffect": "INO", "interestScalingMultiplier": "1.1", "notionalScalingMultiplier": "1.2",
        "scalingIndexAtContractDealDate": "100", "cycleAnchorDateOfScalingIndex": "2026-10-01T00:00:00",
        "marketObjectCodeOfScalingIndex": "CPI",
    }  # fmt: skip
    seen = observation_of({"CPI": {"data": [{"timestamp": "2026-01-01", "value": "150"}]}}, [])
    assert [paid for kind, _, paid in payoffs(scaled, seen) if kind in {"IP", "MD"}] == [33.0, 45.0, 1500.0]
    with pytest.raises(ContractInvalid):
        run({key: value for key, value in scaled.items() if key != "marketObjectCodeOfScalingIndex"}, seen)


def test_nothing_happens_after_a_termination():
    raw = LAM | {
        "interestCalculationBase": "NTL", "cycleAnchorDateOfInterestCalculationBase": "2026-07-01T00:00:00",
        "cycleOfInterestCalculationBase": "P3ML0", "terminationDate": "2026-07-01T00:00:00",
        "priceAtTerminationDate": "490",
    }  # fmt: skip
    assert payoffs(raw)[-1] == ("TD", date(2026, 7, 1), 490.0)


def test_a_standing_is_what_is_owed_at_a_moment():
    assert standing(LAM, NOTHING, moment("2026-05-01")) == pytest.approx((750.0, 15.0 + 3.75))
    assert standing(LAM | {"contractRole": "RPL"}, NOTHING, moment("2026-05-01"))[0] == -750.0
    assert standing(LAM, NOTHING, moment("2027-01-01")) == (0.0, 0.0)
    with pytest.raises(ContractInvalid):
        standing(LAM, NOTHING, moment("2025-12-30"))


def cover(**terms):
    return {
        "contractType": "CEG", "contractRole": "BUY", "statusDate": "2026-09-01", "maturityDate": "2027-12-31",
        "creditEventTypeCovered": "DF", "currency": "CNY", "guaranteedExposure": "NI",
        "contractStructure": [{"object": PAM | {"statusDate": "2026-09-01T00:00:00"}, "referenceRole": "COVE"}],
    } | terms  # fmt: skip


def defaulted(on="2026-10-01"):
    event = {"type": "CE", "time": on, "contractId": "loan", "states": {"contractPerformance": "DF"}}
    return Observation({}, (event,))


def test_a_guarantee_of_a_running_loan_pays_what_is_owed_though_nothing_happened_since_the_status_date():
    # 1,000 and, since 1 July, a quarter of 60.
    assert [round(each.payoff, 9) for each in run(cover(), defaulted())] == [0.0, 1015.0]
    assert [each.exercised for each in run(cover(), defaulted())] == [moment("2026-10-01")] * 2


def test_a_default_before_the_status_date_is_past():
    assert [each.kind for each in run(cover(), defaulted("2026-08-01"))] == ["MD"]


@pytest.mark.parametrize(
    "terms",
    [
        {"contractStructure": ["loan"]},
        {"contractStructure": [{"referenceRole": "COVE"}]},
        {"contractStructure": [{"object": {"contractIdentifier": "loan"}, "referenceRole": "COVE"}]},
        {"guaranteedExposure": "ALL"},
        {"contractType": "CEC"},
    ],
)
def test_a_cover_that_does_not_say_what_it_covers_or_with_what_is_refused(terms):
    with pytest.raises(ContractInvalid):
        run(cover(**terms), defaulted())


def test_what_cannot_be_read_is_refused():
    for data, events in (([], []), ({}, ["PP"]), ({"L": {"data": [{"timestamp": "2026-01-01", "value": "nan"}]}}, [])):
        with pytest.raises(ContractInvalid):
            observation_of(data, events)
    endless = {key: value for key, value in LAM.items() if key != "maturityDate"} | {
        "contractType": "NAM", "nextPrincipalRedemptionPayment": "15.000001",
    }  # fmt: skip
    for raw in ([], endless, PAM | {"maturityDate": "9999-12-31", "cycleOfInterestPayment": "P999Y"}):
        with pytest.raises(ContractInvalid):
            run(raw, NOTHING)


def test_30e360_isda_keeps_the_last_of_february_at_the_end_of_the_contract_only():
    start, end = moment("2026-01-31"), moment("2026-02-28")
    assert year_fraction("30E360ISDA", start, end) == 30 / 360
    assert year_fraction("30E360ISDA", start, end, end) == 28 / 360
    assert exact_year_fraction("AA", moment("2023-12-31"), moment("2025-01-01")) == Fraction(1, 365) + 1


@pytest.mark.parametrize(
    ("basis", "start", "due", "factor"),
    [
        # 12 % a year. Two months count twice the days of the first; one over a year's end is split at 31 December.
        (("DAYS_365", "ACTUAL", "MONTHS", 2), "2025-01-01", "2025-03-01", "0.020383561644"),  # 62 of 365
        (("ACTUAL", "ACTUAL", "MONTHS", 1), "2023-12-12", "2024-01-12", "0.010181001572"),  # 19 of 365, 12 of 366
        (("DAYS_360", "DAYS_30", "MONTHS", 3), "2025-01-01", "2025-04-01", "0.030000000000"),
        (("DAYS_364", "ACTUAL", "WEEKS", 2), "2025-01-01", "2025-01-15", "0.004615384615"),  # 14 of 364
    ],
)
def test_rate_factors_to_twelve_decimals(basis, start, due, factor):
    period = (date.fromisoformat(start), date.fromisoformat(due))
    progress = Progress((period,), Decimal("0.12"), Basis.of(*basis))
    progress.disburse(period[0], Decimal(100))
    assert progress.schedule[0].factor == Decimal(factor)


def test_a_month_of_no_known_length_is_refused():
    with pytest.raises(ContractInvalid):
        Basis.of("DAYS_360", "INVALID", "MONTHS", 1)
