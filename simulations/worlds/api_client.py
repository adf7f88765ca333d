"""A small client of the /v1 API, one key an organisation; refusals become exceptions with the problem's code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import httpx


class Refused(RuntimeError):
    """The API refused. `code` is the problem's stable code."""

    def __init__(self, method: str, path: str, problem: dict[str, Any]) -> None:
        self.code = str(problem.get("code", "unknown"))
        self.context = dict(problem.get("context") or {})
        super().__init__(f"{method} {path}: {self.code}: {problem.get('detail')} {problem.get('context') or ''}")


class ApiClient:
    """Calls on behalf of organisations. `keys` maps organisation id to API key; `sign` to what signs for it here, where
    its signing key is, and never at the service."""

    def __init__(
        self, http: httpx.Client, keys: dict[str, str], sign: Mapping[str, Callable[[bytes], bytes]] | None = None
    ) -> None:
        self._http = http
        self.keys = dict(keys)
        self._sign = dict(sign or {})

    def get(self, organisation_id: str, path: str, **params: str | int) -> Any:
        return self._call("GET", path, headers=self._headers(organisation_id), params=params).json()

    def every(self, organisation_id: str, path: str) -> list[Any]:
        """All rows of a list, page by page, as each answer leads on."""
        rows: list[Any] = []
        following: str | None = path
        while following is not None:
            answer = self._call("GET", following, headers=self._headers(organisation_id))
            rows += answer.json()
            following = answer.links.get("next", {}).get("url")
        return rows

    def post(self, organisation_id: str, path: str, body: dict[str, Any] | None = None, *, key: str = "") -> Any:
        """POST JSON. With the same `key` a command is applied once, however often it is sent."""
        headers = self._headers(organisation_id) | ({"Idempotency-Key": key} if key else {})
        try:
            return self._call("POST", path, headers=headers, json=body).json()
        except Refused as refused:
            if refused.code != "signature_needed" or organisation_id not in self._sign:
                raise
            fields = {"signature": self._sign[organisation_id](str(refused.context["to_sign"]).encode()).hex()}
            if "signed_at" in refused.context:
                fields["signed_at"] = str(refused.context["signed_at"])
        return self._call("POST", path, headers=headers, json=(body or {}) | fields).json()

    def enter(self, by: str, organisation_id: str, invitation_id: str) -> None:
        """Accept the invitation of an organisation's first person in a sandbox, and keep the key that comes of it."""
        code = self.get(by, f"/v1/invitations/{invitation_id}/code")["invitation"]
        body = {"invitation": code, "name": "officer"}
        self.keys[organisation_id] = self._call("POST", "/v1/invitations/acceptance", json=body).json()["api_key"]

    def post_csv(self, organisation_id: str, path: str, content: str, *, key: str) -> Any:
        headers = self._headers(organisation_id) | {"Idempotency-Key": key, "Content-Type": "text/csv"}
        return self._call("POST", path, headers=headers, content=content.encode()).json()

    def _headers(self, organisation_id: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[organisation_id]}"}

    def _call(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **request)
        except httpx.RemoteProtocolError:
            # The service closed an idle connection. A command has its key, so sending it again applies it once.
            answer = self._http.request(method, path, **request)
        if answer.is_error:
            raise Refused(method, path, answer.json())
        return answer
