"""Two check digits over a hyphenated identifier: ISO 7064 MOD 97-10, hyphens included.

Each character stands for a number: 0–9 for digits, 10–35 for A–Z (as in ISO 13616), 36 for the hyphen, so that moving
a hyphen is noticed too. The check makes the number formed by all of them leave 1 on division by 97; every single
wrong digit and every swap of two adjacent digits is found.
"""

from __future__ import annotations

import re

from financing.base.errors import SerialInvalid

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-"
ALLOWED = re.compile(f"[{ALPHABET}]*")
NUMBERS = str.maketrans({character: str(number) for number, character in enumerate(ALPHABET)})


def check_digits(text: str) -> str:
    """The two digits for `text`. Raises `SerialInvalid` for a character outside 0–9, A–Z and hyphen."""
    return f"{98 - _number(f'{text}-00') % 97:02d}"


def with_check(text: str) -> str:
    return f"{text}-{check_digits(text)}"


def without_check(identifier: str) -> str:
    """The identifier without its check digits. Raises `SerialInvalid` when they are absent or wrong."""
    text, _, check = identifier.rpartition("-")
    if not text or len(check) != 2 or not check.isdigit() or check_digits(text) != check:
        raise SerialInvalid("the check digits do not fit", identifier=identifier)
    return text


def _number(text: str) -> int:
    if not ALLOWED.fullmatch(text):
        raise SerialInvalid("only 0-9, A-Z and hyphens occur in an identifier", text=text)
    return int(text.translate(NUMBERS))
