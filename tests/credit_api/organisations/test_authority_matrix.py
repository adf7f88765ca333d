"""Every route, as every kind of organisation, for own and for foreign objects: no unexpected success.

What a command needs is in one table (`financing.base.authority`); here the running service is held to it. Bodies that
fit are taken from a recorder: the world of `full_world` is built over HTTP, and each command that succeeded there is
sent again, in another organisation's name.
"""

import json
import re
from pathlib import Path

import pytest

from credit_api.http.authority import ISSUES, READ_FOR, READERS, may_of, readers_of
from financing.base.authority import AUTHORITY, KINDS, REGULATOR, Role

DOCUMENT = json.loads((Path(__file__).parents[3] / "docs" / "openapi.json").read_text("utf-8"))
ROUTES = {
    (method.upper(), path): described
    for path, methods in DOCUMENT["paths"].items()
    for method, described in methods.items()
    if path.startswith("/v1")
}
# Posts that are no command of the table: asked of a credential, not of a kind; each has tests of its own.
DOORS = {
    "/v1/sessions",
    "/v1/invitations/opening",
    "/v1/invitations/acceptance",
    "/v1/keys",
    "/v1/sessions/{session_id}/end",
}
WHO = {
    "bank": "bank-jinji",
    "grid": "grid-gaoxin",
    "developer": "dev-z",
    "verifier": "verifier-sgs",
    "registry": "registry-hailing",
    "exchange": "exchange-z",
    "buyer": "buyer-z",
    "regulator": "regulator-z",
}
# Commands about the actor's own book, which an empty body tells enough.
NEED_NO_BODY = {"/v1/business-days", "/v1/revaluations"}
# What anybody of the kind may do to what is another's: the object is on offer to all, or nobody's.
FOR_ALL = {"give_quote", "place_bid", "commit_bid", "take_asking_price", "close_any", "record_units", "deposit"}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, founded_world):
    """A full world, what was sent to build it, and strangers of every kind in it."""
    from full_world import filled
    from world import World

    with World.copied(founded_world, tmp_path_factory.mktemp("matrix") / "home") as world:
        sent = []
        post = world.post

        def recording(who, path, body=None, **options):
            answer = post(who, path, body, **options)
            sent.append((who, path, body, answer))
            return answer

        world.post = recording
        filled(world)
        world.post = post
        for kind in KINDS:
            if WHO[kind] not in world.keys:
                world.admit(WHO[kind], kind, by="exchange-seee")
        yield world, sent


def called(world, who, method, path, body=None, key="matrix"):
    headers = world.bearer(who) | {"Idempotency-Key": f"{key}-{who}-{path}"[:190]}
    return world.client.request(method, path, json=body, headers=headers)


def filled_in(path):
    """A path with something in the place of each parameter."""
    return "/".join("nothing" if part.startswith("{") else part for part in path.split("/")).replace("{version}", "1")


def test_every_command_route_is_in_the_table_and_every_row_is_used():
    posts = {path for method, path in ROUTES if method == "POST"}
    assert posts - DOORS == set(ISSUES)
    assert set(ISSUES.values()) <= set(AUTHORITY)
    assert set(READERS) <= {path for method, path in ROUTES if method == "GET"}


# What is the same for everybody, or about nobody: a machine reads it for any work.
COMMON = {
    "accreditations",
    "fees",
    "instruments",
    "market",
    "marks",
    "methodologies",
    "organisations",
    "prices",
    "products",
    "serials",
}


def test_every_read_is_for_some_work_or_for_all():
    words = {path.split("/")[2] for (method, path), told in ROUTES.items() if method == "GET" and told.get("security")}
    assert words == set(READ_FOR) | COMMON


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_may_not_issue_is_refused_before_its_body_is_looked_at(recorded, kind):
    """With an empty body: who may is told what is wrong with it, who may not is refused first."""
    world, _ = recorded
    for path in ISSUES:
        answer = called(world, WHO[kind], "POST", filled_in(path), {})
        assert not answer.is_success or (kind in may_of(path).kinds and path in NEED_NO_BODY), (kind, path)
        refused = answer.status_code == 403 and answer.json()["code"] == "not_permitted"
        about_kind = refused and answer.json()["context"].get("kind") == kind
        assert about_kind is (kind not in may_of(path).kinds), (kind, path, answer.text)


