"""Small models with random weights, saved by `transformers` in the layout of published ones."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

PROMPT_TOKENS = ("<|im_start|>", "<|im_end|>", "<img>", "</img>", "<imgpad>")


def tokenizer(*extra: str, kind: Any = transformers.PreTrainedTokenizerFast) -> Any:
    """A byte-level tokenizer whose tokens are single characters."""
    names = ["<s>", "<pad>", "</s>", "<unk>", *map(chr, range(33, 127)), "Ġ", "Ċ", *extra]
    core = Tokenizer(models.BPE({name: i for i, name in enumerate(names)}, [], unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    made = kind(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    )
    if extra:
        made.add_special_tokens({"additional_special_tokens": list(extra)})
    return made


def save(model: Any, processor: Any, folder: Path) -> Path:
    """Save a model as its publisher does."""
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def lively(model: Any) -> None:
    """Make random weights large enough for texts that depend on the picture."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=parameter.shape[-1] ** -0.5)


def _pair(encoder: Any, decoder: Any, start: int) -> Any:
    config: Any = transformers.VisionEncoderDecoderConfig
    joined = config.from_encoder_decoder_configs(encoder, decoder)
    joined.decoder_start_token_id, joined.pad_token_id = start, 1
    model: Any = transformers.VisionEncoderDecoderModel(joined)
    lively(model)
    generation = model.generation_config
    generation.decoder_start_token_id = start
    generation.pad_token_id, generation.eos_token_id = 1, 2
    generation.min_new_tokens = 8
    return model


def trocr(folder: Path) -> Path:
    """A reader of lines."""
    words = tokenizer()
    model = _pair(
        transformers.ViTConfig(
            hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            image_size=32, patch_size=8,
        ),
        transformers.TrOCRConfig(
            vocab_size=len(words), d_model=32, decoder_layers=1, decoder_attention_heads=2,
            decoder_ffn_dim=32, max_position_embeddings=24, is_decoder=True,
            add_cross_attention=True, cross_attention_hidden_size=32, pad_token_id=1,
            eos_token_id=2, decoder_start_token_id=2,
        ),
        2,
    )  # fmt: skip
    pictures: Any = transformers.ViTImageProcessor(
        size={"height": 32, "width": 32}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    return save(model, transformers.TrOCRProcessor(pictures, words), folder)


def nougat(folder: Path, longest: int = 64) -> Path:
    """A reader of pages."""
    words = tokenizer(kind=transformers.NougatTokenizer)
    model = _pair(
        transformers.DonutSwinConfig(
            image_size=[64, 64], patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[1, 2],
            window_size=4,
        ),
        transformers.MBartConfig(
            vocab_size=len(words), d_model=32, decoder_layers=1, decoder_attention_heads=2,
            decoder_ffn_dim=32, max_position_embeddings=longest, is_decoder=True,
            add_cross_attention=True, cross_attention_hidden_size=32, pad_token_id=1,
            bos_token_id=0, eos_token_id=2,
        ),
        0,
    )  # fmt: skip
    pictures: Any = transformers.NougatImageProcessor(size={"height": 64, "width": 64})
    return save(model, transformers.NougatProcessor(pictures, words), folder)


def got_ocr2(folder: Path) -> Path:
    """A reader of pages that is asked by a prompt."""
    words = tokenizer(*PROMPT_TOKENS)
    config: Any = transformers.GotOcr2Config(
        vision_config={
            "hidden_size": 32, "output_channels": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "image_size": 256, "patch_size": 4, "window_size": 8,
            "global_attn_indexes": [], "mlp_dim": 32,
        },
        text_config={
            "model_type": "qwen2", "vocab_size": len(words), "hidden_size": 32,
            "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
            "num_key_value_heads": 2, "max_position_embeddings": 1024,
        },
        image_token_index=words.convert_tokens_to_ids("<imgpad>"),
    )  # fmt: skip
    model: Any = transformers.GotOcr2ForConditionalGeneration(config)
    lively(model)
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = 2, 1
    model.generation_config.max_new_tokens = 40
    model.generation_config.min_new_tokens = 8
    pictures: Any = transformers.GotOcr2ImageProcessor(size={"height": 256, "width": 256})
    return save(model, transformers.GotOcr2Processor(pictures, words), folder)


def formulanet(folder: Path) -> Path:
    """A reader of formulas."""
    words = tokenizer()
    config: Any = transformers.PPFormulaNetConfig(
        text_config={
            "vocab_size": len(words), "d_model": 32, "decoder_layers": 1,
            "decoder_attention_heads": 2, "decoder_ffn_dim": 32, "max_position_embeddings": 64,
        },
        vision_config={
            "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 64,
            "patch_size": 4, "window_size": 4, "global_attn_indexes": [0], "mlp_dim": 32,
            "output_channels": 16, "post_conv_in_channels": 16, "post_conv_mid_channels": 16,
            "post_conv_out_channels": 32, "decoder_hidden_size": 32,
        },
    )  # fmt: skip
    model: Any = transformers.PPFormulaNetForConditionalGeneration(config)
    lively(model)
    model.generation_config.max_new_tokens = 24
    pictures: Any = transformers.PPFormulaNetImageProcessor(size={"height": 64, "width": 64})
    return save(model, transformers.PPFormulaNetProcessor(pictures, words), folder)


MAKERS: dict[str, Callable[[Path], Path]] = {
    "trocr": trocr,
    "nougat": nougat,
    "got": got_ocr2,
}
if importlib.util.find_spec("torchvision"):  # without which its pictures cannot be prepared
    MAKERS["formulanet"] = formulanet
