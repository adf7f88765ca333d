"""Every page: no error in the browser's log, no overflow on a phone, labels, headings, language, theme."""

import os
from pathlib import Path

import pytest
from person import NARROWEST, PHONE, WIDE
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser

OUTLINE = """
const main = document.querySelector('main');
const visible = (e) => e.offsetParent !== null;
const unlabelled = [...document.querySelectorAll('input, select, textarea')].filter(
  (e) => e.type !== 'hidden' && !e.labels.length && !e.getAttribute('aria-label')).map((e) => e.outerHTML);
const nameless = [...document.querySelectorAll('a, button, summary')].filter(
  (e) => visible(e) && !e.textContent.trim() && !e.getAttribute('aria-label') && !e.title).map((e) => e.outerHTML);
const levels = [...document.querySelectorAll('h1, h2, h3, h4')].filter(visible).map((e) => Number(e.tagName[1]));
const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
const overflow = document.documentElement.scrollWidth > document.documentElement.clientWidth;
return {
  unlabelled, nameless, levels, overflow,
  twice: ids.filter((id, place) => ids.indexOf(id) !== place),
  headless: [...document.querySelectorAll('table')].filter((e) => !e.querySelector('th')).length,
  pictures: [...document.querySelectorAll('img:not([alt]), svg:not([aria-label]):not([aria-hidden])')].length,
  styled: [...document.querySelectorAll('[style], style')].length,
  lang: document.documentElement.lang, title: document.title,
};
"""


@pytest.fixture(scope="module")
def pages(story_world):
    """Every page of every role, on a world with a loan under a margin call and something in each list."""
    world = story_world
    loan, issuance = _loan(world)
    number = world.post(
        "dev-a",
        "/v1/retirements",
        {
            "issuance_id": issuance["issuance_id"],
            "quantity_kg": 1_000,
            "beneficiary": "buyer-a",
            "purpose": "a demonstration of pages",
        },
    )["certificate_number"]
    project = world.get("dev-a", "/v1/projects")[0]["project_id"]
    claim = world.get("dev-a", "/v1/monitoring-periods")[0]["monitoring_period_id"]
    inquiry = world.get("bank-gusu", "/v1/inquiries")[0]["inquiry_id"]
    decision = world.get("bank-gusu", "/v1/decisions")[0]["decision_id"]
    open_pages = ["/", "/sign-in", "/certificates", f"/certificates/{number}", "/no-such-page"]
    everyone = ["/console/market", "/console/ledger"]
    return {
        None: open_pages,
        "bank-gusu": [
            "/console/scores",
            f"/console/scores/{world.subject_id}",
            "/console/inquiries",
            f"/console/inquiries/{inquiry}",
            "/console/desk",
            "/console/desk/decide",
            "/console/business-days",
            "/console/products",
            f"/console/decisions/{decision}",
            f"/console/loans/{loan['loan_id']}",
            "/console/models",
            "/console/models/v0001",
            "/console/models/v0002",
            "/console/privacy",
            *everyone,
        ],
        "dev-a": [
            "/console/record",
            "/console/assets",
            "/console/assets/pledge",
            f"/console/assets/pledge?issuance_id={issuance['issuance_id']}&quantity=10&bank_id=bank-gusu",
            "/console/trade",
            f"/console/trade?asset=PHCER:{issuance['issuance_id']}",
            "/console/assets/retire",
            f"/console/projects/{project}",
            f"/console/loans/{loan['loan_id']}",
        ],
        "verifier-cqc": ["/console/verification", f"/console/claims/{claim}"],
        "registry-sip": ["/console/registry"],
        "exchange-seee": ["/console/market"],
        "grid-sip": ["/console/metering"],
    }


def _loan(world):
    """A loan of dev-a on a fresh reservation, called by a fall of the price; one more reservation is left waiting."""
    issuance = world.issuance
    world.price(3_000, confirmed=True)
    reserve = {"bank_id": "bank-gusu", "issuance_id": issuance["issuance_id"], "quantity_kg": 400_000}
    pledge = world.post("dev-a", "/v1/pledges", reserve)
    score = world.score("bank-gusu", world.subject_id)
    application = {
        "borrower_id": "dev-a",
        "inquiry_id": score["inquiry_id"],
        "amount_fen": 500_000,
        "tenor_days": 180,
        "pledge_ids": [pledge["pledge_id"]],
    }
    decision = world.post("bank-gusu", "/v1/decisions", application)
    draw = {"decision_id": decision["decision_id"], "amount_fen": 500_000, "registration_number": "REG-PAGES"}
    loan = world.post("bank-gusu", "/v1/loans", draw)
    world.price(1_800, confirmed=True)
    world.post("dev-a", "/v1/pledges", reserve | {"quantity_kg": 20_000})
    return loan, issuance


