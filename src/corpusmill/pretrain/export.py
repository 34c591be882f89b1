"""A trained model for other programs: weights as safetensors, or a folder that transformers opens.

The decoder is Llama's where it uses what Llama has, and Qwen3's where queries and keys are
normalised. Their libraries give the same scores.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from corpusmill import storage
from corpusmill.errors import UsageError
from corpusmill.pretrain.checkpoint import newest_checkpoint, read_checkpoint
from corpusmill.pretrain.config import NORM_EPSILON, ModelSettings
from corpusmill.pretrain.scoring import trained_vocabulary
from corpusmill.tokenize.export_folder import claim, finish
from corpusmill.tokenize.manifest import TOKENIZER_FILE
from corpusmill.tokenize.vocabulary import Vocabulary

WEIGHTS_FILE = "model.safetensors"

FILES = {
    "safetensors": [WEIGHTS_FILE, "settings.json", TOKENIZER_FILE],
    "transformers": [WEIGHTS_FILE, "config.json", "tokenizer_config.json", TOKENIZER_FILE],
}
"""What an export writes, by its format."""

NAMES = {
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.out": "self_attn.o_proj",
    "attention.query_norm": "self_attn.q_norm",
    "attention.key_norm": "self_attn.k_norm",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.out": "mlp.down_proj",
    "attention_norm": "input_layernorm",
    "feed_forward_norm": "post_attention_layernorm",
}
"""Of a block's layers: ours, and those of transformers."""


def export_model(train: str, to: str, out: str, echo: Callable[[str], None]) -> int:
    """Write the newest weights of a training folder as `safetensors` or `transformers` to `out`.

    Returns the step that they are of. Raises UsageError for a model that transformers has no
    equal of, and for a folder that holds anything but an earlier export of this format.
    """
    vocabulary = trained_vocabulary(train)
    checkpoint = newest_checkpoint(train, echo)
    state = read_checkpoint(checkpoint)
    settings = ModelSettings.model_validate(state["settings"]["model"])
    context = int(state["settings"]["context"])
    weights: dict[str, Tensor] = dict(state["model"])
    if settings.tied_embeddings:
        weights.pop("head.weight", None)
    if to == "safetensors":
        earlier = claim(out, to)
        described = {"settings": json.dumps(state["settings"]), "step": str(checkpoint.step)}
        _write(out, weights, described)
        storage.write_json(storage.join(out, "settings.json"), state["settings"])
    else:
        config = _config(train, settings, vocabulary, context)
        earlier = claim(out, to)
        _write(out, {_renamed(name): tensor for name, tensor in weights.items()}, {"format": "pt"})
        storage.write_json(storage.join(out, "config.json"), config)
        storage.write_json(
            storage.join(out, "tokenizer_config.json"), _tokenizer_config(vocabulary, context)
        )
    storage.write_atomic(storage.join(out, TOKENIZER_FILE), vocabulary.data)
    finish(out, to, earlier, set(FILES[to]))
    return checkpoint.step


def _write(out: str, weights: Mapping[str, Tensor], described: Mapping[str, str]) -> None:
    from safetensors.torch import save

    tensors = {name: tensor.contiguous() for name, tensor in sorted(weights.items())}
    storage.write_atomic(storage.join(out, WEIGHTS_FILE), save(tensors, dict(described)))


def _renamed(name: str) -> str:
    if name == "embedding.weight":
        return "model.embed_tokens.weight"
    if name == "head.weight":
        return "lm_head.weight"
    if name == "norm.weight":
        return "model.norm.weight"
    _, number, *layer, last = name.split(".")
    return f"model.layers.{number}.{NAMES['.'.join(layer)]}.{last}"


def _config(
    train: str, settings: ModelSettings, vocabulary: Vocabulary, context: int
) -> dict[str, Any]:
    if settings.experts:
        raise UsageError(
            f"{train}: a model with experts has no equal in transformers: use --to safetensors"
        )
    config: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocabulary.size,
        "hidden_size": settings.width,
        "intermediate_size": settings.feed_forward,
        "num_hidden_layers": settings.layers,
        "num_attention_heads": settings.heads,
        "num_key_value_heads": settings.kv_heads,
        "head_dim": settings.width // settings.heads,
        "hidden_act": "silu",
        "max_position_embeddings": context,
        "rms_norm_eps": NORM_EPSILON,
        "rope_theta": settings.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": settings.rope_base},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": settings.tied_embeddings,
        "bos_token_id": vocabulary.end_of_text,
        "eos_token_id": vocabulary.end_of_text,
        "torch_dtype": "float32",
    }
    windows = [settings.window_of(n) for n in range(settings.layers)]
    limited = any(windows)
    if settings.qk_norm:
        config |= {
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "use_sliding_window": limited,
            "sliding_window": settings.window if limited else None,
            "max_window_layers": 0,
            "layer_types": ["sliding_attention" if w else "full_attention" for w in windows],
        }
    elif limited:
        raise UsageError(
            f"{train}: a model with a window and without qk_norm has no equal in transformers: "
            "use --to safetensors"
        )
    return config


def _tokenizer_config(vocabulary: Vocabulary, context: int) -> dict[str, Any]:
    end = next(
        n for n, number in vocabulary.special_ids.items() if number == vocabulary.end_of_text
    )
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": end,
        "eos_token": end,
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
    }
