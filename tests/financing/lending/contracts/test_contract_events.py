"""Contracts worked by hand, and the public vectors where the machine has them."""

from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from financing.base.business_days import (
    add_business_days,
    china,
    modified_following,
    modified_preceding,
    shift_of,
    weekdays,
)
from financing.base.errors import CalendarMissing, ContractInvalid
from financing.lending.contracts.actus.events import Observation
from financing.lending.contracts.actus.running import observation_of, run
from financing.lending.contracts.cycles import cycle_of, schedule
from financing.lending.contracts.day_counts import year_fraction
from financing.lending.contracts.instalments import Basis, Progress
from simulations.benchmarks.actus import VectorsInvalid
from simulations.benchmarks.actus import check_file as check_actus
from simulations.benchmarks.emi import check_file as check_emi

DATA = Path(__file__).parents[5] / "shared" / "data"
NOTHING = Observation({})
PAM = {
    "contractType": "PAM", "contractRole": "RPA", "statusDate": "2025-12-31T00:00:00",
    "initialExchangeDate": "2026-01-01T00:00:00", "maturityDate": "2027-01-01T00:00:00", "notionalPrincipal": "1000",
    "nominalInterestRate": "0.06", "dayCountConvention": "30E360", "currency": "CNY",
    "cycleAnchorDateOfInterestPayment": "2026-07-01T00:00:00", "cycleOfInterestPayment": "P6ML0",
}  # fmt: skip


def moment(text):
    return datetime.fromisoformat(text)


def flows(raw, observed=NOTHING):
    return [(event.kind, event.at.date(), round(event.payoff, 6)) for event in run(raw, observed)]


def test_a_bullet_pays_interest_in_cycles_and_principal_at_maturity():
    assert flows(PAM) == [
        ("IED", date(2026, 1, 1), -1000.0),
        ("IP", date(2026, 7, 1), 30.0),
        ("IP", date(2027, 1, 1), 30.0),
        ("MD", date(2027, 1, 1), 1000.0),
    ]


def test_equal_principal_has_one_part_more_than_dates_before_maturity():
    raw = PAM | {
        "contractType": "LAM", "cycleAnchorDateOfPrincipalRedemption": "2026-04-01T00:00:00",
        "cycleOfPrincipalRedemption": "P3ML0",
    }  # fmt: skip
    parts = [event.payoff for event in run(raw, NOTHING) if event.kind in {"PR", "MD"}]
    assert parts == [250.0] * 4


def test_an_annuity_without_a_payment_is_level_and_ends_at_nothing():
    raw = PAM | {
        "contractType": "ANN", "cycleAnchorDateOfPrincipalRedemption": "2026-02-01T00:00:00",
        "cycleOfPrincipalRedemption": "P1ML0", "cycleAnchorDateOfInterestPayment": "2026-02-01T00:00:00",
        "cycleOfInterestPayment": "P1ML0", "notionalPrincipal": "120000",
    }  # fmt: skip
    events = run(raw, NOTHING)
    by_date = {}
    for event in events:
        if event.kind in {"PR", "IP", "MD"}:
            by_date[event.at] = by_date.get(event.at, 0.0) + event.payoff
    # 120,000 × 0.005 ÷ (1 − 1.005^−12)
    assert all(abs(paid - 10_327.9717) < 1e-3 for paid in by_date.values())
    assert events[-1].notional == 0.0


def test_a_negative_amortiser_adds_unpaid_interest_to_its_notional():
    raw = PAM | {
        "contractType": "NAM", "cycleAnchorDateOfPrincipalRedemption": "2026-02-01T00:00:00",
        "cycleOfPrincipalRedemption": "P1ML0", "nextPrincipalRedemptionPayment": "3",
        "cycleAnchorDateOfInterestPayment": "2026-02-01T00:00:00", "cycleOfInterestPayment": "P1ML0",
    }  # fmt: skip
    first = next(event for event in run(raw, NOTHING) if event.kind == "PR")
    assert first.notional == 1002.0  # 5 of interest, 3 paid


