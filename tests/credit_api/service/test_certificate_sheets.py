"""A certificate's page: everything on it, nothing over anything else, however long its texts are."""

from datetime import UTC, datetime

import pypdfium2
import pytest

from credit_api.certificates.sheet import Row, Sheet, draw
from financing.base.errors import CorruptData

AT = datetime(2026, 3, 1, tzinfo=UTC)


def sheet(rows, serials=(), **changes):
    values = {
        "title_zh": "碳中和证书",
        "title_en": "Certificate",
        "number": "SIP-CN-2026-00000001-20",
        "quantity": "20 tCO2e",
        "statement_zh": "兹证明。",
        "statement_en": "This is to certify.",
        "rows": tuple(rows),
        "serials": tuple(serials),
        "url": "https://example.org/neutrality/SIP-CN-2026-00000001-20",
        "issued_at": AT,
        "signer": "CQC",
    }
    return Sheet(**(values | changes))


def pages_of(document):
    pdf = pypdfium2.PdfDocument(document)
    found = [page.get_textpage().get_text_bounded() for page in pdf]
    pdf.close()
    return found


def test_a_short_one_fits_a_page():
    (text,) = pages_of(draw(sheet([Row("主体", "Entity", "喆")], ["SIP-PHCER-1"])))
    assert "喆" in text
    assert "SIP-PHCER-1" in text


def test_long_texts_go_on_to_another_page_and_nothing_is_lost():
    rows = [Row("边界", "Boundary", f"{number}: " + "赛事组织、选手交通与住宿;" * 18) for number in range(9)]
    pages = pages_of(draw(sheet(rows, [f"SIP-PHCER-{number}" for number in range(40)])))
    assert len(pages) > 1
    assert all(f"{number}: " in "".join(pages) for number in range(9))
    assert "SIP-CN-2026-00000001-20" in pages[-1]
    shown = sum(
        f"SIP-PHCER-{number}\r" in page or f"SIP-PHCER-{number}\n" in page for page in pages for number in range(40)
    )
    assert f"{40 - shown} more" in "".join(pages)


def test_a_character_that_cannot_be_printed_is_refused():
    with pytest.raises(CorruptData) as refusal:
        draw(sheet([Row("主体", "Entity", "\U0002a6d6")]))
    assert refusal.value.context["characters"] == "\U0002a6d6"
