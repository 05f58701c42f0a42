"""Small networks of the library transformers with random weights, as published ones are saved."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

_Model = TypeVar("_Model", bound=torch.nn.Module)


def lively(model: _Model, seed: int = 0) -> _Model:
    """Give a network weights that make faults show: its own are all but zero."""
    torch.manual_seed(seed)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
        else:
            torch.nn.init.uniform_(parameter, -0.5, 1.5)
    return model.eval().requires_grad_(False)


def on_disk(model: Any) -> dict[str, torch.Tensor]:
    """Return the tensors of a network under the names that its file has."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return load_file(Path(folder) / "model.safetensors")


def byte_tokenizer(texts: list[str], size: int) -> Tokenizer:
    """Train a tokenizer of the kind that SmolLM has, its first tokens special."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>", "<extra>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
