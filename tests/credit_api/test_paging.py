"""Lists by pages: nothing lost, nothing twice, whatever comes in between; what a list does not know it refuses."""

import re
from random import Random
from urllib.parse import parse_qs, urlsplit

import pytest
from test_bad_input import _inquiry

from financing.base.errors import CursorInvalid
from financing.base.storage.paging import Key, Window, page_of, plain
from financing.ledger.tables import OrganisationRow


def followed(world, who, path):
    """All rows of a list, page by page, by the `Link` header alone."""
    rows, pages = [], 0
    while path is not None:
        answer = world.client.get(path, headers={"Authorization": f"Bearer {world.keys[who]}"})
        assert answer.is_success, answer.text
        rows, pages = rows + answer.json(), pages + 1
        found = re.fullmatch(r'<(.*)>; rel="next"', answer.headers.get("Link", ""))
        path = found.group(1) if found else None
    return rows, pages


def listed(world, number):
    body = {"asset": f"PHCER:{world.issuance['issuance_id']}", "quantity_kg": 1_000,
            "price_fen_per_tonne": 3_000 + number, "expires_at": "2026-11-25T00:00:00Z"}  # fmt: skip
    return world.post("dev-a", "/v1/listings", body)["listing_id"]


def test_rows_that_come_and_go_between_pages_shift_nothing(world):
    world.admit("dev-a", "developer")
    world.issuance = world.credits("dev-a")
    rng, standing = Random(7), []
    for number in range(25):
        standing.append(listed(world, number))
    seen, path = [], "/v1/listings?limit=4"
    while path is not None:
        answer = world.client.get(path, headers={"Authorization": f"Bearer {world.keys['dev-a']}"})
        seen += [each["listing_id"] for each in answer.json()]
        found = re.fullmatch(r'<(.*)>; rel="next"', answer.headers.get("Link", ""))
        path = found.group(1) if found else None
        gone = rng.choice(standing)
        world.post("dev-a", f"/v1/listings/{gone}/end")
        standing.remove(gone)
        listed(world, 100 + len(seen))
    assert len(seen) == len(set(seen)), "no row twice"
    assert set(standing) <= set(seen), "no row that stood all along is lost"


def test_every_page_is_the_whole_list(sqlite_world):
    world = sqlite_world
    world.loan()
    names = ("loans", "pledges", "decisions", "securities", "inquiries", "margin-calls")
    for path in (f"/v1/{name}" for name in names):
        whole, _ = followed(world, "bank-gusu", path)
        paged, pages = followed(world, "bank-gusu", f"{path}?limit=1")
        assert paged == whole
        assert pages == max(len(whole), 1)


def test_a_refused_inquiry_takes_no_place_from_an_answered_one(sqlite_world):
    """The limit was applied before refusals were dropped: rows were lost."""
    world = sqlite_world
    subject = world.get("bank-gusu", "/v1/customers?limit=1")[0]["subject_id"]
    answered = world.score("bank-gusu", subject)["inquiry_id"]
    for _ in range(3):
        world.post("bank-gusu", "/v1/scores", _inquiry(subject, "no-such-consent"), status=403)
    first = world.get("bank-gusu", "/v1/inquiries?limit=1")
    assert [each["inquiry_id"] for each in first] == [answered]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/loans?state=zzz",
        "/healthz?state=zzz",
        "/v1/loans?stat=active",
        "/v1/pledges?page=2",
        "/v1/products?x",
        "/v1/statistics?tables=csv",
        "/v1/loans?cursor=zzz",
        "/v1/loans?cursor=WzFd",
        "/v1/loans?limit=0",
        "/v1/loans?limit=1001",
    ],
)
def test_what_a_list_does_not_know_is_refused(sqlite_world, path):
    answer = sqlite_world.get("bank-gusu", path, status=422)
    assert answer.json()["code"] in {"invalid_request", "cursor_invalid"}


def test_a_cursor_of_another_list_is_refused_by_the_store(sqlite_world):
    table = OrganisationRow.__table__
    keys = (Key(table.c.created_at, descending=True), Key(table.c.id))
    with sqlite_world.parts.reading() as connection:
        first = page_of(connection, table.select(), keys, Window(2), lambda row: row.id)
        again = page_of(connection, table.select(), keys, Window(2, tuple(plain(first.last))), lambda row: row.id)
        assert not set(first) & set(again)
        for wrong in ((), ("x", "y"), (1, 2), (*first.last, 1)):
            with pytest.raises(CursorInvalid):
                page_of(connection, table.select(), keys, Window(2, wrong), lambda row: row.id)


def test_a_cursor_is_of_one_list(sqlite_world):
    """Orders of many lists look alike: a cursor of one began another in its middle."""
    headers = {"Authorization": f"Bearer {sqlite_world.keys['registry-sip']}"}
    first = sqlite_world.client.get("/v1/organisations?limit=1", headers=headers)
    cursor = parse_qs(urlsplit(first.links["next"]["url"]).query)["cursor"][0]
    assert sqlite_world.get("registry-sip", f"/v1/organisations?limit=1&cursor={cursor}") != first.json()
    for path in ("/v1/projects", "/v1/issuances", "/v1/monitoring-periods", "/v1/entries"):
        answer = sqlite_world.get("registry-sip", f"{path}?cursor={cursor}", status=422)
        assert answer.json()["code"] == "invalid_request"
    sqlite_world.get("bank-gusu", "/v1/consents?cursor=W10", status=422)
    sqlite_world.get("registry-sip", "/v1/monitoring-periods?state=nonsense", status=422)
