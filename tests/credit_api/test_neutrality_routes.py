"""Claims of carbon neutrality and certificates over /v1: what their routes answer, and what anyone can download. What a
claim must hold is the commands' own (journeys/test_carbon_neutrality)."""

import pytest

from credit_api.certificates.documents import neutrality_document, retirement_document
from financing.base.signing import Signature, message_of, require_signed
from financing.registry.neutrality.model import DOMAIN

CLAIM = {
    "subject": "金鸡湖酒店 2025 年运营",
    "boundary": "酒店大楼与班车",
    "starts_at": "2024-12-31T16:00:00Z",
    "ends_at": "2025-12-31T16:00:00Z",
    "footprint": [
        {"scope": 1, "source": "天然气", "emitted_kg": 30_500, "evidence": "gas bills"},
        {"scope": 2, "source": "外购电力", "emitted_kg": 80_000, "evidence": "electricity bills"},
    ],
    "reductions": [{"measure": "LED", "reduced_kg": 20_500, "evidence": "meter"}],
}


def issued(world):
    world.admit("dev-a", "developer")
    return world.credits("dev-a")


@pytest.fixture
def held(tmp_path, ready_worlds):
    """Credits of `dev-a`: (world, issuance)."""
    with ready_worlds.copied("sqlite", tmp_path / "home", issued) as opened:
        yield opened


def retired(world, issuance, quantity_kg, beneficiary="dev-a"):
    body = {"issuance_id": issuance["issuance_id"], "quantity_kg": quantity_kg, "purpose": "2025"}
    return world.post("dev-a", "/v1/retirements", body | {"beneficiary": beneficiary})["certificate_number"]


def test_a_claim_is_matched_certified_and_shown_to_anyone(held):
    world, issuance = held
    claim = world.post("dev-a", "/v1/neutrality-claims", CLAIM)
    assert (claim["emitted_kg"], claim["reduced_kg"], claim["residual_kg"]) == (110_500, 20_500, 90_000)
    path, number = f"/v1/neutrality-claims/{claim['claim_id']}", retired(world, issuance, 90_000)
    world.assert_refused("verifier-cqc", f"{path}/certificate", None, "residual_not_covered")
    matched = world.post("dev-a", f"{path}/matches", {"certificate_number": number, "quantity_kg": 90_000})
    assert matched["matches"] == [{"certificate_number": number, "quantity_kg": 90_000}]
    certified = world.post("verifier-cqc", f"{path}/certificate")
    shown = f"/v1/neutrality-certificates/{certified['certificate_number']}"

    # Anyone can look it up, check the certifier's signature on what it says, and download the documents.
    public = world.client.get(shown).json()
    assert public == certified
    stored = world.desk.look(lambda unit: unit.neutrality.certified(certified["certificate_number"]))
    signed = Signature("verifier-cqc", public["public_key"], public["signature"])
    require_signed(signed, message_of(DOMAIN, stored.document()), world.parts.signer.public_key("verifier-cqc"))
    # Those that the journey holds against the root certificate, byte for byte.
    made = neutrality_document(world.parts, certified["certificate_number"]), retirement_document(world.parts, number)
    for address, document in zip((f"{shown}/document", f"/v1/certificates/{number}/document"), made, strict=True):
        answer = world.client.get(address)
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.content == document
    root = world.parts.authority.root_pem(world.now)
    assert world.client.get("/v1/certificate-authority").content == root
    assert world.client.get("/v1/certificates/SIP-RET-2026-00000099-99/document").status_code in {404, 422}


def test_a_claim_is_refused_with_remarks(held):
    world, issuance = held
    claim = world.post("dev-a", "/v1/neutrality-claims", CLAIM)["claim_id"]
    match = {"certificate_number": retired(world, issuance, 50_000), "quantity_kg": 50_000}
    world.post("dev-a", f"/v1/neutrality-claims/{claim}/matches", match)
    refused = world.post("verifier-cqc", f"/v1/neutrality-claims/{claim}/refusal", {"remarks": "no evidence"})
    assert (refused["state"], refused["matched_kg"]) == ("refused", 0)


def test_a_green_certificate_is_downloaded_and_one_that_is_not_there_is_not(held):
    world, _ = held
    span = {"starts_at": "2025-06-01T00:00:00Z", "ends_at": "2025-07-01T00:00:00Z"}
    body = {"certificate_number": "GEC-9", "meter_id": "M-PV1", "energy_wh": 5_000_000, **span}
    world.post("grid-sip", "/v1/green-certificates", body)
    answer = world.client.get("/v1/green-certificates/GEC-9/document")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF")
    assert world.client.get("/v1/green-certificates/GEC-0/document").status_code == 404


def test_a_name_that_the_font_cannot_print_is_said_and_not_left_out(held):
    world, issuance = held
    answer = world.client.get(f"/v1/certificates/{retired(world, issuance, 1_000, chr(0x2A6D6))}/document")
    assert answer.json()["code"] == "corrupt_data"
