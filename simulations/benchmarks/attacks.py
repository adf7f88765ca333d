"""Attacks on a running service, over HTTP as anybody could try them.

They are the attempts that once owned the system, and their kin: minting access, acting in another's place or region,
being two persons at once, being somebody else's customer, and sending more than can be borne. The service runs in a
process of its own on generated customers; nothing of it is a mock. An attack that gets through is a finding.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from simulations.benchmarks.market_service import REGISTER_FOUNDERS, Service, start
from simulations.worlds.api_client import ApiClient
from simulations.worlds.credit_nodes import build_nodes
from simulations.worlds.credit_population import generate_population
from simulations.worlds.names import EXCHANGE, REGISTRY
from simulations.worlds.wallet import NETWORK, Wallet

BANK, OTHER_REGISTRY, FIRM = "bank-gusu", "registry-hailing", "dev-attacked"
FIRMS = 300
FLOOD_BYTES = 200_000_000
WRONG_KEYS = 200
HALF_OPEN = 1_500


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attack: what was tried, whether it was held back, and what shows it."""

    name: str
    held: bool
    shown: str


@dataclass(frozen=True, slots=True)
class Attacked:
    """The service under attack: a client of it, its process, and whose customer nobody here is."""

    service: Service
    http: httpx.Client
    api: ApiClient
    wallet: Wallet
    stranger: str

    def post(self, who: str, path: str, body: Any = None, key: str = "") -> httpx.Response:
        head = {"Authorization": f"Bearer {self.api.keys[who]}", "Idempotency-Key": key or f"{who}{path}"[:190]}
        return self.http.post(path, json=body, headers=head)

    def get(self, who: str, path: str, **headers: str) -> httpx.Response:
        return self.http.get(path, headers={"Authorization": f"Bearer {self.api.keys[who]}"} | headers)

    def memory_mib(self) -> float:
        """What the service's process holds now."""
        status = Path(f"/proc/{self.service.process.pid}/status").read_text("utf-8")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def run_attacks(say: Callable[[str], None]) -> list[Attempt]:
    """Start a service on generated customers and try everything. Takes about half a minute."""
    with tempfile.TemporaryDirectory(prefix="tanxin-attacked-") as folder:
        home = Path(folder)
        wallet = Wallet.at(home / NETWORK, "generated")
        tables = generate_population(FIRMS, seed=7)
        build_nodes(home / NETWORK, tables, [], wallet.authority)
        subprocess.run([sys.executable, "-c", REGISTER_FOUNDERS, folder], check=True, capture_output=True)
        keys = json.loads((home / "sandbox-keys.json").read_text("utf-8"))["keys"]
        service = start(home)
        try:
            with httpx.Client(base_url=service.url, timeout=60.0, trust_env=False) as http:
                attacked = Attacked(service, http, ApiClient(http, keys), wallet, tables.subjects[0])
                _admit(attacked)
                return [_tried(attack, attacked, say) for attack in ATTACKS]
        finally:
            service.stop()


def _tried(attack: Callable[[Attacked], tuple[bool, str]], on: Attacked, say: Callable[[str], None]) -> Attempt:
    name = (attack.__doc__ or "").partition("\n")[0].rstrip(".")
    say(name)
    return Attempt(name, *attack(on))


def _admit(on: Attacked) -> None:
    body = {"organisation_id": FIRM, "kind": "developer", "name_zh": FIRM, "name_en": FIRM}
    on.api.enter(REGISTRY, FIRM, on.api.post(REGISTRY, "/v1/organisations", body, key="admit")["invitation_id"])
    on.api.post(EXCHANGE, "/v1/prices", _price(3_000), key="first price")


def _price(fen: int) -> dict[str, Any]:
    at = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    return {"asset_class": "PHCER", "price_fen_per_tonne": fen, "observed_at": at, "source": "bench"}


def _all_refused(answers: list[httpx.Response]) -> tuple[bool, str]:
    return not any(each.is_success for each in answers), " ".join(str(each.status_code) for each in answers)


def mint_access(on: Attacked) -> tuple[bool, str]:
    """A registry mints access for a bank, the exchange and another registry."""
    answers = []
    for target in (BANK, EXCHANGE, OTHER_REGISTRY):
        answers.append(on.post(REGISTRY, f"/v1/organisations/{target}/keys", {"label": "mine"}))
        answers.append(on.post(REGISTRY, f"/v1/organisations/{target}/invitation"))
    return _all_refused(answers)


