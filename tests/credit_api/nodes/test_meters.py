"""A grid company's readings lie at its own node: an exchange is told totals that the node signed, and no reading."""

import json
from dataclasses import replace

import plants
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nodes_apart import BANK, GRID, Member, Running
from typer.testing import CliRunner
from world import World

from credit_api.cli.main import app
from credit_api.nodes.metering import RemoteMetering
from credit_api.nodes.meters import FILE, MeterFile, NewMeter
from federated.channel.client import Channel
from federated.errors import ChannelRefused, FederatedError
from financing.base.errors import GridNodeUnavailable, NotPermitted, SignatureInvalid
from financing.base.quantities import Period
from financing.base.signing import message_of
from financing.registry.credits.explaining import explain
from financing.registry.metering.csv_readings import parse_readings
from financing.registry.metering.node.stores import GridNodes
from financing.registry.metering.readings import SIGNING_DOMAIN

METER = "M-PV1"
PLANT = {"meter_id": METER, "interval_minutes": 60, "capacity_w": 5_000_000}


def csv_of(batch):
    lines = [f"{start}Z,{wh / 1000:.3f}" for start, wh in zip(batch.starts, batch.generation_wh.tolist(), strict=True)]
    return "\n".join(["interval_start,generation_kwh", *lines]) + "\n"


class Plant:
    """A meter with its own key."""

    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        self.public_key = self.key.public_key().public_bytes_raw().hex()

    def entered(self, own, **changed):
        return own.put(NewMeter(**(PLANT | changed), public_key=self.public_key))

    def file(self, text, correction="", meter=METER):
        batch = parse_readings(text.encode(), meter, 60)
        signature = self.key.sign(message_of(SIGNING_DOMAIN, batch.signed_document(correction))).hex()
        return MeterFile(meter_id=meter, csv=text, signature=signature, correction=correction)


@pytest.fixture
def exchange(apart):
    return Member(apart, "exchange-seee", "exchange")


@pytest.fixture
def measured(apart, exchange, tmp_path, founded_world):
    """An exchange whose grid company's node is elsewhere, where sixty days of a plant lie: (world, node's meters,
    plant, project)."""
    with World.copied(founded_world, tmp_path / "books") as world:
        yield from elsewhere(apart, exchange, world)


def elsewhere(apart, exchange, world):
    plant = Plant()
    apart.serve(GRID)
    own = apart.serving[GRID][0].meters
    plant.entered(own)
    own.load(plant.file(csv_of(plants.readings(METER, 60))))
    urls = {GRID: apart.urls[GRID]}
    nodes = GridNodes(exchange.home, urls, lambda name, url: RemoteMetering(exchange.keys, name, url))
    world.parts.nodes = nodes
    world.admit("dev-a", "developer")
    project = world.desk.project("dev-a")
    yield world, own, plant, project
    nodes.close()


def claimed(world, project, **changed):
    first = plants.FIRST
    body = {
        "project_id": project.project_id,
        "starts_at": first.isoformat(),
        "ends_at": (first + plants.HOUR * 24 * 60).isoformat(),
    }
    return world.post("dev-a", "/v1/monitoring-periods", body | changed)


def registered(world, own):
    return world.post(GRID, "/v1/signing-keys", own.registration())


def test_credits_rest_on_what_the_node_signed_and_can_be_derived_again(measured):
    world, own, _, project = measured
    registered(world, own)
    claim = claimed(world, project)
    stored = world.desk.look(lambda unit: unit.periods.get(claim["monitoring_period_id"]))
    (statement,) = world.desk.look(lambda unit: unit.metering.statements(claim["monitoring_period_id"]))
    assert statement.signature.public_key == own.registration()["public_key"]
    assert statement.document["energy_wh"] == stored.generation().wh == own.readings.summary()[1]
    world.desk.accept(stored)
    issued = world.desk.issue(world.desk.look(lambda unit: unit.periods.get(claim["monitoring_period_id"])))
    explained = world.desk.ask("registry-sip", explain, issued.blocks[0].serial)
    assert explained.meters[0].statement_signed
    # No reading came over: the exchange's home has no store of them.
    assert not list(world.parts.settings.home.glob("grid-nodes/*"))
    shown = world.get("dev-a", f"/v1/monitoring-periods/{claim['monitoring_period_id']}")
    assert shown["corrected_since"] is False
    world.verify()


