"""The whole network: geometry, causality, padding, switches and export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ocrtool.errors import UsageError
from ocrtool.models.ocr import CrossCache, OcrModel
from ocrtool.models.presets import LINE, TINY

Build = Callable[..., OcrModel]


def _sizes(model: OcrModel) -> dict[str, int]:
    return {
        name: sum(parameter.numel() for parameter in part.parameters())
        for name, part in model.named_children()
    }


def test_tiny_has_its_geometry_and_size() -> None:
    model = OcrModel(replace(TINY, vocab_size=104)).eval()  # 100 characters
    patches = 16 * 16 * 3 * 128 + 128 + 196 * 128
    vision_block = 4 * 128**2 + 2 * 128 * 512 + 2 * 128
    decoder_block = 2 * 4 * 256**2 + 3 * 256 * 1024 + 3 * 256
    assert _sizes(model) == {
        "vision": patches + 4 * vision_block + 128,
        "projector": 128 * 256 + 256,
        "decoder": 2 * 104 * 256 + 4 * decoder_block + 256,
    }
    assert model.num_parameters() == 6_243_584
    with torch.no_grad():
        encoding = model.encode(torch.zeros(2, 3, 224, 224))
        cross = model.cross(encoding)
        logits = model(torch.zeros(2, 3, 224, 224), torch.ones(2, 5, dtype=torch.int64)).logits
    assert encoding.memory.shape == (2, 196, 256)
    assert encoding.lengths.tolist() == [196, 196]
    assert encoding.ctc_logits is None
    assert cross.keys.shape == (4, 2, 4, 196, 64)
    assert logits.shape == (2, 5, 104)


def test_line_is_small_and_cheap() -> None:
    # Plain attention: the counter does not know the CPU's fused kernel.
    model = OcrModel(replace(LINE, vocab_size=430, flash=False)).eval()
    assert 3_000_000 < model.num_parameters() < 6_000_000
    assert model.ctc is not None
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        tokens, lengths = model.vision(torch.zeros(1, 1, 32, 320))
        model.ctc(tokens)
    assert lengths.tolist() == [40]
    assert counter.get_total_flops() < 0.6e9


@pytest.mark.parametrize(("height", "patch"), [(32, 8), (40, 8), (48, 8), (32, 4)])
def test_a_line_gives_a_token_a_column_and_a_frame_for_four_pixels(height: int, patch: int) -> None:
    vision = replace(LINE.vision, height=height, n_layer=1, patch=patch)
    model = OcrModel(replace(LINE, vision=vision, vocab_size=9)).eval()
    with torch.no_grad():
        encoding = model.encode(torch.zeros(2, 1, height, 40), torch.tensor([40, 8]))
    assert encoding.lengths.tolist() == [40 // patch, 8 // patch]
    assert encoding.frames.tolist() == [10, 2]
    assert encoding.ctc_logits is not None
    assert encoding.ctc_logits.shape == (2, 10, 9)


def test_the_vocabulary_must_be_filled_in() -> None:
    with pytest.raises(UsageError, match="vocab_size is 0"):
        OcrModel(TINY)


@pytest.mark.parametrize("switches", [{}, {"n_kv_head": 2, "swiglu": False}, {"flash": False}])
def test_a_token_never_changes_what_comes_before(build: Build, switches: dict[str, int]) -> None:
    model = build(**switches)
    images, tokens = torch.randn(2, 1, 32, 32), torch.randint(4, 20, (2, 8))
    before = model(images, tokens).logits
    for place in range(1, 8):
        changed = tokens.clone()
        changed[:, place] = (changed[:, place] + 1) % 20
        after = model(images, changed).logits
        assert torch.equal(before[:, :place], after[:, :place])
        assert not torch.allclose(before[:, place:], after[:, place:])


def test_the_text_depends_on_the_image(build: Build) -> None:
    model, tokens = build(), torch.randint(4, 20, (1, 4))
    first, second = (model(torch.randn(1, 1, 32, 32), tokens).logits for _ in range(2))
    assert not torch.allclose(first, second, atol=1e-2)


@pytest.mark.parametrize("n_kv_head", [4, 2])
def test_fused_equals_plain(build: Build, n_kv_head: int) -> None:
    fused = build(flash=True, n_kv_head=n_kv_head)
    plain = build(flash=False, n_kv_head=n_kv_head)
    plain.load_state_dict(fused.state_dict())
    images, tokens = torch.randn(3, 1, 32, 48), torch.randint(4, 20, (3, 6))
    widths = torch.tensor([48, 20, 8])
    for one, other in zip(
        fused(images, tokens, widths), plain(images, tokens, widths), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_grouped_queries_equal_full_heads_with_repeated_weights(build: Build) -> None:
    grouped, full = build(n_kv_head=2), build(n_kv_head=4)
    state = grouped.state_dict()
    for name, wanted in full.state_dict().items():
        if state[name].shape != wanted.shape:
            queries = wanted.shape[0] - 2 * 32
            kept, *pairs = state[name].split((queries, 16, 16))
            state[name] = torch.cat(
                (
                    kept,
                    *(p.unflatten(0, (2, 8)).repeat_interleave(2, 0).flatten(0, 1) for p in pairs),
                )
            )
    full.load_state_dict(state)
    images, tokens = torch.randn(2, 1, 32, 32), torch.randint(4, 20, (2, 6))
    torch.testing.assert_close(grouped(images, tokens).logits, full(images, tokens).logits)


@pytest.mark.parametrize("patch", [4, 8])
def test_a_batch_never_changes_a_row(build: Build, patch: int) -> None:
    """Rows of different widths, whatever lies beyond their ends, as each alone."""
    model = build(patch=patch)
    sizes = [48, 8, 20, 36, 64]
    images = 5 * torch.randn(len(sizes), 1, 32, 80)  # noise, not zeros, in the padding
    tokens = torch.randint(4, 20, (len(sizes), 6))
    widths = torch.tensor(sizes)
    encoding = model.encode(images, widths)
    output = model(images, tokens, widths)
    for row, width in enumerate(sizes):
        image = images[row : row + 1, :, :, :width]
        count = -(-width // patch)
        frames = count * patch // 4
        for alone in (model.encode(image), model.encode(image, torch.tensor([width]))):
            assert alone.lengths.tolist() == [count] == [encoding.lengths[row].item()]
            assert alone.frames.tolist() == [frames] == [encoding.frames[row].item()]
            assert alone.ctc_logits is not None and encoding.ctc_logits is not None
            for one, batched in (
                (alone.memory[0], encoding.memory[row, :count]),
                (alone.ctc_logits[0], encoding.ctc_logits[row, :frames]),
            ):
                torch.testing.assert_close(one, batched, rtol=1e-4, atol=1e-4)
        single = model(image, tokens[row : row + 1]).logits
        torch.testing.assert_close(single[0], output.logits[row], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("patch", "width"), [(4, 9), (4, 10), (4, 11), (8, 17), (8, 20), (8, 23)])
def test_widths_that_are_no_whole_columns(build: Build, patch: int, width: int) -> None:
    model = build(patch=patch)
    images = torch.randn(1, 1, 32, 24)
    padded = model.encode(images, torch.tensor([width]))
    alone = model.encode(images[:, :, :, :width])
    assert padded.lengths.tolist() == alone.lengths.tolist() == [3]
    torch.testing.assert_close(padded.memory[:, :3], alone.memory, rtol=1e-4, atol=1e-4)


def test_square_images_are_read_alone_as_in_a_batch() -> None:
    vision = replace(TINY.vision, height=32, width=48, n_layer=1)
    model = OcrModel(replace(TINY, vision=vision, vocab_size=9)).eval()
    images, tokens = torch.randn(3, 3, 32, 48), torch.randint(4, 9, (3, 5))
    with torch.no_grad():
        together = model(images, tokens)
        assert together.frames.tolist() == [6, 6, 6]
        for row in range(3):
            alone = model(images[row : row + 1], tokens[row : row + 1]).logits
            torch.testing.assert_close(alone[0], together.logits[row], rtol=1e-4, atol=1e-4)


def test_every_parameter_learns_under_autocast() -> None:
    torch.manual_seed(0)
    vision = replace(LINE.vision, n_layer=1)
    model = OcrModel(replace(LINE, vision=vision, vocab_size=9)).train()
    images, tokens = torch.randn(2, 1, 32, 32), torch.randint(4, 9, (2, 5))
    with torch.autocast("cpu", torch.bfloat16):
        output = model(images, tokens, torch.tensor([32, 16]))
    assert output.ctc_logits is not None
    (output.logits.float().square().mean() + output.ctc_logits.float().square().mean()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_training_gradients_are_the_same_fused_and_plain(build: Build) -> None:
    images, tokens = torch.randn(2, 1, 32, 32).cuda(), torch.randint(4, 20, (2, 6)).cuda()
    gradients = []
    for flash in (True, False):
        model = build(flash=flash).cuda().requires_grad_(True)
        model(images, tokens, torch.tensor([32, 20]).cuda()).logits.square().mean().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        if one is None:  # the CTC head has no part in this loss
            assert other is None
        else:
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


class _Encode(nn.Module):
    def __init__(self, model: OcrModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, widths: Tensor) -> tuple[Tensor, ...]:
        encoding = self.model.encode(images, widths)
        cross = self.model.cross(encoding)
        assert encoding.ctc_logits is not None
        return *cross, encoding.ctc_logits.log_softmax(-1)


class _Step(nn.Module):
    def __init__(self, model: OcrModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, tokens: Tensor, k: Tensor, v: Tensor, n: Tensor, pk: Tensor, pv: Tensor, pn: Tensor
    ) -> tuple[Tensor, ...]:
        return self.model.step(tokens, CrossCache(k, v, n), pk, pv, pn)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")  # from inside the exporter
def test_the_network_exports_with_free_sizes(build: Build, tmp_path: Path) -> None:
    """Both graphs in ONNX Runtime, at sizes other than the traced ones, an empty past included."""
    ort = pytest.importorskip("onnxruntime")
    model = build(n_kv_head=2)

    def check(part: nn.Module, traced: tuple[Tensor, ...], axes: object, runs: list) -> None:
        path = tmp_path / f"{type(part).__name__}.onnx"
        torch.onnx.export(
            part, traced, path, dynamo=True, dynamic_shapes=axes, external_data=False, verbose=False
        )
        session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [entry.name for entry in session.get_inputs()]
        for inputs in runs:
            feed = dict(zip(names, (value.numpy() for value in inputs), strict=True))
            for got, wanted in zip(session.run(None, feed), part(*inputs), strict=True):
                np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-3, atol=1e-4)

    def lines(rows: int, width: int) -> tuple[Tensor, ...]:
        widths = torch.arange(rows) % 2 * -8 + width
        return torch.randn(rows, 1, 32, width), widths

    def state(rows: int, steps: int, columns: int, past: int) -> tuple[Tensor, ...]:
        return (
            torch.randint(4, 20, (rows, steps)),
            torch.randn(2, rows, 2, columns, 8),
            torch.randn(2, rows, 2, columns, 8),
            torch.arange(rows) % columns + 1,
            torch.randn(2, rows, 2, past, 8),
            torch.randn(2, rows, 2, past, 8),
            torch.arange(rows) % (past + 1),
        )

    free = torch.export.Dim.DYNAMIC
    check(
        _Encode(model).eval(),
        lines(3, 64),
        ({0: free, 3: free}, {0: free}),
        [lines(3, 64), lines(1, 8), lines(2, 148)],
    )
    image, past, rows = {1: free, 3: free}, {1: free, 3: free}, {0: free}
    check(
        _Step(model).eval(),
        state(3, 4, 7, 5),
        ({0: free, 1: free}, image, image, rows, past, past, rows),
        [state(3, 4, 7, 5), state(1, 1, 3, 2), state(4, 9, 12, 0)],
    )