def crown_itself(on: Attacked) -> tuple[bool, str]:
    """A registry admits an exchange, a registry and a regulator of its own."""
    body = {"name_zh": "x", "name_en": "x"}
    made = [{"organisation_id": f"{kind}-mine", "kind": kind} for kind in ("exchange", "registry", "regulator")]
    return _all_refused([on.post(REGISTRY, "/v1/organisations", body | each, each["kind"]) for each in made])


def name_a_customer(on: Attacked) -> tuple[bool, str]:
    """A registry admits a firm under a stranger's customer id."""
    body = {"organisation_id": "dev-x", "kind": "developer", "name_zh": "x", "name_en": "x", "subject_id": on.stranger}
    return _all_refused([on.post(REGISTRY, "/v1/organisations", body)])


def be_a_customer(on: Attacked) -> tuple[bool, str]:
    """A firm binds itself to a stranger with a forged signature, its own key, and another firm's proof."""
    challenge = on.get(FIRM, f"/v1/subject/challenge?subject_id={on.stranger}").json()["challenge"]
    own = Wallet(b"\1" * 32, b"\2" * 32)
    forged = own.binding(on.stranger, FIRM, challenge)
    proof = on.wallet.binding(on.stranger, "dev-other", challenge)
    broken = on.wallet.binding(on.stranger, FIRM, challenge) | {"signature": "00" * 64}
    answers = [on.post(FIRM, "/v1/subject/binding", body, str(n)) for n, body in enumerate((forged, proof, broken))]
    return _all_refused([*answers, on.get(FIRM, "/v1/subject/inquiries")])


def act_elsewhere(on: Attacked) -> tuple[bool, str]:
    """A town's registry suspends another town's project."""
    project = {
        "code": "ATT",
        "name": "roof",
        "capacity_w": 5_000_000,
        "grid_connected_on": "2022-06-01",
        "crediting_from": "2023-01-01T00:00:00Z",
        "crediting_until": "2033-01-01T00:00:00Z",
        "region": "SIP",
        "latitude_deg": 31.3,
        "longitude_deg": 120.6,
        "meters": [{"meter_id": "M-ATT", "measured_by": "grid-sip", "interval_minutes": 60}],
        "owns_the_reduction": True,
        "not_registered_elsewhere": True,
        "outside_ets_boundary": True,
    }
    made = on.api.post(FIRM, "/v1/projects", project, key="project")["project_id"]
    return _all_refused([on.post(OTHER_REGISTRY, f"/v1/projects/{made}/suspension", {"reason": "mine"})])


def be_two_persons(on: Attacked) -> tuple[bool, str]:
    """One person moves the price to a fen a tonne: alone, with the boolean of before, with another key of its own."""
    old = on.post(EXCHANGE, "/v1/prices", _price(1) | {"confirmed": True}, "old")
    waiting = on.post(EXCHANGE, "/v1/prices", _price(1), "alone")
    on.api.keys["again"] = on.post(EXCHANGE, "/v1/keys", {"label": "second officer"}).json()["api_key"]
    path = f"/v1/proposals/{waiting.json()['proposal_id']}/confirmation"
    answers = [old, on.post(EXCHANGE, path), on.post("again", path), on.post(BANK, path)]
    mark = on.get(BANK, "/v1/marks/PHCER").json()["price_fen_per_tonne"]
    held, shown = _all_refused(answers)
    return held and mark == 3_000, f"{shown}, mark {mark} fen"


def outlive_a_key(on: Attacked) -> tuple[bool, str]:
    """A revoked key goes on: the next read, the next command, and the session that it opened."""
    made = on.post(BANK, "/v1/keys", {"label": "stolen"}).json()["api_key"]
    on.api.keys["stolen"] = made
    with httpx.Client(base_url=on.service.url, trust_env=False, timeout=30.0) as browser:
        token = browser.get("/sign-in").text.split('name="csrf" value="')[1].split('"')[0]
        browser.post("/session", data={"csrf": token, "api_key": made})
        before = browser.get("/console/people").status_code
        listed = on.get(BANK, "/v1/keys").json()
        named = next(each["key_id"] for each in listed if each["label"] == "stolen")
        on.api.post(BANK, f"/v1/keys/{named}/revocation", key="revoke")
        answers = [
            on.get("stolen", "/v1/balances"),
            on.post("stolen", "/v1/business-days", {}),
            browser.get("/console/people"),
        ]
    held, shown = _all_refused(answers)
    return held and before == httpx.codes.OK, f"{before} before, {shown} after"


