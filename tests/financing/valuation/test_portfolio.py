from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from financing.base.errors import RiskInputInvalid
from financing.base.quantities import Price, Rate
from financing.valuation.portfolio.default_sampling import DefaultSampler
from financing.valuation.portfolio.joint import simulate
from financing.valuation.portfolio.loan_book import ClassRisk, Dependence, LoanBook, basel_loading
from financing.valuation.portfolio.portfolio_risk import assess
from financing.valuation.price_models.processes import JumpDiffusion
from financing.valuation.price_models.tail_risk import jump_mixture

MODEL = JumpDiffusion(0.0, 0.24, 23.0, 0.0, 0.07)
ALONE = Dependence(0.5, 0.0, 0.03, 252, Rate(0), Rate(0), Rate(0))
TWO = (
    ClassRisk("PHCER", Price(3_000), MODEL, 60, Rate(1_700)),
    ClassRisk("STREAM", Price(3_000), MODEL, 60, Rate(0), True),
)


def book(n=400, *, pd=0.03, loading=0.4, collateral=0, exposure=100_000_000, classes=TWO):
    return LoanBook(
        exposure=np.full(n, exposure, dtype=np.int64),
        pd=np.full(n, pd),
        loading=np.full(n, loading),
        class_index=np.arange(n, dtype=np.int64) % len(classes),
        collateral=np.full(n, collateral, dtype=np.int64),
        classes=classes,
    )


def mixed(n=300, seed=1):
    g = np.random.default_rng(seed)
    pd = np.exp(g.normal(-3.5, 1.0, n)).clip(0.0005, 0.5)
    return replace(
        book(n, collateral=20_000_000),
        exposure=np.exp(g.normal(18, 1, n)).astype(np.int64),
        pd=pd,
        loading=g.uniform(0.0, 0.7, n),
    )


