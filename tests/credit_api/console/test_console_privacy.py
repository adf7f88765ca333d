"""The console's page on privacy: what it says before and after a report, and to whom."""

import json

import pytest
from test_console_forms import Browser

from federated.errors import CorruptData
from federated.privacy.claims import load_claims
from federated.privacy.findings import as_json, find, keep, kept

PAGE = "/console/privacy"
BENCH = {
    "vertical": {
        "data_origin": "generated",
        "label_attack_protected_beyond": 0.61,
        "label_attack_in_clear_beyond": 0.987,
    }
}


@pytest.fixture
def world(sqlite_world):
    return sqlite_world


def test_without_a_report_nothing_is_called_safe(world):
    shown = Browser(world).act_as("bank-gusu").get(PAGE).text
    assert "Not measured here yet" in shown
    assert "tanxin privacy report" in shown
    assert "unprotected training" in shown
    assert 'class="state open"' not in shown


def test_the_last_report_is_shown_with_its_origin_and_what_an_unprotected_version_leaks(world):
    keep(world.parts.settings.network_home, {"at": "2026-11-25T08:00:00+00:00", "findings": findings()})
    browser = Browser(world).act_as("grid-sip")
    shown = browser.get(PAGE).text
    assert "2026-11-25 08:00" in shown
    assert "0.987" in shown
    assert "0.61" not in shown  # The champion of this world was trained without protection.
    assert "not measured" in shown
    browser.client.cookies.set("tanxin_lang", "zh")
    assert "无保护训练" in browser.get(PAGE).text


def findings():
    return as_json(find(load_claims(), BENCH))


def test_the_models_page_leads_there_and_others_are_kept_out(world):
    assert f'href="{PAGE}"' in Browser(world).act_as("bank-gusu").get("/console/models").text
    Browser(world).act_as("verifier-cqc").get(PAGE, status=403)


def test_a_report_that_cannot_be_read_is_not_passed_over(tmp_path):
    assert kept(tmp_path) is None
    (tmp_path / "privacy-report.json").write_text(json.dumps({"at": "x"}))
    with pytest.raises(CorruptData):
        kept(tmp_path)