def forge_tokens(on: Attacked) -> tuple[bool, str]:
    """Somebody asks for a machine's token with an unsigned assertion and with a MAC."""
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtYWNfeCIsImlzcyI6Im1hY194In0."
    mac = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtYWNfeCJ9.AAAA"
    return _all_refused([on.http.post("/oauth/token", data=form | {"client_assertion": each}) for each in (none, mac)])


def guess_keys(on: Attacked) -> tuple[bool, str]:
    """Two hundred wrong keys are tried as fast as they are answered."""
    codes = []
    for number in range(WRONG_KEYS):
        head = {"Authorization": f"Bearer txk_test_{number}"}
        codes.append(on.http.get("/v1/balances", headers=head).status_code)
    looked_at, known = codes.count(401), on.get(BANK, "/v1/balances").status_code
    held = looked_at <= 20 and codes.count(429) == WRONG_KEYS - looked_at and known == httpx.codes.OK
    return held, f"{looked_at} looked at, the others 429; a known key meanwhile {known}"


def flood(on: Attacked) -> tuple[bool, str]:
    """A stranger sends 200 MB; the service answers others meanwhile, and its memory comes back."""
    before, slowest, done = on.memory_mib(), [0.0], threading.Event()

    def look() -> None:
        with httpx.Client(base_url=on.service.url, trust_env=False, timeout=30.0) as other:
            while not done.is_set():
                started = time.monotonic()
                other.get("/healthz")
                slowest[0] = max(slowest[0], time.monotonic() - started)

    watcher = threading.Thread(target=look)
    watcher.start()
    time.sleep(0.2)
    refused = _sent(on.service.port, FLOOD_BYTES)
    time.sleep(0.2)
    done.set()
    watcher.join()
    time.sleep(0.5)
    grown = on.memory_mib() - before
    return grown < 10, f"{refused}; memory {grown:+.1f} MiB; /healthz at most {slowest[0] * 1e3:.0f} ms meanwhile"


def _sent(port: int, size: int) -> str:
    """Send a body of this size without a key; how far it came."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        head = (
            f"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
        )
        line.sendall(head.encode())
        started, sent, piece = time.monotonic(), 0, b"[" * 65_536
        try:
            while sent < size:
                line.sendall(piece)
                sent += len(piece)
        except OSError:
            pass
        answer = b""
        with contextlib.suppress(OSError):
            answer = line.recv(64)
    first = answer.split(b"\r\n")[0].decode("ascii", "replace") or "closed"
    return f"{first} after {sent / 1e6:.1f} MB and {(time.monotonic() - started) * 1e3:.0f} ms"


def hold_lines(on: Attacked) -> tuple[bool, str]:
    """A stranger opens 1,500 connections and says nothing."""
    lines, turned_away = [], 0
    for _ in range(HALF_OPEN):
        try:
            line = socket.create_connection(("127.0.0.1", on.service.port), timeout=5)
            line.setblocking(False)
            lines.append(line)
        except OSError:
            turned_away += 1
    time.sleep(0.5)
    for line in lines:
        try:
            turned_away += line.recv(1) == b""
        except BlockingIOError:
            pass
        except OSError:
            turned_away += 1
    for line in lines:
        line.close()
    time.sleep(0.5)
    answered = on.http.get("/healthz").status_code
    return turned_away > 0 and answered == httpx.codes.OK, f"{turned_away} turned away, then /healthz {answered}"


def blow_up_errors(on: Attacked) -> tuple[bool, str]:
    """A customer sends 200 kB of wrong list entries, to be answered with every one."""
    body: dict[str, Any] = {"units": [{}] * 40_000}
    answer = on.post(REGISTRY, "/v1/cad-trust/units", body)
    return not answer.is_success and len(
        answer.content
    ) < 20_000, f"{answer.status_code}, {len(answer.content):,} bytes"


ATTACKS: tuple[Callable[[Attacked], tuple[bool, str]], ...] = (
    mint_access,
    crown_itself,
    name_a_customer,
    be_a_customer,
    act_elsewhere,
    be_two_persons,
    outlive_a_key,
    forge_tokens,
    blow_up_errors,
    flood,
    hold_lines,
    guess_keys,
)
