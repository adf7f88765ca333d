"""The exchange of a local network, and the first loan there: on a statement that the bank's own node signed.

The exchange has its own home, books and keys, no node's store and no gateway for scores. It hears from the banks' nodes
which versions they approved. Who acts at its API are the sandbox's participants, each with its own key.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federated.channel.key_file import written
from federated.channel.node_keys import TRUST, NodeKeys
from federated.channel.own_socket import ask_own
from federated.errors import NodeUnavailable, TrainingFailed
from federated.serving.queries import SCORE_VALIDITY
from financing.base.signing import message_of
from financing.ledger.signing import KEY_DOMAIN, key_document
from financing.registry.metering.readings import SIGNING_DOMAIN
from simulations.local_network.layout import AUTHORITY, Layout
from simulations.local_network.processes import Processes, Running, last_line, tanxin
from simulations.worlds.api_client import ApiClient, Refused
from simulations.worlds.firms import admit
from simulations.worlds.names import BANKS, DEVELOPERS, EXCHANGE, GRIDS, VERIFIER
from simulations.worlds.roofs import Roof, bring_in_credits, csv_of, generated_roof
from simulations.worlds.sales_and_loans import lend, pledge_half
from simulations.worlds.sandbox import deposit, record_prices
from simulations.worlds.wallet import Wallet

KEYS_FILE, BORROWER = "sandbox-keys.json", "sandbox-borrower"
# Of so many customers the best scored one borrows.
CANDIDATES = 12
# How long the exchange may take to open its books, and to hear of a version.
STARTS_S, HEARS_S, ROUND_S = 60.0, 60.0, 0.2
Say = Callable[[str], None]


def url(layout: Layout) -> str:
    """Where the exchange answers."""
    return f"http://{layout.address(EXCHANGE)}"


def start(layout: Layout, say: Say) -> Running:
    """The exchange's process, started unless it runs, once it answers. Raises `NodeUnavailable`."""
    processes = Processes(layout.home)
    command = tanxin(
        "serve", "--home", str(layout.of(EXCHANGE)), "--host", layout.hosts[EXCHANGE],
        "--port", str(layout.ports[EXCHANGE]), "--sandbox", *layout.urls("--node", of=BANKS),
    )  # fmt: skip
    attested_by = Wallet.open(layout.of(AUTHORITY)).authority.hex()
    grids = {name: layout.url(name) for name in GRIDS}
    known = {
        "TANXIN_SCORE_GATEWAY": "false",
        "TANXIN_IDENTITY_AUTHORITY": attested_by,
        "TANXIN_IDENTITY_URL": layout.url(AUTHORITY),
        "TANXIN_IDENTITY_ROOTS": str((NodeKeys(layout.of(EXCHANGE)).folder / TRUST).resolve()),
        "TANXIN_GRID_NODES": json.dumps(grids),
    }
    running = processes.start(EXCHANGE, command, known)
    until = time.monotonic() + STARTS_S
    while not _answers(layout):
        if not running.runs or time.monotonic() > until:
            raise NodeUnavailable(f"{EXCHANGE} did not start: {last_line(processes.log(EXCHANGE))}")
        time.sleep(ROUND_S)
    say(f"the exchange answers at {url(layout)}, without anybody's store")
    return running


def _answers(layout: Layout) -> bool:
    try:
        return httpx.get(f"{url(layout)}/healthz", trust_env=False, timeout=5.0).is_success
    except httpx.HTTPError:
        return False


def first_loan(layout: Layout, version: str, say: Say) -> dict[str, Any]:
    """A loan to a firm that is the best of some customers of the first bank: the decision, and the loan or None.

    Banks register the keys of their statements; the firm's roof is measured and verified, its credits are issued and
    pledged; the bank's node states the score anew, and the exchange decides by that statement. Safe to run again.
    Raises `TrainingFailed` with the exchange's refusal.
    """
    file = layout.of(EXCHANGE) / KEYS_FILE
    kept = json.loads(file.read_text("utf-8"))
    with httpx.Client(base_url=url(layout), timeout=120.0, trust_env=False) as http:
        verifier = _signing_key(layout.of(VERIFIER) / "signing.key")
        api = ApiClient(http, kept["keys"], {VERIFIER: verifier.sign})
        try:
            return _first_loan(api, layout, version, datetime.fromisoformat(kept["started_at"]), say)
        except Refused as error:
            raise TrainingFailed(f"the exchange refused: {error}") from error
        finally:
            kept["keys"] = api.keys
            file.write_text(json.dumps(kept, indent=2) + "\n", "utf-8")


