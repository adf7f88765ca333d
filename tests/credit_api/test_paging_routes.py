"""Every route that answers a list has pages; each is walked, row by row, and gives what one large page gives."""

from datetime import UTC, datetime, timedelta

import pytest
from test_every_route import DOCUMENT
from test_paging import followed
from world import World

from financing.lending.unit import UnitOfWork

# Lists that do not grow with what participants do, each with what bounds it.
WITHOUT_PAGES = {
    "/v1/methodologies": "a catalogue of files",
    "/v1/methodologies/{code}/{version}/transitions": "a version enters each of four statuses once",
    "/v1/products": "a catalogue of files",
    "/v1/instruments/{instrument}/candles": "`days` says how many",
    "/v1/models/{version}/fairness": "the audited groups of one version",
}


def answers_a_list(described):
    content = described["responses"].get("200", {}).get("content", {})
    return content.get("application/json", {}).get("schema", {}).get("type") == "array"


LISTS = {
    path: {each["name"] for each in methods["get"].get("parameters", [])}
    for path, methods in DOCUMENT["paths"].items()
    if "get" in methods and answers_a_list(methods["get"])
}


def test_every_list_has_pages_but_those_that_cannot_grow():
    assert {path for path, names in LISTS.items() if not {"limit", "cursor"} <= names} == set(WITHOUT_PAGES)


def test_no_list_has_another_way_to_turn_its_pages():
    assert not {path for path, names in LISTS.items() if names & {"after", "before", "offset", "page"}}


# Who reads which list of `full_world`. The lists of trade and lending are walked in test_paging.
WALKED = {
    "/v1/accreditations": "registry-sip",
    "/v1/balances": "bank-gusu",
    "/v1/cad-trust/units": "dev-a",
    "/v1/cancellations": "registry-sip",
    "/v1/consents": "bank-gusu",
    "/v1/customers": "bank-gusu",
    "/v1/entries": "dev-a",
    "/v1/external-claims": "dev-a",
    "/v1/freezes": "dev-a",
    "/v1/green-certificates": "grid-sip",
    "/v1/issuances": "dev-a",
    "/v1/loans/{loan_id}/events": "bank-gusu",
    "/v1/models": "bank-gusu",
    "/v1/monitoring-periods": "verifier-cqc",
    "/v1/monitoring-periods/{period_id}/findings": "verifier-cqc",
    "/v1/neutrality-claims": "dev-a",
    "/v1/organisations": "dev-a",
    "/v1/packages": "dev-a",
    "/v1/packages/{package_id}/constituents": "dev-a",
    "/v1/prices?asset_class=PHCER": "dev-a",
    "/v1/projects": "verifier-cqc",
    "/v1/statistics": "dev-a",
    "/v1/subject/consents": "dev-a",
    "/v1/transfers": "dev-a",
    "/v1/verification/work-list": "verifier-cqc",
}


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def full_world(request, tmp_path_factory):
    """A world in which every list that is walked here has rows, and the ids that stand in its paths."""
    home = tmp_path_factory.mktemp("lists") / "home"
    if request.param == "sqlite":
        with World.copied(request.getfixturevalue("founded_world"), home) as opened:
            yield opened, filled(opened)
        return
    founded, server = request.getfixturevalue("founded_database"), request.getfixturevalue("postgres_server")
    server.psql("CREATE DATABASE lists TEMPLATE founded")
    with World.copied(founded, home, server.get_uri("lists")) as opened:
        yield opened, filled(opened)
    server.psql("DROP DATABASE lists WITH (FORCE)")


def filled(w):
    loan, _, _ = w.loan()
    with w.parts.reading() as connection:
        subject = UnitOfWork(connection).organisations.get("dev-a").subject_id
    w.consent("bank-gusu", subject)
    for fen in (3_010, 3_020):
        w.now += timedelta(days=1)
        w.price(fen)
        w.post("dev-a", f"/v1/loans/{loan['loan_id']}/repayments", {"amount_fen": 10_000})
    issued = [w.credits("dev-a", f"P{number}") for number in range(3)]
    issued.append(of_another_year(w))
    ids = {"loan_id": loan["loan_id"], "period_id": waiting(w), "package_id": packaged(w, issued)}
    use(w, issued)
    return ids


def of_another_year(w):
    first = datetime(2024, 3, 1, tzinfo=UTC)
    project = w.project("dev-a", "OLD")
    w.post("grid-sip", "/v1/meters/M-OLD/readings", w.readings_body(30, first=first))
    claim = w.accept(w.claim("dev-a", project, first=first, days=30))
    return w.post("registry-sip", "/v1/issuances", {"monitoring_period_id": claim["monitoring_period_id"]})


