"""Signing by clicking, on a phone's width: a verifier's browser makes a key, registers it, and signs a statement."""

import pytest
from person import PHONE
from selenium.webdriver.support.ui import WebDriverWait
from test_trade_pages import require_fit

pytestmark = pytest.mark.browser
VERIFIER = "verifier-cti"
FORGET = "indexedDB.deleteDatabase('tanxin-signing').onsuccess = arguments[arguments.length - 1];"


def entered(person, css):
    """What a script wrote into an input, once it has."""
    return WebDriverWait(person.browser, 10).until(lambda _: person.one(css).get_attribute("value"))


def test_a_key_that_stays_in_the_browser_signs_what_the_page_shows(person, story_world):
    person.size(PHONE)
    desk = story_world.desk
    desk.admit("dev-signs", "developer")
    project = desk.project("dev-signs", "SIGN1")
    desk.load("SIGN1")
    claim = desk.claim("dev-signs", project)

    person.act_as(VERIFIER).open("/console/people")
    person.one("[data-new-key] button[data-here]").click()
    public_key = entered(person, "#signing-public_key")
    assert len(entered(person, "#signing-proof")) == 128
    require_fit(person)
    person.send("signing", confirm=True)
    assert "The signing key is registered" in person.text(".notice.good")
    (key,) = desk.look(lambda unit: unit.signing_keys.of(VERIFIER))
    assert (key.public_key, key.held_by) == (public_key, "holder")

    person.open(f"/console/claims/{claim.monitoring_period_id}").send("state")
    assert "signature_needed" in person.text("#refusal")
    shown = person.one("#state-to-sign").get_attribute("value")
    assert claim.commitment() in shown
    assert VERIFIER in shown
    require_fit(person)
    # Text that was changed on the way is not what was signed.
    person.browser.execute_script("document.querySelector('[data-text]').value += ' '")
    person.one("[data-sign] button[data-here]").click()
    entered(person, "#state-signature")
    person.send("state")
    assert "signature_invalid" in person.text("#refusal")
    person.one("[data-sign] button[data-here]").click()
    entered(person, "#state-signature")
    person.send("state")
    assert person.path == "/console/verification"
    signed = desk.look(lambda unit: unit.verification.statement(claim.monitoring_period_id))
    assert signed.signature.public_key == public_key
    person.require_quiet()

    # Another browser has no such key: the panel asks for a signature from elsewhere.
    project = desk.project("dev-signs", "SIGN2")
    desk.load("SIGN2")
    claim = desk.claim("dev-signs", project)
    person.browser.execute_async_script(FORGET)
    person.open(f"/console/claims/{claim.monitoring_period_id}").send("state")
    assert not person.one("[data-sign] button[data-here]").is_displayed()
    assert person.one("#state-signature").is_displayed()
