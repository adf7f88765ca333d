"""A small client of the /v1 API, one key an organisation; refusals become exceptions with the problem's code."""

from __future__ import annotations

from typing import Any

import httpx


class Refused(RuntimeError):
    """The API refused. `code` is the problem's stable code."""

    def __init__(self, method: str, path: str, problem: dict[str, Any]) -> None:
        self.code = str(problem.get("code", "unknown"))
        super().__init__(f"{method} {path}: {self.code}: {problem.get('detail')} {problem.get('context') or ''}")


class ApiClient:
    """Calls on behalf of organisations. `keys` maps organisation id to API key."""

    def __init__(self, http: httpx.Client, keys: dict[str, str]) -> None:
        self._http = http
        self.keys = dict(keys)

    def get(self, organisation_id: str, path: str, **params: str | int) -> Any:
        answer = self._http.get(path, params=params, headers=self._headers(organisation_id))
        return self._body("GET", path, answer)

    def post(self, organisation_id: str, path: str, body: dict[str, Any] | None = None, *, key: str = "") -> Any:
        """POST JSON. With the same `key` a command is applied once, however often it is sent."""
        headers = self._headers(organisation_id) | ({"Idempotency-Key": key} if key else {})
        return self._body("POST", path, self._http.post(path, json=body, headers=headers))

    def post_csv(self, organisation_id: str, path: str, content: str, *, key: str) -> Any:
        headers = self._headers(organisation_id) | {"Idempotency-Key": key, "Content-Type": "text/csv"}
        return self._body("POST", path, self._http.post(path, content=content.encode(), headers=headers))

    def _headers(self, organisation_id: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[organisation_id]}"}

    def _body(self, method: str, path: str, answer: httpx.Response) -> Any:
        if answer.is_error:
            raise Refused(method, path, answer.json())
        return answer.json()
