"""From meter reading to a signed certificate of carbon neutrality, on both databases; and the documents themselves."""

import io
import re
from datetime import timedelta

import pypdfium2
import pytest
from desk import GRID, VERIFIER
from kinds import on_both, one_kind  # noqa: F401

from credit_api.certificates.documents import green_document, neutrality_document, retirement_document
from financing.base.errors import CorruptData, NotFound
from financing.base.quantities import Carbon
from financing.base.signing import message_of, require_signed
from financing.lending.collateral.disposing import buy_any
from financing.market.over_the_counter.commands import BuyListing, MakeListing, make_listing
from financing.registry.neutrality.commands import (
    DraftClaim,
    MatchRetirement,
    RefuseClaim,
    certify_claim,
    draft_claim,
    match_retirement,
    refuse_claim,
)
from financing.registry.neutrality.model import DOMAIN
from financing.registry.oversight.overlap_guard import RecordCertificate, record_certificate
from financing.registry.retirement.commands import RetireCredits, retire_credits


def check_signature(document, root_pem):
    from pyhanko.keys.pemder import load_certs_from_pemder_data
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko_certvalidator import ValidationContext

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
def hotel(kind, tmp_path, ready_desks):
    """A hotel that bought 90 t to be retired for itself."""
    with ready_desks.copied(kind, tmp_path / "home", bought) as (desk, (issuance, retirement)):
        desk.issuance, desk.retirement = issuance, retirement
        yield desk


def bought(desk):
    desk.admit("dev-a", "developer")
    desk.admit("hotel", "buyer")
    desk.fund("hotel", 10_000_000)
    issuance = desk.credits("dev-a")
    offer = MakeListing(
        asset=f"PHCER:{issuance.issuance_id}",
        quantity_kg=200_000,
        price_fen_per_tonne=3_000,
        expires_at=desk.now + timedelta(days=3),
    )
    listing = desk.run("dev-a", make_listing, offer)
    purpose = {"beneficiary": "hotel", "purpose": "2025年度碳中和(喆)"}
    taken = BuyListing(quantity_kg=90_000, retire_for=purpose)
    return issuance, desk.run("hotel", buy_any, listing.listing_id, taken).bought.retirement


