from __future__ import annotations

from quality.text_hash import normalised_hash


def test_hash_ignores_line_ends_and_trailing_space_only() -> None:
    assert normalised_hash("a\r\nb  \r\n\r\n") == normalised_hash("a\nb") == normalised_hash("a\rb\t\r")
    assert len({normalised_hash(text) for text in ("a\nb", "a\n b", "ab", "A\nb", "a\n\nb")}) == 5
