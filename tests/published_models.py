"""Small models with random weights, saved by `transformers` in the layout of published ones."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers.models.deepseek_ocr2.image_processing_pil_deepseek_ocr2 import (
    DeepseekOcr2ImageProcessorPil,
)
from transformers.models.paddleocr_vl.image_processing_pil_paddleocr_vl import (
    PaddleOCRVLImageProcessorPil,
)
from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil

CHAT = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}"
)
"""A chat template: pictures where they stand, and what is said."""
PROMPT_TOKENS = ("<|im_start|>", "<|im_end|>", "<img>", "</img>", "<imgpad>")


def tokenizer(
    *extra: str,
    kind: Any = transformers.PreTrainedTokenizerFast,
    named: dict[str, str] | None = None,
) -> Any:
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
        **({"extra_special_tokens": named} if named else {}),
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


def _settled(model: Any) -> Any:
    """A network whose texts are short, but not empty."""
    lively(model)
    generation = model.generation_config
    generation.eos_token_id, generation.pad_token_id = 2, 1
    generation.max_new_tokens, generation.min_new_tokens = 40, 8
    return model


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
    model = _settled(transformers.GotOcr2ForConditionalGeneration(config))
    pictures: Any = transformers.GotOcr2ImageProcessor(size={"height": 256, "width": 256})
    return save(model, transformers.GotOcr2Processor(pictures, words), folder)


def lighton(folder: Path) -> Path:
    """A reader of pages that chats, without a word of its user's."""
    names = {"image_token": "<image>", "image_break_token": "<break>", "image_end_token": "<end>"}
    words = tokenizer(*names.values(), named=names)
    config: Any = transformers.LightOnOcrConfig(
        vision_config={
            "model_type": "pixtral", "hidden_size": 32, "intermediate_size": 32,
            "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 16, "image_size": 56,
            "patch_size": 14,
        },
        text_config={"model_type": "qwen3", **_decoder(len(words))},
        image_token_id=words.image_token_id,
    )  # fmt: skip
    model = _settled(transformers.LightOnOcrForConditionalGeneration(config))
    pictures: Any = PixtralImageProcessorPil(size={"longest_edge": 112}, patch_size=28)
    processor: Any = transformers.LightOnOcrProcessor
    return save(model, processor(pictures, words, chat_template=CHAT), folder)


def paddleocr_vl(folder: Path) -> Path:
    """A reader of pages that is told what to do."""
    words = tokenizer("<image>", named={"image_token": "<image>"})
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}
    config: Any = transformers.PaddleOCRVLConfig(
        vision_config={
            "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
            "num_attention_heads": 2, "image_size": 56, "patch_size": 14,
        },
        text_config={**_decoder(len(words)), "rope_parameters": rope},
        image_token_id=words.image_token_id,
    )  # fmt: skip
    model = _settled(transformers.PaddleOCRVLForConditionalGeneration(config))
    sizes = {"shortest_edge": 56 * 56, "longest_edge": 112 * 112}
    pictures: Any = PaddleOCRVLImageProcessorPil(size=sizes)
    processor: Any = transformers.PaddleOCRVLProcessor
    return save(model, processor(pictures, words, chat_template=CHAT), folder)


def deepseek_ocr2(folder: Path) -> Path:
    """A reader of pages in tiles; its encoder asks so many questions a tile, whatever its size."""
    words = tokenizer("<image>")
    config: Any = transformers.DeepseekOcr2Config(
        vision_config={
            "sam_config": {
                "hidden_size": 32, "output_channels": 16, "num_hidden_layers": 1,
                "num_attention_heads": 2, "image_size": 1024, "window_size": 8,
                "global_attn_indexes": [], "mlp_dim": 32, "downsample_channels": [16, 32],
            },
            "encoder_config": {
                "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
                "num_attention_heads": 2, "num_key_value_heads": 2,
            },
        },
        text_config={
            "vocab_size": len(words), "hidden_size": 32, "intermediate_size": 32,
            "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 1024,
            "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
            "mlp_layer_types": ["dense", "sparse"], "n_group": 1, "topk_group": 1,
        },
        image_token_id=words.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    model = _settled(transformers.DeepseekOcr2ForConditionalGeneration(config))
    pictures: Any = DeepseekOcr2ImageProcessorPil()
    processor: Any = transformers.DeepseekOcr2Processor
    return save(model, processor(pictures, words, chat_template=CHAT), folder)


def _decoder(words: int) -> dict[str, Any]:
    """Geometry of a language model."""
    return {
        "vocab_size": words, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16,
        "max_position_embeddings": 1024,
    }  # fmt: skip


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
    "lighton": lighton,
    "paddle": paddleocr_vl,
    "deepseek2": deepseek_ocr2,
}
if importlib.util.find_spec("torchvision"):  # without which its pictures cannot be prepared
    MAKERS["formulanet"] = formulanet