def _first_loan(api: ApiClient, layout: Layout, version: str, began: datetime, say: Say) -> dict[str, Any]:
    bank, (developer, *_) = BANKS[0], DEVELOPERS[0]
    known = [each for each in api.every(bank, "/v1/decisions") if each["borrower_id"] == developer]
    if known:
        return {"decision": known[0], "loan": next(iter(api.every(bank, "/v1/loans")), None)}
    began = began.astimezone(UTC).replace(microsecond=0)
    subject = _best(layout, bank)
    for each in BANKS:
        _register_statement_key(api, layout, each)
    deposit(api, [bank], 2_000_000_000)
    record_prices(api, began)
    admit(api, DEVELOPERS[:1], "developer", Wallet.open(layout.of(AUTHORITY)), {developer: subject})
    _register_signing_key(api, VERIFIER, _registration(layout))
    roof = generated_roof(0, began.year - 1)
    issuance = bring_in_credits(api, roof, last_step=2, hand_over=partial(_read_at_node, layout))
    tonnes = int(issuance["quantity_kg"]) / 1000
    say(f"{developer}'s roof (generated): {tonnes:,.0f} t issued on what {roof.grid}'s node and {VERIFIER} signed")
    pledge = pledge_half(api, bank, developer, issuance)
    _wait_for(api, bank, version)
    statement = ask_own(layout.of(bank), "/score", _question(subject))["statement"]
    decision, loan = lend(api, bank, developer, pledge, {"statement": statement}, use_percent=90, days=180)
    return {"decision": decision, "loan": loan}


def _question(subject: str) -> dict[str, str]:
    return {"subject": subject, "consent": f"CONS-{subject}", "purpose": "credit_application"}


def _best(layout: Layout, bank: str) -> str:
    """The best scored of some customers, or the one that a firm is bound to already: the same whenever it is asked."""
    file = layout.of(EXCHANGE) / BORROWER
    if not file.exists():
        subjects = ask_own(layout.of(bank), "/customers", {"limit": CANDIDATES})["subjects"]
        answers = [ask_own(layout.of(bank), "/score", _question(subject)) for subject in subjects]
        known = [each for each in answers if not each["no_file"]]
        if not known:
            raise TrainingFailed(f"{bank} has no file of its first {CANDIDATES} customers")
        best = min(known, key=lambda each: (-each["score"], each["subject_id"]))
        written(file, str(best["subject_id"]).encode())
    return file.read_text("utf-8")


def _read_at_node(layout: Layout, api: ApiClient, roof: Roof) -> None:
    """A meter with a key of its own is entered at its grid company's node, and what it read and signed handed over."""
    key = _signing_key(layout.of(roof.grid) / "meters" / f"{roof.batch.meter_id}.key")
    meter = {
        "meter_id": roof.batch.meter_id,
        "interval_minutes": roof.batch.interval_minutes,
        "capacity_w": roof.capacity_w,
        "public_key": key.public_key().public_bytes_raw().hex(),
    }
    home = layout.of(roof.grid)
    ask_own(home, "/meters/put", meter)
    signature = key.sign(message_of(SIGNING_DOMAIN, roof.batch.signed_document(""))).hex()
    file = {"meter_id": roof.batch.meter_id, "csv": csv_of(roof.batch), "signature": signature}
    ask_own(home, "/meters/load", file)
    _register_signing_key(api, roof.grid, ask_own(home, "/meters/registration"))


def _registration(layout: Layout) -> dict[str, str]:
    """What registers the verifier's key: it never leaves the verifier's home."""
    key = _signing_key(layout.of(VERIFIER) / "signing.key")
    public = key.public_key().public_bytes_raw().hex()
    return {"public_key": public, "proof": key.sign(message_of(KEY_DOMAIN, key_document(VERIFIER, public))).hex()}


def _register_signing_key(api: ApiClient, organisation: str, registration: Mapping[str, str]) -> None:
    known = api.every(organisation, f"/v1/organisations/{organisation}/signing-keys")
    if all(each["public_key"] != registration["public_key"] for each in known):
        key = f"seed:signing:{organisation}:{registration['public_key'][:16]}"
        api.post(organisation, "/v1/signing-keys", dict(registration), key=key)


def _signing_key(path: Path) -> Ed25519PrivateKey:
    """The key in a file, made at first use, its owner's alone."""
    if not path.exists():
        written(path, Ed25519PrivateKey.generate().private_bytes_raw())
    return Ed25519PrivateKey.from_private_bytes(path.read_bytes())


def _register_statement_key(api: ApiClient, layout: Layout, bank: str) -> None:
    machines = api.every(bank, "/v1/machines")
    if any(each["works"] == ["statements"] and each["revoked_at"] is None for each in machines):
        return
    until = datetime.now(UTC) + 2 * SCORE_VALIDITY
    jwk = ask_own(layout.of(bank), "/statement-key", {})
    body = {"label": "node", "works": ["statements"], "jwk": jwk, "expires_at": until.isoformat()}
    api.post(bank, "/v1/machines", body, key=f"seed:statements:{bank}")


def _wait_for(api: ApiClient, bank: str, version: str) -> None:
    """Until the exchange has heard that a version is approved. Raises `TrainingFailed`."""
    until = time.monotonic() + HEARS_S
    while True:
        try:
            if api.get(bank, f"/v1/models/{version}")["status"] == "approved":
                return
        except Refused as error:
            if error.code not in ("data_missing", "version_not_found"):
                raise
        if time.monotonic() > until:
            raise TrainingFailed(f"the exchange did not hear that {version} is approved")
        time.sleep(ROUND_S)
