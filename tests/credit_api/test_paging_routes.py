"""Every route that answers a list has pages; each is walked, row by row, and gives what one large page gives."""

import pytest
from full_world import full_world  # noqa: F401
from test_every_route import DOCUMENT
from test_paging import followed

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


@pytest.mark.parametrize("path", sorted(WALKED))
def test_every_page_is_the_whole_list(full_world, path):  # noqa: F811
    world, ids = full_world
    address = path.format(**ids)
    sign = "&" if "?" in address else "?"
    whole, once = followed(world, WALKED[path], f"{address}{sign}limit=1000")
    assert (once, len(whole) >= 2) == (1, True)
    # Row by row, and two at a time; what a bank has hundreds of, in twenty pages and a broken one.
    for limit in (1, 2) if len(whole) < 50 else (len(whole) // 20, len(whole) // 20 + 1):
        paged, pages = followed(world, WALKED[path], f"{address}{sign}limit={limit}")
        assert paged == whole
        assert pages == -(-len(whole) // limit)


@pytest.mark.parametrize("path", sorted(WALKED))
def test_a_cursor_of_another_list_is_refused(full_world, path):  # noqa: F811
    world, ids = full_world
    address = path.format(**ids)
    # One key too many for every list: a cursor of five parts.
    wrong = f"{address}{'&' if '?' in address else '?'}cursor=WzEsIjIiLDMsIjQiLDVd"
    answer = world.get(WALKED[path], wrong, status=422)
    assert answer.json()["code"] in {"invalid_request", "cursor_invalid"}


@pytest.mark.parametrize("path", ["/v1/statistics", "/v1/cad-trust/units"])
def test_a_file_has_the_whole_list_and_no_part_of_it(full_world, path):  # noqa: F811
    world, _ = full_world
    lines = world.client.get(f"{path}?table=csv").text.splitlines()
    assert len(lines) - 1 == len(followed(world, "dev-a", f"{path}?limit=1000")[0])
    for part in ("limit=1", "cursor=WzFd"):
        assert world.client.get(f"{path}?table=csv&{part}").json()["code"] == "invalid_request"
