from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocrtool.errors import UsageError
from ocrtool.options import PageSelection


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("1", [1]),
        ("3-5", [3, 4, 5]),
        ("1,3-5,8-end", [1, 3, 4, 5, 8, 9]),
        ("5,1", [1, 5]),
        ("2-4,3-5", [2, 3, 4, 5]),
        ("-2", [1, 2]),
        ("8-", [8, 9]),
        ("end", [9]),
        (" 1 , 2 ", [1, 2]),
        ("7-99", [7, 8, 9]),
        ("12", []),
    ],
)
def test_what_users_type(text: str, pages: list[int]) -> None:
    assert PageSelection.parse(text).of(9) == pages


@pytest.mark.parametrize("text", ["", "x", "1,,2", "0", "5-3", "1-2-3", "-", "1.5", "end-2"])
def test_nonsense_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--pages"):
        PageSelection.parse(text)


@given(st.integers(0, 50))
def test_no_selection_is_every_page(count: int) -> None:
    assert PageSelection().of(count) == list(range(1, count + 1))