def test_a_rate_resets_within_its_floor_and_a_missing_observation_is_refused():
    raw = PAM | {
        "cycleAnchorDateOfRateReset": "2026-07-01T00:00:00", "cycleOfRateReset": "P6ML1",
        "marketObjectCodeOfRateReset": "LPR", "rateSpread": "0.01", "lifeFloor": "0.05",
    }  # fmt: skip
    data = {"LPR": {"data": [{"timestamp": "2026-06-20T00:00:00", "value": "0.03"}]}}
    reset = next(event for event in run(raw, observation_of(data, [])) if event.kind == "RR")
    assert reset.rate == 0.05
    with pytest.raises(ContractInvalid):
        run(raw, NOTHING)


def test_a_guarantee_pays_its_share_on_a_default_and_nothing_without_one():
    raw = {
        "contractType": "CEG", "contractRole": "BUY", "statusDate": "2026-01-01", "maturityDate": "2026-12-31",
        "coverageOfCreditEnhancement": "0.5", "creditEventTypeCovered": "DF", "currency": "CNY",
        "contractStructure": [{"object": PAM | {"contractID": "loan"}, "referenceRole": "COVE"}],
    }  # fmt: skip
    event = {"type": "CE", "time": "2026-09-20", "contractId": "loan", "states": {"contractPerformance": "DF"}}
    paid = run(raw, Observation({}, (event,)))
    assert [(each.kind, each.payoff) for each in paid] == [("XD", 0.0), ("STD", 500.0)]
    assert [each.kind for each in run(raw, NOTHING)] == ["MD"]


def test_collateral_pays_no_more_than_it_is_worth():
    raw = {
        "contractType": "CEC", "contractRole": "BUY", "statusDate": "2026-01-01", "creditEventTypeCovered": "DF",
        "contractStructure": [
            {"object": PAM | {"contractID": "loan"}, "referenceRole": "COVE"},
            {"object": {"contractType": "COM", "marketObjectCode": "PHCER", "quantity": "10"},
             "referenceRole": "COVI"},
        ],
    }  # fmt: skip
    event = {"type": "CE", "time": "2026-09-20", "contractId": "loan", "states": {"contractPerformance": "DF"}}
    seen = observation_of({"PHCER": {"data": [{"timestamp": "2026-09-01", "value": "30"}]}}, [event])
    assert run(raw, seen)[-1].payoff == 300.0


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("contractType", "XYZ"),
        ("dayCountConvention", "A1"),
        ("notionalPrincipal", "nan"),
        ("notionalPrincipal", "many"),
        ("initialExchangeDate", "yesterday"),
        ("maturityDate", "2020-01-01"),
        ("cycleOfInterestPayment", "P0M"),
        ("contractRole", "??"),
        ("calendar", "MARS"),
        ("businessDayConvention", "SCX"),
    ],
)
def test_terms_that_make_no_contract_are_refused(change, value):
    with pytest.raises(ContractInvalid):
        run(PAM | {change: value}, NOTHING)


def test_a_missing_term_is_named():
    with pytest.raises(ContractInvalid) as refusal:
        run({key: value for key, value in PAM.items() if key != "maturityDate"}, NOTHING)
    assert refusal.value.context["missing"] == ["maturityDate"]


@pytest.mark.parametrize(
    ("convention", "start", "end", "years"),
    [
        ("A365", "2026-01-01", "2027-01-01", 1.0),
        ("A360", "2026-01-01", "2026-04-01", 0.25),
        ("30E360", "2026-01-31", "2026-02-28", 28 / 360),
        ("30E360ISDA", "2026-01-31", "2026-02-28", 30 / 360),
        ("30E360ISDA", "2026-02-28", "2026-03-31", 30 / 360),
        ("28E336", "2026-01-31", "2026-03-31", 56 / 336),
        ("AA", "2023-12-31", "2025-01-01", 1 / 365 + 1.0),
        ("A365", "2026-01-01T23:59:59", "2026-01-02", 0.0),
    ],
)
def test_day_counts_by_hand(convention, start, end, years):
    found = year_fraction(convention, datetime.fromisoformat(start), datetime.fromisoformat(end))
    assert found == pytest.approx(years)