def test_who_is_not_registered_as_the_node_states_nothing(measured, apart):
    world, own, _, project = measured
    before = world.snapshot()
    body = {
        "project_id": project.project_id,
        "starts_at": plants.FIRST.isoformat(),
        "ends_at": (plants.FIRST + plants.HOUR * 24 * 60).isoformat(),
    }
    world.assert_refused("dev-a", "/v1/monitoring-periods", body, "signature_invalid")
    # Nor does a key that was revoked, or that people of the company sign with.
    registered(world, own)
    key = own.registration()["public_key"]
    world.post(GRID, f"/v1/signing-keys/{key}/revocation", {"why": "another machine"})
    world.assert_refused("dev-a", "/v1/monitoring-periods", body, "signature_invalid")
    assert world.snapshot() == before


def test_a_statement_stands_for_nothing_else_than_was_asked(measured, exchange, apart):
    """What another plant, period or limit would be answered, however well it is signed, is refused."""
    world, own, _, project = measured
    registered(world, own)
    real = world.parts.nodes.of(GRID)
    for changed in (
        {"ends_at": plants.FIRST + plants.HOUR * 24 * 30},
        {"capacity_w": 50_000_000},
        {"meter_id": "M-OTHER"},
    ):
        other = Plant()
        other.entered(own, meter_id="M-OTHER")
        if own.readings.span("M-OTHER").count == 0:
            own.load(other.file(csv_of(plants.readings("M-OTHER", 60)), meter="M-OTHER"))
        world.parts.nodes._nodes[GRID] = Bent(real, changed)
        body = {
            "project_id": project.project_id,
            "starts_at": plants.FIRST.isoformat(),
            "ends_at": (plants.FIRST + plants.HOUR * 24 * 60).isoformat(),
        }
        world.assert_refused("dev-a", "/v1/monitoring-periods", body, "reading_rejected")
    edited = Edited(real)
    world.parts.nodes._nodes[GRID] = edited
    world.assert_refused("dev-a", "/v1/monitoring-periods", body, "signature_invalid")
    world.parts.nodes._nodes[GRID] = real


class Bent:
    """A node that answers another question than it is asked."""

    def __init__(self, real, changed):
        self.real, self.changed = real, changed

    def statement(self, question):
        return self.real.statement(question.model_copy(update=self.changed))

    def close(self):
        pass


class Edited(Bent):
    """Somebody on the way who adds to what a node stated."""

    def __init__(self, real):
        super().__init__(real, {})

    def statement(self, question):
        said = self.real.statement(question)
        return replace(said, document=dict(said.document) | {"energy_wh": said.document["energy_wh"] * 2})


def test_a_silent_node_loses_nothing_and_pages_say_so(measured, apart):
    world, own, _, project = measured
    registered(world, own)
    claim = claimed(world, project)
    apart.stop(GRID)
    period = f"/v1/monitoring-periods/{claim['monitoring_period_id']}"
    assert world.get("dev-a", period)["corrected_since"] is None
    body = {
        "project_id": project.project_id,
        "starts_at": plants.FIRST.isoformat(),
        "ends_at": (plants.FIRST + plants.HOUR * 24 * 30).isoformat(),
    }
    world.assert_refused("dev-a", "/v1/monitoring-periods", body, "grid_node_unavailable", status=503)
    apart.serve(GRID)
    assert world.get("dev-a", period)["corrected_since"] is False


def test_a_correction_shows_and_the_claim_keeps_what_it_rests_on(measured):
    world, own, plant, project = measured
    registered(world, own)
    claim = claimed(world, project)
    text = csv_of(plants.readings(METER, 60)).splitlines()
    lower = "\n".join([text[0], *(f"{line.split(',')[0]},1.000" for line in text[12:14])]) + "\n"
    own.load(plant.file(lower, "the meter was read wrongly"))
    shown = world.get("dev-a", f"/v1/monitoring-periods/{claim['monitoring_period_id']}")
    assert (shown["corrected_since"], shown["state"]) == (True, "submitted")
    stored = world.desk.look(lambda unit: unit.periods.get(claim["monitoring_period_id"]))
    (total,) = stored.totals
    again = world.parts.nodes.of(GRID).total(METER, 60, total.period, total.through_batch)
    assert again == total