def waiting(w):
    """Periods that wait for a verifier, one of them assigned, with findings: its id."""
    project = w.project("dev-a", "WAIT")
    w.post("grid-sip", "/v1/meters/M-WAIT/readings", w.readings_body())
    days = (datetime(2025, 3, day, tzinfo=UTC) for day in (1, 6, 11))
    claims = [w.claim("dev-a", project, first=first, days=5)["monitoring_period_id"] for first in days]
    path = f"/v1/monitoring-periods/{claims[1]}"
    w.post("registry-sip", f"{path}/assignment", {"verifier_id": "verifier-cqc", "due_on": "2026-12-01"})
    for text in ("one", "two", "three"):
        w.post("verifier-cqc", f"{path}/findings", {"severity": "clarification", "text": text})
    return claims[1]


def packaged(w, issued):
    codes = [{"code": code, "name": code, "redemption": "oldest_first"} for code in ("ANY", "OTHER")]
    package, _ = (w.post("registry-sip", "/v1/packages", body)["package_id"] for body in codes)
    for each in issued:
        body = {"issuance_id": each["issuance_id"], "quantity_kg": 5_000}
        w.post("dev-a", f"/v1/packages/{package}/deposits", body)
    return package


def use(w, issued):
    """Cancel, freeze and send away, record claims elsewhere, and state neutrality."""
    span = {"starts_at": "2025-06-01T00:00:00Z", "ends_at": "2025-07-01T00:00:00Z"}
    footprint = [{"scope": 2, "source": "electricity", "emitted_kg": 9_000, "evidence": "bill"}]
    for number, each in enumerate(issued[:2]):
        some = {"issuance_id": each["issuance_id"], "quantity_kg": 1_000}
        w.post("dev-a", "/v1/cancellations", some | {"reason": "no use"})
        w.post("dev-a", "/v1/transfers", some | {"to_region": "hailing"})
        w.post("dev-a", "/v1/neutrality-claims", {"subject": "a", "boundary": "b", "footprint": footprint} | span)
        other = {"scheme": "CCER", "subject_kind": "meter", "subject_id": f"M-{number}", "reference": "r"}
        w.post("registry-sip", "/v1/external-claims", other | span)
        green = {"certificate_number": f"GEC-{number}", "meter_id": "M-P2", "energy_wh": 1_000}
        w.post("grid-sip", "/v1/green-certificates", green | span)
        scope = {"organisation_id": "verifier-bsi", "methodology": "PV", "source": "minutes"}
        w.post("registry-sip", "/v1/accreditations", scope | {"valid_from": f"2026-01-0{number + 1}"})
        w.post("registry-sip", "/v1/freezes", {"issuance_id": each["issuance_id"], "reason": "a look"})


@pytest.mark.parametrize("path", sorted(WALKED))
def test_every_page_is_the_whole_list(full_world, path):
    world, ids = full_world
    address = path.format(**ids)
    sign = "&" if "?" in address else "?"
    whole, once = followed(world, WALKED[path], f"{address}{sign}limit=1000")
    assert (once, len(whole) >= 2) == (1, True)
    for limit in (1, 2):
        paged, pages = followed(world, WALKED[path], f"{address}{sign}limit={limit}")
        assert paged == whole
        assert pages == -(-len(whole) // limit)


@pytest.mark.parametrize("path", sorted(WALKED))
def test_a_cursor_of_another_list_is_refused(full_world, path):
    world, ids = full_world
    address = path.format(**ids)
    # One key too many for every list: a cursor of five parts.
    wrong = f"{address}{'&' if '?' in address else '?'}cursor=WzEsIjIiLDMsIjQiLDVd"
    answer = world.get(WALKED[path], wrong, status=422)
    assert answer.json()["code"] in {"invalid_request", "cursor_invalid"}


@pytest.mark.parametrize("path", ["/v1/statistics", "/v1/cad-trust/units"])
def test_a_file_has_the_whole_list_and_no_part_of_it(full_world, path):
    world, _ = full_world
    lines = world.client.get(f"{path}?table=csv").text.splitlines()
    assert len(lines) - 1 == len(followed(world, "dev-a", f"{path}?limit=1000")[0])
    for part in ("limit=1", "cursor=WzFd"):
        assert world.client.get(f"{path}?table=csv&{part}").json()["code"] == "invalid_request"