@pytest.mark.parametrize(("sizes", "language"), [((WIDE, PHONE), "zh"), ((NARROWEST,), "en")])
def test_every_page_fits_and_is_accessible(person, pages, sizes, language):
    for organisation_id, paths in pages.items():
        if organisation_id is not None:
            person.browser.delete_all_cookies()
            person.open("/sign-in").click(f"main button[value='{organisation_id}']")
        person.browser.add_cookie({"name": "tanxin_lang", "value": language, "path": "/"})
        for path in paths:
            person.size(sizes[0]).open(path)
            for size in sizes:
                person.size(size)
                _require_accessible(person, f"{path} as {organisation_id}, {size}, {language}", language)


def _require_accessible(person, where, language):
    found = person.browser.execute_script(OUTLINE)
    assert not found["overflow"], where
    for flaw in ("unlabelled", "nameless", "twice"):
        assert found[flaw] == [], where
    for flaw in ("headless", "pictures", "styled"):
        assert found[flaw] == 0, (flaw, where)
    assert found["lang"] == ("zh-CN" if language == "zh" else "en"), where
    assert found["title"], where
    assert found["levels"].count(1) == 1, (found["levels"], where)
    steps = zip(found["levels"], found["levels"][1:], strict=False)
    assert all(after - before <= 1 for before, after in steps), (found["levels"], where)


def test_language_and_theme_are_switched_by_hand(person):
    person.open("/")
    assert "The asset's story" in person.text()
    light = person.one("body").value_of_css_property("background-color")
    person.click("button[name='language']")
    assert "资产的故事" in person.text()
    assert person.one("html").get_attribute("lang") == "zh-CN"
    person.click("button[name='theme']")
    assert person.one("html").get_attribute("data-theme") == "dark"
    assert person.one("body").value_of_css_property("background-color") != light
    person.click("button[name='theme']")
    assert person.one("body").value_of_css_property("background-color") == light


def test_the_systems_dark_theme_is_followed(person):
    person.open("/")
    light = person.one("body").value_of_css_property("background-color")
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    person.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    assert person.one("body").value_of_css_property("background-color") != light
    person.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_preview_follows_what_is_typed_and_changes_nothing(person, story_world, pages):
    person.act_as("dev-a").open("/console/assets/pledge")
    before = story_world.snapshot()
    person.one("#pledge-quantity").send_keys("10")
    WebDriverWait(person.browser, 10).until(lambda _: person.all("#lendable"))
    assert person.text("#lendable") == "¥81.00"  # 10 t x ¥18.00 x 45 %
    assert story_world.snapshot() == before


def test_pages_work_without_a_script(person, story_world, pages):
    person.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        person.open("/sign-in")
        person.one("main button[value='dev-a']").click()
        WebDriverWait(person.browser, 10).until(lambda _: person.path == "/console/assets")
        person.open("/console/assets/pledge?quantity=10&issuance_id=" + story_world.issuance["issuance_id"])
        assert person.text("#lendable") == "¥81.00"
    finally:
        person.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_keyboard_reaches_the_content(person):
    person.open("/")
    person.one("body").send_keys(Keys.TAB)
    focused = person.browser.switch_to.active_element
    assert focused.get_attribute("class") == "skip"
    assert focused.value_of_css_property("top") == "0px"
    focused.send_keys(Keys.ENTER)
    assert person.browser.switch_to.active_element.get_attribute("id") == "main"


def test_pictures_for_the_readme(person, pages, tmp_path):
    """The first page, wide and on a phone. `TANXIN_PICTURES=docs/images` keeps them, `TANXIN_PICTURES_OF` takes them
    of a sandbox that runs at that address; without either they are of the test's own world and thrown away."""
    person.url = os.environ.get("TANXIN_PICTURES_OF", person.url)
    folder = Path(os.environ.get("TANXIN_PICTURES", str(tmp_path)))
    for name, size, height in (("console.png", WIDE, 1300), ("console-phone.png", PHONE, 1500)):
        person.size(size)
        person.open("/").picture(folder / name, height=height)
        assert (folder / name).stat().st_size > 20_000
