"""What holds for every route of the OpenAPI document."""

import json
from pathlib import Path

import pytest

# What the code says of itself, as it is committed: test_documents holds it against the code.
DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text("utf-8"))
PUBLIC = {
    "/healthz",
    "/v1/ledger/head",
    "/v1/certificates/{certificate_number}",
    "/v1/certificates/{certificate_number}/document",
    "/v1/neutrality-certificates/{certificate_number}",
    "/v1/neutrality-certificates/{certificate_number}/document",
    "/v1/green-certificates/{certificate_number}/document",
    "/v1/certificate-authority",
    "/v1/statistics",
    "/v1/subsidy-estimate",
    "/v1/cad-trust/units",
}
ROUTES = [
    (method, path, described)
    for path, methods in DOCUMENT["paths"].items()
    for method, described in methods.items()
    if path.startswith("/v1") or path == "/healthz"
]
# Where one comes in: nobody is known there yet.
DOORS = {"/v1/sessions", "/v1/invitations/opening", "/v1/invitations/acceptance"}
COMMANDS_WITHOUT_KEY = {"/v1/scores", "/v1/keys", "/v1/sessions/{session_id}/end"} | DOORS


@pytest.fixture(scope="module")
def answers(tmp_path_factory, founded_world):
    """Each route called without an API key, and as a verifier with nonsense in its path."""
    from world import World

    with World.copied(founded_world, tmp_path_factory.mktemp("routes") / "home") as world:
        headers = {"Authorization": f"Bearer {world.keys['verifier-cqc']}", "Idempotency-Key": "k"}
        found = {}
        for method, path, _ in ROUTES:
            url = path.replace("{", "x-").replace("}", "")
            without = world.client.request(method, url, json={})
            as_verifier = world.client.request(method, url, json={}, headers=headers)
            found[method, path] = (without, as_verifier)
        yield found


def test_every_route_but_the_public_ones_needs_a_key(answers):
    for (method, path), (without, _) in answers.items():
        if path in PUBLIC and method != "get":
            continue  # shown to everyone, written by a registry
        if path in DOORS and method == "post":
            assert without.status_code == 422, path
            continue
        assert (without.status_code == 401) is (path not in PUBLIC), path


def test_nothing_answers_with_a_failure_of_its_own(answers):
    for (_, path), (without, as_verifier) in answers.items():
        assert without.status_code < 500, path
        assert as_verifier.status_code < 500, path


def test_a_command_with_an_empty_body_is_refused_with_a_problem(answers):
    for (method, path), (_, as_verifier) in answers.items():
        if method == "post":
            assert as_verifier.status_code >= 400, path
            assert as_verifier.json()["code"], path


def test_every_command_takes_an_idempotency_key_and_every_operation_is_described():
    for method, path, described in ROUTES:
        assert described.get("description"), path
        assert described["responses"].keys() & {"200", "201"}, path
        takes_key = any(each["name"] == "Idempotency-Key" for each in described.get("parameters", []))
        assert takes_key is (method == "post" and path not in COMMANDS_WITHOUT_KEY), path
