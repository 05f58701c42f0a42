from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ocrtool.errors import InputError
from ocrtool.models.presets import preset
from ocrtool.training import TrainOptions, run
from ocrtool.training.data import (
    LINE_POOL,
    HeldSource,
    PoolDataset,
    Preparation,
    Ready,
    RowSource,
    Sample,
    _cut,
    batches_from,
    usable_rows,
    validation_batches,
)
from ocrtool.training.rows import LabelledImage, read_rows, split_rows
from ocrtool.weights import BOS, EOS, PAD, Vocabulary

Options = Callable[..., TrainOptions]
Writer = Callable[..., Path]


def preparation(characters: str, name: str = "line") -> Preparation:
    vocabulary = Vocabulary.from_texts([characters])
    return Preparation(dataclasses.replace(preset(name), vocab_size=len(vocabulary)), vocabulary)


class Numbers:
    """Blank lines of every width whose text is their own number."""

    def draw(self, index: int) -> Sample:
        width = 60 + 37 * index % 400
        return Sample(np.full((32, width), 255, np.uint8), str(index))


def pools(batch_size: int = 3, seed: int = 5, size: int = 0, noise: float = 0.0) -> PoolDataset:
    return PoolDataset(Numbers(), size, preparation("0123456789"), batch_size, noise, seed)


def texts_of(dataset: PoolDataset, number: int) -> list[str]:
    return [
        dataset.preparation.vocabulary.decode(row)
        for batch in dataset[number].batches
        for row in batch.targets.tolist()
    ]


