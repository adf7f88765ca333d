"""Words in Chinese and English: the one way to keep them by key and to look them up.

The console, the model card and the privacy report each have a vocabulary of their own; all of them are `Words`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
Pairs = Mapping[str, tuple[str, str]]


class Words(dict[str, tuple[str, str]]):
    """Key → (Chinese, English), joined from parts that share no key."""

    def __init__(self, *parts: Pairs) -> None:
        super().__init__()
        for part in parts:
            if twice := self.keys() & part.keys():
                raise ValueError(f"said twice: {', '.join(sorted(twice))}")
            self.update(part)

    def text(self, language: Language, key: str, /, **values: object) -> str:
        """The words of a key with `values` filled in. Raises `KeyError` for a key that does not exist."""
        text = self[key][LANGUAGES.index(language)]
        return text.format(**values) if values else text

    def text_or(self, language: Language, key: str, otherwise: str, /) -> str:
        """The words of a key, or `otherwise` where there are none: names of data stay as they are."""
        return self.text(language, key) if key in self else otherwise