@pytest.mark.parametrize("bands", [1, 7, 128])
def test_every_loan_defaults_as_often_as_the_copula_says(bands):
    loans = mixed()
    generator = np.random.default_rng(4)
    paths = 30_000
    sampler = DefaultSampler.of(loans, bands)
    counts = np.zeros(len(loans))
    for _ in range(20):
        path, row = sampler.drawn(generator.standard_normal(paths // 20), generator)
        assert len(np.unique(path * len(loans) + row)) == len(path)
        counts += np.bincount(row, minlength=len(loans))
    errors = np.sqrt(loans.pd * (1 - loans.pd) / paths)
    scores = (counts / paths - loans.pd) / errors
    assert np.abs(scores).max() < 5
    # Loans share one factor, so their scores move together; the spread around zero stays that of one loan.
    assert np.sqrt(np.mean(scores**2)) < 2


def test_loans_default_alone_given_the_factor():
    loans = book(50, pd=0.1, loading=0.5)
    z = -1.3
    given = float(stats.norm.cdf((stats.norm.ppf(0.1) - 0.5 * z) / np.sqrt(0.75)))
    path, _ = DefaultSampler.of(loans).drawn(np.full(40_000, z), np.random.default_rng(5))
    counts = np.bincount(path, minlength=40_000)
    expected = stats.binom(50, given)
    assert counts.mean() == pytest.approx(expected.mean(), rel=0.005)
    assert counts.var() == pytest.approx(expected.var(), rel=0.03)
    assert np.mean(counts <= 10) == pytest.approx(expected.cdf(10), abs=0.01)


def test_a_large_even_book_has_vasicek_s_quantile():
    loans = book(2_000)
    losses = simulate(loans, ALONE, 60_000, seed=3)
    share = losses.total / loans.exposure.sum()
    exact = stats.norm.cdf((stats.norm.ppf(0.03) + 0.4 * stats.norm.ppf(0.99)) / np.sqrt(1 - 0.16))
    assert share.mean() == pytest.approx(0.03, rel=0.01)
    assert np.quantile(share, 0.99) == pytest.approx(exact, rel=0.03)


def test_what_a_sale_leaves_is_black_s_formula_over_the_mixture():
    loans = book(400, collateral=35_000_000, classes=TWO[:1])
    risk = Dependence(0.5, 0.0, 0.0, 252, Rate(2_000), Rate(0), Rate(600))
    mixture = jump_mixture(MODEL, (252 + 60) / 252)
    brought = 35_000_000 * 3.0 * 0.83 * np.exp(-0.06 * 60 / 252)
    # E[(E − b·e^R)⁺] = E·P(R ≤ ln(E/b)) − b·E[e^R; R ≤ ln(E/b)]
    edge = float(np.log(1e8 / brought))
    uncovered = 1e8 * mixture.cdf(edge) - brought * mixture.partial_growth(edge)
    losses = simulate(loans, risk, 100_000, seed=8)
    error = losses.total.std() / np.sqrt(100_000)
    assert abs(losses.total.mean() - 400 * 0.03 * 0.8 * uncovered) < 4 * error


def test_wrong_way_risk_costs_what_the_integral_says():
    loans = book(200, pd=0.05, collateral=35_000_000, classes=(replace(TWO[0], model=replace(MODEL, jump_rate=0.0)),))
    risk = replace(ALONE, wrong_way=0.6, yield_sd=0.0)
    years, brought = 312 / 252, 35_000_000 * 3.0 * 0.83
    sd = 0.24 * np.sqrt(years)

    def given(z):
        p = stats.norm.cdf((stats.norm.ppf(0.05) - 0.4 * z) / np.sqrt(0.84))
        mean, left = -(sd**2) / 2 + 0.6 * sd * z, 0.8 * sd
        edge = np.log(1e8 / brought)
        put = 1e8 * stats.norm.cdf((edge - mean) / left) - brought * np.exp(mean + left**2 / 2) * stats.norm.cdf(
            (edge - mean) / left - left
        )
        return p * put * stats.norm.pdf(z)

    exact = 200 * integrate.quad(given, -9, 9)[0]
    losses = simulate(loans, risk, 100_000, seed=9)
    assert abs(losses.total.mean() - exact) < 4 * losses.total.std() / np.sqrt(100_000)
    assert losses.total.mean() > 1.3 * simulate(loans, replace(risk, wrong_way=0.0), 20_000, seed=9).total.mean()
    assert np.corrcoef(losses.credit, np.log(losses.prices[:, 0]))[0, 1] == pytest.approx(0.6, abs=0.02)


def test_prices_keep_their_own_distribution_and_move_together():
    losses = simulate(book(10, collateral=1), replace(ALONE, wrong_way=0.3), 50_000, seed=2)
    logs = np.log(losses.prices)
    mixture = jump_mixture(MODEL, 312 / 252)
    for column in range(2):
        assert np.mean(logs[:, column] <= mixture.quantile(0.05)) == pytest.approx(0.05, abs=0.004)
    assert np.exp(logs).mean() == pytest.approx(1.0, abs=0.01)
    assert np.corrcoef(logs.T)[0, 1] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("workers", "chunk"), [(1, 1), (2, 3), (4, 100)])
def test_neither_chunks_nor_threads_change_a_figure(workers, chunk):
    loans = mixed()
    first = simulate(loans, ALONE, 4_500, seed=7, workers=2, chunk=8)
    other = simulate(loans, ALONE, 4_500, seed=7, workers=workers, chunk=chunk)
    for name in ("by_class", "by_loan", "by_name", "credit", "prices"):
        assert np.array_equal(getattr(first, name), getattr(other, name))
    longer = simulate(loans, ALONE, 6_000, seed=7)
    assert np.array_equal(longer.by_class[:4_500], first.by_class)
    assert not np.array_equal(simulate(loans, ALONE, 4_500, seed=8).by_class, first.by_class)


def test_figures_add_up():
    loans = mixed()
    losses = simulate(loans, replace(ALONE, lgd_min=Rate(1_000)), 20_000, seed=5)
    found = assess(loans, losses, 0.99)
    assert found.exposure.fen == loans.exposure.sum()
    assert losses.by_loan.sum() == pytest.approx(losses.total.mean())
    assert sum(row.expected_loss.fen for row in found.classes) == pytest.approx(found.expected_loss.fen, abs=3)
    assert sum(row.tail.fen for row in found.classes) == pytest.approx(found.expected_shortfall.fen, rel=0.01)
    assert found.expected_loss < found.var < found.expected_shortfall
    assert found.economic_capital.fen == pytest.approx(found.var.fen - found.expected_loss.fen, abs=1)
    assert found.equal_loans == pytest.approx(1 / found.herfindahl)
    assert [row.exposure for row in found.names] == sorted((row.exposure for row in found.names), reverse=True)
    assert found.names[0].expected_loss.fen == pytest.approx(losses.by_name[:, 0].mean(), rel=1e-9, abs=1)


def test_one_giant_is_seen_as_concentration():
    loans = book(101)
    giant = loans.exposure.copy()
    giant[0] = 100 * giant[1]
    loans = replace(loans, exposure=giant)
    found = assess(loans, simulate(loans, ALONE, 20_000, seed=6), 0.99)
    assert 3.9 < found.equal_loans < 4.0
    assert found.names[0].row == 0
    assert found.names[0].capital_freed.fen > 0.5 * found.economic_capital.fen
    assert found.names[1].capital_freed.fen < 0.05 * found.economic_capital.fen


def test_a_year_s_yield_moves_only_what_is_still_to_be_generated():
    sure = Dependence(0.0, 0.0, 0.3, 252, Rate(0), Rate(0), Rate(0))
    flat = JumpDiffusion(0.0, 1e-9, 0.0, 0.0, 0.0)
    loans = book(
        2,
        pd=0.999,
        loading=0.0,
        collateral=30_000_000,
        classes=tuple(replace(c, model=flat, sale_discount=Rate(0)) for c in TWO),
    )
    losses = simulate(loans, sure, 5_000, seed=1).by_class
    fixed = losses[:, 0][losses[:, 0] > 0]
    assert np.ptp(fixed) < 1_000
    assert losses[:, 1].std() > 1e6


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("pd", 0.0), ("pd", 1.0), ("pd", float("nan")), ("loading", 1.0), ("loading", float("nan")),
        ("exposure", 0), ("collateral", -1), ("class_index", 2), ("class_index", -1),
    ],
)  # fmt: skip
def test_a_value_that_is_missing_or_out_of_range_is_refused(column, value):
    values = getattr(book(5), column).copy()
    values[3] = value
    with pytest.raises(RiskInputInvalid) as refusal:
        replace(book(5), **{column: values})
    assert refusal.value.context == {"column": column, "row": 3}


def test_columns_of_other_kinds_or_lengths_are_refused():
    with pytest.raises(RiskInputInvalid):
        replace(book(5), pd=np.full(4, 0.1))
    with pytest.raises(RiskInputInvalid):
        replace(book(5), collateral=np.full(5, 1.5))
    with pytest.raises(RiskInputInvalid):
        book(0)
    with pytest.raises(RiskInputInvalid):
        replace(TWO[0], price=Price(-1))
    for bad in ({"wrong_way": 1.0}, {"wrong_way": float("nan")}, {"horizon_days": 0}):
        with pytest.raises(RiskInputInvalid):
            replace(ALONE, **bad)
    with pytest.raises(RiskInputInvalid, match="no variables"):
        simulate(book(5), replace(ALONE, wrong_way=0.95, class_correlation=0.0), 10, 1)
    with pytest.raises(RiskInputInvalid):
        simulate(book(5), ALONE, 0, 1)


def test_basel_s_correlation_runs_from_24_to_12_percent():
    assert basel_loading(np.array([1e-9, 0.01, 0.9])) ** 2 == pytest.approx([0.24, 0.1928, 0.12], abs=1e-4)
