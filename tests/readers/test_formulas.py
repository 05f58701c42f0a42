from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from drawn_formulas import draw, formula
from ocrtool.decoding.autoregressive import DecodeOptions, beam_rows, generate, width_limits
from ocrtool.decoding.ctc import Decoded
from ocrtool.engines import read_metadata
from ocrtool.engines.onnx import OnnxEngine
from ocrtool.engines.torch import TorchEngine
from ocrtool.errors import InputError, ModelError
from ocrtool.export import export_model
from ocrtool.latex_syntax import is_valid
from ocrtool.options import ReadOptions
from ocrtool.preprocess.formulas import PAPER_VALUE, collate_formulas, formula_pixels, rescaled
from ocrtool.readers import formulas
from ocrtool.readers.formulas import (
    INVALID_CONFIDENCE,
    SCALES,
    FormulaReader,
    FormulaResult,
    batches,
)
from ocrtool.readers.lines import LineReader
from ocrtool.weights import DECODER, ENCODER
from small_models import save, small_formula_engine

FORMULAS = [formula(np.random.default_rng(seed)) for seed in range(14)]
PICTURES = [draw(tokens, 20 + 5 * (i % 7)) for i, tokens in enumerate(FORMULAS)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(small_formula_engine(3), tmp_path_factory.mktemp("formula") / "model")


@pytest.fixture(scope="module")
def onnx_folder(folder: Path) -> Path:
    return export_model(folder, folder.with_name("exported")).folder


def reader(folder: Path, **decoding: object) -> FormulaReader:
    options = DecodeOptions(**{"strategy": "greedy", **decoding})  # type: ignore[arg-type]
    return FormulaReader(ReadOptions(model=str(folder), device="cpu", threads=1), options)


def read_all(reader: FormulaReader) -> list[FormulaResult]:
    return list(reader.read_stream((str(i), image) for i, image in enumerate(PICTURES)))


def test_a_token_model_keeps_its_alphabet(folder: Path) -> None:
    metadata = read_metadata(folder)
    assert metadata.vocabulary == small_formula_engine(3).metadata.vocabulary
    assert metadata.raw["tokens"][0] == r"\frac"


def test_graphs_take_any_size(onnx_folder: Path) -> None:
    graph = onnx.load(onnx_folder / ENCODER).graph
    shapes = {v.name: [d.dim_param for d in v.type.tensor_type.shape.dim] for v in graph.input}
    assert all(shapes["images"][axis] for axis in (0, 2, 3)) and shapes["sizes"][0]
    nodes = [node.op_type for name in (ENCODER, DECODER)
             for node in onnx.load(onnx_folder / name).graph.node]  # fmt: skip
    assert not {"If", "Loop", "Scan"} & set(nodes)
    assert "MultiHeadAttention" in nodes and "RotaryEmbedding" in nodes


def test_engines_agree_in_numbers_and_in_text(folder: Path, onnx_folder: Path) -> None:
    engines = OnnxEngine(onnx_folder, "cpu", 1), TorchEngine.open(folder, "cpu", 1)
    pixels = [formula_pixels(picture, 160, 1024) for picture in PICTURES]
    images, sizes = collate_formulas(pixels)
    encoded = [engine.encode(images, sizes) for engine in engines]
    cells = [p.shape[1] // 16 * (p.shape[2] // 8) for p in pixels]
    assert encoded[0].lengths.tolist() == encoded[1].lengths.tolist() == cells
    for row, length in enumerate(cells):
        keys = [images.cross_keys[:, row, :, :length] for images in encoded]
        assert np.allclose(*keys, rtol=1e-3, atol=1e-4 * np.abs(keys[0]).max())
    for strategy in ("greedy", "beam"):
        first, second = (read_all(reader(f, strategy=strategy)) for f in (folder, onnx_folder))
        assert [r.latex for r in first] == [r.latex for r in second]
        assert len({r.latex for r in first}) > 1  # what is written depends on the picture


def test_a_batch_never_changes_a_formula(onnx_folder: Path) -> None:
    open_reader = reader(onnx_folder)
    together = read_all(open_reader)
    for i, (result, image) in enumerate(zip(together, PICTURES, strict=True)):
        alone = open_reader.read(image)
        assert result.source == str(i)
        assert alone.tokens == result.tokens
        assert alone.confidence == pytest.approx(result.confidence, rel=1e-3, abs=1e-6)


def test_what_is_not_valid_is_repaired_and_flagged(onnx_folder: Path) -> None:
    results = read_all(reader(onnx_folder))
    assert all(is_valid(result.tokens) for result in results)
    broken = [result for result in results if not result.valid]
    assert broken and all(result.confidence <= INVALID_CONFIDENCE for result in broken)
    for result in results:
        assert 0 <= result.confidence <= 1


def test_a_beam_prefers_valid_latex(onnx_folder: Path) -> None:
    open_reader = reader(onnx_folder, strategy="beam", beam=3)
    ids = open_reader.engine.metadata.vocabulary.encode

    def reading(text: str, probability: float) -> Decoded:
        tokens = tuple(ids(text))
        return Decoded(tokens, (probability,) * len(tokens), 1.0, None, False)

    result = open_reader._result([reading(r"\frac { a }", 0.9), reading("a ^ { b }", 0.5)])
    assert (result.latex, result.valid) == ("a^{b}", True)
    assert result.confidence == pytest.approx(0.5**5)
    result = open_reader._result([reading(r"a ^ {", 0.9), reading(r"\frac { a", 0.5)])
    assert not result.valid and is_valid(result.tokens)


def test_a_beam_of_one_is_greedy(onnx_folder: Path) -> None:
    engine = OnnxEngine(onnx_folder, "cpu", 1)
    images, sizes = collate_formulas([formula_pixels(p, 160, 1024) for p in PICTURES[:6]])
    encoded = engine.encode(images, sizes)
    limits = width_limits(engine, encoded)
    assert max(limits) <= engine.metadata.config.decoder.max_length - 1
    greedy = [row.ids for row in generate(engine, encoded, limits)]
    beams = beam_rows(engine, encoded, limits, DecodeOptions(strategy="beam", beam=1))
    assert [rows[0].ids for rows in beams] == greedy
    several = beam_rows(engine, encoded, limits, DecodeOptions(strategy="beam", beam=4))
    for rows in several:
        scores = [row.log_prob for row in rows if not row.runaway]
        assert scores == sorted(scores, reverse=True)


def test_the_same_view_three_times_reads_as_one(onnx_folder: Path) -> None:
    engine = OnnxEngine(onnx_folder, "cpu", 1)
    images, sizes = collate_formulas([formula_pixels(p, 160, 1024) for p in PICTURES[:6]])
    encoded = engine.encode(images, sizes)
    limits = width_limits(engine, encoded)
    thrice = encoded.select(np.repeat(np.arange(6), 3))
    once = generate(engine, encoded, limits)
    seen = generate(engine, thrice, limits, views=3)
    assert [row.ids for row in seen] == [row.ids for row in once]
    for row, other in zip(once, seen, strict=True):
        assert other.log_prob == pytest.approx(row.log_prob, rel=1e-3, abs=1e-3)
    options = DecodeOptions(strategy="beam", beam=3)
    beams = beam_rows(engine, encoded, limits, options)
    seen_beams = beam_rows(engine, thrice, limits, options, views=3)
    for rows, others in zip(beams, seen_beams, strict=True):
        assert rows[0].ids == others[0].ids


def test_a_view_is_the_same_formula_in_another_size() -> None:
    pixels = formula_pixels(PICTURES[3], 160, 1024)
    for scale in SCALES:
        view = rescaled(pixels, scale, 160, 1024)
        assert view.shape[1] % 16 == view.shape[2] % 8 == 0
        ink = [float((picture - PAPER_VALUE).sum()) for picture in (view, pixels)]
        assert ink[0] / ink[1] == pytest.approx(scale**2, rel=0.05)
    wide = rescaled(np.zeros((1, 160, 1000), np.float32), 1.2, 160, 1024)
    assert wide.shape == (1, 160, 1000)  # no larger than the network takes


def test_what_is_in_doubt_is_read_again_in_several_sizes(
    onnx_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = reader(onnx_folder)
    once = FormulaReader(twice.options, twice.decoding, augment_uncertain=False)
    results = read_all(twice), read_all(once)
    # A network that has learnt nothing is never sure.
    pixels = [formula_pixels(picture, 160, 1024) for picture in PICTURES]
    expected = [[row.reading() for row in rows] for rows in twice._texts(pixels, SCALES)]
    plainly = [twice._result(readings) for readings in expected]  # without a draft
    for result, other in zip(results[0], plainly, strict=True):
        assert result.tokens == other.tokens
        assert result.confidence == pytest.approx(other.confidence, rel=1e-3, abs=1e-9)
    assert results[0] != results[1]
    monkeypatch.setattr(formulas, "MIN_CONFIDENCE", 1e-300)
    assert read_all(twice) == results[1]


def test_a_blank_picture_reads_nothing(onnx_folder: Path) -> None:
    result = reader(onnx_folder).read(np.full((40, 90), 250, np.uint8))
    assert result == FormulaResult("", 1.0, (), True)


def test_paths_bytes_and_arrays_read_alike(onnx_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "formula.png"
    Image.fromarray(PICTURES[4]).save(path)
    open_reader = reader(onnx_folder)
    results = [open_reader.read(given) for given in (path, path.read_bytes(), PICTURES[4])]
    assert results[0].source == str(path)
    assert len({dataclasses.replace(result, source="") for result in results}) == 1
    with pytest.raises(InputError):
        open_reader.read(b"nothing")
    with pytest.raises(InputError, match="an image is uint8"):
        open_reader.read(np.zeros((3, 3, 5), np.uint8))


def test_a_line_reader_is_refused() -> None:
    with pytest.raises(ModelError, match="line reads no formulas"):
        FormulaReader(ReadOptions(model="line", device="cpu"))


def test_batches_are_bounded_and_hold_little_padding() -> None:
    rng = np.random.default_rng(0)
    sizes = [(int(h) * 16, int(w) * 8) for h, w in rng.integers((1, 1), (11, 129), (200, 2))]
    found = list(batches(sizes, 200_000))
    assert sorted(i for batch in found for i in batch) == list(range(200))
    for batch in found:
        tall, wide = np.array([sizes[i] for i in batch]).max(0)
        own = sum(sizes[i][0] * sizes[i][1] for i in batch)
        assert len(batch) == 1 or len(batch) * tall * wide <= 200_000
        assert own >= 0.59 * len(batch) * tall * wide
    assert list(batches([], 10)) == []


def test_a_formula_that_never_ends_is_cut(folder: Path) -> None:
    engine = small_formula_engine(3)
    model = engine.model
    with torch.no_grad():
        kept = model.decoder.head.weight.clone()
        model.decoder.head.weight[2] = 0  # the end is never the best
        model.decoder.head.weight[7:] *= 3
    try:
        images, sizes = collate_formulas([formula_pixels(PICTURES[0], 160, 1024)])
        encoded = engine.encode(images, sizes)
        row = generate(engine, encoded, [12])[0]
        assert row.done and len(row.ids) <= 12
    finally:
        with torch.no_grad():
            model.decoder.head.weight.copy_(kept)


def test_lines_are_not_read_by_it(folder: Path) -> None:
    with pytest.raises(ModelError, match="reads formulas; use ocrtool latex"):
        LineReader(ReadOptions(model=str(folder), device="cpu"))
