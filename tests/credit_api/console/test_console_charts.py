"""Numbers to places: charts stay inside their frames and say what the numbers say."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_api.console import charts, formats
from credit_api.console.charts import NARROW, WIDE, Zone
from financing.base.quantities import Carbon, Energy, Money, Price, Rate

START = datetime(2026, 1, 1, tzinfo=UTC)
values = st.lists(st.floats(0, 1e12, allow_nan=False), min_size=1, max_size=60)


@pytest.mark.parametrize("frame", [WIDE, NARROW])
@given(numbers=values)
def test_a_line_stays_inside_its_frame(frame, numbers):
    points = [(START + timedelta(days=n), value) for n, value in enumerate(numbers)]
    drawn = charts.line_chart(frame, points, str)
    places = [
        tuple(map(float, step.strip("ML ").split())) for step in drawn.path.replace("M", " L").split(" L") if step
    ]
    assert len(places) == len(points)
    assert all(frame.left <= x <= frame.x_end and frame.top <= y <= frame.y_end for x, y in places)
    # A larger value is never drawn lower.
    order = sorted(range(len(numbers)), key=lambda n: numbers[n])
    heights = [places[n][1] for n in order]
    assert heights == sorted(heights, reverse=True)


@given(numbers=values, lines=st.lists(st.floats(1, 1e9), min_size=3, max_size=3))
def test_zones_lie_below_one_another(numbers, lines):
    points = [(START + timedelta(days=n), value) for n, value in enumerate(numbers)]
    zones = [Zone(tone, tone, value) for tone, value in zip("abc", sorted(lines, reverse=True), strict=True)]
    bands = charts.line_chart(WIDE, points, str, zones=zones).bands
    for above, below in pairwise(bands):
        assert above.top + above.height <= below.top + 0.02
    assert all(band.top >= WIDE.top and band.top + band.height <= WIDE.y_end + 0.02 for band in bands)


@given(numbers=values)
def test_bars_stand_on_the_ground(numbers):
    days = [(START + timedelta(days=n), value) for n, value in enumerate(numbers)]
    for bar in charts.bar_chart(WIDE, days, str, str).bars:
        assert bar.y + bar.height == pytest.approx(WIDE.y_end, abs=0.02)
        assert WIDE.left <= bar.x < WIDE.x_end


@given(low=st.floats(0, 1e6), span=st.floats(1e-3, 1e6))
def test_ticks_are_round_and_inside(low, span):
    ticks = charts.nice_steps(low, low + span)
    assert len(ticks) <= 6
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in ticks)


def test_a_gauge_marks_the_score_on_its_grades():
    left, right = charts.gauge(300), charts.gauge(850)
    assert left.marker_x < right.marker_x
    assert [grade for grade, _ in left.arcs] == ["E", "D", "C", "B", "A"]
    assert [label for _, _, label in left.ticks] == ["300", "480", "540", "600", "660", "850"]


def test_metric_panels_mark_the_better_end():
    metrics = {
        "federated": {"auc": 0.79, "ks": 0.45, "brier": 0.13, "ece": 0.02, "rows": 10.0},
        "xgboost": {"auc": 0.80, "ks": 0.44, "brier": 0.14, "ece": 0.01, "rows": 10.0},
    }
    best = {
        panel.metric: [dot.name for dot in panel.dots if dot.best]
        for panel in charts.metric_panels(metrics, ("federated", "xgboost", "absent"))
    }
    assert best == {"auc": ["xgboost"], "ks": ["federated"], "brier": ["federated"], "ece": ["xgboost"]}


def test_quantities_are_shown_exactly():
    assert formats.money(Money(123456789)) == "¥1,234,567.89"
    assert formats.money(Money(-5)) == "−¥0.05"
    assert formats.tonnes(Carbon(1234567)) == "1,234.567 t"
    assert formats.price(Price(3000)) == "¥30.00/t"
    assert formats.percent(Rate(4238)) == "42.38 %"
    assert formats.mwh(Energy(28_640_743_000)) == "28,640.743 MWh"
    assert formats.money(None) == formats.tonnes(None) == "—"
    assert formats.moment(datetime(2026, 11, 22, 18, 30, tzinfo=UTC)) == "2026-11-23 02:30"
    assert formats.fact("latest_fen_per_tonne", 3000) == "¥30.00/t"
    assert formats.fact("debt_fen", 100) == "¥1.00"
    assert formats.fact("jump_bps_max", 3000) == "30.00 %"
    assert formats.fact("outstanding_kg", 1500) == "1.500 t"
