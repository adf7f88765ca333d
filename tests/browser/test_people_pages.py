"""People by clicking, on a phone's width: an invitation, an authenticator, signing in and out, two who confirm."""

from datetime import timedelta

import pyotp
import pytest
from person import PHONE
from test_trade_pages import require_fit

pytestmark = pytest.mark.browser
PASSWORD = "correct horse battery"


@pytest.fixture
def on_a_phone(person):
    person.size(PHONE)
    return person


def invited(person, *roles):
    """The link that an administrator hands over."""
    person.open("/console/people")
    require_fit(person)
    for role in roles:
        person.one(f"#form-invite input[value='{role}']").click()
    person.send("invite")
    return person.text("#invitations code")


def join(person, world, link, login):
    person.open(link)
    require_fit(person)
    assert person.one(".qr svg").is_displayed()
    secret = person.text("#totp-secret")
    person.fill("join", name=f"Name {login}", login=login, password=PASSWORD, totp="000000").send("join")
    assert "unauthenticated" in person.text("#refusal")
    assert person.one("#join-password").get_attribute("value") == ""
    require_fit(person)
    person.fill("join", password=PASSWORD, totp=pyotp.TOTP(secret).at(world.now)).send("join")
    assert "You are signed in" in person.text(".notice.good")
    return pyotp.TOTP(secret)


def sign_in(person, login, code):
    return person.open("/sign-in").fill("person", login=login, password=PASSWORD, totp=code).send("person")


def test_an_invitation_a_password_and_a_code(on_a_phone, story_world):
    world, now = story_world, story_world.now
    try:
        person = on_a_phone.act_as("bank-gusu")
        link = invited(person, "auditor", "viewer")
        person.browser.delete_all_cookies()
        totp = join(person, world, link, "wang.fang")
        person.open("/console/people")
        assert "Name wang.fang" in person.text("#people")
        assert not person.all("#form-invite")
        person.browser.delete_all_cookies()
        # The invitation is used up, and so is the code that was shown with it.
        person.open(link)
        assert "unauthenticated" in person.text("#refusal")
        sign_in(person, "wang.fang", totp.at(world.now))
        assert "unauthenticated" in person.text("#refusal")
        require_fit(person)
        world.now += timedelta(minutes=1)
        sign_in(person, "wang.fang", totp.at(world.now))
        assert person.path == "/console/desk"
    finally:
        story_world.now = now


def test_two_persons_make_an_administrator(on_a_phone, story_world):
    person = on_a_phone.act_as("bank-jinji").open("/console/people")
    person.one("#form-invite input[value='administrator']").click()
    person.send("invite")
    assert person.path == "/console/proposals"
    require_fit(person)
    assert not person.all("form[action$='/confirmation']")
    person.act_as("bank-jinji", second=True).open("/console/proposals")
    require_fit(person)
    person.click("form[action$='/confirmation'] button", confirm=True)
    assert "carried out" in person.text(".notice.good")
    person.open("/console/people")
    assert "/join?invitation=tinv_" in person.text("#invitations")
    require_fit(person)
    # A refused one stays on record and nothing comes of it.
    person.one("#form-invite input[value='administrator']").click()
    person.send("invite")
    person.act_as("bank-jinji").open("/console/proposals")
    person.click("form[action$='/refusal'] button")
    assert "refused" in person.text().lower()


def test_a_session_is_ended_from_another(on_a_phone, story_world):
    person = on_a_phone.act_as("bank-taihu")
    mine = person.browser.get_cookie("tanxin_session")["value"]
    person.act_as("bank-taihu", second=True).open("/console/people")
    theirs = person.browser.get_cookie("tanxin_session")["value"]
    assert mine != theirs
    rows = len(person.all("#sessions tbody tr"))
    person.click("#sessions tbody tr:last-child button")
    assert len(person.all("#sessions tbody tr")) == rows - 1 or person.path.startswith("/sign-in")
