from datetime import UTC, datetime, timedelta

import pytest

from financing.base.errors import QuantityOutOfRange, SerialInvalid
from financing.base.quantities import Carbon, Period
from financing.ledger.check_digits import check_digits, with_check, without_check
from financing.ledger.serials import issue_block, parse_serial, take_from, take_tail
from financing.registry.retirement.model import certificate_number, require_certificate_number, retire

AT = datetime(2026, 11, 22, tzinfo=UTC)
PERIOD = Period(datetime(2025, 12, 31, 16, tzinfo=UTC), datetime(2026, 6, 30, 16, tzinfo=UTC))


def block(kg=5_000, issuance="iss-1"):
    return issue_block(
        issuance_id=issuance,
        methodology_tag="PV1",
        project_code="ROOF1",
        period=PERIOD,
        quantity=Carbon(kg),
        registry_code="SIP",
    )


def test_the_serial_says_what_it_is():
    serial = block().serial
    assert serial.startswith("SIP-PHCER-PV1-ROOF1-2026-20260101-20260630-1-5000-")
    parsed = parse_serial(serial)
    assert (parsed.project_code, parsed.vintage, parsed.first_kg, parsed.last_kg) == ("ROOF1", 2026, 1, 5_000)
    assert str(parsed) == serial


def test_check_digits_follow_mod_97_10():
    # The example of ISO 13616 (IBAN): a number whose remainder by 97 is 1 carries valid digits.
    number = int("".join(str("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-".index(c)) for c in with_check("SIP-1")))
    assert number % 97 == 1
    assert without_check(with_check("SIP-1")) == "SIP-1"
    with pytest.raises(SerialInvalid):
        check_digits("sip")


@pytest.mark.parametrize("text", ["", "12", "-12", "SIP-1-1", "SIP-1-xx", "SIP-PHCER"])
def test_an_identifier_without_its_check_is_refused(text):
    with pytest.raises(SerialInvalid):
        parse_serial(text)


@pytest.mark.parametrize(
    "body",
    [
        "SIP-PHCER-PV1-ROOF1-2026-20260101-20260630-1",
        "SIP-PHCER-PV1-ROOF1-2026-20260101-20260630-0-5",
        "SIP-PHCER-PV1-ROOF1-2026-20260101-20260630-6-5",
        "SIP-PHCER-PV1-ROOF1-2025-20260101-20260630-1-5",
        "SIP-PHCER-PV1-ROOF1-2026-20260231-20260630-1-5",
        "SIP-PHCER-PV1-ROOF1-2026-20260630-20260101-1-5",
    ],
)
def test_a_serial_that_contradicts_itself_is_refused_despite_its_check(body):
    with pytest.raises(SerialInvalid):
        parse_serial(with_check(body))


def test_a_split_takes_the_tail_and_remembers():
    whole = block()
    rest, taken = take_tail(whole, Carbon(1_500))
    assert (rest.first_kg, rest.last_kg, taken.first_kg, taken.last_kg) == (1, 3_500, 3_501, 5_000)
    assert taken.history == rest.history == (whole.serial,)
    assert take_tail(taken, Carbon(1_500)) == (None, taken)
    again, _ = take_tail(taken, Carbon(500))
    assert again.history == (whole.serial, taken.serial)


def test_more_than_there_is_cannot_be_taken():
    for asked in (5_001, 0, -1):
        with pytest.raises(QuantityOutOfRange):
            take_tail(block(), Carbon(asked))
    with pytest.raises(QuantityOutOfRange):
        take_from((block(), block(issuance="iss-2")), Carbon(10_001))
    with pytest.raises(QuantityOutOfRange):
        block(0)


def test_taking_from_several_blocks_goes_in_order():
    first, second, third = block(1_000), block(2_000, "iss-2"), block(1_000, "iss-3")
    stay, taken = take_from((first, second, third), Carbon(1_500))
    assert taken[0] == first
    assert [part.quantity.kg for part in taken] == [1_000, 500]
    assert [(part.issuance_id, part.quantity.kg) for part in stay] == [("iss-2", 1_500), ("iss-3", 1_000)]


def test_a_retirement_names_its_serials_and_certificate():
    retired = retire(
        number=7, retired_by="buyer", beneficiary="会议", purpose="碳中和", period=PERIOD, blocks=(block(),), at=AT
    )
    assert retired.certificate_number.startswith("SIP-RET-2026-00000007-")
    assert require_certificate_number(retired.certificate_number) == retired.certificate_number
    assert (retired.quantity, retired.serials) == (Carbon(5_000), (block().serial,))


def test_the_certificate_year_is_chinas():
    assert certificate_number(datetime(2026, 12, 31, 16, tzinfo=UTC), 1).startswith("SIP-RET-2027-")


@pytest.mark.parametrize("text", ["SIP-RET-2026-00000007-00", with_check("SIP-RET-2026-7"), "x"])
def test_a_wrong_certificate_number_is_refused(text):
    with pytest.raises(SerialInvalid):
        require_certificate_number(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"blocks": ()},
        {"blocks": (block(), block())},
        {"beneficiary": " "},
        {"purpose": ""},
        {"number": 0},
        {"number": 100_000_000},
    ],
)
def test_an_impossible_retirement_is_refused(changes):
    inputs = {
        "number": 1,
        "retired_by": "buyer",
        "beneficiary": "b",
        "purpose": "p",
        "period": None,
        "blocks": (block(),),
        "at": AT + timedelta(days=1),
    }
    with pytest.raises(QuantityOutOfRange):
        retire(**(inputs | changes))
