"""The model card: every number from the manifest, the unmeasured named, foreign text taken literally."""

import re
from dataclasses import replace

import pytest
from hand_made import AT, DAY, manifest

from federated.governance import decisions
from federated.governance.cards.card import Table, model_card
from federated.governance.cards.markdown import markdown
from federated.governance.cards.texts import TEXTS
from federated.governance.decisions import Act
from federated.governance.lifecycle import Role, fold
from federated.governance.manifest import SegmentFigures
from federated.governance.monitoring.drift import Drift
from simulations.worlds.columns import load_schemas

TITLES = {
    "en": [
        "Model details",
        "Intended use",
        "Factors",
        "Metrics",
        "Evaluation data",
        "Training data",
        "Quantitative analyses",
        "Ethical considerations",
        "Caveats and recommendations",
    ],
    "zh": ["模型详情", "预期用途", "相关因素", "指标", "评估数据", "训练数据", "定量分析", "伦理与公平", "注意事项"],
}


def standing(note=""):
    events = [decisions.register(fold("credit", []), Act("operator", AT), "v0001", {})]
    events.append(
        decisions.approve(fold("credit", events), Act("bank-gusu", AT, note), "v0001", frozenset({"bank-gusu"}))
    )
    events.append(decisions.appoint(fold("credit", events), Act("bank-gusu", AT), "v0001", Role.CHAMPION, frozenset()))
    return fold("credit", events)


def card(language="en", made=None, note="", drift=None, at=AT):
    return markdown(model_card(made or manifest(), standing(note), at, language, drift))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_sections_are_those_of_a_model_card(language):
    assert re.findall(r"^## (.+)$", card(language), re.MULTILINE) == TITLES[language]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_number_of_the_manifest_is_there(language):
    shown = card(language, drift={"joint": Drift(1_200, 300, 0.0312, 0.4321)})
    for figure in (
        "0.7712",
        "0.4100",
        "0.1300",
        "0.0120",
        "1,200",
        "0.0340",
        "540",
        "2024",
        "0.6875",
        "0.0312",
        "0.4321",
    ):
        assert figure in shown, figure
    assert manifest().weights_sha256 in shown
    assert "a" * 64 in shown


def test_who_decided_what_is_told():
    shown = card(note="validated on 2026 data")
    assert "| 2 | 2026-11-01 00:00 UTC | bank-gusu | approved | validated on 2026 data |" in shown
    assert "champion: it scores" in shown
    assert "- **Approved until**: 2027-11-01 00:00 UTC" in shown
    assert "approval lapsed" in card(at=AT + 366 * DAY)
    assert "审批已到期" in card("zh", at=AT + 366 * DAY)


@pytest.mark.parametrize(
    ("language", "ours", "missing"),
    [("en", "federated, bank and grid", "not measured"), ("zh", "联邦：银行与供电公司", "未测量")],
)
def test_what_was_not_measured_is_no_zero(language, ours, missing):
    bare = replace(
        manifest(),
        segments=(),
        calibration={},
        metrics={"federated": {"auc": 0.7712}},
        privacy_spent={"bank-gusu": None},
    )
    shown = card(language, bare)
    assert f"| {ours} | 0.7712 | {missing} | {missing} | {missing} | {missing} |" in shown
    assert f"bank-gusu {missing}" in shown
    assert not re.search(r"\b0\.0000\b", shown)
    # held-out rows, metrics, folds, calibration, segments, drift, fairness, privacy
    assert shown.count(missing) >= 10


def test_a_drift_without_rows_is_not_measured():
    assert "| joint | 0 | not measured | not measured | too few rows |" in card(
        drift={"joint": Drift(1_200, 0, 0.0, 1.0)}
    )


def test_foreign_text_is_taken_literally():
    shown = card(note="<script>alert(1)</script> | [x](javascript:1)\n# heading `code` *b*")
    assert "\\<script\\>alert(1)\\</script\\> \\| \\[x\\](javascript:1) \\# heading \\`code\\` \\*b\\*" in shown
    assert "<script" not in shown.replace("\\<", "")


def test_tables_are_rectangular():
    made = model_card(manifest(), standing(), AT, "en", {"joint": Drift(1_200, 300, 0.03, 0.4)})
    tables = [block for section in made.sections for block in section.blocks if isinstance(block, Table)]
    assert len(tables) >= 7
    for table in tables:
        assert {len(row) for row in table.rows} == {len(table.header)}, table.caption


def test_every_text_has_both_languages():
    for key, (chinese, english) in TEXTS.items():
        assert chinese, key
        assert english, key
        assert re.search(r"[\u4e00-\u9fff]", chinese), key
        assert not re.search(r"[\u4e00-\u9fff]", english), key


def test_segments_figures_and_privacy_are_in_the_readers_language():
    made = manifest(
        calibration={"method": "isotonic", "own": [], "ece": {"none": 0.034}},
        segments=(
            SegmentFigures("self_generation", "own plant", 600, 120, 330, 300, 0.21, 0.14, 0.02, 0.76),
            SegmentFigures("self_generation", "no own plant", 600, 60, 590, 500, 0.11, 0.12, 0.01, 0.78),
            SegmentFigures("colour", "green", 600, 60, 480, 450, 0.11, 0.12, 0.01, 0.78),
        ),
    )
    shown = card("zh", made)
    for words in ("自有光伏 | 有电站", "没有电站 | 0.5500", "colour | green", "保序校准", "没有安全聚合", "< 0.0001"):
        assert words.replace("<", "\\<") in shown, words
    assert "No privacy budget" not in shown
    assert "a statement of its own" in card("zh", replace(made, privacy="a statement of its own"))


def test_every_segment_of_every_schema_has_words():
    for schema in load_schemas().values():
        for segment in (*schema.bank.segments, *schema.grid.segments):
            assert f"segment.{segment.name}" in TEXTS
            assert {f"group.{segment.name}.{group}" for group in segment.groups} <= set(TEXTS)


def test_a_card_tells_whether_grid_companies_columns_score_and_why_not():
    """A version that scores with banks' columns alone said so in its manifest only, which few people read."""
    assert "- **What scores**: not stated" in card()
    assert "- **What scores**: the joint model" in card(made=manifest(config={"offered": "joint"}))
    why = manifest(config={"offered": "bank_only: held-out Brier 0.12000 with grid companies, 0.11000 without"})
    assert "Brier 0.12000 with grid companies' columns, 0.11000 without" in card(made=why)
    assert "Brier 含供电公司列为 0.12000，不含为 0.11000" in card("zh", made=why)
    assert "\\<b\\>" in card(made=manifest(config={"offered": "<b>"}))
