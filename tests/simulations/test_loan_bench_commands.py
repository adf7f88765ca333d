"""`tanxin bench actus`, `emi` and the carbon-risk experiment, small."""

import json
from datetime import date

from command_line import CliRunner, app

from financing.base.parameters import load_parameters
from financing.valuation.portfolio.joint import simulate
from simulations.experiments.carbon_risk.book import portfolio_report
from simulations.experiments.carbon_risk.report import tables_of
from simulations.experiments.carbon_risk.run import carbon_risk
from simulations.worlds.carbon_loans import carbon_loans

VECTOR = {
    "terms": {
        "contractType": "PAM", "contractRole": "RPA", "statusDate": "2025-12-31T00:00:00",
        "initialExchangeDate": "2026-01-01T00:00:00", "maturityDate": "2027-01-01T00:00:00",
        "notionalPrincipal": "1000", "dayCountConvention": "A365", "currency": "CNY",
    },
    "to": "", "dataObserved": {}, "eventsObserved": [],
    "results": [
        {"eventDate": "2026-01-01T00:00:00", "eventType": "IED", "payoff": "-1000", "notionalPrincipal": "1000"},
        {"eventDate": "2027-01-01T00:00:00", "eventType": "MD", "payoff": "1000", "notionalPrincipal": "0"},
    ],
}  # fmt: skip


def ran(*arguments):
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def test_vectors_that_pass_fail_or_cannot_be_read_end_in_0_1_2(tmp_path):
    right, wrong, broken = tmp_path / "right.json", tmp_path / "wrong.json", tmp_path / "broken.json"
    right.write_text(json.dumps({"one": VECTOR}))
    other = VECTOR | {"results": [*VECTOR["results"][:1], VECTOR["results"][1] | {"payoff": "999"}]}
    wrong.write_text(json.dumps({"one": VECTOR, "two": other}))
    broken.write_text("{")
    passed = ran("actus", right)
    assert (passed.exit_code, passed.stdout.splitlines()[-1]) == (0, "passed 1 of 1")
    failed = ran("actus", wrong)
    assert failed.exit_code == 1
    assert "two: event 2 (MD 2027-01-01T00:00:00): payoff: expected 999.0, found 1000.0" in failed.stdout
    assert json.loads(ran("actus", wrong, "--json").stdout)["passed"] == 1
    for command in ("actus", "emi"):
        assert ran(command, broken).exit_code == 2
        assert ran(command, tmp_path / "missing.json").exit_code == 2


def test_an_unknown_part_is_named():
    answer = ran("finance", "--only", "everything")
    assert answer.exit_code == 2


def test_the_experiment_runs_on_generated_prices_and_says_so():
    report, markets, _ = carbon_risk(None, date(2026, 11, 20), 7, 50_000, 100, lambda _: None)
    assert report["data_origin"] == "generated"
    assert len(markets) == 4
    assert any("generated" in table for table in tables_of(report))
    # The portfolio once more, which comes of the same seed: without the fits, which take most of the time.
    world = carbon_loans(load_parameters(), date(2026, 11, 20), 100, 7)
    losses = simulate(world.book, world.dependence, 50_000, 7)
    assert portfolio_report(world, losses, 50_000, 7) == report["portfolio"]
