"""Forms: only from the user's own page, applied once, refused with their input kept; sessions; pages for browsers."""

import re
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from ready_worlds import begun

from credit_api.console.texts import TEXTS
from financing.lending.unit import UnitOfWork

HTML = {"Accept": "text/html,application/xhtml+xml"}


class Browser:
    """A browser without a screen: cookies, forms and their hidden fields."""

    def __init__(self, world):
        self.client = world.visitor()

    def get(self, path, status=200):
        answer = self.client.get(path, headers=HTML)
        assert answer.status_code == status, answer.text
        return answer

    def hidden(self, path, form):
        """What the page's form carries by itself: token, key, name."""
        page = self.get(path).text
        place = page.index(f'name="form" value="{form}"')
        return dict(re.findall(r'type="hidden" name="(csrf|key)" value="([^"]*)"', page[:place])[-2:]) | {"form": form}

    def post(self, path, fields, status=303, **headers):
        answer = self.client.post(path, data=fields, headers=HTML | {"Sec-Fetch-Site": "same-origin"} | headers)
        assert answer.status_code == status, answer.text
        return answer

    def act_as(self, organisation_id):
        form = "switch" if self.client.cookies.get("tanxin_session") else "enter"
        self.post("/session", self.hidden("/sign-in", form) | {"organisation_id": organisation_id})
        return self


def with_credits(world):
    world.admit("dev-a", "developer")
    issuance = world.credits("dev-a")
    world.price(3_000)
    return issuance


sqlite_world = begun(with_credits, "holder")


@pytest.fixture
def browser(sqlite_world):
    return Browser(sqlite_world)


@pytest.fixture
def holder(sqlite_world, browser):
    """A developer with credits, a price on record, and its browser."""
    browser.act_as("dev-a")
    browser.issuance_id = sqlite_world.given["issuance_id"]
    return browser


def reservation(holder, quantity="100"):
    return holder.hidden(f"/console/assets/pledge?issuance_id={holder.issuance_id}&quantity=1", "reserve") | {
        "issuance_id": holder.issuance_id,
        "quantity": quantity,
        "bank_id": "bank-gusu",
        "product": "phcer_pledge_loan",
    }


def test_what_a_pledge_at_the_console_says_of_its_use_is_kept_and_warned_of(sqlite_world, holder):
    """An allowance pledged at the console never raised its surrender alert: the form could not state the date."""
    soon = (sqlite_world.now + timedelta(days=5)).date().isoformat()
    said = {"evidence_sha256": "ab" * 32, "compliance_year": "2026", "surrender_by": soon, "contract_number": "苏-7"}
    holder.post("/console/assets/pledge", reservation(holder) | said)
    pledge = sqlite_world.get("dev-a", "/v1/pledges")[0]
    assert (pledge["evidence_sha256"], pledge["compliance_year"]) == ("ab" * 32, 2026)
    assert pledge["contract_number"] == "苏-7"
    assert (pledge["surrender_by"], pledge["carry_over"]) == (soon, False)
    with sqlite_world.parts.reading() as connection:
        days = UnitOfWork(connection).days
        until = sqlite_world.now.date() + timedelta(days=30)
        assert days.cliffs("bank-gusu", until) == []  # reserved only: nothing rests on it yet
    for field, wrong in (("evidence_sha256", "zz"), ("compliance_year", "1999"), ("surrender_by", "31.12.2026")):
        fields = reservation(holder) | said | {field: wrong}
        refused = holder.post("/console/assets/pledge", fields, status=422).text
        entered = refused[refused.index(f'id="reserve-{field}"') :].split(">", 1)[0]
        assert 'aria-invalid="true"' in entered
        assert f'value="{wrong}"' in entered
        assert 'value="苏-7"' in refused  # what was entered beside it is kept
    assert len(sqlite_world.get("dev-a", "/v1/pledges")) == 1