def test_rows_that_cannot_be_used_are_told_by_line(tmp_path: Path) -> None:
    good = Image.new("L", (90, 32), 255)
    good.save(tmp_path / "good.png")
    (tmp_path / "sub").mkdir()
    good.save(tmp_path / "sub" / "größe, x.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    table = tmp_path / "words.csv"
    table.write_text(
        "\ufeffimage,text\n"
        "good.png,first\n"
        "missing.png,second\n"
        "broken.png,third\n"
        "good.png,   \n"
        ",fourth\n"
        '"sub/größe, x.png","fifth, ""quoted"""\n'
        "\n"
        'good.png,"two\nlines"\n'
        "good.png,sixth,surplus\n"
        "good.png,seventh\n",
        "utf-8",
    )
    problems: list[str] = []
    rows = read_rows([table], problems)
    fit = preparation("".join(row.text for row in rows))
    usable = usable_rows(rows, fit, problems)
    assert [row.text for row in usable] == ["first", 'fifth, "quoted"', "two\nlines", "seventh"]
    assert [row.origin for row in usable] == [f"{table}:{n}" for n in (2, 7, 9, 12)]
    told = {problem.removeprefix(f"{table}:").split(":")[0] for problem in problems}
    assert told == {"3", "4", "5", "6", "11"}
    assert usable[1].image == tmp_path / "sub" / "größe, x.png"


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,Text,Image\n7,word,a.png\n")
    (tmp_path / "b.csv").write_text("image,text\nb.png,other\n")
    rows = read_rows([tmp_path / "a.csv", tmp_path / "b.csv"], [])
    assert [(row.image.name, row.text) for row in rows] == [("a.png", "word"), ("b.png", "other")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a.png,word\n", "no columns"),
        (b"", "no columns"),
        (b"image,text\na.png,\xff\xfe\n", "not UTF-8"),
        (b'image,text\na.png,"open\n', "not CSV"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(InputError, match=reason):
        read_rows([tmp_path / "x.csv"], [])
    with pytest.raises(InputError):
        read_rows([tmp_path / "none.csv"], [])


def test_strict_refuses_what_is_else_left_out(
    tmp_path: Path, write_csv: Writer, small_options: Options, capfd: pytest.CaptureFixture[str]
) -> None:
    table = write_csv(tmp_path, ["one", "two", "three", "four"])
    table.write_text(table.read_text() + "gone.png,five\n")
    options = small_options("tiny", data=(table,), out=tmp_path / "run", steps=1)
    with pytest.raises(InputError, match="1 rows are unusable"):
        run(dataclasses.replace(options, strict=True))
    run(options)
    assert f"{table}:6" in capfd.readouterr().err
    assert f"{table}:6" in (tmp_path / "run" / "skipped.txt").read_text()


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16", "I", "F"]
)
def test_every_image_mode_loads(tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(np.tile(np.linspace(0, 255, 80, dtype=np.uint8), (40, 1)))
    path = tmp_path / "image.tif"
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    elif mode == "PA":  # a palette with a transparent entry
        path = tmp_path / "image.png"
        image = grey.convert("P")
        image.info["transparency"] = 0
    elif mode == "LA":
        path = tmp_path / "image.png"
        image = grey.convert("LA")
    else:
        image = grey.convert(mode)
    image.save(path)
    for name in ("line", "tiny"):
        usable = usable_rows(
            [LabelledImage(path, "ab", "x:1")], preparation("ab", name), problems := []
        )
        assert usable and not problems
        pixels = preparation("ab", name).pixels(RowSource(usable).draw(0).image)
        assert pixels.dtype == np.float32 and np.isfinite(pixels).all()
        assert pixels.std() > 0.2


def test_what_does_not_fit_is_reported_and_never_cut() -> None:
    fit = preparation("ab ")
    longest = fit.config.decoder.max_length - 1
    assert fit.misfit(100_000, "ab" * (longest // 2)) is None
    assert "characters, the decoder takes" in (fit.misfit(100_000, "a" * (longest + 1)) or "")
    assert fit.misfit(4 * 4, "abab") is None
    assert "too narrow" in (fit.misfit(4 * 3, "abab") or "")
    assert "too narrow" in (fit.misfit(4 * 4, "abba") or "")  # a repeat takes a blank between
    assert "outside the alphabet: x" in (fit.misfit(100, "xa") or "")
    assert preparation("ab", "tiny").misfit(224, "aaaa") is None  # no CTC


def test_text_that_does_not_fit_is_left_out_of_pools() -> None:
    class Narrow(Numbers):
        def draw(self, index: int) -> Sample:
            return Sample(np.full((32, 16), 255, np.uint8), "12345" if index % 4 == 0 else "123")

    pool = PoolDataset(Narrow(), 0, preparation("12345"), 4, 0.0, 0)[0]
    assert pool.misfits == LINE_POOL
    assert sum(len(batch.lengths) for batch in pool.batches) == 3 * LINE_POOL


def test_tokens_and_targets() -> None:
    fit = preparation("abc")
    nowhere = np.zeros(0, np.int64)
    batch = fit.collate(
        [
            Ready(np.ones((1, 32, 40), np.float32), "abc", nowhere),
            Ready(np.ones((1, 32, 24), np.float32), "b", nowhere),
        ]
    )
    assert batch.tokens.tolist() == [[BOS, 4, 5, 6], [BOS, 5, PAD, PAD]]
    assert batch.targets.tolist() == [[4, 5, 6, EOS], [5, EOS, PAD, PAD]]
    assert batch.lengths.tolist() == [3, 1]
    assert batch.sizes.tolist() == [40, 24]
    assert batch.pixels.shape == (2, 1, 32, 40) and not batch.pixels[1, 0, :, 24:].any()


def test_noise_touches_characters_of_the_input_only() -> None:
    plain, noisy = pools(64)[0].batches, pools(64, noise=0.3)[0].batches
    changed = total = 0
    for a, b in zip(plain, noisy, strict=True):
        assert np.array_equal(a.targets, b.targets)
        different = a.tokens != b.tokens
        assert not different[a.tokens < 4].any()
        assert (b.tokens[different] >= 4).all()
        changed += different.sum()
        total += (a.tokens >= 4).sum()
    assert 0.2 < changed / total < 0.35


def test_pools_depend_on_seed_and_number_only() -> None:
    dataset, again = pools(), pools()
    again[7]
    assert texts_of(dataset, 2) == texts_of(again, 2)
    assert texts_of(dataset, 2) != texts_of(pools(seed=6), 2)
    drawn = [text for number in range(3) for text in texts_of(dataset, number)]
    assert sorted(map(int, drawn)) == list(range(3 * 3 * LINE_POOL))


def test_epochs_show_every_sample_once_in_new_order() -> None:
    dataset = pools(size=24)  # two epochs a pool of 48
    drawn = [[dataset._index(24 * epoch + place) for place in range(24)] for epoch in (0, 1)]
    assert sorted(drawn[0]) == sorted(drawn[1]) == list(range(24))
    assert drawn[0] != drawn[1]


def test_batches_hold_lines_of_like_width_and_equal_columns() -> None:
    dataset = pools(batch_size=32)
    batches = dataset[0].batches
    assert len(batches) == LINE_POOL
    columns = [batch.pixels.shape[0] * batch.pixels.shape[-1] for batch in batches]
    assert max(columns) < 1.5 * min(columns)
    filled = sum(int(batch.sizes.sum()) for batch in batches) / sum(columns)
    assert filled > 0.9


def test_cut_gives_every_batch_something() -> None:
    assert [len(group) for group in _cut([1, 1, 1, 1000], 3)] == [2, 1, 1]
    assert _cut([5], 3) == [[0], [0], [0]]
    assert sorted(chain.from_iterable(_cut(list(range(100)), 7))) == list(range(100))


def test_a_resumed_loader_goes_on_at_the_batch() -> None:
    dataset = pools()

    def first(count: int, start: int) -> list[list[list[int]]]:
        stream = batches_from(dataset, start, 0)
        return [next(stream)[0].targets.tolist() for _ in range(count)]

    assert first(20, 0)[13:] == first(7, 13)
    assert first(40, 0)[LINE_POOL:] == first(40 - LINE_POOL, LINE_POOL)


def test_processes_share_the_pools() -> None:
    dataset = pools()
    streams = [batches_from(dataset, 0, 0, rank, 2) for rank in (0, 1)]
    texts = [
        dataset.preparation.vocabulary.decode(row)
        for stream in streams
        for _ in range(LINE_POOL)
        for row in next(stream)[0].targets.tolist()
    ]
    assert sorted(map(int, texts)) == list(range(2 * 3 * LINE_POOL))


def test_held_out_texts_are_not_shown_in_training() -> None:
    rows = [LabelledImage(Path("x"), f"word{number % 80}", f"x:{number}") for number in range(100)]
    training, held, what = split_rows(rows, 0.1, 1)
    assert len(training) + len(held) == 100 and held
    assert not {row.text for row in training} & {row.text for row in held}
    assert "do not occur" in what
    assert split_rows(rows, 0.1, 1) == (training, held, what)
    assert split_rows(rows, 0.1, 2)[1] != held
    few = [dataclasses.replace(row, text=str(i % 10)) for i, row in enumerate(rows)]
    training, held, what = split_rows(few, 0.1, 1)
    assert len(held) == 10 and "repeat" in what


def test_validation_covers_every_sample_once() -> None:
    fit = preparation("0123456789")
    held = HeldSource(Numbers(), 45, fit)
    texts = [text for _, texts in validation_batches(held, len(held), fit, 2) for text in texts]
    assert sorted(map(int, texts)) == list(range(45))


def test_a_sheet_of_samples_is_drawn(
    words_csv: Path, tmp_path: Path, small_options: Options
) -> None:
    result = run(small_options("line", data=(words_csv,), out=tmp_path / "run", draw=7))
    assert result.sheet is not None
    with Image.open(result.sheet) as sheet:
        assert sheet.width > 700 and sheet.height > 80
    assert not (tmp_path / "run" / "last").exists()


def test_drawn_lines_train(tmp_path: Path, small_options: Options) -> None:
    result = run(
        small_options(
            "line",
            synth="lines",
            out=tmp_path / "run",
            steps=2,
            batch_size=2,
            validation_size=8,
            max_length=128,
        )
    )
    assert result.step == 2 and "cer" in result.metrics