def test_readings_stay_where_they_are(measured, exchange, apart):
    world, own, *_ = measured
    remote = world.parts.nodes.of(GRID)
    period = first_day()
    with pytest.raises(NotPermitted):
        remote.readings(METER, 60, period)
    with pytest.raises(NotPermitted):
        remote.summary()
    with pytest.raises(NotPermitted):
        remote.add(plants.readings(METER, 1), None, reason="", at=None)
    readings = {"starts_at": plants.FIRST.isoformat(), "ends_at": (plants.FIRST + plants.HOUR * 24).isoformat()}
    answer = world.client.get(f"/v1/meters/{METER}/readings", params=readings, headers=world.bearer(GRID))
    assert answer.json()["code"] == "not_permitted"
    # Nobody but an exchange asks, and it is told of meters that the company entered alone.
    operator = Member(apart)
    for path in ("statement", "total", "corrected", "span", "days"):
        with pytest.raises(FederatedError, match="is no exchange"):
            Channel(operator.keys, GRID, apart.urls[GRID]).post(f"/metering/{path}", b"{}")
    own.readings.add(plants.readings("M-UNKNOWN", 2), own.readings.signature_of(1), reason="", at=world.now)
    question = {"meter_id": "M-UNKNOWN"}
    said = Channel(exchange.keys, GRID, apart.urls[GRID]).post("/metering/span", json.dumps(question).encode())
    assert json.loads(said)["count"] == 0


def first_day():
    return Period(plants.FIRST, plants.FIRST + plants.HOUR * 24)


def test_a_bank_in_the_companys_place_states_nothing(apart, exchange):
    apart.serve(BANK)
    asked = RemoteMetering(exchange.keys, BANK, apart.urls[BANK])
    with pytest.raises(GridNodeUnavailable):
        asked.span(METER)
    asked.close()


@pytest.fixture
def running(apart):
    node = Running(apart, GRID)
    yield node
    node.close()


def test_meters_over_the_own_socket(running, tmp_path):
    run, file, key = CliRunner(), tmp_path / "july.csv", tmp_path / "meter.key"
    file.write_text(csv_of(plants.readings(METER, 2)))
    public = run.invoke(app, ["readings", "key", str(key)]).stdout.strip()
    home = ["--home", str(running.home), "--meter", METER]
    entered = [*home, "--interval", "60", "--capacity-w", "5000000", "--public-key", public]
    assert json.loads(run.invoke(app, ["node", "meter", "put", *entered]).stdout)["intervals"] == 0
    signed = ["--meter", METER, "--interval", "60", "--key", str(key)]
    signature = json.loads(run.invoke(app, ["readings", "sign", str(file), *signed]).stdout)["signature"]
    load = ["node", "meter", "load", str(file), *home, "--signature", signature]
    assert json.loads(run.invoke(app, load).stdout)["already_there"] is False
    assert json.loads(run.invoke(app, load).stdout)["already_there"] is True
    (listed,) = json.loads(run.invoke(app, ["node", "meter", "list", "--home", str(running.home)]).stdout)
    assert listed["intervals"] == 48
    told = run.invoke(app, ["node", "meter", "registration", "--home", str(running.home)]).stdout
    assert json.loads(told)["held_by"] == "node"
    assert (running.home / FILE).stat().st_mode & 0o777 == 0o600
    # Without the meter's signature, of another meter, with another interval: refused, with a word, and nothing stored.
    forged = run.invoke(app, [*load[:-1], "0" * 128])
    assert (forged.exit_code, "signature_invalid" in forged.output) == (2, True)
    other = [*load[:4], "--home", str(running.home), "--meter", "M-NONE", "--signature", signature]
    assert "not_found" in run.invoke(app, other).output
    again = [*home, "--interval", "15", *entered[6:]]
    assert "reads another interval" in run.invoke(app, ["node", "meter", "put", *again]).output.replace("\n", " ")
    assert running.desk.meters.readings.summary()[0] == 48


def test_what_a_meter_cannot_have_read_is_not_taken(running):
    own, plant = running.desk.meters, Plant()
    plant.entered(own, capacity_w=1_000)
    text = csv_of(plants.readings(METER, 2))
    with pytest.raises(Exception, match="exceeds the plant's capacity"):
        own.load(plant.file(text))
    plant.entered(own)
    with pytest.raises(SignatureInvalid):
        own.load(Plant().file(text))
    with pytest.raises(ChannelRefused, match="signature_invalid"):
        running.node.ask("/meters/load", Plant().file(text).model_dump())
    assert own.load(plant.file(text)).count == 48
    # A meter's next key is the only one from then on.
    successor = Plant()
    successor.entered(own)
    later = "interval_start,generation_kwh\n2025-03-03T01:00:00Z,1.000\n"
    with pytest.raises(SignatureInvalid):
        own.load(plant.file(later))
    assert own.load(successor.file(later)).count == 1