def test_the_surrender_alert_of_an_allowance_pledged_at_the_console(sqlite_world, browser):
    world = sqlite_world
    world.fund("bank-gusu", 100_000_000)
    issuance, inquiry = world.borrower()
    world.price(3_000)
    browser.act_as("dev-a")
    browser.issuance_id = issuance["issuance_id"]
    by = (world.now + timedelta(days=200)).date().isoformat()
    browser.post("/console/assets/pledge", reservation(browser, "400") | {"surrender_by": by})
    pledge = world.get("dev-a", "/v1/pledges")[0]["pledge_id"]
    body = {"borrower_id": "dev-a", "inquiry_id": inquiry["inquiry_id"], "amount_fen": 400_000, "tenor_days": 180,
            "pledge_ids": [pledge]}  # fmt: skip
    decision = world.post("bank-gusu", "/v1/decisions", body)
    drawn = {"decision_id": decision["decision_id"], "amount_fen": 400_000, "registration_number": "R"}
    world.post("bank-gusu", "/v1/loans", drawn)
    with world.parts.reading() as connection:
        days = UnitOfWork(connection).days
        assert [each[0] for each in days.cliffs("bank-gusu", world.now.date() + timedelta(days=200))] == [pledge]


def test_a_form_sent_twice_is_applied_once(sqlite_world, holder):
    fields = reservation(holder)
    first = holder.post("/console/assets/pledge", fields)
    after = sqlite_world.snapshot()
    second = holder.post("/console/assets/pledge", fields)
    assert first.headers["location"] == second.headers["location"] == "/console/assets#pledges"
    assert sqlite_world.snapshot() == after
    assert "nothing was done twice" in holder.get("/console/assets").text
    assert len(sqlite_world.get("dev-a", "/v1/pledges")) == 1


def test_a_key_with_other_input_is_refused(sqlite_world, holder):
    fields = reservation(holder)
    holder.post("/console/assets/pledge", fields)
    after = sqlite_world.snapshot()
    answer = holder.post("/console/assets/pledge", fields | {"quantity": "101"}, status=422)
    assert "idempotency_key_reused" in answer.text
    assert sqlite_world.snapshot() == after


