import pytest

from federated.words import Words

WORDS = Words({"hello": ("你好，{name}", "Hello {name}")}, {"bye": ("再见", "Goodbye")})


def test_words_are_found_in_both_languages_and_filled_in():
    assert WORDS.text("zh", "hello", name="碳信") == "你好，碳信"
    assert WORDS.text("en", "bye") == "Goodbye"
    assert WORDS.text_or("en", "column_7", "column_7") == "column_7"
    with pytest.raises(KeyError):
        WORDS.text("en", "column_7")


def test_two_parts_that_say_the_same_key_are_refused():
    with pytest.raises(ValueError, match="said twice: bye"):
        Words({"bye": ("再见", "Goodbye")}, {"bye": ("回头见", "See you")})
