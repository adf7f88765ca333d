"""From meter reading to a signed certificate of carbon neutrality, on both databases; and the documents themselves."""

import io
import re
from datetime import timedelta

import pypdfium2
import pytest
from kinds import on_both, one_kind  # noqa: F401
from pyhanko.keys.pemder import load_certs_from_pemder_data
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from financing.base.signing import Signature, message_of, require_signed
from financing.lending.unit import UnitOfWork
from financing.registry.neutrality.model import DOMAIN


def check_signature(document, root_pem):
    reader = PdfFileReader(io.BytesIO(document))
    (signature,) = reader.embedded_signatures
    context = ValidationContext(trust_roots=list(load_certs_from_pemder_data(root_pem)))
    return validate_pdf_signature(signature, context)


def text_of(document):
    pdf = pypdfium2.PdfDocument(document)
    text = pdf[0].get_textpage().get_text_bounded()
    pdf.close()
    return re.sub(r"\s+", "", text)


@pytest.fixture
def hotel(world):
    world.admit("dev-a", "developer")
    world.admit("hotel", "buyer")
    world.fund("hotel", 10_000_000)
    issuance = world.credits("dev-a")
    listing = world.post(
        "dev-a",
        "/v1/listings",
        {
            "asset": f"PHCER:{issuance['issuance_id']}",
            "quantity_kg": 200_000,
            "price_fen_per_tonne": 3_000,
            "expires_at": (world.now + timedelta(days=3)).isoformat(),
        },
    )
    purpose = {"beneficiary": "hotel", "purpose": "2025年度碳中和(喆)"}
    body = {"quantity_kg": 90_000, "retire_for": purpose}
    bought = world.post("hotel", f"/v1/listings/{listing['listing_id']}/purchases", body)
    world.retirement = bought["certificate"]
    return world


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


@on_both
def test_from_footprint_to_a_signed_certificate(hotel):
    w = hotel
    claim = w.post("hotel", "/v1/neutrality-claims", CLAIM)
    assert (claim["emitted_kg"], claim["reduced_kg"], claim["residual_kg"]) == (110_500, 20_500, 90_000)
    path = f"/v1/neutrality-claims/{claim['claim_id']}"
    number = w.retirement["certificate_number"]
    part = {"certificate_number": number, "quantity_kg": 60_000}
    w.assert_refused("dev-a", f"{path}/matches", part, "not_permitted")
    w.post("hotel", f"{path}/matches", part)
    w.assert_refused("verifier-cqc", f"{path}/certificate", None, "residual_not_covered")
    w.assert_refused("hotel", f"{path}/matches", part, "quantity_out_of_range")
    w.post("hotel", f"{path}/matches", {**part, "quantity_kg": 30_000})
    w.assert_refused("hotel", f"{path}/certificate", None, "not_permitted")
    w.assert_refused("verifier-cti", f"{path}/certificate", None, "accreditation_missing")
    certified = w.post("verifier-cqc", f"{path}/certificate")
    assert certified["certificate_number"].startswith("SIP-CN-2026-00000001-")
    w.assert_refused("verifier-cqc", f"{path}/certificate", None, "invalid_state")

    # Anyone can look it up, and check the certifier's signature on what it says.
    public = w.client.get(f"/v1/neutrality-certificates/{certified['certificate_number']}").json()
    assert public == certified
    with w.parts.reading() as connection:
        stored = UnitOfWork(connection).neutrality.certified(certified["certificate_number"])
    signed = Signature("verifier-cqc", public["public_key"], public["signature"])
    require_signed(signed, message_of(DOMAIN, stored.document()), w.parts.signer.public_key("verifier-cqc"))

    # The document: signed, complete, in both languages; changed by a byte it is not valid any more.
    answer = w.client.get(f"/v1/neutrality-certificates/{certified['certificate_number']}/document")
    assert answer.headers["content-type"] == "application/pdf"
    root = w.client.get("/v1/certificate-authority").content
    status = check_signature(answer.content, root)
    assert status.bottom_line
    assert "CQC" in status.signing_cert.subject.native["common_name"]
    text = text_of(answer.content)
    for said in ("碳中和证书", "Certificateofcarbonneutrality", "90tCO2e", "金鸡湖酒店2025年运营", number):
        assert said in text, said
    assert re.sub(r"\s+", "", w.retirement["serials"][0]) in text
    spoilt = answer.content.replace(b"/Count 1", b"/Count 2", 1)
    assert spoilt != answer.content
    assert not check_signature(spoilt, root).intact
    again = w.client.get(f"/v1/neutrality-certificates/{certified['certificate_number']}/document")
    assert again.content == answer.content

    retired = w.client.get(f"/v1/certificates/{number}/document")
    assert check_signature(retired.content, root).bottom_line
    assert "2025年度碳中和(喆)" in text_of(retired.content)
    assert w.client.get("/v1/certificates/SIP-RET-2026-00000099-99/document").status_code in {404, 422}


