from __future__ import annotations

import pytest

from ocrtool.document.hyphenation import joined, mend, run_on, words_in


@pytest.mark.parametrize(
    ("lines", "mended"),
    [
        # English, German, French, Spanish, Italian, Czech, Slovak, Danish, Dutch
        (["of great impor-", "tance to us"], ["of great importance", "to us"]),
        (["die Regie-", "rung sagte"], ["die Regierung", "sagte"]),
        (["des terres labou-", "rées, des prairies"], ["des terres labourées,", "des prairies"]),
        (["de su semblan-", "te, ya risueño"], ["de su semblante,", "ya risueño"]),
        (["il suo vesco-", "vo di Tripoli"], ["il suo vescovo", "di Tripoli"]),
        (["úřední zprá-", "vu vídeňskou"], ["úřední zprávu", "vídeňskou"]),
        (["predsed-", "níctvo vlády"], ["predsedníctvo", "vlády"]),
        (["den danske rege-", "ring har"], ["den danske regering", "har"]),
        (["de Nederlandse taal-", "kunde is"], ["de Nederlandse taalkunde", "is"]),
        (["three in a ser-", "ies of let-", "ters"], ["three in a series", "of letters", ""]),
    ],
)
def test_words_split_by_the_printer_are_joined(lines: list[str], mended: list[str]) -> None:
    assert mend(lines) == mended


@pytest.mark.parametrize(
    ("first", "rest"),
    [
        ("a well-", "known man"),
        ("by e-", "mail only"),
        ("in 1990-", "95 they"),
        ("pages 12-", "14"),
        ("the COVID-", "19 years"),
        ("Mrs. Smith-", "Jones came"),
        ("the Anglo-", "Saxon kings"),
        ("his mother-", "in-law"),
        ("c\u2019est-à-", "dire que"),
        ("peut-", "être demain"),
        ("que dit-", "il alors"),
        ("an X-", "ray of it"),
        ("self-", "made men"),
        ("he said -", "and left"),
        ("the end.", "Then came"),
    ],
)
def test_hyphens_that_belong_to_a_word_are_kept(first: str, rest: str) -> None:
    assert joined(first, rest.split()[0]) is None
    assert mend([first, rest]) == [first, rest]


def test_the_document_tells_a_split_word_from_a_pair() -> None:
    assert joined("the blood-", "red sky") is not None
    assert joined("the blood-", "red", words_in(["a blood-red sun"])) is None
    assert joined("the blood-", "red", words_in(["of blood and wine"])) is None
    assert joined("non-", "sense", words_in(["all nonsense"])) == "nonsense"
    assert joined("IMPOR-", "TANT", words_in(["important"])) == "IMPORTANT"
    assert joined("IMPOR-", "TANT") is None


def test_soft_hyphens_are_always_the_printers() -> None:
    assert joined("self\u00ad", "ish") == "selfish"
    assert joined("Gorba\u00ad", "Tschow") == "GorbaTschow"


def test_parts_of_split_words_are_no_words_of_the_document() -> None:
    assert words_in(["It was impor-\ntant, he said", "Well-known"]) == {
        "it", "was", "he", "said", "well-known"
    }  # fmt: skip


def test_nothing_is_lost() -> None:
    lines = ["one impor-", "tant,", "", "thing-", "", "last"]
    assert "".join(mend(lines)).replace("-", "") == "".join(lines).replace("-", "")


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["see www.gp-", "pumps.example for"], "see www.gp-pumps.example for"),
        (["see gp-", "pumps.example/ for"], "see gp-pumps.example/ for"),
        (["to a.b@", "example.org now"], "to a.b@example.org now"),
        (["at https://example.org/a", "/b/c is"], "at https://example.org/a/b/c is"),
        (["at https://exa\u2010", "mple.org/b is"], "at https://example.org/b is"),
        (["at https://example.org/", "and then"], "at https://example.org/ and then"),
        (["the either-", "or/and that"], "the either- or/and that"),
        (["was impor-", "tant.Then it"], "was important.Then it"),
    ],
)
def test_addresses_run_on_as_they_are(lines: list[str], text: str) -> None:
    assert run_on(lines) == text
