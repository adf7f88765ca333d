"""The log of score inquiries: who asked for whose score, when, why, and what was answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict
from sqlalchemy import Connection, Row, insert, select

from credit_api.http.tables import InquiryMade, InquiryRow
from financing.base.errors import NotFound, NotPermitted
from financing.base.storage.columns import table_of
from financing.base.storage.paging import ALL, Key, Page, Window, page_of
from financing.base.storage.store import columns_of, value_of

inquiry_t = table_of(InquiryRow)


class Inquiry(InquiryMade):
    """`outcome`: score, no_file or refused. `answer` is the response body, or the code of the refusal."""

    model_config = ConfigDict(frozen=True)

    inquiry_id: str
    bank_id: str
    subject_id: str
    answer: dict[str, Any]
    asked_at: datetime


def log_inquiry(connection: Connection, inquiry: Inquiry) -> None:
    connection.execute(insert(inquiry_t).values(columns_of(inquiry_t, inquiry, id=inquiry.inquiry_id)))


def inquiries(
    connection: Connection,
    *,
    bank_id: str | None = None,
    subject_id: str | None = None,
    answered: bool = False,
    window: Window = ALL,
) -> Page[Inquiry]:
    """Inquiries of a bank, about a subject, or both, newest first; `answered` leaves refusals out."""
    query = select(inquiry_t)
    if bank_id is not None:
        query = query.where(inquiry_t.c.bank_id == bank_id)
    if subject_id is not None:
        query = query.where(inquiry_t.c.subject_id == subject_id)
    if answered:
        query = query.where(inquiry_t.c.outcome != "refused")
    keys = (Key(inquiry_t.c.asked_at, descending=True), Key(inquiry_t.c.id))
    return page_of(connection, query, keys, window, _inquiry)


def own_inquiry(connection: Connection, inquiry_id: str, bank_id: str) -> Inquiry:
    """One inquiry of this bank's log. Raises `NotFound`, for another bank's too."""
    own = (inquiry_t.c.id == inquiry_id, inquiry_t.c.bank_id == bank_id)
    row = connection.execute(select(inquiry_t).where(*own)).first()
    if row is None:
        raise NotFound("no such inquiry", inquiry_id=inquiry_id)
    return _inquiry(row)


def inquiry_of(connection: Connection, inquiry_id: str, bank_id: str) -> Inquiry:
    """An answered inquiry of this bank. Raises `NotFound`, and `NotPermitted` for another bank's or a refused one."""
    row = connection.execute(select(inquiry_t).where(inquiry_t.c.id == inquiry_id)).first()
    if row is None:
        raise NotFound("no such inquiry", inquiry_id=inquiry_id)
    inquiry = _inquiry(row)
    if inquiry.bank_id != bank_id or inquiry.outcome == "refused":
        raise NotPermitted("this inquiry cannot support a decision of this bank", inquiry_id=inquiry_id)
    return inquiry


def _inquiry(row: Row[Any]) -> Inquiry:
    return value_of(Inquiry, row, inquiry_id=row.id)
