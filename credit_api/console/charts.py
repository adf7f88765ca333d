"""Charts as geometry: numbers to places on a canvas. Templates draw them as SVG; nothing is drawn by a script.

Every time series comes in two widths, because text in a scaled-down drawing is too small to read on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from federated.models.served.scaling import GRADE_FLOORS
from financing.base.quantities import CHINA_TIME

SCORE_LOW, SCORE_HIGH = 300, 850


@dataclass(frozen=True, slots=True)
class Frame:
    """A canvas and its margins, in drawing units (one unit is one pixel at full size)."""

    width: int
    height: int
    left: int
    right: int = 12
    top: int = 14
    bottom: int = 26

    @property
    def x_end(self) -> int:
        return self.width - self.right

    @property
    def y_end(self) -> int:
        return self.height - self.bottom


WIDE = Frame(1120, 270, left=92)
NARROW = Frame(340, 220, left=66)


@dataclass(frozen=True, slots=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Band:
    """A horizontal zone between two heights, and where its name is written."""

    tone: str
    key: str
    top: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone of values, from below `upto` down to the next zone. `key` names it in the texts."""

    tone: str
    key: str
    upto: float


@dataclass(frozen=True, slots=True)
class LineChart:
    frame: Frame
    path: str
    area: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    bands: tuple[Band, ...]
    rule: Tick | None
    end_x: float
    end_y: float
    end_label: str


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class BarChart:
    frame: Frame
    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class Gauge:
    """A half circle from 300 to 850: the arc of each grade, the marker, and the grade floors' labels."""

    arcs: tuple[tuple[str, str], ...]
    marker_x: float
    marker_y: float
    inner_x: float
    inner_y: float
    ticks: tuple[tuple[float, float, str], ...]


