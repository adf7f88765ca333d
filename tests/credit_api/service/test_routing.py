"""A router is asked only for paths that begin as one of its own does, and answers as if it were asked for all."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from credit_api.http.routing import Router


@pytest.fixture
def client():
    app = FastAPI()
    for room in ("loans", "people", ""):
        router = Router(prefix="/v1")

        @router.get(f"/{room}/{{one}}" if room else "/{any_word}")
        def read(one: str = "", any_word: str = "", room=room):
            return [room, one, any_word]

        @router.post(f"/{room}/{{one}}/end" if room else "/{any_word}/end")
        def end():
            return None

        app.include_router(router)
    return TestClient(app)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/v1/loans/x", ["loans", "x", ""]),
        ("/v1/people/x", ["people", "x", ""]),
        ("/v1/other", ["", "", "other"]),
    ],
)
def test_the_right_router_answers(client, path, answer):
    assert client.get(path).json() == answer


def test_what_no_router_has_is_not_found_and_another_method_is_not_allowed(client):
    assert client.get("/v2/loans/x").status_code == 404
    assert client.get("/v1/loans/x/y/z").status_code == 404
    assert client.get("/v1/loans/x/end").status_code == 405
    assert client.get("/v1/other/end").status_code == 405


def test_a_router_of_other_beginnings_looks_at_none_of_its_routes(client, monkeypatch):
    from starlette.routing import Match

    def never(*_):
        raise AssertionError("asked")

    router = Router(prefix="/v1")
    router.add_api_route("/loans/{one}", lambda one: one)
    monkeypatch.setattr(type(router).__mro__[1], "matches", never)
    assert router.matches({"type": "http", "path": "/v1/people/x"}) == (Match.NONE, {})
    with pytest.raises(AssertionError, match="asked"):
        router.matches({"type": "http", "path": "/v1/loans/x"})