@pytest.mark.parametrize(
    ("change", "headers"),
    [
        ({"csrf": ""}, {}),
        ({"csrf": "x" * 32}, {}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
        ({}, {"Sec-Fetch-Site": "same-site"}),
    ],
)
def test_a_form_of_another_site_changes_nothing(sqlite_world, holder, change, headers):
    before = sqlite_world.snapshot()
    answer = holder.post("/console/assets/pledge", reservation(holder) | change, status=403, **headers)
    assert "csrf_rejected" in answer.text
    assert "<html" in answer.text
    assert sqlite_world.snapshot() == before


def test_a_browser_without_fetch_metadata_is_held_to_its_origin(sqlite_world, holder):
    fields = reservation(holder)
    before = sqlite_world.snapshot()
    headers = HTML | {"Origin": "https://elsewhere.example"}
    assert holder.client.post("/console/assets/pledge", data=fields, headers=headers).status_code == 403
    assert sqlite_world.snapshot() == before
    headers = HTML | {"Origin": "http://testserver"}
    assert holder.client.post("/console/assets/pledge", data=fields, headers=headers).status_code == 303


def test_anything_but_a_plain_form_is_refused(holder):
    answer = holder.client.post("/console/assets/pledge", json={"quantity": "1"}, headers=HTML)
    assert answer.status_code == 403
    body = "a=" + "x" * 70_000
    answer = holder.client.post(
        "/console/assets/pledge",
        content=body,
        headers=HTML | {"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("quantity", "code"),
    [
        ("99999999", "insufficient_balance"),
        ("-1", "quantity_out_of_range"),
        ("0", "quantity_out_of_range"),
        ("1.0001", "invalid_request"),
        ("ten", "invalid_request"),
        ("nan", "invalid_request"),
        ("", "invalid_request"),
        # No exponents: these few characters were half a minute of arithmetic, which everybody else waited for.
        ("1e999998", "invalid_request"),
        ("1e3", "invalid_request"),
        ("inf", "invalid_request"),
        ("9" * 25, "invalid_request"),
        ("9" * 24, "quantity_out_of_range"),
    ],
)
def test_a_refused_form_keeps_its_input_and_says_why(sqlite_world, holder, quantity, code):
    before = sqlite_world.snapshot()
    fields = holder.hidden("/console/assets/retire", "retire") | {
        "issuance_id": holder.issuance_id,
        "quantity": quantity,
        "beneficiary": "某公司 <b>&",
        "purpose": "demo",
    }
    answer = holder.client.post("/console/assets/retire", data=fields, headers=HTML)
    assert answer.status_code in {409, 422}
    assert f"<code>{code}</code>" in answer.text
    assert "某公司 &lt;b&gt;&amp;" in answer.text
    assert sqlite_world.snapshot() == before


def test_a_preview_changes_nothing(sqlite_world, holder):
    before = sqlite_world.snapshot()
    page = holder.get(f"/console/assets/pledge?issuance_id={holder.issuance_id}&quantity=100").text
    assert "¥3,000.00" in page  # 100 t x ¥30.00
    assert "¥1,350.00" in page  # x 45 %
    assert "¥1,350.00" in holder.get("/console/assets/pledge?quantity=100&bank_id=bank-gusu").text
    page = holder.get(f"/console/assets/pledge?issuance_id={holder.issuance_id}&quantity=99999999").text
    assert "more than is free" in page
    assert holder.get(f"/console/assets/pledge?issuance_id={holder.issuance_id}&quantity=-1", status=422)
    assert sqlite_world.snapshot() == before


def test_an_organisation_sees_and_does_only_what_is_its_own(sqlite_world, holder):
    project = sqlite_world.get("dev-a", "/v1/projects")[0]["project_id"]
    sqlite_world.admit("dev-b", "developer")
    holder.act_as("dev-b")
    assert "not_permitted" in holder.get(f"/console/projects/{project}", status=403).text
    for path in ("/console/desk", "/console/scores", "/console/registry", "/console/verification", "/console/models"):
        assert "forbidden" in holder.get(path, status=403).text
    assert "not_found" in holder.get("/console/loans/loan_x", status=404).text
    fields = holder.hidden("/console/ledger", "verify")
    assert holder.post("/console/market/prices", fields | {"price": "1", "asset_class": "PHCER", "source": "x"}, 403)


def test_a_session_ends_on_the_server(sqlite_world, browser):
    browser.act_as("bank-gusu")
    cookie = browser.client.cookies.get("tanxin_session")
    browser.get("/console/desk")
    browser.post("/session/end", browser.hidden("/", "leave"))
    thief = Browser(sqlite_world)
    thief.client.cookies.set("tanxin_session", cookie)
    assert thief.get("/console/desk", status=303).headers["location"] == "/sign-in?back=%2Fconsole%2Fdesk"


def test_switching_organisation_ends_the_former_session(sqlite_world, browser):
    browser.act_as("bank-gusu")
    former = browser.client.cookies.get("tanxin_session")
    browser.act_as("exchange-seee")
    assert browser.client.cookies.get("tanxin_session") != former
    thief = Browser(sqlite_world)
    thief.client.cookies.set("tanxin_session", former)
    thief.get("/console/market", status=303)


def test_a_session_is_opened_with_a_key_in_a_sandbox_and_nobody_is_acted_as_elsewhere(sqlite_world, browser):
    parts = sqlite_world.parts
    settings = parts.settings
    parts.settings = settings.model_copy(update={"sandbox": False})
    shown = browser.get("/sign-in").text
    assert "Act as an organisation" not in shown
    assert 'id="form-key"' not in shown
    fields = browser.hidden("/sign-in", "person")
    assert "forbidden" in browser.post("/session", fields | {"organisation_id": "bank-gusu"}, status=403).text
    parts.settings = settings
    fields = browser.hidden("/sign-in", "key")
    assert "unauthenticated" in browser.post("/session", fields | {"api_key": "txk_wrong"}, status=401).text
    key = sqlite_world.keys["bank-gusu"]
    answer = browser.post("/session", fields | {"api_key": key, "back": "//elsewhere.example"})
    assert answer.headers["location"] == "/console/desk"
    assert key not in answer.headers["set-cookie"]
    assert "HttpOnly" in answer.headers["set-cookie"]
    browser.get("/console/desk")


def test_errors_are_pages_for_browsers_and_problems_for_programs(browser):
    page = browser.get("/no-such-page", status=404)
    assert page.headers["content-type"].startswith("text/html")
    assert "not_found" in page.text
    assert browser.client.get("/no-such-page").headers["content-type"] == "application/problem+json"
    assert browser.client.get("/v1/loans", headers=HTML).headers["content-type"] == "application/problem+json"
    assert "serial_invalid" in browser.get("/certificates/SIP-RET-2026-00000001-00", status=422).text
    assert browser.get("/certificates/a%2Fb", status=404)
    assert browser.client.post("/", headers=HTML).status_code == 405


def test_the_console_explains_what_is_missing_before_there_is_a_network(tmp_path):
    from credit_api.app.main import create_app
    from credit_api.app.settings import Settings
    from credit_api.app.wiring import assemble

    with TestClient(create_app(assemble(Settings(home=tmp_path, sandbox=True)))) as client:
        page = client.get("/", headers=HTML)
        assert page.status_code == 200
        assert "tanxin train" in page.text
        assert "no organisations yet" in page.text


def test_language_and_theme_are_remembered(browser):
    browser.post("/preferences", browser.hidden("/", "language") | {"language": "zh", "back": "/certificates"})
    page = browser.get("/").text
    assert '<html lang="zh-CN" data-theme="auto">' in page
    assert "资产的故事" in page
    browser.post("/preferences", browser.hidden("/", "theme") | {"theme": "dark", "back": "https://elsewhere.example"})
    assert 'data-theme="dark"' in browser.get("/").text
    assert "elsewhere" not in str(browser.client.cookies)


def test_an_unknown_theme_is_the_systems(browser):
    browser.client.cookies.set("tanxin_theme", "<script>")
    assert 'data-theme="auto"' in browser.get("/").text


@pytest.mark.parametrize("cookie", ["%7B", "%22x%22", "%7B%22key%22%3A%22%3Cscript%3E%22%7D", "x" * 3000])
def test_a_forged_message_is_ignored(browser, cookie):
    browser.client.cookies.set("tanxin_flash", cookie)
    page = browser.get("/").text
    assert 'role="status"' not in page
    assert "<script>" not in page


def test_readings_can_be_pasted_by_their_grid_company_only(sqlite_world, holder):
    sqlite_world.project("dev-a", "PV8")
    text = "interval_start,generation_kwh\n2025-05-01T02:00:00Z,100.5\n2025-05-01T03:00:00Z,120\n"
    holder.act_as("grid-sip")
    fields = holder.hidden("/console/metering", "readings") | {"meter_id": "M-PV8", "readings": text}
    holder.post("/console/metering/readings", fields)
    assert ">2<" in holder.get("/console/metering").text
    again = holder.hidden("/console/metering", "readings") | {"meter_id": "M-PV8", "readings": text}
    holder.post("/console/metering/readings", again)
    assert TEXTS["flash.readings_known"][1] in holder.get("/console/metering").text
    other = holder.hidden("/console/metering", "readings") | {"meter_id": "M-PV8", "readings": text.replace("120", "9")}
    assert "duplicate_reading" in holder.post("/console/metering/readings", other, status=409).text
    holder.act_as("grid-gaoxin")
    fields = holder.hidden("/", "leave") | {"meter_id": "M-PV8", "readings": text}
    assert "not_permitted" in holder.post("/console/metering/readings", fields, status=403).text