def test_a_long_stub_drops_the_last_date_and_a_short_one_keeps_it():
    start, end = moment("2026-01-01"), moment("2026-05-15")
    long = schedule(start, cycle_of("P2ML0"), end, end_of_month=False, with_end=True)
    short = schedule(start, cycle_of("P2ML1"), end, end_of_month=False, with_end=True)
    assert [each.month for each in long] == [1, 3, 5]
    assert [(each.month, each.day) for each in short] == [(1, 1), (3, 1), (5, 1), (5, 15)]


def test_months_keep_their_end_if_the_contract_says_so():
    found = schedule(moment("2026-02-28"), cycle_of("P1M"), moment("2026-05-15"), end_of_month=True, with_end=False)
    assert [each.day for each in found] == [28, 31, 30]


def test_business_days_of_china_know_make_up_saturdays_and_refuse_unannounced_years():
    assert china(date(2026, 2, 14))  # a Saturday worked before the Spring Festival
    assert not china(date(2026, 10, 1))
    with pytest.raises(CalendarMissing):
        china(date(2044, 1, 4))
    assert add_business_days(date(2026, 9, 29), 3, china) == date(2026, 10, 9)
    assert modified_following(date(2026, 10, 31), weekdays) == date(2026, 10, 30)
    assert modified_preceding(date(2026, 8, 1), weekdays) == date(2026, 8, 3)
    saturday = moment("2026-08-01")
    assert shift_of("SCF", "MF").calculated(saturday) == moment("2026-08-03")
    assert shift_of("CSF", "MF").calculated(saturday) == saturday
    assert shift_of("CSF", "MF").shifted(saturday) == moment("2026-08-03")


def test_instalments_are_level_to_the_cent_and_the_last_takes_the_remainder():
    months = [date(2024, month, 1) for month in range(1, 8)]
    progress = Progress(tuple(pairwise(months)), Decimal("0.07"),
                        Basis.of("DAYS_360", "DAYS_30", "MONTHS", 1))  # fmt: skip
    progress.disburse(date(2024, 1, 1), Decimal(100))
    assert [str(period.instalment) for period in progress.schedule] == ["17.01"] * 5 + ["17.00"]
    assert progress.schedule[-1].balance == 0
    with pytest.raises(ContractInvalid):
        progress.disburse(date(2025, 1, 1), Decimal(1))
    with pytest.raises(ContractInvalid):
        Basis.of("DAYS_1", "ACTUAL", "MONTHS", 1)


@pytest.mark.parametrize("name", ["pam", "lam", "nam", "ann", "cec", "ceg"])
def test_the_public_vectors_pass(name):
    path = DATA / "actus" / f"{name}.json"
    if not path.exists():
        pytest.skip("the ACTUS vectors are not on this machine")
    result = check_actus(path)
    assert result.differences == ()


def test_single_schedules_of_the_public_file_are_exact_to_the_cent():
    path = DATA / "emi" / "schedules.json"
    if not path.exists():
        pytest.skip("the instalment schedules are not on this machine")
    result = check_emi(path)
    assert all("not a schedule of disbursements and rates" in each for each in result.differences)
    assert result.passed >= 7


def test_a_file_of_something_else_is_refused(tmp_path):
    for name, content in (("a.json", "{"), ("b.json", "[1]"), ("c.json", '{"x": {"terms": {}}}')):
        (tmp_path / name).write_text(content)
        with pytest.raises(VectorsInvalid):
            check_actus(tmp_path / name)
        with pytest.raises(VectorsInvalid):
            check_emi(tmp_path / name)
    with pytest.raises(VectorsInvalid):
        check_actus(tmp_path / "missing.json")
