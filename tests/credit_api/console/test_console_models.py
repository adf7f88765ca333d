"""Models in the console: who sees which decision, what it changes, and that nothing of a note becomes markup."""

from datetime import timedelta

import pytest
from test_console_forms import Browser
from world import START

PAGE = "/console/models"


@pytest.fixture
def world(sqlite_world):
    """A service with a champion v0001 and a registered v0002."""
    return sqlite_world


@pytest.fixture
def browser(world):
    return Browser(world).act_as("bank-gusu")


def others_approve(world):
    for bank in ("bank-jinji", "bank-taihu"):
        world.post(bank, "/v1/models/v0002/approval", {"decision": "approve", "note": "validated too"})


def decide(browser, version, form, path, status=303, **fields):
    hidden = browser.hidden(f"{PAGE}/{version}", form)
    return browser.post(f"{PAGE}/{version}/{path}", hidden | fields, status=status)


def test_from_approval_to_rollback(world, browser):
    assert "awaiting approval" in browser.get(PAGE).text
    answer = decide(browser, "v0002", "approve", "approval", note="validated")
    assert answer.headers["location"] == f"{PAGE}/v0002"
    shown = browser.get(f"{PAGE}/v0002").text
    assert "validated" in shown
    assert 'id="form-champion"' not in shown
    assert "other banks concerned" in shown
    others_approve(world)
    assert 'id="form-approve"' in browser.get(f"{PAGE}/v0002").text
    decide(browser, "v0002", "challenger", "appointment/challenger")
    customer = world.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    world.score("bank-gusu", customer)
    assert "Same side of" in browser.get(PAGE).text
    decide(browser, "v0002", "withdraw", "withdrawal")
    decide(browser, "v0002", "champion", "appointment/champion")
    shown = browser.get(f"{PAGE}/v0002").text
    assert "when another bank appoints it" in shown
    assert 'id="form-champion"' not in shown
    second = Browser(world).act_as("bank-taihu")
    assert "would have this version score" in second.get(f"{PAGE}/v0002").text
    decide(second, "v0002", "champion", "appointment/champion")
    assert "Serving model v0002" in browser.get(PAGE).text
    browser.post(f"{PAGE}/rollback", browser.hidden(PAGE, "rollback") | {"note": "worse"})
    shown = browser.get(PAGE).text
    assert "Serving model v0001" in shown
    assert 'id="rollback"' not in shown
    decide(browser, "v0002", "retire", "retirement", note="worse")
    assert 'id="decide"' not in browser.get(f"{PAGE}/v0002").text


def test_a_decision_needs_a_note_and_is_refused_on_its_page(browser):
    refused = decide(browser, "v0002", "approve", "approval", status=422, note="")
    assert "invalid_request" in refused.text
    fields = browser.hidden(f"{PAGE}/v0002", "approve") | {"note": "x"}
    assert "version_not_approved" in browser.post(f"{PAGE}/v0002/appointment/champion", fields, status=409).text
    assert "model_in_use" in browser.post(f"{PAGE}/v0001/retirement", fields, status=409).text
    browser.post(f"{PAGE}/v0002/appointment/king", fields, status=422)
    browser.post(f"{PAGE}/v0009/approval", fields, status=404)


def test_a_form_sent_twice_decides_once(world, browser):
    fields = browser.hidden(f"{PAGE}/v0002", "approve") | {"note": "once"}
    for _ in range(2):
        browser.post(f"{PAGE}/v0002/approval", fields)
    history = world.get("bank-gusu", "/v1/models/v0002")["history"]
    assert [each["kind"] for each in history] == ["registered", "endorsed"]


def test_others_read_and_are_shown_no_decision(world):
    for who in ("grid-sip", "registry-sip"):
        browser = Browser(world).act_as(who)
        for page in (PAGE, f"{PAGE}/v0002"):
            shown = browser.get(page).text
            assert f'action="{PAGE}' not in shown
        fields = browser.hidden(PAGE, "leave") | {"note": "x"}
        browser.post(f"{PAGE}/v0002/approval", fields, status=403)
    Browser(world).act_as("verifier-cqc").get(PAGE, status=403)


def test_a_note_is_text_on_the_card(browser):
    decide(browser, "v0002", "approve", "approval", note="<script>alert(1)</script>")
    shown = browser.get(f"{PAGE}/v0002").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script>alert" not in shown


def test_the_page_warns_before_an_approval_ends_and_says_when_it_did(world):
    valid_until = START.fromisoformat(world.get("bank-gusu", "/v1/models/v0001")["valid_until"])
    for left, said in ((31, None), (29, "scoring stops then"), (0, "scoring has stopped")):
        world.now = valid_until - timedelta(days=left)
        shown = Browser(world).act_as("bank-gusu").get(PAGE).text
        assert said is None or said in shown
        assert said is not None or "The approval of v0001" not in shown


def test_the_card_is_in_the_readers_language(browser):
    assert "Ethical considerations" in browser.get(f"{PAGE}/v0001").text
    browser.client.cookies.set("tanxin_lang", "zh")
    assert "伦理与公平" in browser.get(f"{PAGE}/v0001").text


def test_the_page_says_which_column_moved_and_who_did_not_count(world, browser, monkeypatch):
    assert "No column has moved noticeably" in browser.get(PAGE).text
    network = world.parts.network
    for each in network.bank_ids:
        node = network.bank_node(each)
        counts = node.column_counts

        def moved(cuts, at, counts=counts):
            found = counts(cuts, at)
            found["leverage"] = found["leverage"][::-1].copy()
            return found

        monkeypatch.setattr(node, "column_counts", moved)
    network.grid_node("grid-sip").store.close()
    shown = browser.get(PAGE).text
    assert "Moved from the training rows: total liabilities / total assets." in shown
    assert "Not counted: SIP power supply company (sandbox)" in shown
    browser.client.cookies.set("tanxin_lang", "zh")
    assert "已偏离训练数据的列：资产负债率" in browser.get(PAGE).text
