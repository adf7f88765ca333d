import shutil
from datetime import date
from pathlib import Path

import pytest

from financing.base.errors import CorruptData, ParameterMissing
from financing.base.parameters.loader import PARAMETER_ROOT, load_parameters
from financing.base.quantities import EmissionFactor, Rate

TODAY = date(2026, 11, 22)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    root = tmp_path / "parameters"
    shutil.copytree(PARAMETER_ROOT, root, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return root


def edit(root: Path, name: str, old: str, new: str) -> None:
    path = root / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_every_record_is_dated_cited_and_hashed():
    parameters = load_parameters()
    tables = (
        parameters.grid_factors,
        parameters.reference_values,
        parameters.load_limits,
        parameters.certifiers,
        parameters.plausibility_limits,
        parameters.collateral_classes,
        parameters.products,
        parameters.prime_rates,
        parameters.trading_rules,
        parameters.pv_subsidies,
        parameters.regions,
        parameters.recognitions,
    )
    for record in (*parameters.china.years.values(), *(record for table in tables for record in table.records)):
        assert record.source.title
        assert record.version_hash == parameters.hashes[record.file]


def test_factors_are_exact_integers():
    factor = load_parameters().grid_factor("jiangsu_average_2022", TODAY)
    assert factor.factor == EmissionFactor(597_800)
    assert (factor.mark, factor.source.published) == ("V", "2024-12-20")


def test_a_factor_does_not_hold_before_it_was_published():
    with pytest.raises(ParameterMissing):
        load_parameters().grid_factor("jiangsu_average_2022", date(2024, 12, 19))
    with pytest.raises(ParameterMissing):
        load_parameters().grid_factor("jiangsu_average_2031", TODAY)


def test_the_prime_rate_changes_on_its_day():
    parameters = load_parameters()
    assert parameters.prime_rate("1Y", date(2025, 5, 19)).rate == Rate(310)
    assert parameters.prime_rate("1Y", date(2025, 5, 20)).rate == Rate(300)


def test_the_hash_changes_with_the_file(copy: Path):
    before = load_parameters().hashes["lpr.toml"]
    edit(copy, "lpr.toml", "rate_bps = 300", "rate_bps = 301")
    assert load_parameters(copy).hashes["lpr.toml"] != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("lpr.toml", "valid_until = 2025-05-20", "valid_until = 2025-05-21"),
        ("lpr.toml", "rate_bps = 300", "rate_bps = 300\nrate_pct = 3"),
        ("lpr.toml", "rate_bps = 300", 'rate_bps = "300"'),
        ("lpr.toml", "rate_bps = 300", "rate_bps = 3.0"),
        ("lpr.toml", 'source = "nifc"', 'source = "nobody"'),
        ("lpr.toml", 'mark = "R"', 'mark = "X"'),
        ("lpr.toml", "valid_from = 2025-05-20", "valid_from = 2025-13-20"),
        ("lpr.toml", "valid_until = 2024-10-21", "valid_until = 2024-07-22"),
        ("lpr.toml", "[[records]]", "[[entries]]"),
        ("lpr.toml", "rate_bps = 335", 'rate_bps = 335\nversion_hash = "0"'),
        ("collateral_classes.toml", "advance_bps = 4500", "advance_bps = 4600"),
        ("collateral_classes.toml", "warn_bps = 5500", "warn_bps = 6600"),
        ("collateral_classes.toml", "haircut_bps = 5500\nadvance_bps = 4500", "haircut_bps = 4000\nadvance_bps = 4500"),
        ("products/phcer_pledge_loan.toml", '"CEA"]', '"GOLD"]'),
        ("products/phcer_pledge_loan.toml", 'lpr_term = "1Y"', 'lpr_term = "9Y"'),
        ("products/phcer_pledge_loan.toml", "[records.citations.lgd_bps_min]", "[records.citations.lgd]"),
        ("products/phcer_pledge_loan.toml", 'grade = "B"', 'grade = "A"'),
        ("products/phcer_pledge_loan.toml", "score_refer_below = 550", "score_refer_below = 500"),
        ("products/phcer_pledge_loan.toml", "amount_fen_min = 100_000", "amount_fen_min = 2_000_000_000"),
        ("market_rules.toml", 'calendar = "XSHG"', 'calendar = "XXXX"'),
        ("china_calendar.toml", 'key = "china"', 'key = "japan"'),
        ("china_calendar.toml", "valid_until = 2029-01-01", "valid_until = 2028-12-31"),
        ("china_calendar.toml", "[2026-01-01, 2026-01-03]", "[2026-01-03, 2026-01-01]"),
        ("china_calendar.toml", "[2026-01-01, 2026-01-03]", "[2025-12-31, 2026-01-03]"),
        ("china_calendar.toml", "working = [2026-01-04,", "working = [2026-01-05,"),
        ("china_calendar.toml", "working = [2026-01-04,", "working = [2026-01-03,"),
        ("china_calendar.toml", "exchange_closed = [2024-02-09]", "exchange_closed = [2024-02-10]"),
        ("china_calendar.toml", 'status = "provisional"', 'status = "expected"'),
        ("methodologies/pv_v1.toml", 'key = "jiangsu', 'key = "mars'),
        ("methodologies/pv_v1.toml", 'asset_class = "PHCER"', 'asset_class = "GOLD"'),
        ("methodologies/pv_v1.toml", 'mark = "R" }', 'mark = "R", more = 1 }'),
        ("methodologies/pv_v1.toml", 'source = "ams_i_d"', 'source = "nobody"'),
        ("methodologies/pv_v1.toml", 'value = "0"', "value = 0.0"),
        ("methodologies/light_v2.toml", "version = 2", "version = 1"),
        ("methodologies/ev_v1.toml", "on = 2023-09-01", "on = 2024-09-01"),
    ],
)
def test_a_file_that_is_not_exactly_as_declared_is_corrupt(copy: Path, name: str, old: str, new: str):
    edit(copy, name, old, new)
    with pytest.raises(CorruptData) as refusal:
        load_parameters(copy)
    assert refusal.value.context["file"] == name


def test_missing_and_unread_files_are_corrupt(copy: Path):
    (copy / "extra.toml").write_text("[sources]\n")
    with pytest.raises(CorruptData, match=r"extra\.toml"):
        load_parameters(copy)
    (copy / "extra.toml").unlink()
    (copy / "lpr.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(CorruptData, match="TOML"):
        load_parameters(copy)
    (copy / "lpr.toml").unlink()
    with pytest.raises(CorruptData, match="missing"):
        load_parameters(copy)


def test_every_parameter_file_and_key_is_documented():
    text = (Path(__file__).parents[3] / "docs" / "parameters.md").read_text(encoding="utf-8")
    parameters = load_parameters()
    for file in parameters.hashes:
        assert f"`{file}`" in text
    tables = (
        parameters.grid_factors,
        parameters.reference_values,
        parameters.load_limits,
        parameters.certifiers,
        parameters.plausibility_limits,
        parameters.collateral_classes,
        parameters.products,
        parameters.prime_rates,
        parameters.provisioning_rules,
        parameters.price_processes,
        parameters.valuation_rules,
        parameters.stream_rules,
        parameters.stress_scenarios,
        parameters.portfolio_rules,
        parameters.regions,
        parameters.recognitions,
    )
    for table in tables:
        for field in type(table.records[0]).model_fields:
            assert f"`{field}`" in text, field
    for record in (parameters.china.years[2027], parameters.market_rules.records[0]):
        for field in type(record).model_fields:
            assert f"`{field}`" in text, field
    for table in tables:
        for key in table.names():
            assert f"`{key}`" in text, key
