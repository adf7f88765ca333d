"""A service of its own process for the market benchmarks: participants with money and issued credits, one instrument.

Everything comes in over the API; only the founders' keys are made by the service's own code, in a process of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from simulations.local_network.layout import free_ports
from simulations.worlds.api_client import ApiClient
from simulations.worlds.names import PAYER_BANK

REGISTER_FOUNDERS = """
import sys
from pathlib import Path
from credit_api.app.sandbox import register_founders
from credit_api.app.settings import Settings
from credit_api.app.wiring import assemble
parts = assemble(Settings(home=Path(sys.argv[1]), sandbox=True))
register_founders(parts)
parts.close()
"""
OWNER, REGISTRY, EXCHANGE, VERIFIER, GRID = "dev-bench", "registry-sip", "exchange-seee", "verifier-cqc", "grid-sip"
FIRST = datetime(2025, 3, 1, tzinfo=UTC)
DAYS, HOURS = 60, 24
SHAPE = (0, 0.05, 0.15, 0.3, 0.45, 0.5, 0.45, 0.3, 0.15, 0.05, *[0] * 14)
CAPACITY_W = 900_000_000
REFERENCE_FEN = 3_000


@dataclass(slots=True)
class Service:
    """A running service; `keys` by organisation, `traders` are the participants, `instrument` what they trade."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]
    keys: dict[str, str] = field(default_factory=dict)
    traders: list[str] = field(default_factory=list)
    instrument: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """As a power cut would: nothing of it is told."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


def start(home: Path) -> Service:
    """Serve what is in `home` at a free port and wait until it answers."""
    [port] = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "credit_api", "serve", "--home", str(home), "--port", str(port)],
        env=os.environ | {"TANXIN_SANDBOX": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    service = Service(home, port, process)
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        try:
            httpx.get(f"{service.url}/healthz", trust_env=False).raise_for_status()
        except httpx.HTTPError:
            if process.poll() is not None:
                raise RuntimeError("the service ended before it answered") from None
            time.sleep(0.02)
        else:
            return service
    service.kill()
    raise RuntimeError("the service did not answer")


def open_market(home: Path, traders: int, lots_each: int) -> Service:
    """Found a service in an empty `home`, bring credits and money in, and list the credits for trading."""
    subprocess.run([sys.executable, "-c", REGISTER_FOUNDERS, str(home)], check=True, capture_output=True)
    service = start(home)
    service.keys = json.loads((home / "sandbox-keys.json").read_text("utf-8"))["keys"]
    with httpx.Client(base_url=service.url, timeout=120.0, trust_env=False) as http:
        api = ApiClient(http, service.keys)
        names = [f"trader-{number:02d}" for number in range(traders)]
        for name, kind in [(OWNER, "developer"), *((name, "buyer") for name in names)]:
            body = {"organisation_id": name, "kind": kind, "name_zh": name, "name_en": name}
            admitted = api.post(REGISTRY, "/v1/organisations", body, key=f"org-{name}")
            api.enter(REGISTRY, name, admitted["invitation_id"])
        issuance = _issue(api)
        for name in names:
            _fund(api, name, issuance, lots_each)
        service.instrument = f"PHCER:{issuance}"
        listing = {"instrument": service.instrument, "rules": "sandbox", "reference_fen_per_tonne": REFERENCE_FEN}
        api.post(EXCHANGE, "/v1/instruments", listing, key="list")
        service.keys, service.traders = api.keys, names
    return service


def _issue(api: ApiClient) -> str:
    project = {
        "code": "BENCH",
        "name": "bench",
        "capacity_w": CAPACITY_W,
        "grid_connected_on": "2022-06-01",
        "crediting_from": "2023-01-01T00:00:00Z",
        "crediting_until": "2033-01-01T00:00:00Z",
        "region": "SIP",
        "latitude_deg": 31.3,
        "longitude_deg": 120.6,
        "meters": [{"meter_id": "M-BENCH", "measured_by": GRID, "interval_minutes": 60}],
        "owns_the_reduction": True,
        "not_registered_elsewhere": True,
        "outside_ets_boundary": True,
    }
    project_id = api.post(OWNER, "/v1/projects", project, key="project")["project_id"]
    readings = [
        {
            "starts_at": (FIRST + timedelta(hours=hour)).isoformat(),
            "generation_wh": int(CAPACITY_W * SHAPE[(hour + 1) % HOURS]),
        }
        for hour in range(DAYS * HOURS)
    ]
    body: dict[str, Any] = {"interval_minutes": 60, "readings": readings}
    api.post(GRID, "/v1/meters/M-BENCH/readings", body, key="readings")
    ends = (FIRST + timedelta(days=DAYS)).isoformat()
    claim = api.post(
        OWNER,
        "/v1/monitoring-periods",
        {"project_id": project_id, "starts_at": FIRST.isoformat(), "ends_at": ends},
        key="claim",
    )
    period = claim["monitoring_period_id"]
    statement = {"opinion": "positive"} | {
        name: claim[name] for name in ("commitment", "generation_wh", "reduction_kg")
    }
    api.post(VERIFIER, f"/v1/monitoring-periods/{period}/statement", statement, key="statement")
    return str(api.post(REGISTRY, "/v1/issuances", {"monitoring_period_id": period}, key="issue")["issuance_id"])


def _fund(api: ApiClient, name: str, issuance: str, lots: int) -> None:
    transfer = {"payer_bank": PAYER_BANK, "reference": f"bench {name}"}
    deposit = {"organisation_id": name, "amount_fen": 100_000_000_000, **transfer}
    api.post(EXCHANGE, "/v1/deposits", deposit, key=f"cash-{name}")
    listing = {
        "buyer_id": name,
        "asset": f"PHCER:{issuance}",
        "quantity_kg": lots * 1_000,
        "price_fen_per_tonne": 1,
        "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    }
    listing_id = api.post(OWNER, "/v1/listings", listing, key=f"listing-{name}")["listing_id"]
    whole = {"quantity_kg": lots * 1_000}
    api.post(name, f"/v1/listings/{listing_id}/purchases", whole, key=f"purchase-{name}")