@pytest.mark.parametrize("kind", KINDS)
def test_what_not_everybody_reads(recorded, kind):
    world, _ = recorded
    for path in READERS:
        asked = filled_in(path).replace("/reports/nothing", "/reports/positions")
        answer = called(world, WHO[kind], "GET", asked)
        # A regulator may ask, and has nothing of its own at a bank's node: it reads as the bank.
        allowed = kind in readers_of(path) and (kind != REGULATOR or path.startswith("/v1/models"))
        forbidden = answer.status_code == 403 and answer.json()["code"] in {"forbidden", "not_permitted"}
        assert not (forbidden and allowed), (kind, path, answer.text)
        assert forbidden or kind in readers_of(path), (kind, path, answer.text)


def test_a_role_that_may_not_is_refused_whatever_the_kind(recorded):
    """A viewer of each kind issues nothing at all."""
    world, _ = recorded
    for kind in KINDS:
        invited = world.post(WHO[kind], "/v1/invitations", {"roles": [Role.VIEWER]})
        viewer = f"{WHO[kind]}-viewer"
        world.keys[viewer] = world.entered(WHO[kind], invited["invitation_id"])
        for path in ISSUES:
            answer = called(world, viewer, "POST", filled_in(path), {})
            assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted"), (kind, path)


def test_what_one_did_another_cannot_do_to_the_same_object(recorded):
    """Each command that succeeded, sent again with the ids of its path and body by strangers of every kind."""
    world, sent = recorded
    tried = set()
    for who, path, body, _ in sent:
        template = next((each for each in ISSUES if matches(each, path)), None)
        if template is None or (template, json.dumps(sorted(body or {}))) in tried:
            continue
        tried.add((template, json.dumps(sorted(body or {}))))
        name = ISSUES[template]
        names_an_object = "{" in template or any(key.endswith("_id") for key in body or {})
        for kind in KINDS:
            if WHO[kind] == who or not names_an_object or name in FOR_ALL:
                continue
            before = world.snapshot()
            answer = called(world, WHO[kind], "POST", path, body, key="foreign")
            assert not answer.is_success, (name, kind, answer.text)
            assert world.snapshot() == before
    assert len({template for template, _ in tried}) > 20


def test_what_one_reads_another_does_not(recorded):
    """Ids of one organisation's objects, in the paths of all reads, asked for by a stranger of each kind."""
    world, sent = recorded
    found = {name: set() for name in ("loan_id", "decision_id", "pledge_id", "inquiry_id", "consent_id")}
    for who, _, body, answer in sent:
        for told in (body or {}, answer):
            if isinstance(told, dict) and who in {"dev-a", "bank-gusu"}:
                for name in found.keys() & told.keys():
                    found[name] |= {told[name]} if isinstance(told[name], str) else set()
    assert all(found.values())
    own = {value for values in found.values() for value in sorted(values)[:2]}
    for kind in KINDS:
        stranger = WHO[kind]
        for method, path in ROUTES:
            # Its own trail names what it asked for itself, here.
            if method != "GET" or path.endswith("/stream") or path == "/v1/audit-events":
                continue
            # Ids of what a path asks for, or of everything where it asks for something else.
            asked_for = set(re.findall(r"\{(\w+)\}", path))
            fitting = {value for name in asked_for & found.keys() for value in sorted(found[name])[:2]}
            for value in sorted(fitting or own) if asked_for else [""]:
                asked = "/".join(value if part.startswith("{") else part for part in path.split("/"))
                answer = called(world, stranger, "GET", asked)
                if answer.is_success and "application/json" in answer.headers["content-type"]:
                    assert not [each for each in own if f'"{each}"' in answer.text], (kind, asked)


def test_a_cursor_of_another_organisation_opens_nothing(recorded):
    """A cursor is a place in an order, never whose list it is."""
    world, _ = recorded
    for who, path in (("dev-a", "/v1/entries"), ("dev-a", "/v1/pledges"), ("bank-gusu", "/v1/inquiries")):
        link = called(world, who, "GET", f"{path}?limit=1").headers.get("link", "")
        following = link.partition("<")[2].partition(">")[0]
        if not following:
            continue
        for stranger in ("bank-jinji", "dev-z"):
            answer = called(world, stranger, "GET", following)
            rows = answer.json() if answer.is_success else []
            owned = called(world, stranger, "GET", path)
            assert all(row in (owned.json() if owned.is_success else []) for row in rows), (stranger, path)


def matches(template, path):
    parts, asked = template.split("/"), path.partition("?")[0].split("/")
    return len(parts) == len(asked) and all(a.startswith("{") or a == b for a, b in zip(parts, asked, strict=True))
