"""Tables of a carbon-risk report, for the README and the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simulations.tables import rewrite_tables

Json = dict[str, Any]


def tables_of(report: Json) -> list[str]:
    """Every table of one report, Markdown."""
    return [
        f"**Prices: {report['data_origin']}. Loan book: {report['book']}.** Seed {report['seed']}, {report['on']}.",
        _fits(report),
        _jumps(report),
        _anchors(report),
        _haircuts(report),
        _streams(report),
        _portfolio(report),
        _stress(report),
        _reverse(report),
    ]


def update_readme(folder: Path) -> str:
    """Rewrite the tables in `folder`/README.md from `folder`/reports/*.json; return the new text."""
    return rewrite_tables(folder, lambda reports: [part for report in reports for part in tables_of(report)])


def _table(headings: str, rows: list[str]) -> str:
    return "\n".join([headings, "|" + "---|" * (headings.count("|") - 1), *rows])


def _fits(report: Json) -> str:
    rows = []
    for market in report["markets"]:
        own, record = market["found"], market["record"]
        rows.append(
            f"| {market['key']} | on record | {record['volatility']:.3f} | {record['kappa']:.2f} "
            f"({record['half_life_days']:.0f}) | {record['theta']:.1f} | {record['dickey_fuller_t']:.2f} | "
            f"{_history(record['historic_var_pct'])} | {record['default'].replace('_', ' ')} |"
        )
        if own is None:
            rows.append(
                f"| {market['key']} | {market['origin']} | not fitted: {market['refused']['detail']} | | | | | |"
            )
            continue
        reverting = own["mean_reverting"]
        back = f"{reverting['kappa']:.2f} ({reverting['half_life_days']:.0f})" if reverting else "none"
        rows.append(
            f"| {market['key']} | {market['origin']} | {own['volatility']:.3f} | {back} | "
            f"{format(reverting['theta'], '.1f') if reverting else '–'} | {own['dickey_fuller_t']:.2f} | "
            f"{_history(own['historic_var_pct'])} | {own['default'].replace('_', ' ')} |"
        )
    heading = "| market | data | vol | κ (half-life d) | θ | DF t | historic VaR99 10/20/63 d % | default |"
    return _table(heading, rows)


def _history(values: list[float]) -> str:
    return "/".join(f"{each:.1f}" for each in values)


def _jumps(report: Json) -> str:
    rows = []
    for market in report["markets"]:
        rows.append(
            _jump_row(market["key"], "on record", market["record"], report["anchors"][market["key"]]["exact_pct"])
        )
        for way in ("threshold", "likelihood") if market["found"] else ():
            own = market["found"][way]
            rows.append(_jump_row(market["key"], f"this data, {way}", own, own["tail_20_pct"]))
    return _table("| market | jump-diffusion | σ | λ | μ_J | σ_J | 20-day VaR99/ES99 %, μ = 0 |", rows)


def _jump_row(key: str, way: str, model: Json, tail: list[float]) -> str:
    bound = " (bound)" if model.get("at_bound") else ""
    return (
        f"| {key} | {way} | {model['sigma']:.3f} | {model['jump_rate']:.1f}{bound} | {model['jump_mean']:+.3f} | "
        f"{model['jump_sd']:.3f} | {tail[0]:.1f}/{tail[1]:.1f} |"
    )


def _anchors(report: Json) -> str:
    rows = []
    for key, anchor in report["anchors"].items():
        record, exact, drawn, error = (anchor[n] for n in ("record_pct", "exact_pct", "drawn_pct", "drawn_error_pct"))
        year = anchor["one_year_var_pct"]
        rows.append(
            f"| {key} | {record[0]:.1f}/{record[1]:.1f} | {exact[0]:.2f}/{exact[1]:.2f} | "
            f"{drawn[0]:.2f} ±{error[0]:.2f} / {drawn[1]:.2f} ±{error[1]:.2f} | "
            f"{year['jump_diffusion']:.1f} | {year['ornstein_uhlenbeck']:.1f} |"
        )
    return _table(
        "| parameters on record | 20-day VaR99/ES99 % | closed form | Monte Carlo ± s.e. | one-year VaR99 %, jumps | "
        "one-year, reverting from θ |",
        rows,
    )


def _haircuts(report: Json) -> str:
    rows = [
        f"| {row['class']} | {_pct(row['price_move_bps'])} | {_pct(row['block_bps'])} | {_pct(row['quality_bps'])} | "
        f"{_pct(row['floor_bps'])} | {_pct(row['derived_bps'])} | {_pct(row['in_force_bps'])} | {row['verdict']} | "
        f"{_pct(row['after_20_quiet_days_bps'])}, {row['verdict_after_20_quiet_days']} | {_pct(row['jump_var_bps'])} |"
        for row in report["haircuts"]
    ]
    return _table(
        "| class | price move | block | quality | floor | derived | in force | verdict | after 20 quiet days | "
        "jump-diffusion VaR99 of the sale |",
        rows,
    )


def _pct(bps: int) -> str:
    return f"{bps / 100:.2f} %"


def _streams(report: Json) -> str:
    streams = report["streams"]
    rows = [
        f"| {key} | {row['tonnes_p90']:,.1f} | {row['expected_yuan']:,.0f} | {row['at_p90_yuan']:,.0f} | "
        f"{row['lendable_yuan']:,.0f} |"
        for key, row in streams["scenarios"].items()
    ]
    hours = streams["yield_h"]
    return _table(
        "| 1 MW roof, five years, generated | t at P90 | expected, yuan | at P90, yuan | lendable, yuan |", rows
    ) + (
        f"\n\nYield P50 {hours['p50']:.0f} h, P90 {hours['p90']:.0f} h, {hours['performance']:.3f} of the plane's sun; "
        f"the factor's cut takes {streams['tonnes_lost_bps']['jiangsu_average_2022'] / 100:.2f} % (Jiangsu 2022), "
        f"{streams['tonnes_lost_bps']['0.42'] / 100:.2f} % (0.42) of the tonnes; electricity of twelve months at P90 "
        f"{streams['receivable_12_months_yuan']:,.0f} yuan."
    )


def _portfolio(report: Json) -> str:
    own = report["portfolio"]
    rows = [
        f"| {name} | {risk['expected_loss_yuan'] / 1e6:,.2f} ±{risk['expected_loss_error_yuan'] / 1e6:.2f} | "
        f"{risk['var_yuan'] / 1e6:,.1f} ±{risk['var_error_yuan'] / 1e6:.1f} | {risk['es_yuan'] / 1e6:,.1f} | "
        f"{risk['economic_capital_yuan'] / 1e6:,.1f} |"
        for name, risk in (
            (f"wrong-way correlation {own['wrong_way']}", own["base"]),
            ("no wrong-way risk", own["without_wrong_way"]),
        )
    ]
    base = own["base"]
    head = (
        f"{own['paths']:,} paths × {own['loans']:,} generated loans of {base['exposure_yuan'] / 1e6:,.0f} M yuan, "
        f"as concentrated as {base['equal_loans']:,.0f} equal loans.\n\n"
    )
    classes = [
        f"| {row['class']} | {row['exposure_yuan'] / 1e6:,.0f} | {row['expected_loss_yuan'] / 1e6:,.2f} | "
        f"{row['tail_yuan'] / 1e6:,.1f} |"
        for row in base["classes"]
    ]
    return "\n\n".join(
        [
            head + _table("| M yuan, 99.9 % over one year | expected loss | VaR | ES | economic capital |", rows),
            _table("| class, M yuan | exposure | expected loss | part of ES |", classes),
        ]
    )


def _stress(report: Json) -> str:
    rows = [
        f"| {row['scenario']} | {row['expected_loss_yuan'] / 1e6:,.2f} | {row['economic_capital_yuan'] / 1e6:,.1f} | "
        f"{', '.join(f'{count} {name}' for name, count in row.get('statuses', {}).items())} | {row.get('calls', '')} | "
        f"{_cure(row)} |"
        for row in report["stress"]
    ]
    return _table(
        "| scenario | expected loss, M yuan | economic capital | statuses of single loans | calls | cure, M yuan |",
        rows,
    )


def _cure(row: Json) -> str:
    if "cure_yuan" not in row:
        return ""
    return "unknown" if row["cure_yuan"] is None else f"{row['cure_yuan'] / 1e6:,.2f}"


def _reverse(report: Json) -> str:
    rows = []
    for line, case in report["reverse"]["lines"].items():
        reached = " | ".join("never" if fall is None else _pct(fall) for fall in case["fall_breaking_bps"].values())
        rows.append(f"| {line} | {_pct(case['first_fall_bps'])} | {reached} |")
    return _table("| smallest price fall at which | the first loan | 1 % of debt | 10 % | 50 % | all reach it |", rows)
