"""Every text of the console, in Chinese and English, by key. A test holds both languages and all keys together."""

from __future__ import annotations

from credit_api.console.texts import common, errors, stories
from credit_api.credits import texts as assets
from credit_api.lending import products_texts as products
from credit_api.lending import servicing_texts as servicing
from credit_api.lending import texts as lending
from credit_api.measuring import texts as measuring
from credit_api.models import privacy_texts as privacy
from credit_api.neutrality import texts as neutrality
from credit_api.order_book import texts as trading
from credit_api.organisations import texts as organisations
from credit_api.over_the_counter import texts as dealing
from credit_api.public import texts as public
from federated.words import Words

TEXTS = Words(
    common.TEXTS,
    stories.TEXTS,
    lending.TEXTS,
    servicing.TEXTS,
    products.TEXTS,
    assets.TEXTS,
    measuring.TEXTS,
    trading.TEXTS,
    dealing.TEXTS,
    public.TEXTS,
    neutrality.TEXTS,
    privacy.TEXTS,
    organisations.TEXTS,
    errors.TEXTS,
)
text = TEXTS.text


def pair(key: str) -> tuple[str, str] | None:
    """Both languages of a key, or None."""
    return TEXTS.get(key)
