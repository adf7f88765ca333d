"""One page that says what a certificate says, in Chinese and English, drawn with the bundled font.

What draws is loaded with the first sheet: a service that starts needs none, and it takes half a second.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import segno

from financing.base.errors import CorruptData
from financing.base.quantities import Carbon

if TYPE_CHECKING:
    from fpdf import FPDF

FONT = Path(__file__).with_name("fonts") / "NotoSansCJKsc-Regular-GBK.otf"
INK, MUTED, RULE, GREEN = (24, 36, 32), (96, 112, 106), (200, 212, 206), (14, 110, 78)
SERIALS_MAX = 10
TOP, ROW_UNTIL, FOOT = 24.0, 205.0, 240.0  # mm: where a page begins, its last row may start, and its foot begins


@dataclass(frozen=True, slots=True)
class Row:
    """A label in both languages, and what stands beside it."""

    zh: str
    en: str
    value: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """`statement` is the sentence that counts, in both languages; `url` is where anyone can check it."""

    title_zh: str
    title_en: str
    number: str
    quantity: str
    statement_zh: str
    statement_en: str
    rows: tuple[Row, ...]
    serials: tuple[str, ...]
    url: str
    issued_at: datetime
    signer: str
    note_zh: str = ""
    note_en: str = ""
    keywords: tuple[str, ...] = field(default=())


def tonnes_text(quantity: Carbon) -> str:
    return f"{plain(quantity.tonnes())} tCO2e"


def plain(amount: Decimal) -> str:
    """A number with thousands separated and no zeros that say nothing."""
    return f"{amount.normalize():,f}"


def draw(sheet: Sheet) -> bytes:
    """The page as PDF bytes, not signed yet. Raises `CorruptData` for a character that the font does not have."""
    from fpdf import FPDF  # noqa: PLC0415

    _require_printable(sheet)
    pdf = FPDF(format="A4")
    pdf.set_auto_page_break(auto=False)
    pdf.set_creation_date(sheet.issued_at)
    pdf.set_title(f"{sheet.title_zh} {sheet.number}")
    pdf.set_keywords(" ".join((sheet.number, *sheet.keywords)))
    pdf.set_lang("zh-CN")
    pdf.add_font("noto", "", FONT)
    pdf.add_page()
    _frame(pdf)
    _heading(pdf, sheet)
    _rows(pdf, sheet)
    _serials(pdf, sheet)
    _foot(pdf, sheet)
    return bytes(pdf.output())


def _frame(pdf: FPDF) -> None:
    pdf.set_draw_color(*GREEN)
    pdf.set_line_width(0.8)
    pdf.rect(10, 10, 190, 277)
    pdf.set_draw_color(*RULE)
    pdf.set_line_width(0.2)
    pdf.rect(12, 12, 186, 273)


def _text(
    pdf: FPDF,
    x: float,
    y: float,
    width: float,
    text: str,
    size: float,
    ink: tuple[int, int, int] = INK,
    align: str = "L",
) -> float:
    """Write a wrapped paragraph; returns the height where it ends."""
    from fpdf.enums import WrapMode  # noqa: PLC0415

    pdf.set_font("noto", size=size)
    pdf.set_text_color(*ink)
    pdf.set_xy(x, y)
    pdf.multi_cell(width, size * 0.52, text, align=align, new_x="LMARGIN", new_y="NEXT", wrapmode=WrapMode.CHAR)
    return float(pdf.get_y())


def _heading(pdf: FPDF, sheet: Sheet) -> None:
    _text(pdf, 20, 22, 170, "碳信 Tanxin · 苏州工业园区碳普惠登记 SIP carbon registry", 9, MUTED, "C")
    _text(pdf, 20, 31, 170, sheet.title_zh, 26, GREEN, "C")
    _text(pdf, 20, 46, 170, sheet.title_en, 13, GREEN, "C")
    _text(pdf, 20, 57, 170, sheet.quantity, 20, INK, "C")
    end = _text(pdf, 26, 72, 158, sheet.statement_zh, 11, INK, "C")
    end = _text(pdf, 26, end + 1, 158, sheet.statement_en, 9.5, MUTED, "C")
    pdf.set_y(end + 4)


def _rows(pdf: FPDF, sheet: Sheet) -> None:
    """Rows as far as they fit above the foot, the rest on further pages."""
    y = float(pdf.get_y())
    for row in sheet.rows:
        if y > ROW_UNTIL:
            pdf.add_page()
            _frame(pdf)
            y = TOP
        pdf.set_draw_color(*RULE)
        pdf.line(24, y, 186, y)
        left = _text(pdf, 24, y + 1.4, 52, row.zh, 9.5)
        left = _text(pdf, 24, left, 52, row.en, 7.5, MUTED)
        right = _text(pdf, 78, y + 1.9, 108, row.value, 9.5)
        y = max(left, right) + 1.2
    pdf.line(24, y, 186, y)
    pdf.set_y(y + 3)


def _serials(pdf: FPDF, sheet: Sheet) -> None:
    if not sheet.serials:
        return
    y = _text(pdf, 24, float(pdf.get_y()), 162, "序列号 Serial numbers", 9.5, MUTED)
    shown = 0
    for serial in sheet.serials[:SERIALS_MAX]:
        if y > FOOT - 8:
            break
        y = _text(pdf, 24, y + 0.4, 162, serial, 7.5)
        shown += 1
    more = len(sheet.serials) - shown
    if more > 0:
        _text(pdf, 24, y + 0.4, 162, f"另有 {more} 段,见核验页 · {more} more: see the verification page", 7.5, MUTED)


def _foot(pdf: FPDF, sheet: Sheet) -> None:
    image = io.BytesIO()
    segno.make(sheet.url, error="m").save(image, kind="png", scale=8, border=2)
    pdf.image(image, x=156, y=242, w=34)
    y = _text(pdf, 24, 244, 128, f"证书编号 Number: {sheet.number}", 9.5)
    y = _text(pdf, 24, y + 0.6, 128, f"签发 Issued: {sheet.issued_at:%Y-%m-%d %H:%M} UTC", 8.5, MUTED)
    y = _text(pdf, 24, y + 0.6, 128, f"签署 Signed by: {sheet.signer}", 8.5, MUTED)
    y = _text(pdf, 24, y + 0.6, 128, f"扫码核验 Scan to verify: {sheet.url}", 8.5, MUTED)
    if sheet.note_zh or sheet.note_en:
        _text(pdf, 24, y + 0.8, 128, f"{sheet.note_zh} {sheet.note_en}".strip(), 7.5, MUTED)


@cache
def _characters() -> frozenset[int]:
    from fontTools.ttLib import TTFont  # noqa: PLC0415

    return frozenset(TTFont(FONT).getBestCmap())


def _require_printable(sheet: Sheet) -> None:
    texts = [sheet.title_zh, sheet.title_en, sheet.statement_zh, sheet.statement_en, sheet.signer, *sheet.serials]
    texts += [part for row in sheet.rows for part in (row.zh, row.en, row.value)]
    lacking = sorted({character for text in texts for character in text if ord(character) not in _characters()})
    if lacking:
        raise CorruptData("the certificate's font has no glyph for some characters", characters="".join(lacking))
