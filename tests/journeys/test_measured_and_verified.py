"""From signed readings to credits that are derived again with one command, over /v1, for every methodology."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text
from typer.testing import CliRunner

from credit_api.cli.main import app
from financing.base.context import Actor, Context
from financing.base.errors import NotRederivable
from financing.base.parameters.loader import PARAMETER_ROOT, load_parameters
from financing.base.signing import message_of, sign_with
from financing.lending.unit import UnitOfWork
from financing.registry.credits.explaining import explain
from financing.registry.metering.readings import SIGNING_DOMAIN, ReadingBatch

EBIKE = Path(__file__).parents[1] / "support" / "ebike.toml"
FIRST = datetime(2025, 3, 1, tzinfo=UTC)
DAYS = 60
REGISTRY, GRID, VERIFIER = "registry-sip", "grid-sip", "verifier-cqc"
EVIDENCE = "survey 2025-07, sha256 0f3a"


def project(world, code, methodology, *, version=1, owner="dev-a", meters=(), **more):
    body = world.project_body(code) | {"methodology": methodology, "methodology_version": version} | more
    body["meters"] = [dict(zip(("meter_id", "measured_by", "interval_minutes"), each, strict=True)) for each in meters]
    return world.post(owner, "/v1/projects", body)


def period(project_, declared=None, *, first=FIRST, days=DAYS):
    return {
        "project_id": project_["project_id"],
        "starts_at": first.isoformat(),
        "ends_at": (first + timedelta(days=days)).isoformat(),
        "declared": {name: {"value": value, "evidence": EVIDENCE} for name, value in (declared or {}).items()},
    }


def steady(world, meter_id, wh, *, first=FIRST, days=DAYS):
    hours = [{"starts_at": (first + timedelta(hours=h)).isoformat(), "generation_wh": wh} for h in range(days * 24)]
    return world.post(GRID, f"/v1/meters/{meter_id}/readings", {"interval_minutes": 60, "readings": hours})


def issue(world, claim):
    world.accept(claim)
    return world.post(REGISTRY, "/v1/issuances", {"monitoring_period_id": claim["monitoring_period_id"]})


def serial_of(world, owner, issuance):
    with world.parts.reading() as connection:
        unit = UnitOfWork(connection)
        asset = f"PHCER:{issuance['issuance_id']}"
        held = next(b for b in unit.ledger.balances(owner_id=owner) if b.key.asset.code == asset)
        return unit.serials.held(held.account_id)[0].serial


def explained(world, serial):
    with world.parts.reading() as connection:
        parts = world.parts
        context = Context(Actor("x", "registry"), world.now, parts.new_id, parts.parameters, parts.signer, parts.nodes)
        return explain(UnitOfWork(connection), context, serial)


@pytest.fixture
def home(sqlite_world):
    sqlite_world.admit("dev-a", "developer")
    return sqlite_world


def test_charging_from_project_to_credits(world):
    world.admit("dev-a", "developer")
    piles = project(world, "PILES", "EV", meters=[("M-P1", GRID, 60)], choices={"charger": "dc"})
    assert piles["choices"] == {"charger": "dc", "vehicle": "car"}
    steady(world, "M-P1", 100_000)
    claim = world.post("dev-a", "/v1/monitoring-periods", period(piles))
    assert claim["generation_wh"] == 100_000 * DAYS * 24
    assert [step["name"] for step in claim["steps"]] == ["claimed", "distance", "baseline", "project", "reduction"]
    issuance = issue(world, claim)
    assert issuance["asset_class"] == "PHCER"
    assert explained(world, serial_of(world, "dev-a", issuance)).kilograms == claim["reduction_kg"] == 56_327
    world.verify()


def test_a_wetland_without_meters_fills_the_buffer(world):
    world.admit("dev-a", "developer")
    marsh = project(world, "MARSH", "WETLAND", capacity_w=None)
    declared = {"area": "1000", "methane": "193.7", "nitrous_oxide": "0", "half_width": "0.08"}
    year = {"first": datetime(2024, 12, 31, 16, tzinfo=UTC), "days": 365}
    body = period(marsh, declared, **year)
    without = period(marsh, {"area": "1000"}, **year)
    world.assert_refused("dev-a", "/v1/monitoring-periods", without, "not_found")
    claim = world.post("dev-a", "/v1/monitoring-periods", body)
    assert (claim["reduction_kg"], claim["buffer_kg"]) == (1_808_103, 180_811)
    world.assert_refused("dev-a", "/v1/monitoring-periods", body, "period_overlap", status=409)
    issuance = issue(world, claim)
    asset = f"PHCER:{issuance['issuance_id']}"
    assert issuance["asset_class"] == "PHCER_WETLAND"
    assert world.balance("dev-a", "holding", asset) == 1_808_000 - 180_800
    assert world.balance(REGISTRY, "buffer", asset) == 180_800
    found = explained(world, serial_of(world, "dev-a", issuance))
    assert (found.kilograms, found.carried.buffer.kg, found.meters) == (1_808_103, 180_800, ())
    world.verify()


def test_light_deemed_and_metered(home):
    deemed = project(home, "LAMPS", "LIGHT", capacity_w=120_000)
    lamps = {
        "lamps": "1000",
        "baseline_power": "250",
        "ballast": "0.10",
        "project_power": "120",
        "hours": "674",
        "failed": "0.01",
    }
    claim = home.post("dev-a", "/v1/monitoring-periods", period(deemed, lamps))
    assert claim["reduction_kg"] == 61_827
    circuit = project(home, "CIRCUIT", "LIGHT", version=2, meters=[("M-L1", GRID, 60)], capacity_w=120_000)
    steady(home, "M-L1", 60_000)
    efficacies = {"baseline_efficacy": "80", "project_efficacy": "140"}
    claim = home.post("dev-a", "/v1/monitoring-periods", period(circuit, efficacies))
    assert claim["reduction_kg"] == int(60 * DAYS * 24 * 0.75 * 0.5978)


def test_a_methodology_of_ones_own_goes_from_file_to_credits(tmp_path, trained_network, monkeypatch):
    from world import World

    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(EBIKE, own / "ebike.toml")
    monkeypatch.setenv("TANXIN_METHODOLOGIES", str(own))
    with World.open(tmp_path / "home", "", trained_network) as world:
        world.admit("dev-a", "developer")
        body = world.project_body("BIKES") | {"methodology": "EBIKE"}
        world.assert_refused("dev-a", "/v1/projects", body, "methodology_not_approved", status=409)
        path = "/v1/methodologies/EBIKE/1/transitions"
        world.assert_refused(REGISTRY, path, {"status": "approved", "reason": "leap"}, "invalid_state")
        world.assert_refused("dev-a", path, {"status": "consultation", "reason": "mine"}, "not_permitted")
        for status in ("consultation", "approved"):
            world.post(REGISTRY, path, {"status": status, "reason": "board meeting"})
        bikes = world.post("dev-a", "/v1/projects", body)
        steady(world, "M-BIKES", 20_000)
        claim = world.post("dev-a", "/v1/monitoring-periods", period(bikes, {"trips_km": "1500000"}))
        assert claim["reduction_kg"] == int(1_500_000 * 0.045 - 20 * DAYS * 24 * 0.5978)
        statement = {key: claim[key] for key in ("commitment", "generation_wh", "reduction_kg")}
        path = f"/v1/monitoring-periods/{claim['monitoring_period_id']}/statement"
        world.assert_refused(VERIFIER, path, statement | {"opinion": "positive"}, "accreditation_missing", status=409)
        scope = {"organisation_id": VERIFIER, "methodology": "EBIKE", "valid_from": "2026-01-01", "source": "minutes"}
        world.post(REGISTRY, "/v1/accreditations", scope)
        issuance = issue(world, claim)
        assert explained(world, serial_of(world, "dev-a", issuance)).kilograms == claim["reduction_kg"]
        # Superseded: no new project, but the pinned one goes on.
        world.post(REGISTRY, "/v1/methodologies/EBIKE/1/transitions", {"status": "superseded", "reason": "version 2"})
        again = world.project_body("BIKES2") | {"methodology": "EBIKE"}
        world.assert_refused("dev-a", "/v1/projects", again, "methodology_not_approved", status=409)
        later = FIRST + timedelta(days=DAYS)
        steady(world, "M-BIKES", 20_000, first=later, days=10)
        body = period(bikes, {"trips_km": "200000"}, first=later, days=10)
        assert world.post("dev-a", "/v1/monitoring-periods", body)["reduction_kg"] > 0


def test_an_old_result_is_reproduced_exactly_after_the_files_changed(home, tmp_path):
    issuance = home.credits("dev-a")
    serial = serial_of(home, "dev-a", issuance)
    before = explained(home, serial)
    root = tmp_path / "parameters"
    shutil.copytree(PARAMETER_ROOT, root, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for name, old, new in (
        ("grid_factors.toml", "mg_per_kwh = 597_800", "mg_per_kwh = 420_000"),
        ("methodologies/pv_v1.toml", '"claimed * net_factor"', '"claimed * net_factor * 0.5"'),
    ):
        content = (root / name).read_text("utf-8")
        assert old in content
        (root / name).write_text(content.replace(old, new), encoding="utf-8")
    home.parts.parameters = load_parameters(root)
    after = explained(home, serial)
    assert after == before
    assert after.carried.issued.kg == issuance["quantity_kg"]
    # A claim after the change: today's factor, but the text that the project was pinned to.
    later = FIRST + timedelta(days=DAYS)
    pinned = home.get("dev-a", "/v1/projects")[0]
    home.post(GRID, "/v1/meters/M-PV1/readings", home.readings_body(10, first=later))
    claim = home.claim("dev-a", pinned, first=later, days=10)
    assert claim["reduction_kg"] == claim["generation_wh"] * 420_000 // 10**9
    assert claim["steps"][-1]["expression"] == "claimed * net_factor"


def test_explain_is_one_command_and_notices_other_readings(home):
    issuance = home.credits("dev-a")
    serial = serial_of(home, "dev-a", issuance)
    where = ["registry", "explain", serial, "--home", str(home.parts.settings.home)]
    told = CliRunner().invoke(app, where)
    assert told.exit_code == 0, told.output
    assert told.output.rstrip().endswith(f"re-derived: {issuance['quantity_kg']} kg, as issued")
    document = json.loads(CliRunner().invoke(app, [*where, "--json"]).stdout)
    assert document["as_issued"]
    assert document["verifier_signed"]
    assert document["meters"][0]["statement_signed"]
    wrong = CliRunner().invoke(app, ["registry", "explain", serial[:-1] + "x", *where[3:]])
    assert (wrong.exit_code, "serial_invalid" in wrong.output) == (2, True)
    with home.parts.nodes.of(GRID)._engine.begin() as connection:
        connection.execute(text("DROP TRIGGER interval_reading_no_update"))
        connection.execute(text("UPDATE interval_reading SET energy_wh = energy_wh + 1 WHERE energy_wh > 0"))
    with pytest.raises(NotRederivable):
        explained(home, serial)
    assert CliRunner().invoke(app, where).exit_code == 2


def test_a_meter_signs_its_readings_and_corrections(home):
    key = Ed25519PrivateKey.generate()
    body = home.project_body("SIGNED")
    body["meters"][0]["public_key"] = key.public_key().public_bytes_raw().hex()
    plant = home.post("dev-a", "/v1/projects", body)
    path, readings = "/v1/meters/M-SIGNED/readings", home.readings_body()
    home.assert_refused(GRID, path, readings, "signature_invalid", status=422)
    home.assert_refused(GRID, path, signed(readings, key=Ed25519PrivateKey.generate()), "signature_invalid")
    home.assert_refused(GRID, path, signed(readings, key=key) | {"correction": "not signed"}, "signature_invalid")
    first = home.post(GRID, path, signed(readings, key=key))
    again = home.post(GRID, path, signed(readings, key=key))
    assert (first["deduplicated"], again["deduplicated"]) == (False, True)
    claim = home.claim("dev-a", plant)
    other = {**readings, "readings": [each | {"generation_wh": 0} for each in readings["readings"][:24]]}
    home.assert_refused(GRID, path, signed(other, key=key), "duplicate_reading", status=409)
    home.post(GRID, path, signed(other, key=key, reason="inverter was off"))
    shown = home.get("dev-a", f"/v1/monitoring-periods/{claim['monitoring_period_id']}")
    assert shown["corrected_since"]
    assert shown["generation_wh"] == claim["generation_wh"]
    issuance = issue(home, claim)
    found = explained(home, serial_of(home, "dev-a", issuance))
    assert found.meters[0].corrected_since
    assert found.kilograms == claim["reduction_kg"]


def signed(body, *, key, meter_id="M-SIGNED", reason=""):
    starts = [datetime.fromisoformat(each["starts_at"]).timestamp() for each in body["readings"]]
    batch = ReadingBatch(
        meter_id,
        body["interval_minutes"],
        np.array(starts, dtype="int64").astype("datetime64[s]"),
        np.array([each["generation_wh"] for each in body["readings"]], dtype=np.int64),
    )
    signature = sign_with(key, meter_id, message_of(SIGNING_DOMAIN, batch.signed_document(reason))).signature
    return body | {"signature": signature} | ({"correction": reason} if reason else {})


def test_readings_stay_at_the_grid_node(home):
    plant = home.project("dev-a")
    home.post(GRID, "/v1/meters/M-PV1/readings", home.readings_body())
    with home.parts.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM reading")).scalar_one() == 0
    query = f"/v1/meters/M-PV1/readings?starts_at={FIRST:%Y-%m-%dT%H:%M:%SZ}&ends_at=2025-03-02T00:00:00Z"
    assert len(home.get(GRID, query)["energy_wh"]) == 24
    for other in ("grid-gaoxin", "dev-a", "bank-gusu", REGISTRY, VERIFIER):
        assert home.get(other, query, status=403).json()["code"] == "not_permitted"
    home.claim("dev-a", plant)
    assert len(home.get(VERIFIER, query)["energy_wh"]) == 24
    assert home.get("verifier-bsi", query, status=409).json()["code"] == "accreditation_missing"


def test_the_verifiers_desk(home):
    plant = home.project("dev-a")
    home.post(GRID, "/v1/meters/M-PV1/readings", home.readings_body())
    claim = home.claim("dev-a", plant)
    base = f"/v1/monitoring-periods/{claim['monitoring_period_id']}"
    due = {"verifier_id": "verifier-sgs", "due_on": "2026-12-01"}
    home.assert_refused("dev-a", f"{base}/assignment", due, "not_permitted", status=403)
    bsi = due | {"verifier_id": "verifier-bsi"}
    home.assert_refused(REGISTRY, f"{base}/assignment", bsi, "accreditation_missing", status=409)
    home.assert_refused(REGISTRY, f"{base}/assignment", due | {"due_on": "2026-11-01"}, "period_invalid")
    home.post(REGISTRY, f"{base}/assignment", due)
    assert home.get(VERIFIER, "/v1/verification/work-list") == []
    (work,) = home.get("verifier-sgs", "/v1/verification/work-list")
    assert (work["due_on"], work["assigned"], work["open_findings"]) == ("2026-12-01", True, 0)
    raised = {"severity": "corrective_action", "text": "the photograph shows another meter"}
    home.assert_refused(VERIFIER, f"{base}/findings", raised, "not_permitted", status=403)
    finding = home.post("verifier-sgs", f"{base}/findings", raised)
    statement = {key: claim[key] for key in ("commitment", "generation_wh", "reduction_kg")} | {"opinion": "positive"}
    home.assert_refused("verifier-sgs", f"{base}/statement", statement, "findings_open", status=409)
    path = f"/v1/verification-findings/{finding['finding_id']}"
    home.assert_refused("verifier-sgs", f"{path}/closure", {"text": "early"}, "invalid_state", status=409)
    home.assert_refused("bank-gusu", f"{path}/answer", {"text": "?"}, "not_permitted", status=403)
    home.post("dev-a", f"{path}/answer", {"text": "the meter was exchanged, protocol attached"})
    home.assert_refused("verifier-sgs", f"{path}/closure", {"text": ""}, "invalid_state", status=409)
    home.assert_refused(VERIFIER, f"{path}/closure", {"text": "seen"}, "not_permitted", status=403)
    home.post("verifier-sgs", f"{path}/closure", {"text": "protocol seen"})
    assert home.get("dev-a", f"{base}/findings")[0]["state"] == "closed"
    home.post("verifier-sgs", f"{base}/statement", statement)
    with home.parts.reading() as connection:
        signed_statement = UnitOfWork(connection).verification.statement(claim["monitoring_period_id"])
    assert signed_statement.document["verifier"] == "verifier-sgs"


def test_whoever_has_a_stake_does_not_verify(home):
    home.admit("verifier-own", "verifier")
    home.admit("holding-x", "buyer")
    scope = {"organisation_id": "verifier-own", "methodology": "PV", "valid_from": "2026-01-01", "source": "minutes"}
    home.post(REGISTRY, "/v1/accreditations", scope)
    home.assert_refused(REGISTRY, "/v1/accreditations", scope, "already_exists", status=409)
    issuance = home.credits("dev-a")
    later = FIRST + timedelta(days=DAYS)
    home.post(GRID, "/v1/meters/M-PV1/readings", home.readings_body(10, first=later))
    plant = home.get("dev-a", "/v1/projects")[0]
    claim = home.claim("dev-a", plant, first=later, days=10)
    path = f"/v1/monitoring-periods/{claim['monitoring_period_id']}/statement"
    statement = {key: claim[key] for key in ("commitment", "generation_wh", "reduction_kg")} | {"opinion": "positive"}
    relation = {"first_id": "verifier-own", "second_id": "holding-x", "source": "shareholders' register"}
    home.assert_refused("bank-gusu", "/v1/organisation-relations", relation, "not_permitted", status=403)
    home.post("holding-x", "/v1/organisation-relations", relation)
    home.assert_refused(REGISTRY, "/v1/organisation-relations", relation, "already_exists", status=409)
    # Its sister company buys credits of the project, and so has a stake in it.
    home.fund("holding-x", 10_000_000)
    expires = (home.now + timedelta(days=1)).isoformat()
    terms = {"buyer_id": "holding-x", "asset": f"PHCER:{issuance['issuance_id']}", "expires_at": expires}
    sold = home.post("dev-a", "/v1/listings", terms | {"quantity_kg": 1_000, "price_fen_per_tonne": 3_000})
    home.post("holding-x", f"/v1/listings/{sold['listing_id']}/purchases", {"quantity_kg": 1_000})
    problem = home.assert_refused("verifier-own", path, statement, "conflict_of_interest", status=409)
    assert problem["context"]["related"] == ["holding-x"]
    # A group reaches the owner through another member.
    home.admit("verifier-far", "verifier")
    home.admit("middle", "buyer")
    for first, second in (("verifier-far", "middle"), ("middle", "dev-a")):
        pair = {"first_id": first, "second_id": second, "source": "shareholders' register"}
        home.post(REGISTRY, "/v1/organisation-relations", pair)
    home.assert_refused("verifier-far", path, statement, "conflict_of_interest", status=409)
    developed = home.project_body("BUILT") | {"developed_by": ["verifier-cti"]}
    built = home.post("dev-a", "/v1/projects", developed)
    home.post(GRID, "/v1/meters/M-BUILT/readings", home.readings_body(10))
    other = home.claim("dev-a", built, days=10)
    path = f"/v1/monitoring-periods/{other['monitoring_period_id']}/statement"
    statement = {key: other[key] for key in ("commitment", "generation_wh", "reduction_kg")} | {"opinion": "positive"}
    home.assert_refused("verifier-cti", path, statement, "conflict_of_interest", status=409)
    home.assert_refused("verifier-bsi", path, statement, "accreditation_missing", status=409)


def test_wrong_units_and_clock_shifts_cannot_be_accepted(home):
    """kWh sent as Wh, Wh sent as kWh, UTC sent as China time: refused on arrival, or found and not acceptable."""
    for code, change in (
        ("UNITS", lambda each: each | {"generation_wh": each["generation_wh"] // 1000}),
        ("CLOCK", lambda each: each | {"starts_at": _earlier(each["starts_at"], 8)}),
    ):
        plant = home.project("dev-a", code)
        readings = home.readings_body()
        path = f"/v1/meters/M-{code}/readings"
        larger = [each | {"generation_wh": each["generation_wh"] * 1000} for each in readings["readings"]]
        home.assert_refused(GRID, path, readings | {"readings": larger}, "reading_rejected", status=422)
        home.post(GRID, path, readings | {"readings": [change(each) for each in readings["readings"]]})
        claim = home.claim("dev-a", plant)
        assert {"UNITS": "unit_suspected", "CLOCK": "clock_shift"}[code] in {f["code"] for f in claim["findings"]}
        statement = {key: claim[key] for key in ("commitment", "generation_wh", "reduction_kg")}
        path = f"/v1/monitoring-periods/{claim['monitoring_period_id']}/statement"
        home.assert_refused(VERIFIER, path, statement | {"opinion": "positive"}, "plausibility_failed", status=409)


def _earlier(starts_at, hours):
    return (datetime.fromisoformat(starts_at) - timedelta(hours=hours)).isoformat()


def test_a_meter_belongs_to_one_owner_and_one_grid_company(home):
    home.admit("dev-b", "developer")
    home.project("dev-a")
    stolen = home.project_body("OTHER") | {"meters": home.project_body("PV1")["meters"]}
    home.assert_refused("dev-b", "/v1/projects", stolen, "already_exists", status=409)
    home.assert_refused("grid-gaoxin", "/v1/meters/M-PV1/readings", home.readings_body(1), "not_permitted", status=403)
    odd = home.project_body("ODD")
    odd["meters"][0] |= {"interval_minutes": 20}
    home.assert_refused("dev-a", "/v1/projects", odd, "reading_rejected", status=422)
    home.assert_refused("dev-a", "/v1/projects", home.project_body("X") | {"choices": {"claim": "some"}}, "not_found")
    home.assert_refused("dev-a", "/v1/projects", home.project_body("X") | {"methodology": "MOON"}, "parameter_missing")
    home.assert_refused("dev-a", "/v1/projects", home.project_body("X") | {"meters": []}, "not_found")


def test_only_self_use_and_only_export_are_claimed(home):
    for mode, share in (("all", 4), ("self_use", 3), ("export", 1)):
        code = mode.replace("_", "").upper()
        plant = home.post("dev-a", "/v1/projects", home.project_body(code) | {"choices": {"claim": mode}})
        readings = home.readings_body()
        exported = [each | {"export_wh": each["generation_wh"] // 4} for each in readings["readings"]]
        home.post(GRID, f"/v1/meters/M-{code}/readings", readings | {"readings": exported})
        claim = home.claim("dev-a", plant)
        assert claim["variant"] == {"claim": mode}
        assert claim["claimed_wh"] == claim["generation_wh"] * share // 4
        assert claim["reduction_kg"] == claim["claimed_wh"] * 597_800 // 10**9


def test_a_meter_that_reads_calendar_months(home):
    body = home.project_body("MONTHS")
    body["meters"][0] |= {"interval_minutes": 43_200}
    plant = home.post("dev-a", "/v1/projects", body)
    starts = ("2025-02-28T16:00:00Z", "2025-03-31T16:00:00Z")
    months = [{"starts_at": each, "generation_wh": 300_000_000, "register_wh": n} for n, each in enumerate(starts)]
    months[0]["register_wh"], months[1]["register_wh"] = 5_000_000_000, 5_300_000_000
    path = "/v1/meters/M-MONTHS/readings"
    home.assert_refused(GRID, path, {"interval_minutes": 60, "readings": months}, "reading_rejected")
    home.post(GRID, path, {"interval_minutes": 43_200, "readings": months})
    claimed = {"project_id": plant["project_id"], "starts_at": starts[0], "ends_at": "2025-04-30T16:00:00Z"}
    claim = home.post("dev-a", "/v1/monitoring-periods", claimed)
    assert (claim["generation_wh"], claim["intervals_expected"], claim["findings"]) == (600_000_000, 2, [])
    assert explained(home, serial_of(home, "dev-a", issue(home, claim))).kilograms == 358_680