FOOTPRINT = {
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
CLAIM = DraftClaim(**FOOTPRINT)


def match(claim, retirement, quantity_kg):
    """The command that uses up part of a retirement for a claim."""
    used = MatchRetirement(certificate_number=retirement.certificate_number, quantity_kg=quantity_kg)
    return match_retirement, claim.claim_id, used


@on_both
def test_from_footprint_to_a_signed_certificate(hotel):
    w = hotel
    claim = w.run("hotel", draft_claim, CLAIM)
    assert (claim.emitted, claim.reduced, claim.residual) == (Carbon(110_500), Carbon(20_500), Carbon(90_000))
    w.assert_refused("dev-a", "not_permitted", *match(claim, w.retirement, 60_000))
    w.run("hotel", *match(claim, w.retirement, 60_000))
    w.assert_refused(VERIFIER, "residual_not_covered", certify_claim, claim.claim_id)
    w.assert_refused("hotel", "quantity_out_of_range", *match(claim, w.retirement, 60_000))
    w.run("hotel", *match(claim, w.retirement, 30_000))
    w.assert_refused("hotel", "not_permitted", certify_claim, claim.claim_id)
    w.assert_refused("verifier-cti", "accreditation_missing", certify_claim, claim.claim_id)
    certified = w.run(VERIFIER, certify_claim, claim.claim_id)
    number = certified.certificate_number
    assert number.startswith("SIP-CN-2026-00000001-")
    w.assert_refused(VERIFIER, "invalid_state", certify_claim, claim.claim_id)

    # It stands on record as it was certified, and the certifier's signature is on what it says.
    stored = w.look(lambda unit: unit.neutrality.certified(number))
    assert stored == certified
    assert stored.signature.signer_id == "verifier-cqc"
    public_key = w.parts.signer.public_key("verifier-cqc")
    require_signed(stored.signature, message_of(DOMAIN, stored.document()), public_key)

    # The document: signed, complete, in both languages; changed by a byte it is not valid any more.
    document, root = neutrality_document(w.parts, number), w.parts.authority.root_pem(w.now)
    status = check_signature(document, root)
    assert status.bottom_line
    assert "CQC" in status.signing_cert.subject.native["common_name"]
    text, retired = text_of(document), w.retirement.certificate_number
    for said in ("碳中和证书", "Certificateofcarbonneutrality", "90tCO2e", "金鸡湖酒店2025年运营", retired):
        assert said in text, said
    assert re.sub(r"\s+", "", w.retirement.serials[0]) in text
    spoilt = document.replace(b"/Count 1", b"/Count 2", 1)
    assert spoilt != document
    assert not check_signature(spoilt, root).intact
    assert neutrality_document(w.parts, number) == document

    of_retirement = retirement_document(w.parts, retired)
    assert check_signature(of_retirement, root).bottom_line
    assert "2025年度碳中和(喆)" in text_of(of_retirement)


@on_both
def test_a_retired_kilogram_offsets_once(hotel):
    w = hotel
    first, second = (w.run("hotel", draft_claim, CLAIM) for _ in range(2))
    w.run("hotel", *match(first, w.retirement, 50_000))
    w.assert_refused("hotel", "quantity_out_of_range", *match(second, w.retirement, 40_001))
    refused = w.run(VERIFIER, refuse_claim, first.claim_id, RefuseClaim(remarks="no evidence"))
    assert (refused.state, refused.matched) == ("refused", Carbon(0))
    w.run("hotel", *match(second, w.retirement, 90_000))
    own = w.run(VERIFIER, draft_claim, CLAIM)
    w.assert_refused(VERIFIER, "conflict_of_interest", certify_claim, own.claim_id)
    more = FOOTPRINT | {"reductions": [{"measure": "x", "reduced_kg": 110_501, "evidence": "y"}]}
    w.assert_refused("hotel", "quantity_out_of_range", draft_claim, DraftClaim(**more))


def retired(w, beneficiary, quantity_kg=5_000, purpose="2025"):
    """Credits that the developer retires for somebody."""
    asked = RetireCredits(
        issuance_id=w.issuance.issuance_id, quantity_kg=quantity_kg, beneficiary=beneficiary, purpose=purpose
    )
    return w.run("dev-a", retire_credits, asked)


def test_what_was_retired_for_another_offsets_nothing_of_ones_own(hotel):
    w = hotel
    for_hotel, for_a_race = retired(w, "hotel"), retired(w, "Suzhou marathon")
    own, theirs = w.run("dev-a", draft_claim, CLAIM), w.run("hotel", draft_claim, CLAIM)
    w.assert_refused("dev-a", "not_permitted", *match(own, for_hotel, 1_000))
    w.assert_refused("hotel", "not_permitted", *match(theirs, for_a_race, 1_000))
    w.run("hotel", *match(theirs, for_hotel, 5_000))
    w.run("dev-a", *match(own, for_a_race, 5_000))


def test_a_green_certificate_is_signed_by_the_grid_company(hotel):
    w = hotel
    asked = RecordCertificate(
        certificate_number="GEC-9",
        meter_id="M-PV1",
        energy_wh=5_000_000,
        starts_at="2025-06-01T00:00:00Z",
        ends_at="2025-07-01T00:00:00Z",
    )
    w.run(GRID, record_certificate, asked)
    document = green_document(w.parts, "GEC-9")
    assert check_signature(document, w.parts.authority.root_pem(w.now)).bottom_line
    assert "5,000kWh" in text_of(document)
    with pytest.raises(NotFound):
        green_document(w.parts, "GEC-0")


def test_a_name_that_the_font_cannot_print_is_said_and_not_left_out(hotel):
    done = retired(hotel, "\U0002a6d6", 1_000, "x")
    with pytest.raises(CorruptData):
        retirement_document(hotel.parts, done.certificate_number)
