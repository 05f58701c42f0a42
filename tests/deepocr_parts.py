"""A small DeepOCR with random weights, laid out as the published one, and its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from ocrtool.models.deepencoder import ClipConfig, SamConfig
from ocrtool.models.deepseek import DeepseekConfig, DeepseekOcr
from ocrtool.models.moe import MoeConfig

SAM = SamConfig(32, 2, 2, 32, 16, 64, 4, (1,), 8, (16, 64))
CLIP = ClipConfig(64, 1, 1, 32, 16, 14)


def chat_tokenizer() -> Tokenizer:
    """A tokenizer of bytes with Qwen2's marks."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    marks = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>")
    words.add_special_tokens([AddedToken(mark, special=True) for mark in marks])
    return words


def lively(model: Any) -> Any:
    """Random weights large enough for texts that depend on the picture."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=parameter[0].numel() ** -0.5)
    return model


def save_deepseek(folder: Path) -> Path:
    """The checkpoint that the towers come from, as one file."""
    folder.mkdir(parents=True)
    decoder = MoeConfig(20, 16, 1, 2, 16, 1, 2, 1, 8, 1)
    save_file(
        lively(DeepseekOcr(DeepseekConfig(SAM, CLIP, decoder))).state_dict(),
        folder / "model-00001-of-000001.safetensors",
    )
    (folder / "config.json").write_text('{"architectures": ["DeepseekOCRForCausalLM"]}')
    return folder


def save_deepocr(folder: Path) -> Path:
    """The language model as `transformers` saves it, and the projector; no towers."""
    words = chat_tokenizer()
    library: Any = transformers
    llm = library.Qwen2ForCausalLM(
        library.Qwen2Config(
            vocab_size=words.get_vocab_size() + 4, hidden_size=48, intermediate_size=40,
            num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
            rms_norm_eps=1e-6, max_position_embeddings=420, tie_word_embeddings=False,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        )
    )  # fmt: skip
    lively(llm).save_pretrained(folder / "llm")
    words.save(str(folder / "llm" / "tokenizer.json"))
    (folder / "mm_projector").mkdir()
    torch.manual_seed(1)
    projector = {
        "layers.weight": torch.randn(48, 128) / 11,
        "layers.bias": torch.randn(48),
        "image_newline": torch.randn(48),
        "view_seperator": torch.randn(48),
    }
    save_file(projector, folder / "mm_projector" / "model.safetensors")
    (folder / "config.json").write_text('{"architectures": ["LlavaLlamaModel"]}')
    return folder
