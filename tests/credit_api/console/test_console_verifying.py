"""At the console: a project on any methodology, its declared claim, and a verifier's question until it is signed."""

import re

import pytest

HTML = {"Accept": "text/html,application/xhtml+xml"}
PLACE = {"region": "SIP", "latitude_deg": "31.3", "longitude_deg": "120.6"}
DECLARED = {
    "owns_the_reduction": "yes",
    "not_registered_elsewhere": "yes",
    "outside_ets_boundary": "yes",
}
DATES = {"grid_connected_on": "2023-06-01", "crediting_from": "2024-01-01", "crediting_until": "2033-12-31"}


class Browser:
    """A browser without a screen that acts as one organisation after another."""

    def __init__(self, world):
        self.client = world.visitor()

    def get(self, path, status=200):
        answer = self.client.get(path, headers=HTML)
        assert answer.status_code == status, answer.text
        return answer.text

    def send(self, page, form, action, status=303, **fields):
        """Fill a form of `page` and send it; where it leads, or the page that refuses it."""
        shown = self.get(page)
        before = shown[: shown.index(f'name="form" value="{form}"')]
        hidden = dict(re.findall(r'type="hidden" name="(csrf|key)" value="([^"]*)"', before)[-2:])
        headers = HTML | {"Sec-Fetch-Site": "same-origin"}
        answer = self.client.post(action, data=hidden | {"form": form} | fields, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.headers["location"] if status == 303 else answer.text

    def act_as(self, organisation_id):
        form = "switch" if self.client.cookies.get("tanxin_session") else "enter"
        self.send("/sign-in", form, "/session", organisation_id=organisation_id)


@pytest.fixture
def browser(sqlite_world):
    sqlite_world.admit("dev-a", "developer")
    opened = Browser(sqlite_world)
    opened.act_as("dev-a")
    return opened


def register(browser, tag, code, status=303, **fields):
    page = f"/console/register?methodology={tag}"
    filled = {"methodology": tag, "name": f"project {code}", "code": code} | PLACE | DECLARED | DATES | fields
    return browser.send(page, "register", "/console/register", status, **filled)


def test_a_metered_project_is_registered_with_its_variant(sqlite_world, browser):
    meters = {"meters.charger": "M-C1, M-C2", "grid.charger": "grid-sip", "interval.charger": "15"}
    chosen = {"choice.vehicle": "bus", "choice.charger": "dc", "capacity": "240"}
    where = register(browser, "EV1", "PILES", **meters, **chosen)
    page = browser.get(where)
    assert "distance = claimed / consumption" in page
    assert "12 m city bus" in page
    (project,) = sqlite_world.get("dev-a", "/v1/projects")
    assert project["meter_ids"] == ["M-C1", "M-C2"]
    assert project["capacity_w"] == 240_000
    refused = register(browser, "EV1", "PILES2", 409, **(meters | {"meters.charger": "M-C1"}), **chosen)
    assert "already_exists" in refused
    assert "project PILES2" in refused
    assert "declaration_missing" in register(
        browser, "EV1", "PILES3", 422, **(meters | {"meters.charger": "M-9", "owns_the_reduction": ""}), **chosen
    )


def test_a_wetland_from_the_form_to_a_signed_statement(browser, sqlite_world):
    where = register(browser, "WETLAND1", "MARSH", **{"choice.type": "salt_marsh"})
    inputs = {"area": "10", "methane": "20", "nitrous_oxide": "0", "half_width": "0.2"}
    fields = {"starts_on": "2025-01-01", "ends_on": "2025-12-31"} | {f"declared.{k}": v for k, v in inputs.items()}
    without = browser.send(where, "submit", f"{where}/periods", 404, **fields)
    assert "not_found" in without
    wrong = fields | {"declared.area": "ten"} | {f"evidence.{k}": "survey" for k in inputs}
    assert "invalid_request" in browser.send(where, "submit", f"{where}/periods", 422, **wrong)
    browser.send(where, "submit", f"{where}/periods", **(wrong | {"declared.area": "10"}))
    (claim,) = sqlite_world.get("dev-a", "/v1/monitoring-periods")
    page = f"/console/claims/{claim['monitoring_period_id']}"
    shown = browser.get(page)
    assert "gross = area * sequestration" in shown
    assert "Deducted for uncertainty: a share of 0.2" in shown
    browser.act_as("registry-sip")
    browser.send(page, "assign", f"{page}/assignment", verifier_id="verifier-bsi", due_on="2026-12-24")
    browser.act_as("verifier-bsi")
    assert "2026-12-24" in browser.get("/console/verification")
    asked = {"severity": "clarification", "text": "who surveyed the area?"}
    browser.send(page, "finding", f"{page}/findings", **asked)
    statement = {
        "opinion": "positive",
        "commitment": claim["commitment"],
        "generation": "0",
        "reduction": f"{claim['reduction_kg'] / 1000:.3f}",
    }
    assert "findings_open" in browser.send(page, "state", f"{page}/statement", 409, **statement)
    findings = f"/v1/monitoring-periods/{claim['monitoring_period_id']}/findings"
    (finding,) = sqlite_world.get("dev-a", findings)
    number = finding["finding_id"]
    browser.act_as("dev-a")
    browser.send(page, f"answer-{number}", f"{page}/findings/{number}/answer", text="the surveying office")
    browser.act_as("verifier-bsi")
    browser.send(page, f"close-{number}", f"{page}/findings/{number}/closure", text="report seen")
    browser.send(page, "state", f"{page}/statement", **statement)
    (after,) = sqlite_world.get("dev-a", "/v1/monitoring-periods")
    assert (after["state"], after["verifier_id"]) == ("accepted", "verifier-bsi")
