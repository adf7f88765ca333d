"""What the registry decided on a methodology version, and the texts that results rest on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class ArchivedFile:
    """A file's text as it was used; `path` is its place under the parameters' folder."""

    sha256: str
    path: str
    content: str


class Transition(BaseModel):
    """The registry moved `code``version` to `status`, judging the text with this SHA-256."""

    code: str
    version: int
    status: str
    sha256: str
    reason: str
    recorded_by: str
    recorded_at: datetime
