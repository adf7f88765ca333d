"""Every text of the console, in Chinese and English, by key. A test holds both languages and all keys together."""

from __future__ import annotations

from typing import Literal

from credit_api.console.texts import (
    assets,
    common,
    dealing,
    errors,
    lending,
    measuring,
    neutrality,
    privacy,
    products,
    public,
    servicing,
    stories,
    trading,
)

Lang = Literal["zh", "en"]
LANGUAGES: tuple[Lang, ...] = ("zh", "en")
TEXTS: dict[str, tuple[str, str]] = {}
for _part in (
    common,
    stories,
    lending,
    servicing,
    products,
    assets,
    measuring,
    trading,
    dealing,
    public,
    neutrality,
    privacy,
    errors,
):
    TEXTS |= _part.TEXTS


def pair(key: str) -> tuple[str, str] | None:
    """Both languages of a key, or None."""
    return TEXTS.get(key)


def text(lang: Lang, key: str, /, **values: object) -> str:
    """The text of a key with its values filled in. Raises `KeyError` for a key that does not exist."""
    zh, en = TEXTS[key]
    found = zh if lang == "zh" else en
    return found.format(**values) if values else found