def nice_steps(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers from at or above `low` to at or below `high`, about `wanted` of them, in steps of 1, 2 or 5."""
    span = high - low
    if span <= max(abs(high) * 1e-12, 1e-200):
        return [low]
    raw = span / wanted
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= raw)
    first = math.ceil(low / step)
    return [n * step for n in range(first, math.floor(high / step) + 1)]


def _place(value: float, low: float, high: float, start: float, end: float) -> float:
    share = 0.5 if high == low else (value - low) / (high - low)
    return round(start + share * (end - start), 2)


def _dates(frame: Frame, first: datetime, last: datetime, places: int) -> tuple[Tick, ...]:
    span = (last - first).total_seconds()
    long = span > 400 * 86_400
    ticks = []
    for number in range(places):
        at = first + (last - first) * (number / max(places - 1, 1))
        label = at.astimezone(CHINA_TIME).strftime("%Y-%m" if long else "%m-%d")
        ticks.append(Tick(_place(number, 0, max(places - 1, 1), frame.left, frame.x_end), label))
        if span <= 0:
            break
    return tuple(ticks)


def line_chart(
    frame: Frame,
    points: Sequence[tuple[datetime, float]],
    label: Callable[[float], str],
    *,
    zones: Sequence[Zone] = (),
    rule: tuple[float, str] | None = None,
    zone_label: Callable[[str], str] = str,
) -> LineChart:
    """A line over time. `zones` run from the highest threshold to the lowest; `rule` is a value drawn straight across.

    `points` is not empty, in time order.
    """
    values = [value for _, value in points]
    marks = [*values, *([rule[0]] if rule else ())]
    low, high = min(marks), max([*marks, *(zone.upto for zone in zones)])
    pad = (high - low) * 0.08 or high * 0.05 or 1.0
    low, high = max(low - pad, 0.0), high + pad
    first, last = points[0][0], points[-1][0]
    span = (last - first).total_seconds()

    def x(at: datetime) -> float:
        return _place((at - first).total_seconds(), 0, span, frame.left, frame.x_end)

    def y(value: float) -> float:
        return _place(value, low, high, frame.y_end, frame.top)

    steps = [(x(at), y(value)) for at, value in points]
    path = "M" + " L".join(f"{px} {py}" for px, py in steps)
    area = f"{path} L{steps[-1][0]} {frame.y_end} L{steps[0][0]} {frame.y_end} Z"
    return LineChart(
        frame=frame,
        path=path,
        area=area,
        x_ticks=_dates(frame, first, last, 6 if frame.width > 500 else 3),
        y_ticks=tuple(Tick(y(value), label(value)) for value in nice_steps(low, high)),
        bands=tuple(_bands(frame, zones, low, y, zone_label)),
        rule=Tick(y(rule[0]), rule[1]) if rule else None,
        end_x=steps[-1][0],
        end_y=steps[-1][1],
        end_label=label(values[-1]),
    )


def _bands(
    frame: Frame, zones: Sequence[Zone], low: float, y: Callable[[float], float], name: Callable[[str], str]
) -> list[Band]:
    bands = []
    floors = [*(zone.upto for zone in zones), low][1:]
    for zone, floor in zip(zones, floors, strict=True):
        top, bottom = y(zone.upto), min(y(floor), frame.y_end)
        if bottom > top:
            bands.append(Band(zone.tone, zone.key, top, round(bottom - top, 2), name(zone.key)))
    return bands


def bar_chart(
    frame: Frame, bars: Sequence[tuple[datetime, float]], label: Callable[[float], str], title: Callable[[float], str]
) -> BarChart:
    """One bar a day. `bars` is not empty, in time order; days without a reading leave a gap."""
    first, last = bars[0][0], bars[-1][0]
    days = round((last - first).total_seconds() / 86_400) + 1
    high = max(value for _, value in bars) * 1.06 or 1.0
    slot = (frame.x_end - frame.left) / days
    drawn = []
    for at, value in bars:
        place = round((at - first).total_seconds() / 86_400)
        top = _place(value, 0, high, frame.y_end, frame.top)
        drawn.append(
            Bar(
                x=round(frame.left + place * slot + slot * 0.1, 2),
                y=top,
                width=round(max(slot * 0.8, 0.5), 2),
                height=round(frame.y_end - top, 2),
                title=f"{at.astimezone(CHINA_TIME):%Y-%m-%d} · {title(value)}",
            )
        )
    return BarChart(
        frame=frame,
        bars=tuple(drawn),
        x_ticks=_dates(frame, first, last, 6 if frame.width > 500 else 3),
        y_ticks=tuple(Tick(_place(v, 0, high, frame.y_end, frame.top), label(v)) for v in nice_steps(0, high)),
    )


def gauge(score: int) -> Gauge:
    """Where a score stands on the scale, with the grades' ranges. Centre (150, 140), radius 120."""
    floors = [*reversed(GRADE_FLOORS)]
    bounds = [floor for _, floor in floors] + [SCORE_HIGH]
    arcs = tuple(
        (grade, _arc(low, high)) for (grade, _), low, high in zip(floors, bounds[:-1], bounds[1:], strict=True)
    )
    marker_x, marker_y = _polar(score, 132)
    inner_x, inner_y = _polar(score, 96)
    ticks = tuple((*_polar(bound, 140), str(bound)) for bound in bounds)
    return Gauge(arcs, marker_x, marker_y, inner_x, inner_y, ticks)


def _polar(score: float, radius: float) -> tuple[float, float]:
    angle = math.pi * (1 - (score - SCORE_LOW) / (SCORE_HIGH - SCORE_LOW))
    return round(160 + radius * math.cos(angle), 2), round(152 - radius * math.sin(angle), 2)


def _arc(low: float, high: float) -> str:
    (x1, y1), (x2, y2) = _polar(low + 2, 114), _polar(high - 2, 114)
    return f"M{x1} {y1} A114 114 0 0 1 {x2} {y2}"


@dataclass(frozen=True, slots=True)
class Dot:
    """One model's value of one metric, and its place on the metric's own strip (0 to 100)."""

    name: str
    value: float
    place: float
    best: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """One metric over several models. `higher` says which way is better."""

    metric: str
    higher: bool
    dots: tuple[Dot, ...]


HIGHER_IS_BETTER = {"auc": True, "ks": True, "brier": False, "ece": False}


def metric_panels(metrics: dict[str, dict[str, float]], names: Sequence[str]) -> tuple[Panel, ...]:
    """A strip of dots a metric, each on its own scale around the values; the best value is marked."""
    shown = [name for name in names if name in metrics]
    panels = []
    for metric, higher in HIGHER_IS_BETTER.items():
        values = [metrics[name][metric] for name in shown]
        if not values:
            continue
        best = max(values) if higher else min(values)
        pad = (max(values) - min(values)) * 0.25 or abs(best) * 0.05 or 1.0
        low, high = min(values) - pad, max(values) + pad
        dots = tuple(
            Dot(name, value, _place(value, low, high, 4, 96), value == best)
            for name, value in zip(shown, values, strict=True)
        )
        panels.append(Panel(metric, higher, dots))
    return tuple(panels)
