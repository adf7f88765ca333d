"""Two persons where two are asked for, in the database too: whoever writes past the service is refused by it."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from test_machines import Machine

AT = "'2026-11-22 02:00:00.000000'"
PRICE = (
    "INSERT INTO price_observation"
    " (asset_class, fen_per_tonne, observed_at, source, confirmed, recorded_by, recorded_at)"
    f" VALUES ('PHCER', 1, {AT}, 'x', {{true}}, 'exchange-seee', {AT})"
)
INVITATION = (
    "INSERT INTO invitation (sha256, id, organisation_id, roles, invited_by, created_at, expires_at)"
    f" VALUES ('{'a' * 64}', 'inv', 'bank-gusu', 'administrator maker', 'bank-gusu', {AT}, {AT})"
)
DECIDED = "UPDATE proposal SET checker = '{who}', outcome = 'confirmed', decided_at = made_at"


@pytest.fixture
def waiting(kind, tmp_path, ready_worlds):
    """A service with a price that waits for a second person, and a viewer who is none."""
    with ready_worlds.copied(kind, tmp_path / "home", with_a_waiting_price) as (world, viewer):
        world.viewer = viewer
        yield world


def with_a_waiting_price(world):
    world.price(3_000)
    proposal = world.price(1_000)
    assert proposal["outcome"] is None
    invited = world.post("exchange-seee", "/v1/invitations", {"roles": ["viewer"]})["invitation_id"]
    world.entered("exchange-seee", invited, "viewer")
    machine = Machine(world)
    machine.token()
    world.post("bank-gusu", f"/v1/machines/{machine.id}/keys/{machine.kid}/revocation")
    world.post("bank-gusu", f"/v1/machines/{machine.id}/revocation")
    for session in world.get("bank-gusu", "/v1/sessions"):
        world.post("bank-gusu", f"/v1/sessions/{session['session_id']}/end", status=200)
    return next(e["person_id"] for e in world.get("exchange-seee", "/v1/people") if e["name"] == "viewer")


def written(world, statement):
    true = "true" if world.parts.engine.dialect.name == "postgresql" else "1"
    return world.parts.writer.execute(lambda unit: unit.connection.execute(text(statement.replace("{true}", true))))


@pytest.mark.parametrize(
    "statement",
    [
        PRICE,
        INVITATION,
        DECIDED.format(who="exchange-seee:officer"),
        DECIDED.format(who="bank-gusu:officer"),
        DECIDED.format(who="nobody"),
        DECIDED.format(who="{viewer}"),
        "UPDATE proposal SET outcome = 'confirmed', decided_at = made_at",
        "UPDATE proposal SET maker = 'exchange-seee:second'",
        "DELETE FROM proposal",
        "UPDATE person SET roles = 'administrator checker maker' WHERE id = '{viewer}'",
        "UPDATE person SET organisation_id = 'bank-gusu' WHERE id = '{viewer}'",
        "DELETE FROM person WHERE id = '{viewer}'",
        "UPDATE invitation SET roles = 'administrator'",
        "UPDATE invitation SET used_at = NULL",
        "UPDATE invitation SET person_id = 'bank-gusu:officer'",
        "UPDATE session SET expires_at = '2030-01-01 00:00:00.000000'",
        "UPDATE session SET ended_at = NULL",
        "UPDATE session SET csrf_token = 'x'",
        "UPDATE organisation SET kind = 'registry' WHERE id = 'bank-gusu'",
        "DELETE FROM api_key",
        "DELETE FROM session",
        "UPDATE machine SET works = 'administration'",
        "UPDATE machine SET revoked_at = NULL",
        "UPDATE machine_key SET jwk = '1'",
        "UPDATE machine_key SET revoked_at = NULL",
        "DELETE FROM machine_key",
        "UPDATE api_key SET expires_at = created_at",
        "UPDATE api_key SET person_id = 'bank-gusu:officer' WHERE organisation_id = 'exchange-seee'",
    ],
    ids=lambda statement: " ".join(statement.split()[:6]),
)
def test_the_schema_refuses(waiting, statement):
    with pytest.raises(IntegrityError):
        written(waiting, statement.replace("{viewer}", waiting.viewer))


def test_a_proposal_is_decided_once_and_a_revoked_key_stays_revoked(waiting):
    written(waiting, DECIDED.format(who="exchange-seee:second"))
    for again in (DECIDED.format(who="exchange-seee:second"), "UPDATE proposal SET outcome = 'refused'"):
        with pytest.raises(IntegrityError):
            written(waiting, again)
    waiting.revoke("bank-taihu")
    with pytest.raises(IntegrityError):
        written(waiting, "UPDATE api_key SET revoked_at = NULL WHERE organisation_id = 'bank-taihu'")


def test_what_two_people_confirmed_is_carried_out_once_as_of_then(waiting):
    world = waiting
    (proposal,) = world.get("exchange-seee", "/v1/proposals?waiting=true")
    path = f"/v1/proposals/{proposal['proposal_id']}"
    assert world.get("bank-gusu", "/v1/marks/PHCER")["price_fen_per_tonne"] == 3_000
    for stranger in ("bank-gusu", "registry-sip"):
        world.assert_refused(stranger, f"{path}/confirmation", None, "not_found", status=404)
    world.assert_refused("exchange-seee", f"{path}/confirmation", None, "not_permitted", status=403)
    done = world.confirm("exchange-seee", proposal)
    assert (done["maker"], done["checker"]) == ("exchange-seee:officer", "exchange-seee:second")
    assert world.get("bank-gusu", "/v1/marks/PHCER")["price_fen_per_tonne"] == 1_000
    second = world.second("exchange-seee")
    for word in ("confirmation", "refusal"):
        world.assert_refused(second, f"{path}/{word}", None, "invalid_state", status=409)
    assert [each["confirmed"] for each in world.get("exchange-seee", "/v1/prices?asset_class=PHCER")] == [True, False]


def test_a_proposal_that_cannot_be_carried_out_any_more_waits_on(waiting):
    """Another price came in between, so the waiting one would be of the past: nothing of the confirmation is kept."""
    world = waiting
    (proposal,) = world.get("exchange-seee", "/v1/proposals?waiting=true")
    world.now = world.now.replace(hour=5)
    world.price(2_900)
    path = f"/v1/proposals/{proposal['proposal_id']}/confirmation"
    world.assert_refused(world.second("exchange-seee"), path, None, "price_implausible")
    assert world.get("exchange-seee", "/v1/proposals?waiting=true") == [proposal]
    refused = world.post(world.second("exchange-seee"), path.replace("confirmation", "refusal"))
    assert refused["outcome"] == "refused"


def test_the_band_is_not_passed_in_steps(world):
    """Fourteen steps of 19 % a second apart took a price to eleven times its own, and nobody was asked."""
    world.price(3_000)
    for step in range(1, 15):
        world.now += timedelta(seconds=1)
        answer = world.price(round(3_000 * 1.19**step))
        if "proposal_id" in answer:
            break
    assert step == 2
    mark = world.get("bank-gusu", "/v1/marks/PHCER")["price_fen_per_tonne"]
    assert mark == 3_570
    # Backwards is no way round, a confirmed price is where one starts anew, and so is the next day.
    for later, price, waits in ((1, 2_050, True), (2, 3_500, False), (86_400, 4_500, False), (86_401, 5_900, True)):
        world.now = world.now.replace(hour=2, minute=1, second=0) + timedelta(seconds=later)
        assert ("proposal_id" in world.price(price)) is waits, price
    world.confirm("exchange-seee", world.price(5_900))
    assert "proposal_id" not in world.price(7_000)
