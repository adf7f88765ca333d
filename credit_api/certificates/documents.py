"""Certificates as signed PDF files: made once, kept in the home folder, given out again as they were signed.

In a sandbox a file is signed in the name of who states what it says. A real service has no key of theirs: it seals the
file in the exchange's name, whose books it shows, and the statement carries its maker's own signature.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from credit_api.app.wiring import Parts
from credit_api.certificates.compose import green_sheet, neutrality_sheet, retirement_sheet
from credit_api.certificates.sheet import Sheet, draw
from financing.lending.unit import UnitOfWork
from financing.registry.neutrality.model import require_neutrality_number
from financing.registry.retirement.model import require_certificate_number

NAME_MAX = 80


def retirement_document(parts: Parts, number: str) -> bytes:
    """The signed PDF of a retirement certificate. Raises `SerialInvalid`, `NotFound`."""
    require_certificate_number(number)
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        retirement = unit.retirements.get(number)
        registry = unit.issuances.get(retirement.blocks[0].issuance_id).registry_id
        name = _Names(unit)
    url = f"{parts.settings.address}/certificates/{number}"
    return _kept(
        parts, registry, retirement_sheet(retirement, name, url, name(registry)), name(registry), retirement.retired_at
    )


def neutrality_document(parts: Parts, number: str) -> bytes:
    """The signed PDF of a certificate of carbon neutrality. Raises `SerialInvalid`, `NotFound`."""
    require_neutrality_number(number)
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        claim = unit.neutrality.certified(number)
        name = _Names(unit)
        serials = tuple(
            serial for each in claim.matches for serial in unit.retirements.get(each.certificate_number).serials
        )
    assert claim.certifier is not None
    assert claim.decided_at is not None
    url = f"{parts.settings.address}/neutrality/{number}"
    sheet = neutrality_sheet(claim, serials, name, url)
    return _kept(parts, claim.certifier, sheet, name(claim.certifier), claim.decided_at)


def green_document(parts: Parts, number: str) -> bytes:
    """The signed PDF of a green-electricity certificate as it stands now. Raises `NotFound`."""
    at = parts.clock()
    with parts.reading() as connection:
        unit = UnitOfWork(connection)
        certificate = unit.guard.certificate(number)
        grid = unit.projects.meter(certificate.meter_id).measured_by
        name = _Names(unit)
    url = f"{parts.settings.address}/v1/green-certificates/{number}/document"
    # Its state changes, so it is drawn and signed as of the day it is asked for.
    return _signed(parts, grid, green_sheet(certificate, name, url, grid, at), name(grid), at)


def _kept(parts: Parts, signer_id: str, sheet: Sheet, signer: str, at: datetime) -> bytes:
    path = parts.settings.home / "certificates" / f"{sheet.number}.pdf"
    if path.exists():
        return path.read_bytes()
    document = _signed(parts, signer_id, sheet, signer, at)
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_whole(path, document)
    return path.read_bytes()


def _signed(parts: Parts, signer_id: str, sheet: Sheet, signer: str, at: datetime) -> bytes:
    if not parts.settings.sandbox:
        with parts.reading() as connection:
            unit = UnitOfWork(connection)
            signer_id = unit.organisations.exchange().id
            signer = _Names(unit)(signer_id)
        sheet = replace(sheet, signer=signer)
    # pyHanko takes a second to load, and a service that starts signs nothing.
    from credit_api.certificates.signing import sign_document  # noqa: PLC0415

    credential = parts.authority.credential(signer_id, signer, at)
    return sign_document(draw(sheet), credential, reason=f"{sheet.title_en} {sheet.number}")


def _write_whole(path: Path, content: bytes) -> None:
    draft = path.with_suffix(f".{os.getpid()}.{id(content)}.new")
    draft.write_bytes(content)
    # Of two that were asked at once, the first stays: a certificate is signed once.
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


class _Names:
    """Both names of an organisation, or what was written where none is meant."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._known = {each.id: f"{each.name_zh} {each.name_en}"[:NAME_MAX] for each in unit.organisations.all()}

    def __call__(self, organisation_id: str) -> str:
        return self._known.get(organisation_id, organisation_id)
