"""Daily series of carbon markets, from public copies of exchange prices or generated from the parameters on record."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from financing.base.errors import CorruptData
from financing.base.parameters import Parameters
from financing.valuation.price_models.processes import on_record
from financing.valuation.price_models.series import TRADING_DAYS, PriceSeries, series_of
from financing.valuation.price_models.tail_risk import simulated_paths

FIRST = date(2021, 1, 1)
GENERATED_DAYS = 4 * TRADING_DAYS


@dataclass(frozen=True, slots=True)
class Market:
    """A series and where it comes from."""

    key: str
    origin: str
    series: PriceSeries


def markets_from(folder: Path) -> list[Market]:
    """The markets of `folder`, from 2021 on as the fits on record are. Raises `CorruptData` if a file is not there.

    Guangdong and Hubei publish a day's low and high; the middle stands for the day.
    """
    both = _rows(folder / "china_pilot_low_high_daily.csv")
    middles = {
        name: [
            (date.fromisoformat(row["date"]), (float(row["low_cny"]) + float(row["high_cny"])) / 2)
            for row in both
            if row["market"] == name
        ]
        for name in ("Guangdong", "Hubei")
    }
    closes = {
        "CEA": ("cea_national_excerpt.csv", "close_cny"),
        "EUA": ("eua_daily_2005_2024.csv", "price_eur"),
    }
    markets = {
        key: [(date.fromisoformat(row["date"]), float(row[column])) for row in _rows(folder / name)]
        for key, (name, column) in closes.items()
    }
    markets |= {"GDEA": middles["Guangdong"], "HBEA": middles["Hubei"]}
    return [_market(key, markets[key]) for key in ("CEA", "GDEA", "HBEA", "EUA")]


def generated_markets(parameters: Parameters, on: date, seed: int) -> list[Market]:
    """Four years of each market on record, drawn from its jump-diffusion: what a fit should find again."""
    markets = []
    for place, process in enumerate(parameters.price_processes.records):
        model, _ = on_record(process)
        path = simulated_paths(model, process.theta, GENERATED_DAYS, 1, seed + place)[0]
        days = (on - timedelta(days=GENERATED_DAYS - i) for i in range(GENERATED_DAYS + 1))
        rows = series_of(process.key, zip(days, (float(price) for price in path), strict=True))
        markets.append(Market(process.key, "generated", rows))
    return markets


def _market(key: str, rows: list[tuple[date, float]]) -> Market:
    kept = [row for row in rows if row[0] >= FIRST]
    origin = f"{kept[0][0]} to {kept[-1][0]}, {len(kept)} days"
    return Market(key, origin, series_of(key, kept))


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise CorruptData(f"{path.name} is not in the folder", file=path.name)
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
