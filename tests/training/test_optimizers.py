"""Muon for matrices, AdamW for the rest: one optimiser to the loop and to its checkpoints."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ocrtool.errors import UsageError
from ocrtool.training import make_options
from ocrtool.training.optimizers import Muon, MuonAdamW, optimizer_of

RATE = 0.01


@pytest.fixture
def model() -> nn.ModuleDict:
    torch.manual_seed(0)
    parts = {"embed": nn.Embedding(7, 8), "linear": nn.Linear(8, 16), "conv": nn.Conv2d(1, 4, 3)}
    outputs = {"head": nn.Linear(16, 7), "ctc": nn.Linear(16, 7)}
    frozen = nn.Linear(8, 8).requires_grad_(False)
    return nn.ModuleDict({**parts, **outputs, "frozen": frozen})


def step(model: nn.ModuleDict, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """One step on random gradients; returns what it moved."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for group in optimizer.param_groups:
        group["lr"] = RATE
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    return {name: p.detach() - before[name] for name, p in model.named_parameters()}


def test_muon_moves_matrices_by_orthogonal_steps_of_the_size_of_adamws(
    model: nn.ModuleDict,
) -> None:
    moved = step(model, optimizer_of(model, "muon", weight_decay=0.0, beta2=0.98))
    values = torch.linalg.svdvals(moved["linear.weight"])
    assert values.max() < 2 * values.min()  # Newton-Schulz leaves them between 0.7 and 1.2
    assert 0.5 < moved["linear.weight"].square().mean().sqrt() / (0.2 * RATE) < 1.5
    for name in ("embed.weight", "linear.bias", "conv.weight", "head.weight", "ctc.weight"):
        torch.testing.assert_close(moved[name].abs(), torch.full_like(moved[name], RATE))


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_only_matrices_and_filters_decay(model: nn.ModuleDict, name: str) -> None:
    optimizer = optimizer_of(model, name, weight_decay=0.1, beta2=0.98)
    of = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    decays = {label for label, p in model.named_parameters() if of.get(id(p), 0) > 0}
    assert decays == {"linear.weight", "conv.weight", "head.weight", "ctc.weight"}
    assert {label for label, p in model.named_parameters() if id(p) not in of} == {
        "frozen.weight",
        "frozen.bias",
    }


def test_muon_keeps_its_state_where_the_loop_looks_for_it(model: nn.ModuleDict) -> None:
    optimizer = optimizer_of(model, "muon", weight_decay=0.0, beta2=0.98)
    assert isinstance(optimizer, MuonAdamW)
    step(model, optimizer)
    linear, embed = model["linear"].weight, model["embed"].weight
    assert set(optimizer.state[linear]) == {"momentum_buffer"}
    assert set(optimizer.state[embed]) == {"step", "exp_avg", "exp_avg_sq"}


@pytest.mark.parametrize("shape", [(16, 24), (24, 16), (32, 32)])
def test_muon_agrees_with_pytorch_within_the_tolerance_of_bfloat16(shape: tuple[int, int]) -> None:
    torch.manual_seed(1)
    ours = nn.Parameter(torch.randn(shape))
    theirs = nn.Parameter(ours.detach().clone())
    group = {"lr": RATE, "weight_decay": 0.1}
    optimizers = (
        Muon([{"params": [ours], **group}]),
        torch.optim.Muon([theirs], **group, adjust_lr_fn="match_rms_adamw"),
    )
    for _ in range(4):
        before = ours.detach().clone(), theirs.detach().clone()
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
        moved, wanted = ours.detach() - before[0], theirs.detach() - before[1]
        assert (moved - wanted).norm() < 0.02 * wanted.norm()


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="adamw, muon"):
        make_options({"synth": "lines", "optimizer": "sgd"})
