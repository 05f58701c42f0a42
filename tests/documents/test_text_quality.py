"""Whether a page's own text can be trusted."""

from __future__ import annotations

import numpy as np
import pymupdf
import pytest

from ocrtool.document.tree import Box, Line
from ocrtool.documents.text_quality import Grey, is_nonsense, is_unreadable, judge, text_letters
from ocrtool.pdf import NativePage

LANGUAGES = {
    "en": "The harbour was quiet when the boats came home, and nobody on the quay had anything to"
          " say about the weather. A lamp was lit in the house above the wall, then another one.",
    "de": "Der Hafen lag still, als die Boote heimkehrten, und niemand auf der Mauer wusste etwas"
          " über das Wetter zu sagen. Im Haus über der Straße wurde eine Lampe angezündet.",
    "fr": "Le port était calme lorsque les bateaux sont rentrés, et personne sur le quai n'avait"
          " quoi que ce soit à dire du temps. Une lampe fut allumée dans la maison d'en haut.",
    "fi": "Satama oli hiljainen, kun veneet palasivat kotiin, eikä kenelläkään laiturilla ollut"
          " mitään sanottavaa säästä. Talossa muurin yläpuolella sytytettiin lamppu.",
    "pl": "W porcie było cicho, kiedy łodzie wracały do domu, i nikt na nabrzeżu nie miał nic do"
          " powiedzenia o pogodzie. W domu nad murem zapalono lampę, a potem jeszcze jedną lampę.",
    "it": "Il porto era tranquillo quando le barche tornarono a casa e nessuno sul molo aveva"
          " qualcosa da dire sul tempo. Una lampada fu accesa nella casa sopra il muro.",
}  # fmt: skip


def shifted(text: str, by: int) -> str:
    """Return text as a font without its table of characters gives it."""
    return "".join(chr(ord(letter) + by) if letter.isalpha() else letter for letter in text)


def line(text: str, y: float, size: float = 20.0) -> Line:
    x1 = 50 + 0.5 * size * len(text)
    return Line(text, 1.0, ((50, y), (x1, y), (x1, y + size), (50, y + size)), (), size)


def page(*texts: str, pictures: tuple[Box, ...] = ()) -> NativePage:
    lines = tuple(line(text, 100.0 + 30 * i) for i, text in enumerate(texts))
    return NativePage(1000, 1400, 100.0, lines, pictures=pictures)


def never(_: float) -> Grey:
    raise AssertionError("the page was looked at")


def white(_: float) -> Grey:
    return np.full((1400, 1000), 255, np.uint8)


def printed(text: str, width: int = 600, height: int = 200) -> Grey:
    """Return a picture of text at 100 dots an inch, 11 points high."""
    with pymupdf.open() as document:
        drawn = document.new_page(width=width * 0.72, height=height * 0.72)
        drawn.insert_textbox((10, 5, width * 0.72 - 10, height * 0.72), text, fontsize=11)
        pixmap = drawn.get_pixmap(dpi=100, colorspace=pymupdf.csGRAY)
    return np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.width).copy()


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_are_told_from_shifted_alphabets(language: str) -> None:
    text = LANGUAGES[language]
    assert not is_nonsense([text])
    assert not is_nonsense([text.upper()])
    for by in (-29, -3, -1, 1, 3, 5):
        assert is_nonsense([shifted(text, by)]), by


def test_what_is_no_prose_is_not_judged() -> None:
    assert not is_nonsense(["12.50 7.25 xx 19.75 EUR", "zz 1200 qq 33"] * 3)
    assert not is_nonsense(["Гавань была тиха, когда лодки вернулись домой. " * 5])
    assert not is_nonsense(["https://xkqz.wwjq.org/zzkqx/qqwx?zkx=qqz"] * 10)


def test_lines_whose_characters_say_nothing() -> None:
    assert is_unreadable("\ufffd\ufffd\ufffd \ufffd\ufffd")
    assert is_unreadable("(cid:12)(cid:7)(cid:33)")
    assert is_unreadable("\ue013\ue022\ue0f3 a")
    assert not is_unreadable("\uf0b7 an item of a list")
    assert not is_unreadable("\uf0b7")
    assert not is_unreadable("a plain line with one \ufffd in it")


def test_plain_pages_are_not_looked_at() -> None:
    assert judge(page(LANGUAGES["en"]), never).route == "native"


def test_pages_of_nonsense_are_read() -> None:
    judged = judge(page(shifted(LANGUAGES["en"], -1)), never)
    assert judged.route == "ocr"
    assert "nonsense" in judged.warnings[0]
    judged = judge(page("\ufffd" * 30, "\ufffd" * 30, "a heading"), never)
    assert judged.route == "ocr"
    assert "not known" in judged.warnings[0]


def test_a_few_bad_lines_are_read_alone() -> None:
    judged = judge(page(*[LANGUAGES["en"]] * 3, "\ufffd" * 12), never)
    assert judged.route == "mixed"
    assert judged.bad == {3}
    (area,) = judged.areas
    assert area.y0 < 190 and area.y1 > 210


def test_pages_without_ink_are_blank() -> None:
    assert judge(page(), white).route == "blank"
    hidden = NativePage(1000, 1400, 100.0, hidden=(line("unseen", 100),))
    judged = judge(hidden, white)
    assert judged.route == "blank"
    assert judged.warnings


def test_scans_are_read_with_or_without_an_unseen_layer() -> None:
    def look(_: float) -> Grey:
        grey = white(0)
        grey[400:600, 100:700] = printed(LANGUAGES["en"])
        return grey

    whole = (Box(0, 0, 1000, 1400),)
    assert judge(page(pictures=whole), look).route == "ocr"
    stamped = judge(page("Exhibit 12", pictures=whole), look)
    assert stamped.route == "ocr" and stamped.scan
    layered = NativePage(1000, 1400, 100.0, pictures=whole, hidden=(line("The harbonr", 400),))
    assert judge(layered, look).route == "ocr"


def test_pictures_of_text_are_told_from_photos() -> None:
    generator = np.random.default_rng(3)
    coarse = generator.integers(0, 255, (14, 40), np.uint8)
    photo = np.kron(coarse, np.ones((15, 15), np.uint8))
    text = printed(LANGUAGES["en"])
    assert text_letters(text) > 100
    assert text_letters(255 - text) > 100
    assert text_letters(photo) < 30
    assert text_letters(np.full((200, 600), 90, np.uint8)) == 0


def test_only_text_that_the_page_lacks_is_read() -> None:
    box = Box(100, 600, 700, 800)

    def look(_: float) -> Grey:
        grey = white(0)
        grey[600:800, 100:700] = printed(LANGUAGES["en"])
        return grey

    own = page(LANGUAGES["en"], pictures=(box,))
    judged = judge(own, look)
    assert judged.route == "mixed"
    assert judged.areas == (box,)
    # The same ink, but the file tells what it says.
    rows = tuple(
        Line("own text", 1.0, ((100, y), (700, y), (700, y + 16), (100, y + 16)), (), 16.0)
        for y in range(600, 800, 15)
    )
    assert judge(NativePage(1000, 1400, 100.0, rows, pictures=(box,)), look).route == "native"