@on_both
def test_a_retired_kilogram_offsets_once(hotel):
    w = hotel
    first, second = (w.post("hotel", "/v1/neutrality-claims", CLAIM)["claim_id"] for _ in range(2))
    number = w.retirement["certificate_number"]
    w.post("hotel", f"/v1/neutrality-claims/{first}/matches", {"certificate_number": number, "quantity_kg": 50_000})
    rest = {"certificate_number": number, "quantity_kg": 40_001}
    w.assert_refused("hotel", f"/v1/neutrality-claims/{second}/matches", rest, "quantity_out_of_range")
    refused = w.post("verifier-cqc", f"/v1/neutrality-claims/{first}/refusal", {"remarks": "no evidence"})
    assert (refused["state"], refused["matched_kg"]) == ("refused", 0)
    w.post("hotel", f"/v1/neutrality-claims/{second}/matches", {**rest, "quantity_kg": 90_000})
    own = w.post("verifier-cqc", "/v1/neutrality-claims", CLAIM)
    w.assert_refused(
        "verifier-cqc", f"/v1/neutrality-claims/{own['claim_id']}/certificate", None, "conflict_of_interest"
    )
    more = {**CLAIM, "reductions": [{"measure": "x", "reduced_kg": 110_501, "evidence": "y"}]}
    w.assert_refused("hotel", "/v1/neutrality-claims", more, "quantity_out_of_range")


def test_what_was_retired_for_another_offsets_nothing_of_ones_own(hotel):
    w = hotel
    (issuance,) = w.get("dev-a", "/v1/issuances")
    body = {"issuance_id": issuance["issuance_id"], "quantity_kg": 5_000, "purpose": "2025"}
    for_hotel = w.post("dev-a", "/v1/retirements", {**body, "beneficiary": "hotel"})["certificate_number"]
    for_a_race = w.post("dev-a", "/v1/retirements", {**body, "beneficiary": "Suzhou marathon"})["certificate_number"]
    own = f"/v1/neutrality-claims/{w.post('dev-a', '/v1/neutrality-claims', CLAIM)['claim_id']}/matches"
    theirs = f"/v1/neutrality-claims/{w.post('hotel', '/v1/neutrality-claims', CLAIM)['claim_id']}/matches"
    w.assert_refused("dev-a", own, {"certificate_number": for_hotel, "quantity_kg": 1_000}, "not_permitted")
    w.assert_refused("hotel", theirs, {"certificate_number": for_a_race, "quantity_kg": 1_000}, "not_permitted")
    w.post("hotel", theirs, {"certificate_number": for_hotel, "quantity_kg": 5_000})
    w.post("dev-a", own, {"certificate_number": for_a_race, "quantity_kg": 5_000})


def test_a_green_certificate_is_signed_by_the_grid_company(hotel):
    w = hotel
    body = {
        "certificate_number": "GEC-9",
        "meter_id": "M-PV1",
        "energy_wh": 5_000_000,
        "starts_at": "2025-06-01T00:00:00Z",
        "ends_at": "2025-07-01T00:00:00Z",
    }
    w.post("grid-sip", "/v1/green-certificates", body)
    answer = w.client.get("/v1/green-certificates/GEC-9/document")
    status = check_signature(answer.content, w.client.get("/v1/certificate-authority").content)
    assert status.bottom_line
    assert "5,000kWh" in text_of(answer.content)
    assert w.client.get("/v1/green-certificates/GEC-0/document").status_code == 404


def test_a_name_that_the_font_cannot_print_is_said_and_not_left_out(hotel):
    w = hotel
    body = {"issuance_id": None, "quantity_kg": 1_000, "beneficiary": "\U0002a6d6", "purpose": "x"}
    (issuance,) = w.get("dev-a", "/v1/issuances")
    done = w.post("dev-a", "/v1/retirements", {**body, "issuance_id": issuance["issuance_id"]})
    answer = w.client.get(f"/v1/certificates/{done['certificate_number']}/document")
    assert answer.json()["code"] == "corrupt_data"
