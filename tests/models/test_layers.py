"""The building blocks, each against its definition."""

from __future__ import annotations

import pytest
import torch

from ocrtool.models.layers import (
    Dropout,
    RMSNorm,
    SelfAttention,
    additive_mask,
    attend,
    rotary_angles,
    rotate,
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_rms_norm_divides_by_the_root_mean_square() -> None:
    norm = RMSNorm(8)
    torch.nn.init.normal_(norm.weight)
    x = torch.randn(3, 5, 8)
    expected = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * norm.weight
    torch.testing.assert_close(norm(x), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rms_norm_of_half_types_is_computed_in_float32(dtype: torch.dtype) -> None:
    norm = RMSNorm(64)
    x = (300 * torch.randn(4, 64)).to(dtype)  # its squares exceed float16
    assert norm(x).dtype == dtype
    torch.testing.assert_close(norm(x), norm(x.float()).to(dtype))


@pytest.mark.parametrize("size", [(999, 101), (7,)])
def test_dropout_keeps_the_mean_and_obeys_the_seed(size: tuple[int, ...]) -> None:
    dropout = Dropout(0.25)
    x = torch.ones(size)
    torch.manual_seed(5)
    first = dropout(x)
    torch.manual_seed(5)
    assert torch.equal(first, dropout(x))
    torch.testing.assert_close(first, torch.where(first == 0, 0.0, 4 / 3))
    if len(first.flatten()) > 1000:
        assert (first == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
        assert not torch.equal(first, dropout(x))
        # Neighbours, which share one random number's bits, are independent.
        zero = (first == 0).float().flatten()
        assert (zero[:-1] * zero[1:]).mean().item() == pytest.approx(0.0625, abs=0.005)
    assert dropout.eval()(x) is x


def test_rotary_products_depend_on_the_distance_only() -> None:
    queries, keys = torch.randn(2, 1, 6, 4, 16)

    def products(shift: int) -> torch.Tensor:
        angles = rotary_angles(torch.arange(6)[None] + shift, 16, 10_000.0)
        return torch.einsum("bihd,bjhd->bhij", rotate(queries, angles), rotate(keys, angles))

    torch.testing.assert_close(products(0), products(150), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(products(0), torch.einsum("bihd,bjhd->bhij", queries, keys))


def test_rotary_positions_may_differ_between_rows() -> None:
    x = torch.randn(2, 3, 4, 8)
    positions = torch.tensor([[0, 1, 2], [7, 8, 9]])
    together = rotate(x, rotary_angles(positions, 8, 10_000.0))
    for row in range(2):
        alone = rotate(x[row : row + 1], rotary_angles(positions[row : row + 1], 8, 10_000.0))
        torch.testing.assert_close(together[row : row + 1], alone)
    torch.testing.assert_close(together[0, 0], x[0, 0])  # position 0 is not turned


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("case", ["open", "masked", "causal"])
@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_fused_attention_equals_plain(dtype: torch.dtype, case: str, kv_heads: int) -> None:
    queries = torch.randn(2, 4, 9, 16).to(dtype)
    keys, values = torch.randn(2, 2, kv_heads, 9, 16).to(dtype)
    mask = None
    if case == "masked":
        valid = torch.arange(9) < torch.tensor([[9], [4]])
        mask = additive_mask(valid[:, None, None], dtype)
    fused, plain = (
        attend(queries, keys, values, flash=flash, mask=mask, causal=case == "causal")
        for flash in (True, False)
    )
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(fused, plain, rtol=tolerance, atol=tolerance)


def test_a_row_without_keys_stays_finite() -> None:
    x = torch.randn(1, 2, 3, 8)
    mask = additive_mask(torch.zeros(1, 1, 1, 3, dtype=torch.bool), x.dtype)
    for flash in (True, False):
        assert attend(x, x, x, flash=flash, mask=mask).isfinite().all()


def test_one_group_a_head_equals_multi_head_attention() -> None:
    """Against the multi-head attention of PyTorch itself, with the same weights."""
    ours = SelfAttention(32, 4, 4, flash=True).eval()
    theirs = torch.nn.MultiheadAttention(32, 4, bias=False, batch_first=True).eval()
    theirs.in_proj_weight.data.copy_(ours.qkv.weight)
    theirs.out_proj.weight.data.copy_(ours.out.weight)
    x = torch.randn(2, 7, 32)
    with torch.no_grad():
        expected, _ = theirs(x, x, x, need_weights=False)
        torch.testing.assert_close(ours(x, None)[0], expected)


def test_grouped_queries_equal_multi_head_attention_with_repeated_weights() -> None:
    grouped = SelfAttention(32, 4, 2, flash=True).eval()
    full = SelfAttention(32, 4, 4, flash=True).eval()
    queries, keys, values = grouped.qkv.weight.data.split((32, 16, 16))
    keys, values = (
        part.unflatten(0, (2, 8)).repeat_interleave(2, dim=0).flatten(0, 1)
        for part in (keys, values)
    )
    full.qkv.weight.data.copy_(torch.cat((queries, keys, values)))
    full.out.weight.data.copy_(grouped.out.weight)
    x = torch.randn(2, 7, 32)
    angles = rotary_angles(torch.arange(7)[None], 8, 10_000.0)
    with torch.no_grad():
        mixed, new_keys, _ = grouped(x, angles, causal=True)
        torch.testing.assert_close(mixed, full(x, angles, causal=True)[0])
    assert new_keys.shape == (2, 2, 7, 8)  # the cache holds the groups only
