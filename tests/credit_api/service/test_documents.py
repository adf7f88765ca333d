"""The committed documents tell what the code does: made again, they are the same."""

import re
from pathlib import Path

import pytest

from credit_api.app.documents import claims_text, error_classes, errors_text, guide_text, openapi_text
from credit_api.app.errors import STATUS
from credit_api.app.settings import Settings

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def openapi():
    return openapi_text()


def test_the_openapi_document_is_the_committed_one(openapi):
    assert openapi == (ROOT / "docs/openapi.json").read_text("utf-8"), "run `make documents`"


def test_the_list_of_errors_is_the_committed_one():
    assert errors_text() == (ROOT / "docs/errors.md").read_text("utf-8"), "run `make documents`"


def test_the_claims_about_privacy_are_the_committed_ones_and_every_link_to_one_leads_there():
    claims = (ROOT / "docs/privacy-claims.md").read_text("utf-8")
    assert claims_text() == claims, "run `make documents`"
    linked = re.findall(r"privacy-claims\.md#([a-z-]+)\)", (ROOT / "docs/privacy.md").read_text("utf-8"))
    there = set(re.findall(r'<a id="([a-z-]+)">', claims))
    assert set(linked) == there


def test_every_code_has_one_status_and_every_status_a_code():
    base = {"financing_error", "federated_error", "api_error"}
    own = {"invalid_request", "method_not_allowed", "internal_error"}
    assert set(STATUS) == set(error_classes()) | base | own
    assert all(400 <= status < 600 for status in STATUS.values())


def test_every_setting_is_documented():
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    for name in Settings.model_fields:
        assert f"`TANXIN_{name.upper()}`" in text, name


def test_every_route_is_in_the_guide(openapi):
    guide = (ROOT / "docs/api.md").read_text("utf-8")
    assert guide_text(guide) == guide, "run: tanxin documents"
    routes = re.findall(r'^  "(/v1/[^"]+)": \{', openapi, re.MULTILINE)
    assert len(routes) > 30
    missing = [route for route in routes if f"`{route}`" not in guide]
    assert missing == []


def test_every_decision_record_is_listed():
    index = (ROOT / "docs/adr/README.md").read_text("utf-8")
    for path in (ROOT / "docs/adr").glob("0*.md"):
        assert path.name in index, path.name
