from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from interrupted import cut_short
from ocrtool.models.config import ModelConfig
from ocrtool.models.presets import PRESETS
from ocrtool.training import TrainOptions, run
from ocrtool.training.hints import ColumnHead, CountingHead, hint_head, is_sign
from ocrtool.vocabulary import Vocabulary

SIGNS = Vocabulary(("\\frac", "{", "}", "a", "b", "^"), " ")


def counting(scores: list[list[float]], text: str) -> float:
    """The loss where each image token scores the ids so."""
    head = CountingHead(len(SIGNS), SIGNS)
    with torch.no_grad():
        head.scores.weight.copy_(torch.eye(len(SIGNS)))
        head.scores.bias.zero_()
    targets = torch.tensor([[*SIGNS.encode(text), 2, 0]])
    memory = torch.tensor([scores])
    lengths = torch.tensor([len(scores)])
    with torch.no_grad():
        return float(head(memory, lengths, targets, torch.tensor([targets.shape[1] - 2])))


def sees(*tokens: str) -> list[list[float]]:
    """Scores of image tokens that are sure of what they see; ``""`` sees nothing."""
    ids = [SIGNS.encode(token)[0] if token else 0 for token in tokens]
    return [[9.0 * (i == seen) for i in range(len(SIGNS))] for seen in ids]


def test_counting_asks_how_often_not_where() -> None:
    right = counting(sees("\\frac", "a", "b", "a", "", ""), "\\frac { a } { a b }")
    moved = counting(sees("", "b", "a", "\\frac", "", "a"), "\\frac { a } { a b }")
    assert moved == pytest.approx(right)
    for wrong in (sees("\\frac", "a", "b", "b", "", ""), sees("a", "b", "a", "", "", "")):
        assert counting(wrong, "\\frac { a } { a b }") > right + 1


def test_what_stands_behind_a_picture_does_not_count() -> None:
    head = CountingHead(len(SIGNS), SIGNS)
    memory = torch.randn(1, 6, len(SIGNS))
    targets, sizes = torch.tensor([SIGNS.encode("a ^ { b }")]), torch.tensor([5])
    alone = head(memory[:, :4], torch.tensor([4]), targets, sizes)
    torch.testing.assert_close(head(memory, torch.tensor([4]), targets, sizes), alone)


def test_signs_are_what_can_be_seen() -> None:
    seen = [
        token for token in ("a", "\\frac", "\\alpha", "{", "^", "\\mathrm", "&") if is_sign(token)
    ]
    assert seen == ["a", "\\frac", "\\alpha"]


def test_columns_are_read_from_left_to_right() -> None:
    torch.manual_seed(0)
    head = ColumnHead(8, 3, 6)
    with torch.no_grad():  # the frames of a column say what its mean says
        head.scores.weight.copy_(torch.eye(6, 8).repeat(2, 1))
        head.scores.bias.zero_()
    columns = 9.0 * torch.eye(8)[[4, 5, 4]]
    memory = columns.repeat(2, 1)[None]  # two rows of three columns

    def loss(*ids: int) -> float:
        sizes, targets = torch.tensor([len(ids)]), torch.tensor([[*ids, 2]])
        return float(head(memory, torch.tensor([6]), targets, sizes).detach())

    assert loss(4, 5, 4) < 0.1
    assert loss(5, 4, 4) > 5


def test_a_network_with_ctc_needs_no_hint() -> None:
    import dataclasses

    def sized(name: str) -> ModelConfig:
        return dataclasses.replace(PRESETS[name], vocab_size=len(SIGNS))

    assert hint_head(sized("line"), SIGNS) is None
    assert isinstance(hint_head(sized("formula"), SIGNS), CountingHead)
    assert isinstance(hint_head(sized("tiny"), SIGNS), ColumnHead)


def test_a_hint_resumes_and_leaves_no_trace_in_the_model(
    words_csv: Path, tmp_path: Path, small_options: Callable[..., TrainOptions]
) -> None:
    def options(out: str, **changes: object) -> TrainOptions:
        return small_options(
            "tiny", data=(words_csv,), out=tmp_path / out, steps=6, hint_weight=0.5, **changes
        )

    run(options("whole"))
    cut_short(options("parts"), 3)
    run(options("parts", resume=True))
    for file in ("trainer.safetensors", "model.safetensors"):
        whole, parts = (load_file(tmp_path / out / "last" / file) for out in ("whole", "parts"))
        assert whole.keys() == parts.keys()
        assert all(torch.equal(parts[name], tensor) for name, tensor in whole.items())
    assert not [name for name in load_file(tmp_path / "whole" / "last" / "model.safetensors")
                if "hint" in name]  # fmt: skip
    run(small_options("tiny", data=(words_csv,), out=tmp_path / "without", steps=6))
    without = load_file(tmp_path / "without" / "last" / "model.safetensors")
    assert without.keys() == whole.keys()
    assert any(not torch.equal(without[name], tensor) for name, tensor in whole.items())
