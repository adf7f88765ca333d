from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest
from reductions import CHINA_YEAR, PARAMETERS, reduction

from financing.base.errors import CorruptData, MethodologyInvalid, NotFound, QuantityOutOfRange
from financing.base.parameters.loader import load_parameters
from financing.base.parameters.methodologies import read_methodology
from financing.base.quantities import Period
from financing.registry.methodology.definition import compiled
from financing.registry.methodology.engine import period_years
from financing.registry.methodology.expressions import Quantity, parse_expression
from financing.registry.methodology.reduction import shown
from financing.registry.methodology.units import CARBON, ENERGY, NUMBER, parse_unit

EBIKE = Path(__file__).parents[2] / "support" / "ebike.toml"


def evaluate(text, **known):
    return parse_expression(text).evaluate({name: Quantity(Fraction(value), NUMBER) for name, value in known.items()})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1 + 0.2", "3/10"),
        ("1 / 3 + 1 / 3 + 1 / 3", "1"),
        ("-(2 - 5) * 4", "12"),
        ("min(3, 1, 2) + max(0, x)", "8"),
        ("x if x > 5 else 0", "7"),
        ("1 / y if y > 0 else 0", "0"),
        ("1_000 * x", "7000"),
    ],
)
def test_arithmetic_is_exact(text, value):
    assert evaluate(text, x=7, y=0).value == Fraction(value)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "open('x')",
        "x.real",
        "x[0]",
        "[1, 2]",
        "lambda: 1",
        "x ** 99",
        "x // 2",
        "x % 2",
        "min(x)",
        "max(x, key=1)",
        "True",
        "'text'",
        "x and y",
        "x < y < 3",
        "x == y",
        "(x := 3)",
        "f'{x}'",
        "1j",
        "1 +",
        "",
        "x; y",
        "+x",
        "x + " * 200 + "x",
        "(" * 100 + "x" + ")" * 100 + "-" * 60 + "x",
    ],
)
def test_nothing_but_formulas_is_a_formula(text):
    with pytest.raises(MethodologyInvalid):
        parse_expression(text)


def test_unlike_quantities_do_not_add_and_nothing_is_divided_by_zero():
    known = {"a": Quantity(Fraction(1), ENERGY), "b": Quantity(Fraction(1), CARBON)}
    for text in ("a + b", "max(a, b)", "a + 1", "a if b > 1 else 0", "b if a > a else a"):
        with pytest.raises(MethodologyInvalid):
            parse_expression(text).evaluate(known, every_branch=True)
    assert parse_expression("max(a, 0)").evaluate(known).dimension == ENERGY
    with pytest.raises(QuantityOutOfRange):
        parse_expression("a / 0").evaluate(known)
    with pytest.raises(MethodologyInvalid):
        parse_expression("c").evaluate(known)


def test_units_scale_exactly():
    assert parse_unit("kWh").scale == 1000
    assert parse_unit("mgCO2e/kWh").scale == Fraction(1, 10**9)
    assert parse_unit("gC/m2/yr").dimension == parse_unit("tC/ha/yr").dimension
    assert parse_unit("W").dimension.times(parse_unit("h").dimension) == ENERGY
    for text in ("furlong", "kWh^x", "kWh//h", ""):
        with pytest.raises(MethodologyInvalid):
            parse_unit(text)


def test_a_whole_year_is_one_whatever_its_length():
    leap = Period(CHINA_YEAR.start.replace(year=2023), CHINA_YEAR.end.replace(year=2024))
    assert period_years(CHINA_YEAR) == period_years(leap) == 1


def test_values_show_all_their_digits_or_say_that_they_go_on():
    assert (shown("1/3"), shown("5978/10"), shown("1000")) == ("0.333333…", "597.8", "1000")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"trips_km * substituted"', '"trips_km * grid"'),
        ('"trips_km * substituted"', '"trips_km * unknown"'),
        ('"trips_km * substituted"', '"__import__(1)"'),
        ('unit = "kgCO2e/km"', 'unit = "kgCO2e/mile"'),
        ('result = "reduction"', 'result = "charged"'),
        ('name = "baseline"', 'name = "charged"'),
        ('key = "jiangsu_average_2022"', 'key = "mars"'),
        ('role = "cabinet"', 'role = "elsewhere"'),
        ('status = "draft"', 'status = "blessed"'),
        ('value = "0.045"', "value = 0.045"),
    ],
)
def test_a_file_that_does_not_hold_together_is_refused(tmp_path, old, new):
    text = EBIKE.read_text("utf-8")
    assert old in text
    (tmp_path / "ebike.toml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises((CorruptData, MethodologyInvalid)):
        compiled(load_parameters(more_methodologies=tmp_path).methodology("EBIKE", 1))


def test_the_lifecycle_of_a_file_has_dates():
    file = PARAMETERS.methodology("EV", 1)
    days = [date(2023, 5, 1), date(2023, 6, 1), date(2023, 9, 1), date(2024, 1, 1)]
    assert [file.status_on(day) for day in days] == ["draft", "draft", "consultation", "approved"]
    assert read_methodology("own/ebike.toml", EBIKE.read_bytes()).status_on(date(2030, 1, 1)) == "draft"


def test_declared_inputs_are_named_bounded_and_evidenced():
    lamp = {"lamps": "1", "baseline_power": "250", "ballast": "0.1", "project_power": "120", "hours": "10"}
    with pytest.raises(NotFound):
        reduction("LIGHT", declared=lamp)
    with pytest.raises(QuantityOutOfRange):
        reduction("LIGHT", declared=lamp | {"failed": "1.1"})
    with pytest.raises(NotFound):
        reduction("LIGHT", declared=lamp | {"failed": "0", "moonlight": "1"})
    with pytest.raises(NotFound):
        reduction("EV")
