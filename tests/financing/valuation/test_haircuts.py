from datetime import date
from math import exp, sqrt

import pytest

from financing.base.errors import ParameterMissing, RiskInputInvalid
from financing.base.parameters.loader import load_parameters
from financing.base.quantities import Carbon, Rate
from financing.valuation.price_models.haircuts import (
    Position,
    Verdict,
    derive,
    price_move,
    review,
    scaled_to_revaluation,
)
from financing.valuation.price_models.processes import on_record

ON = date(2026, 11, 20)
PARAMETERS = load_parameters()
CLASSES = PARAMETERS.classes_on(ON)
RULES = {rule.key: rule for rule in PARAMETERS.valuation_rules.records}
MODELS = {record.key: on_record(record)[0] for record in PARAMETERS.price_processes.records}


def test_the_price_part_is_the_formula_rounded_up():
    exact = 1 - exp(-2.326 * 0.42 * sqrt(60 / 252))
    assert price_move(0.42, 60).bps - 1 < exact * 10_000 <= price_move(0.42, 60).bps
    for bad in (0.0, -0.1, float("nan"), float("inf")):
        with pytest.raises(RiskInputInvalid):
            price_move(bad, 20)


@pytest.mark.parametrize(
    ("key", "derived", "in_force"),
    [("CEA", 3_000, 3_000), ("CCER", 3_178, 3_500), ("PHCER", 5_492, 5_500), ("PHCER_WETLAND", 6_492, 6_500)],
)
def test_every_class_in_force_holds_what_is_derived(key, derived, in_force):
    row = next(row for row in review(RULES, CLASSES, MODELS) if row.asset_class == key)
    assert (row.derived.total, row.in_force, row.verdict) == (Rate(derived), Rate(in_force), Verdict.HOLDS)
    assert Rate(0) < row.jump_var < row.in_force


def test_a_derived_haircut_above_the_file_s_says_so():
    untraded = Position(Carbon(1_000), Carbon(100_000), 20)
    rows = review(RULES, CLASSES, MODELS, {"PHCER": untraded})
    row = next(row for row in rows if row.asset_class == "PHCER")
    assert (row.derived.total, row.verdict) == (Rate(5_992), Verdict.TOO_LOW)


def test_add_ons_fall_due_where_nobody_knows():
    rule = RULES["PHCER"]
    at_ease = derive(rule, Position(Carbon(25_000), Carbon(100_000), 19))
    assert (at_ease.concentration, at_ease.untraded) == (Rate(0), Rate(0))
    assert derive(rule, Position(Carbon(25_001), Carbon(100_000), 19)).concentration == Rate(500)
    unknown = derive(rule, Position(Carbon(1), None, None))
    assert (unknown.concentration, unknown.untraded) == (Rate(500), Rate(500))
    assert derive(rule).total <= unknown.total <= Rate(10_000)


def test_no_haircut_is_reviewed_without_a_file_or_a_model():
    with pytest.raises(ParameterMissing):
        review(RULES, {}, MODELS)
    with pytest.raises(ParameterMissing):
        review(RULES, CLASSES, {})


def test_a_published_haircut_is_scaled_to_how_often_value_is_looked_at():
    assert scaled_to_revaluation(Rate(2_500), 10, 1) == Rate(2_500)
    assert scaled_to_revaluation(Rate(2_500), 10, 30) == Rate(4_938)
    with pytest.raises(RiskInputInvalid):
        scaled_to_revaluation(Rate(2_500), 0, 1)
