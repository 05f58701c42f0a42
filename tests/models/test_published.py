"""Our networks with published weights against those of transformers, from random weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, ViTConfig, ViTModel
from transformers.utils import logging

from ocrtool.errors import ModelError
from ocrtool.models.decoder import TextDecoder
from ocrtool.models.presets import EQUATION_VLM
from ocrtool.models.published import llama_config, llama_weights, vit_config, vit_weights
from ocrtool.models.vision import VisionTransformer
from published_parts import lively, on_disk

VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
LLAMA = {
    "hidden_size": 36,
    "num_hidden_layers": 2,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 48,
    "vocab_size": 50,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    logging.disable_progress_bar()
    yield
    logging.enable_progress_bar()


def vit(**changes: Any) -> tuple[ViTModel, dict[str, Any]]:
    config = ViTConfig(**{**VIT, **changes})
    return lively(ViTModel(config)), config.to_dict()


def llama(**changes: Any) -> tuple[LlamaForCausalLM, dict[str, Any]]:
    config = LlamaConfig(**{**LLAMA, **changes})
    return lively(LlamaForCausalLM(config)), config.to_dict()


@pytest.mark.parametrize("flash", [True, False])
@pytest.mark.parametrize("size", [(32, 32), (48, 24)], ids=str)
def test_a_vit_sees_the_same(size: tuple[int, int], flash: bool) -> None:
    """At its own size and at another, for which positions are interpolated."""
    theirs, described = vit()
    base = replace(EQUATION_VLM.vision, height=size[0], width=size[1], patch=8)
    config = vit_config(described, base)
    assert (config.n_layer, config.n_head, config.norm_eps) == (2, 4, 1e-12)
    ours = VisionTransformer(config, flash=flash).eval()
    ours.load_state_dict(vit_weights(on_disk(theirs), config))
    images = torch.randn(3, 3, *size)
    with torch.no_grad():
        wanted = theirs(images, interpolate_pos_encoding=True).last_hidden_state
        tokens, lengths = ours(images)
    assert lengths.tolist() == [size[0] * size[1] // 64] * 3
    torch.testing.assert_close(tokens, wanted[:, 1:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": False},
        {"num_key_value_heads": 9, "rope_parameters": {"rope_theta": 500.0}},
    ],
    ids=str,
)
def test_a_llama_writes_the_same(changes: dict[str, Any]) -> None:
    theirs, described = llama(**changes)
    config = llama_config(described, EQUATION_VLM.decoder)
    ours = TextDecoder(config, 50, flash=True, prompt_ids=(7, 3, 9)).eval()
    ours.load_state_dict(llama_weights(on_disk(theirs), config))
    tokens = torch.randint(0, 50, (2, 11))
    with torch.no_grad():
        wanted = theirs(tokens).logits
        # No image: the prompt is all of the prefix.
        nothing = ours.cross(torch.zeros(2, 0, 36), torch.zeros(2, dtype=torch.int64))
        both = torch.cat((torch.tensor([[7, 3, 9]] * 2), tokens), dim=1)
        found, keys, *_ = ours(tokens, nothing)
        torch.testing.assert_close(found, theirs(both).logits[:, 3:], rtol=1e-4, atol=1e-4)
        bare = replace_prompt(ours, ())
        found, *_ = bare(tokens, bare.cross(torch.zeros(2, 0, 36), nothing.lengths - 3))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert keys.shape == (2, 2, config.n_kv_head, 11, 4)


def replace_prompt(decoder: TextDecoder, prompt: tuple[int, ...]) -> TextDecoder:
    decoder.prompt = torch.tensor(prompt, dtype=torch.int64)
    return decoder


def test_an_image_before_the_prompt_is_what_embeddings_are() -> None:
    """Image tokens, prompt and text as one sequence of embeddings in the published network."""
    theirs, described = llama()
    config = llama_config(described, EQUATION_VLM.decoder)
    ours = TextDecoder(config, 50, flash=True, prompt_ids=(7, 3)).eval()
    ours.load_state_dict(llama_weights(on_disk(theirs), config))
    memory, tokens = torch.randn(2, 6, 36), torch.randint(0, 50, (2, 5))
    lengths = torch.tensor([6, 4])
    with torch.no_grad():
        found, *_ = ours(tokens, ours.cross(memory, lengths))
        for row, count in enumerate(lengths.tolist()):
            ids = torch.cat((torch.tensor([7, 3]), tokens[row]))
            x = torch.cat((memory[row, :count], theirs.get_input_embeddings()(ids)))
            wanted = theirs(inputs_embeds=x[None]).logits[0, -5:]
            torch.testing.assert_close(found[row], wanted, rtol=1e-4, atol=1e-4)


def test_figures_of_published_files_are_read() -> None:
    """The configuration of SmolLM-135M, in the old spelling and in the new one."""
    smollm = {
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_attention_heads": 9,
        "num_hidden_layers": 30,
        "num_key_value_heads": 3,
        "rms_norm_eps": 1e-5,
        "rope_scaling": None,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "vocab_size": 49152,
    }
    assert llama_config(smollm, EQUATION_VLM.decoder) == EQUATION_VLM.decoder
    new = {**smollm, "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}}
    assert llama_config(new, EQUATION_VLM.decoder) == EQUATION_VLM.decoder
    vit_b = ViTConfig().to_dict()
    assert vit_config(vit_b, EQUATION_VLM.vision) == EQUATION_VLM.vision


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "qwen2"}, "model_type is 'qwen2'"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"attention_bias": True}, "attention_bias"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_parameters": None}, "linear"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}, "llama3"),
        ({"head_dim": 64}, "heads"),
        ({"intermediate_size": None}, "intermediate_size"),
    ],
    ids=str,
)
def test_what_the_decoder_cannot_be_is_told(changes: dict[str, Any], message: str) -> None:
    described = {**LlamaConfig(**LLAMA).to_dict(), **changes}
    with pytest.raises(ModelError, match=message):
        llama_config(described, EQUATION_VLM.decoder)


def test_every_tensor_has_its_place() -> None:
    theirs, described = llama()
    config, tensors = llama_config(described, EQUATION_VLM.decoder), on_disk(theirs)
    spare = {**tensors, "model.layers.2.mlp.up_proj.weight": torch.zeros(1)}
    with pytest.raises(ModelError, match=r"1 tensors are of another network, layers\.2"):
        llama_weights(spare, config)
    del tensors["model.norm.weight"]
    with pytest.raises(ModelError, match=r"1 tensors are missing, norm\.weight"):
        llama_weights(tensors, config)
    seeing, shown = vit()
    encoder = vit_config(shown, EQUATION_VLM.vision)
    images = on_disk(seeing)
    headed = {f"vit.{name}": tensor for name, tensor in images.items() if "pooler" not in name}
    headed["classifier.weight"] = torch.zeros(3, 32)
    same_tensors(vit_weights(headed, encoder), vit_weights(images, encoder))
    with pytest.raises(ModelError, match=r"of another network, encoder\.layer\.0\.extra"):
        vit_weights({**images, "encoder.layer.0.extra": torch.zeros(1)}, encoder)


def same_tensors(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_nothing_but_parameters_is_mapped() -> None:
    _, described = llama()
    config = llama_config(described, EQUATION_VLM.decoder)
    decoder: nn.Module = TextDecoder(config, 50, flash=True)
    assert set(decoder.state_dict()) == set(dict(decoder.named_parameters()))
