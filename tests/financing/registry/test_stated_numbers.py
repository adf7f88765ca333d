"""A node's statement has numbers that readings have: with others a claim's page failed for good."""

import plants
import pytest

from financing.base.quantities import Period
from financing.registry.metering.node.statement import _finding, total_document, total_stated
from financing.registry.metering.totals import total_of

TWO_DAYS = Period(plants.FIRST, plants.FIRST + plants.HOUR * 48)
DOCUMENT = total_document(total_of(plants.readings("M-1", 2), TWO_DAYS, 3))


def test_what_was_stated_is_read_again():
    assert total_document(total_stated(DOCUMENT)) == DOCUMENT


@pytest.mark.parametrize(
    "changed",
    [
        {"through_batch": -1}, {"through_batch": 10**30}, {"intervals_missing": -5}, {"intervals_missing": 49},
        {"intervals_expected": 10**30}, {"commitment": "x" * 2_000}, {"energy_wh": -1}, {"export_wh": 1.5},
    ],
)  # fmt: skip
def test_numbers_that_no_readings_have_are_no_statement(changed):
    with pytest.raises((ValueError, TypeError)):
        total_stated(DOCUMENT | changed)


@pytest.mark.parametrize(
    "told", [["gap", "error", "缺", "gap", -3, None], ["gap", "error", "缺", "g" * 2_000, 1, None]]
)
def test_a_finding_is_short_and_counted(told):
    assert _finding(["gap", "error", "缺", "gap", 3, None]).count == 3
    with pytest.raises(ValueError, match="short text"):
        _finding(told)
