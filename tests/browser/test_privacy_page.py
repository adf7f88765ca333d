"""Who sees what, in the console and as a page of its own: figures beside claims, and nothing wider than a phone."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from person import NARROWEST, PHONE, WIDE

from federated.privacy.claims import load_claims
from federated.privacy.findings import keep
from simulations.privacy_report.page import page
from simulations.privacy_report.report import report_of
from simulations.privacy_report.runs import runs_in

pytestmark = pytest.mark.browser
BENCH = {
    "vertical": {
        "data_origin": "generated",
        "rows": 2_100,
        "label_attack_protected_beyond": 0.63,
        "label_attack_in_clear_beyond": 0.987,
    },
    "withdrawal": {"races": 100, "leaks": 0, "refused_after_ms_worst": 8.5},
    "tides": {"height_m": 1.25},
}
OVERFLOW = "return document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture
def report(story_world):
    home = story_world.parts.settings.network_home
    made = report_of(runs_in(home), BENCH, load_claims(), datetime(2026, 11, 25, tzinfo=UTC))
    keep(home, made)
    return made


def test_the_console_shows_what_was_measured(person, report, tmp_path):
    folder = Path(os.environ.get("TANXIN_PICTURES", str(tmp_path)))
    person.act_as("bank-gusu").open("/console/models")
    person.click("a[href='/console/privacy']")
    assert "0.987" in person.text("#claims")
    assert "not measured" in person.text("#claims")
    for name, size in (("privacy.png", WIDE), ("privacy-phone.png", PHONE), ("privacy-narrow.png", NARROWEST)):
        person.size(size)
        assert not person.browser.execute_script(OVERFLOW)
        person.picture(folder / name, height=1_400)


def test_the_report_stands_alone_and_fits_a_phone(person, report, tmp_path):
    target = tmp_path / "report.html"
    target.write_text(page(report, load_claims()), "utf-8")
    person.browser.get(target.as_uri())
    for size in (WIDE, PHONE, NARROWEST):
        person.size(size)
        assert not person.browser.execute_script(OVERFLOW), size
    assert "read by banks alone" in person.text("#en")
    assert "未达标" in person.text("#zh")
    assert (
        person.browser.execute_script("return document.scripts.length + document.querySelectorAll('link').length") == 0
    )
