"""Claims about privacy name what is there: mechanisms, attacks, decisions, and fields that a bench really measures."""

import importlib
import importlib.util
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from federated.errors import CorruptData
from federated.privacy.claims import Kind, Party, Phase, claims_of, load_claims, vertical_phases
from federated.privacy.findings import Verdict, find, number, read_bench
from simulations.benchmarks.privacy import parts_of

CLAIMS = load_claims()
ROOT = Path(__file__).parents[3]
# Parts that another change brings: their figures are held to their fields from the day their module exists.
AWAITED: tuple[str, ...] = ()
PARTS = parts_of(None, ROOT, quick=True)


@pytest.mark.parametrize("claim", CLAIMS.claims, ids=lambda claim: claim.id)
def test_a_claim_names_what_exists(claim):
    for module in (*claim.mechanism, *([claim.attack] if claim.attack else [])):
        assert importlib.util.find_spec(module) is not None, module
    for decision in claim.adr:
        assert len(list((ROOT / "docs" / "adr").glob(f"{decision:04d}-*.md"))) == 1
    assert all(len(text) > 5 for text in (*claim.sees, *claim.threat))
    # What is not seen by design is kept back by something, or waits for the part that brings it.
    assert claim.seen or claim.mechanism or claim.phase is Phase.ROBUST
    # An attack of the bench tried, or there is nothing to try.
    assert claim.tried or claim.unprotected
    assert {CLAIMS.figures[name].part for name in claim.figures} <= set(PARTS)


@pytest.mark.parametrize("figure", CLAIMS.figures.values(), ids=lambda figure: figure.id)
def test_a_figure_is_measured_by_its_part(figure):
    name = f"simulations.benchmarks.{figure.part}"
    if figure.part in AWAITED and importlib.util.find_spec(name) is None:
        return
    module = importlib.import_module(name)
    measured = [each for each in vars(module).values() if is_dataclass(each) and each.__module__ == name]
    known = {field.name for each in measured for field in fields(each)}
    assert set(figure.fields) <= known
    assert figure.origin or "data_origin" in known


def test_claims_are_complete():
    assert len({claim.id for claim in CLAIMS.claims}) == len(CLAIMS.claims)
    assert {claim.party for claim in CLAIMS.claims} == set(Party)
    assert {claim.phase for claim in CLAIMS.claims} == set(Phase)
    assert {name for claim in CLAIMS.claims for name in claim.figures} == set(CLAIMS.figures)
    for protected in (True, False):
        parties = {claim.party for claim in CLAIMS.of(vertical_phases(protected=protected))}
        assert parties == set(Party)
    attacks = [figure for figure in CLAIMS.figures.values() if figure.kind is Kind.ATTACK]
    assert all(figure.unprotected for figure in attacks)


def test_bounds_decide_and_a_short_run_passes_nothing():
    bench = {
        "alignment": {"ids_per_core_s": 3_199.0, "bytes_an_id_each_way": 40, "over_peer": None},
        "secure_aggregation": {"ours_error": 2.0, "ours_error_bound": 1.0, "flower_over_ours": 5},
        "withdrawal": {"leaks": 0, "races": 100, "refused_after_ms_worst": float("nan")},
        "differential": {"data_origin": "generated", "auc_at_4": 0.9, "folds": 5},
        "robustness": {"data_origin": "generated", "clean_auc": 0.78, "robust_auc": 0.775, "attacked_auc": 0.6},
        "vertical": {"data_origin": "generated", "label_attack_protected_beyond": True},
    }
    found = find(CLAIMS, bench)
    assert {name: found[name].verdict.value for name in ("psi_speed", "psi_bytes", "psi_peer")} == {
        "psi_speed": "missed",
        "psi_bytes": "met",
        "psi_peer": "not_measured",
    }
    assert found["aggregation_error"].verdict is Verdict.MISSED
    assert found["withdrawal_leaks"].verdict is Verdict.UNDECIDED
    assert found["withdrawal_delay"].verdict is Verdict.NOT_MEASURED
    assert found["dp_utility_4"].verdict is Verdict.UNDECIDED
    assert found["label_attack"].verdict is Verdict.NOT_MEASURED
    assert found["robust_loss"].value == pytest.approx(0.005)
    assert found["robust_loss"].unprotected == pytest.approx(0.18)
    leaked = find(CLAIMS, {"withdrawal": {"leaks": 1, "races": 100}})["withdrawal_leaks"]
    assert leaked.verdict is Verdict.MISSED


def test_what_contradicts_itself_is_refused(tmp_path):
    head = 'from = 2026-01-01\nsource = "s"\n'
    figure = '[[figures]]\nid = "a"\npart = "p"\nprotected = "f"\nkind = "cost"\nlabel = ["x", "y"]\n'
    claim = '[[claims]]\nid="c"\nparty="bank"\nphase="zoo"\nabout="ids"\nsees=["x","y"]\nmechanism=[]\nadr=[]\n'
    threats = '[threats]\nnone = ["x", "y"]\n'
    good = head + threats + figure + claim + 'threat="none"\nseen=true\nfigures=["a"]\n'
    assert claims_of(good).figures["a"].bounded is False
    # What is kept back was attacked, and the attack measured: no module alone, and no figure alone.
    tried = good.replace("seen=true", 'attack="a"')
    assert claims_of(tried).claims[0].tried
    for untried in (good.replace("seen=true", ""), tried.replace('figures=["a"]', "")):
        with pytest.raises(CorruptData, match="no attack tried: c"):
            claims_of(untried)
    for bad in ("no toml", good.replace('figures=["a"]', 'figures=["b"]'), good.replace('"bank"', '"king"')):
        with pytest.raises(CorruptData):
            claims_of(bad)
    with pytest.raises(CorruptData, match="no reason"):
        claims_of(good.replace('kind = "cost"', 'kind = "cost"\nat_most = 1'))
    for text in ("[]", '{"part": 1}', "x"):
        (tmp_path / "bench.json").write_text(text)
        with pytest.raises(CorruptData):
            read_bench(tmp_path / "bench.json")
    assert number("3") is None
