"""What every route may answer besides success, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class FieldProblem(BaseModel):
    field: str
    message: str
    rule: str


class Problem(BaseModel):
    """RFC 9457 problem. `code` is stable; docs/errors.md lists all codes."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    request_id: str | None = None
    context: dict[str, Any] = {}
    errors: list[FieldProblem] = []


def _answer(text: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {"application/problem+json": {"schema": schema}}}


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: _answer("a header is missing"),
    401: _answer("no valid API key"),
    403: _answer("not this organisation's, or not consented to"),
    404: _answer("no such thing"),
    409: _answer("the books, the market or the state of things do not allow it"),
    413: _answer("the body is too large"),
    422: _answer("the request does not fit its schema or its own rules"),
    503: _answer("nothing can score: no node store, no champion, or its approval has lapsed"),
}


def add_problem_schemas(document: dict[str, Any]) -> dict[str, Any]:
    """Put the schemas that `PROBLEMS` refers to into an OpenAPI document."""
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    return document
