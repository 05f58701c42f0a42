"""DeepOCR checkpoints: three parts, each in a folder of its own.

``llm/`` is Qwen2 as `transformers` saves it, with its tokenizer; ``mm_projector/`` has the
projector, newline and separator; ``vision_tower/`` the two towers. The published checkpoint has no
towers and uses those of DeepSeek-OCR. A part must fit exactly or is refused; a part that is not
given is initialised for training.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from ocrtool.errors import ModelError
from ocrtool.models.deepocr import IMAGE, Deepocr, DeepocrConfig, fresh
from ocrtool.models.qwen import QwenConfig
from ocrtool.readers.deepseek_files import Shapes, compare, count, put, towers_of
from ocrtool.readers.model_lookup import CONFIG

LLM, TOWERS, PROJECTOR = "llm", "vision_tower", "mm_projector"
PARTS = (LLM, TOWERS, PROJECTOR)
"""Folders of a checkpoint, and prefixes of the tensor names in the network."""
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
UNUSED = ("image_newline", "view_seperator", "vision_model.embeddings.position_ids")
"""Tensors in the files of some vision towers that do not belong to them."""

ASKING = (
    "<|im_start|>system\nYou are a helpful assistant<|im_end|>\n<|im_start|>user\n",
    "\n{}<|im_end|>\n<|im_start|>assistant\n",
)
"""Chat prompt before and after the image placeholders."""
ENDS = ("<|im_end|>", "<|endoftext|>")
"""Tokens that end a text; training uses the first one."""

Places = dict[str, tuple[Any, str]]


def prompt_ids(words: Tokenizer, prompt: str, places: int) -> list[int]:
    """Return the prompt tokens: the chat message with ``IMAGE`` placeholders.

    Args:
        words: The tokenizer.
        prompt: Text of the prompt.
        places: Number of image placeholders.
    """
    before, behind = (
        words.encode(part, add_special_tokens=False).ids
        for part in (ASKING[0], ASKING[1].format(prompt))
    )
    return [*before, *[IMAGE] * places, *behind]


def end_ids(words: Tokenizer) -> list[int]:
    """Return the ids of ``ENDS``.

    Raises:
        ModelError: The tokenizer does not have the first one.
    """
    found = [words.token_to_id(name) for name in ENDS]
    if found[0] is None:
        raise ModelError(f"the tokenizer does not know {ENDS[0]}", "use one of Qwen2")
    return [int(i) for i in found if i is not None]


def parts_of(folder: Path, towers: Callable[[], Path]) -> dict[str, Path]:
    """Return the folders of the parts of a checkpoint.

    Args:
        folder: The checkpoint.
        towers: Returns the folder of DeepSeek-OCR, for a checkpoint without towers.
    """
    own = folder / TOWERS
    return {
        LLM: folder / LLM,
        PROJECTOR: folder / PROJECTOR,
        TOWERS: own if own.is_dir() else towers(),
    }


def load_network(
    parts: Mapping[str, Path],
    base: DeepocrConfig,
    device: str,
    dtype: torch.dtype,
    int8: bool = False,
) -> Deepocr:
    """Load a network.

    Args:
        parts: Folders of its parts by name. Parts that are not given are initialised with PyTorch's
            global random generator.
        base: Geometry of everything that the files do not determine.
        device: Device of the network.
        dtype: Data type of the parameters.
        int8: Whether the decoder's linear layers are quantised to 8 bits.

    Raises:
        ModelError: Files are missing, damaged, or of another network.
    """
    with ExitStack() as stack:
        config, places = _found(stack, parts, base)
        shapes = _shapes(places)
        with torch.device("meta"):
            network = Deepocr(config)
        for part in PARTS:
            inner = getattr(network, part)
            if part not in parts:
                setattr(network, part, fresh(part, config).to(device, dtype))
                continue
            wanted = {f"{part}.{n}": tuple(p.shape) for n, p in inner.named_parameters()}
            own = {name: shape for name, shape in shapes.items() if name.startswith(f"{part}.")}
            compare(wanted, own, f"{parts[part]} is no {part} of DeepOCR")
            for name in wanted:
                file, there = places[name]
                eight = int8 and part == LLM
                put(network, name, file.get_tensor(there), device, dtype, eight)
    return network.eval().requires_grad_(False)


def config_of(parts: Mapping[str, Path], base: DeepocrConfig) -> DeepocrConfig:
    """Return the geometry of a checkpoint; arguments and errors are those of `load_network`."""
    with ExitStack() as stack:
        return _found(stack, parts, base)[0]


def _found(
    stack: ExitStack, parts: Mapping[str, Path], base: DeepocrConfig
) -> tuple[DeepocrConfig, Places]:
    """Open the files of the parts; return the geometry, and the file of each tensor."""
    config = base
    places: Places = {}
    for part, folder in parts.items():
        try:
            opened = _opened(stack, part, folder)
            places |= opened
            config = _updated(config, part, folder, _shapes(opened))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ModelError(f"{folder} is no {part} of DeepOCR, or damaged: {error}") from None
    return config, places


def _shapes(places: Places) -> Shapes:
    return {n: tuple(file.get_slice(there).get_shape()) for n, (file, there) in places.items()}


def _opened(stack: ExitStack, part: str, folder: Path) -> Places:
    """Return the file of each tensor of a part and its name in the file, by network name."""
    paths = sorted(folder.glob("*.safetensors"))
    if not paths and any(path.suffix in PICKLES for path in folder.glob("*")):
        raise ModelError(
            f"{folder} has only pickled weights, which can run any code",
            "save them as safetensors",
        )
    found: Places = {}
    for path in paths:
        file = stack.enter_context(safe_open(path, "pt", device="cpu"))
        found |= {name: (file, name) for name in file.keys()}  # noqa: SIM118
    if part == TOWERS:
        whole = "lm_head.weight" in found  # a whole DeepSeek-OCR, whose towers are used
        found = {name.removeprefix("model."): place for name, place in found.items()}
        towers = ("sam_model.", "vision_model.")
        found = {
            name: place
            for name, place in found.items()
            if name not in UNUSED and (name.startswith(towers) or not whole)
        }
    if part == LLM and "lm_head.weight" not in found and _json(folder).get("tie_word_embeddings"):
        found["lm_head.weight"] = found["model.embed_tokens.weight"]
    return {f"{part}.{name}": place for name, place in found.items()}


def _updated(config: DeepocrConfig, part: str, folder: Path, shapes: Shapes) -> DeepocrConfig:
    """Return the geometry, updated from the files of a part."""
    if part == LLM:
        raw = _json(folder)
        vocabulary, width = shapes["llm.model.embed_tokens.weight"]
        heads = int(raw["num_attention_heads"])
        shared = shapes["llm.model.layers.0.self_attn.k_proj.weight"][0]
        rope = raw.get("rope_parameters") or raw
        scaled = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
        kind = scaled.get("rope_type") or scaled.get("type") or "default"
        if kind not in ("default", "mrope"):  # M-RoPE equals the default on text
            raise ModelError(f"{folder}: scaled rotary positions ({kind}) are not supported")
        lengths = (raw.get(n) for n in ("model_max_length", "max_position_embeddings"))
        decoder = QwenConfig(
            vocab_size=vocabulary,
            width=width,
            n_layer=count(shapes, "llm.model.layers."),
            n_head=heads,
            n_kv_head=shared * heads // width,
            d_ff=shapes["llm.model.layers.0.mlp.gate_proj.weight"][0],
            rope_theta=float(rope.get("rope_theta", QwenConfig.rope_theta)),
            norm_eps=float(raw.get("rms_norm_eps", QwenConfig.norm_eps)),
            max_length=min((int(n) for n in lengths if n), default=QwenConfig.max_length),
        )
        return replace(config, decoder=decoder)
    if part == TOWERS:
        raw = _json(folder) if (folder / CONFIG).is_file() else {}
        sam, clip = towers_of(shapes, "vision_tower.")
        base, tile = (int(raw.get(n, d)) for n, d in (("base_size", 1024), ("image_size", 640)))
        return replace(config, sam=sam, clip=clip, base=base, tile=tile)
    return config


def save_network(folder: Path, config: DeepocrConfig, state: Mapping[str, Tensor]) -> None:
    """Write a checkpoint, except its tokenizer, into a folder.

    Args:
        folder: An existing empty folder.
        config: Geometry of the network.
        state: All tensors by their names in the network.
    """
    decoder = config.decoder
    configs: dict[str, dict[str, Any]] = {
        LLM: {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "vocab_size": decoder.vocab_size,
            "hidden_size": decoder.width,
            "intermediate_size": decoder.d_ff,
            "num_hidden_layers": decoder.n_layer,
            "num_attention_heads": decoder.n_head,
            "num_key_value_heads": decoder.n_kv_head,
            "hidden_act": "silu",
            "rms_norm_eps": decoder.norm_eps,
            "rope_theta": decoder.rope_theta,
            "max_position_embeddings": decoder.max_length,
            "tie_word_embeddings": False,
        },
        TOWERS: {"model_type": "samclip", "base_size": config.base, "image_size": config.tile},
        PROJECTOR: {"model_type": "v2l_projector", "mm_projector_type": "linear"},
    }
    for part in PARTS:
        (folder / part).mkdir()
        (folder / part / CONFIG).write_text(json.dumps(configs[part], indent=1) + "\n", "utf-8")
        tensors = {
            name.partition(".")[2]: tensor.detach().cpu().contiguous()
            for name, tensor in state.items()
            if name.startswith(f"{part}.")
        }
        save_file(tensors, folder / part / WEIGHTS, metadata={"format": "pt"})
    whole: dict[str, Any] = {"architectures": ["LlavaLlamaModel"], "model_type": "llava_llama"}
    whole |= {f"{part}_cfg": configs[part] for part in PARTS}
    (folder / CONFIG).write_text(json.dumps(whole, indent=1) + "\n", "utf-8")


def _json(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / CONFIG).read_text("utf-8"))
    return content
