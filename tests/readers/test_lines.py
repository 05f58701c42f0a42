from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ocrtool.decoding.autoregressive import DecodeOptions
from ocrtool.decoding.ctc import Decoded
from ocrtool.errors import InputError, ModelError
from ocrtool.options import EngineName, ReadOptions
from ocrtool.readers.lines import WINDOW, LineReader, _Segment, batches
from small_models import save, small_engine


@pytest.fixture(scope="module")
def reader(checkpoint: Path) -> LineReader:
    return LineReader(ReadOptions(model=str(checkpoint), device="cpu"))


WHOLE = _Segment("", 0.0, 1.0, 0)


def lines(count: int, seed: int = 0) -> list[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [
        (f"{i}.png", rng.integers(0, 256, (int(rng.integers(16, 60)), int(w)), dtype=np.uint8))
        for i, w in enumerate(rng.integers(10, 300, count))
    ]


@pytest.mark.parametrize("engine", [EngineName.AUTO, EngineName.ONNX, EngineName.TORCH])
@pytest.mark.parametrize("strategy", ["ctc", "greedy", "verify"])
def test_the_batch_never_changes_the_text(
    engine: EngineName, strategy: str, checkpoint: Path, exported: Path
) -> None:
    model = checkpoint if engine is EngineName.TORCH else exported
    options = ReadOptions(model=str(model), engine=engine, device="cpu")
    reader = LineReader(options, DecodeOptions(strategy=strategy))  # type: ignore[arg-type]
    images = lines(12)
    together = list(reader.read_stream(images))
    assert [result.source for result in together] == [name for name, _ in images]
    assert len({result.text for result in together}) > 3
    for (name, image), result in zip(images, together, strict=True):
        (alone,) = reader.read_stream([(name, image)])
        assert alone.text == result.text
        assert alone.confidence == pytest.approx(result.confidence, abs=1e-4)


def test_streaming_holds_a_bounded_number_of_images(reader: LineReader) -> None:
    taken = 0

    def images() -> Iterator[tuple[str, np.ndarray]]:
        nonlocal taken
        for i in range(10 * WINDOW):
            taken += 1
            yield str(i), np.zeros((8, 8), np.uint8)

    results = reader.read_stream(images())
    assert next(results).source == "0" and taken <= WINDOW
    assert [next(results).source for _ in range(WINDOW)][-1] == str(WINDOW)
    assert taken <= 2 * WINDOW


@given(st.lists(st.integers(8, 900), max_size=40), st.integers(8, 2_000))
def test_batches_hold_every_line_once_within_the_budget(widths: list[int], most: int) -> None:
    groups = list(batches(widths, most))
    assert sorted(i for group in groups for i in group) == list(range(len(widths)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(widths[i] for i in group) <= most


def test_words_and_confidences(reader: LineReader) -> None:
    ids = reader.engine.metadata.vocabulary.encode(" ab  c ")
    probabilities = (0.1, 0.9, 0.8, 1.0, 1.0, 0.5, 0.2)
    result = reader._result("x", [Decoded(tuple(ids), probabilities, 0.9)], [WHOLE])
    assert result.text == "ab  c"
    assert [(word.text, pytest.approx(word.confidence)) for word in result.words] == [
        ("ab", 0.72),
        ("c", 0.5),
    ]
    assert result.words[0].start < result.words[0].end < result.words[1].start
    assert result.confidence == pytest.approx(0.1 * 0.72 * 0.5 * 0.2 * 0.9, rel=1e-3)
    cut = reader._result("x", [Decoded((5,), (1.0,), 1.0, runaway=True)], [WHOLE])
    assert cut.confidence <= 0.1


def test_calibration_of_the_model_is_applied(tmp_path: Path) -> None:
    folder = save(small_engine(3), tmp_path / "model")
    metadata = json.loads((folder / "model.json").read_text("utf-8"))
    image = lines(1)[0][1]
    plain = LineReader(ReadOptions(model=str(folder), device="cpu")).read(image)
    metadata["calibration"] = {"line": {"slope": 1.0, "offset": 5.0}}
    (folder / "model.json").write_text(json.dumps(metadata))
    lifted = LineReader(ReadOptions(model=str(folder), device="cpu")).read(image)
    assert lifted.confidence > plain.confidence and lifted.text == plain.text
    metadata["calibration"] = {"page": {}}
    (folder / "model.json").write_text(json.dumps(metadata))
    with pytest.raises(ModelError, match="calibration"):
        LineReader(ReadOptions(model=str(folder), device="cpu"))


def test_low_confidence_is_withheld(checkpoint: Path) -> None:
    options = ReadOptions(model=str(checkpoint), device="cpu", min_confidence=1.0)
    result = LineReader(options).read(lines(1)[0][1])
    assert result.text == "" and result.words == ()


def test_paths_bytes_and_pixels_read_the_same(checkpoint: Path, tmp_path: Path) -> None:
    reader = LineReader(ReadOptions(model=str(checkpoint), device="cpu"))
    image = lines(1)[0][1]
    path = tmp_path / "line.png"
    Image.fromarray(image).save(path)
    results = [reader.read(given) for given in (str(path), path, path.read_bytes())]
    assert {result.text for result in results} == {reader.read(image).text}
    assert results[0].source == results[1].source == str(path)
    for wrong in (np.zeros((4, 4)), np.zeros((0, 5), np.uint8), np.zeros(5, np.uint8)):
        with pytest.raises(InputError, match="uint8"):
            reader.read(wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no such file"):
        reader.read(str(tmp_path / "gone.png"))


def test_extremely_long_lines_are_read_in_pieces(reader: LineReader) -> None:
    rng = np.random.default_rng(0)
    long = rng.integers(0, 256, (8, 3_000), dtype=np.uint8)
    parts, places = reader._prepare("long", long)
    assert len(parts) == len(places) == 4
    assert [place.start for place in places[1:]] == [place.end for place in places[:-1]]
    assert sum(part.shape[2] for part in parts) == pytest.approx(12_000, abs=20)
    assert reader.read(long).source == ""


def test_loose_space_is_cut_before_scaling(reader: LineReader) -> None:
    loose = np.full((120, 200), 255, np.uint8)
    for x in range(20, 180, 12):
        loose[50:66, x : x + 5] = 0
    as_it_is = 200 * 32 / 120
    assert reader._prepare("", loose)[0][0].shape[2] > 1.5 * as_it_is
