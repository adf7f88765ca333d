"""Units in the shape of the Climate Action Data Trust's data model: out of our registry, and in from others.

Field names and picklists are those of the CAD Trust unit and issuance records (data model v1, as served by
`/v1/units`). Where we know nothing the field says so ("Unknown", "Not Started"); none is made up.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from financing.base.errors import CorruptData
from financing.base.quantities import CHINA_TIME, Period
from financing.registry.oversight.overlap import Subject
from financing.registry.statistics import Unit

UnitStatus = Literal[
    "Held", "Retired", "Cancelled", "Expired", "Inactive", "Buffer", "Exported", "Rejected", "Pending Export"
]
STATUS: dict[str, UnitStatus] = {
    "holding": "Held",
    "pledged": "Held",
    "escrow": "Held",
    "packaged": "Held",
    "buffer": "Buffer",
    "retired": "Retired",
    "cancelled": "Cancelled",
    "exported": "Exported",
}
REASON = {
    "pledged": "Pledged",
    "escrow": "In escrow for a sale or transfer",
    "packaged": "In custody behind a package",
    "retired": "Retired for a beneficiary",
    "cancelled": "Withdrawn without use",
    "exported": "Locked for another registry",
}
REMOVALS = ("WETLAND",)


def _text(value: str) -> str:
    if "\x00" in value:
        raise ValueError("no NUL characters")
    return value


Short = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_text)]


class CadUnit(BaseModel):
    """One unit record. Unknown fields of other registries are kept out, not an error."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    unitOwner: Short
    countryJurisdictionOfOwner: Short
    inCountryJurisdictionOfOwner: str = ""
    serialNumberBlock: Short
    unitBlockStart: str
    unitBlockEnd: str
    unitCount: Annotated[float, Field(gt=0)]
    vintageYear: Annotated[int, Field(ge=1990, le=2100)]
    unitType: Literal[
        "Reduction - nature", "Reduction - technical", "Removal - nature", "Removal - technical", "Not Determined"
    ]
    unitStatus: UnitStatus
    unitStatusReason: str = ""
    unitRegistryLink: str = ""
    correspondingAdjustmentDeclaration: Literal["Committed", "Not Required", "Unknown"]
    correspondingAdjustmentStatus: Literal["Unknown", "Not Started", "Pending", "Completed"]
    warehouseProjectId: Short
    projectLocationId: str = ""
    issuanceStartDate: date
    issuanceEndDate: date

    def subject(self) -> Subject:
        """What the other registry's units are about, as the overlap guard knows it."""
        return Subject("site", self.warehouseProjectId)

    def period(self) -> Period:
        """The days that the units were issued for, in China's calendar."""
        first = datetime.combine(self.issuanceStartDate, time(), CHINA_TIME)
        last = datetime.combine(self.issuanceEndDate + timedelta(days=1), time(), CHINA_TIME)
        return Period(first.astimezone(UTC), last.astimezone(UTC))


COLUMNS = tuple(CadUnit.model_fields)


def unit_of(unit: Unit, link: str) -> CadUnit:
    """Our block of serial numbers as a CAD Trust unit, counted in tonnes."""
    text = unit.serial
    removal = text.methodology_tag.rstrip("0123456789") in REMOVALS
    return CadUnit(
        unitOwner=unit.owner_name,
        countryJurisdictionOfOwner="China",
        inCountryJurisdictionOfOwner=unit.region,
        serialNumberBlock=str(text),
        unitBlockStart=str(text.first_kg),
        unitBlockEnd=str(text.last_kg),
        unitCount=unit.quantity_kg / 1000,
        vintageYear=text.vintage,
        unitType="Removal - nature" if removal else "Reduction - technical",
        unitStatus=STATUS[unit.account],
        unitStatusReason=REASON.get(unit.account, ""),
        unitRegistryLink=link,
        correspondingAdjustmentDeclaration="Unknown",
        correspondingAdjustmentStatus="Not Started",
        warehouseProjectId=text.project_code,
        projectLocationId=unit.region,
        issuanceStartDate=text.first_day,
        issuanceEndDate=text.last_day,
    )


_UNITS = TypeAdapter(list[CadUnit])


def read_units(rows: list[dict[str, Any]]) -> list[CadUnit]:
    """Check rows of another registry. Raises `CorruptData` naming the first row and field that do not fit."""
    try:
        units = _UNITS.validate_python([_flat(row) for row in rows])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CorruptData(f"unit {place}: {first['msg']}", field=place, errors=error.error_count()) from error
    if not units:
        raise CorruptData("there is no unit in the file")
    for unit in units:
        if unit.issuanceStartDate > unit.issuanceEndDate:
            raise CorruptData("an issuance ends before it starts", serial=unit.serialNumberBlock)
    return units


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A nested `issuance`, as the JSON API has it, beside its own fields as a table has them."""
    issuance = row.get("issuance")
    if not isinstance(issuance, dict):
        return row
    return row | {
        "warehouseProjectId": issuance.get("warehouseProjectId"),
        "issuanceStartDate": str(issuance.get("startDate", ""))[:10],
        "issuanceEndDate": str(issuance.get("endDate", ""))[:10],
    }
