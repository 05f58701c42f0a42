"""The data engine draws the same labelled lines for the same seed, whoever asks for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ocrtool.errors import InputError
from ocrtool.synth import (
    ALPHABET,
    STYLES,
    LineSource,
    bundled_fonts,
    canonical,
    degradations,
    find_fonts,
)
from ocrtool.synth.fonts import index_fonts
from ocrtool.synth.text import TextSource


@pytest.fixture(scope="module")
def source() -> LineSource:
    return LineSource(seed=5)


def test_a_line_depends_on_seed_and_index_only(source: LineSource) -> None:
    again = LineSource(seed=5)
    other = LineSource(seed=6)
    forward = [source.draw(i) for i in range(40)]
    backward = [again.draw(i) for i in reversed(range(40))][::-1]
    for line, twin in zip(forward, backward, strict=True):
        assert line.text == twin.text
        assert np.array_equal(line.image, twin.image)
    assert [line.text for line in forward] != [other.draw(i).text for i in range(40)]


def test_workers_draw_what_one_process_draws(source: LineSource) -> None:
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(source.draw, range(60)))
    assert [line.text for line in drawn] == [source.draw(i).text for i in range(60)]


@pytest.mark.parametrize("style", STYLES)
def test_every_style_draws_ink_that_stands_out(style: str) -> None:
    lines = [LineSource(seed=1, styles={style: STYLES[style]}).draw(i) for i in range(30)]
    assert all(line.image.dtype == np.uint8 and line.image.ndim == 2 for line in lines)
    assert all(min(line.image.shape) >= 4 for line in lines)
    spreads = [float(np.ptp(line.image)) for line in lines]
    assert np.median(spreads) > 40


def test_labels_are_of_the_alphabet_and_clean(source: LineSource) -> None:
    for i in range(300):
        text = source.draw(i).text
        assert text
        assert set(text) <= set(ALPHABET)
        assert text == " ".join(text.split())


def test_every_character_of_the_alphabet_is_drawn() -> None:
    source = LineSource(seed=2)
    drawable = set().union(*(font.characters for font in index_fonts(bundled_fonts(), ALPHABET)))
    texts = TextSource([], ALPHABET)
    rng = np.random.default_rng(0)
    seen = {c for _ in range(8000) for c in texts.rare(rng, 30)}
    assert set(ALPHABET) - seen <= set("QUX")  # letters come from the texts
    assert len(drawable) > 0.95 * len(ALPHABET)
    assert source.draw(0).text


def test_alphabet_has_no_characters_that_look_the_same() -> None:
    assert canonical(ALPHABET) == ALPHABET
    assert len(set(ALPHABET)) == len(ALPHABET)
    assert canonical("ﬁne\u00a0Ωhm \u2010") == "fine Ωhm -"


def test_user_text_and_alphabet_are_obeyed(tmp_path: Path) -> None:
    corpus = tmp_path / "words.txt"
    corpus.write_text("abba baab\nbaba abab\n", "utf-8")
    source = LineSource(texts=[corpus], alphabet="ab ", seed=0)
    assert set("".join(source.draw(i).text for i in range(50))) <= set("ab ")


def test_unusable_inputs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such font"):
        find_fonts([tmp_path / "missing"])
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"not a font")
    with pytest.raises(InputError, match="no usable font"):
        LineSource(fonts=[broken])
    empty = tmp_path / "empty.txt"
    empty.write_text("\n\n", "utf-8")
    with pytest.raises(InputError, match="holds no text"):
        LineSource(texts=[empty])


def test_shipped_fonts_are_usable_and_told_apart() -> None:
    fonts = {Path(font.path).stem: font for font in index_fonts(bundled_fonts(), ALPHABET)}
    assert set(fonts) == {path.stem for path in bundled_fonts()}
    assert fonts["Mono"].mono and fonts["Typewriter"].typewriter
    assert not fonts["Serif"].mono and not fonts["Serif"].caps


@pytest.mark.parametrize(
    "name", ["shade", "noise", "jpeg", "moire", "scribble", "sharpen", "binarise", "blur"]
)
def test_damage_keeps_shape_and_is_seeded(name: str) -> None:
    image = np.full((40, 200), 220, np.float32)
    image[12:28, 20:180:6] = 30
    function = getattr(degradations, name)
    extra = (30.0,) if name in ("scribble", "sharpen", "binarise", "blur") else ()
    first = function(image.copy(), np.random.default_rng(3), *extra)
    second = function(image.copy(), np.random.default_rng(3), *extra)
    assert first.shape == image.shape
    assert np.array_equal(first, second)
    assert not np.array_equal(first, image)
