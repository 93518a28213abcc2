"""The tower BERT computes what that of `transformers` computes, and has the same weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sgmn.model import backbones, bert, checkpoint
from sgmn.training.run_setup import checkpoint_towers

SHAPES: list[dict[str, Any]] = [
    {"hidden_size": 8, "num_attention_heads": 1, "num_hidden_layers": 1},
    {"hidden_size": 24, "num_attention_heads": 3, "num_hidden_layers": 2, "layer_norm_eps": 1e-5},
    {"hidden_size": 32, "num_attention_heads": 8, "num_hidden_layers": 3, "pad_token_id": 4},
]


def build_pair(**shape: Any) -> tuple[nn.Module, bert.BertTower]:
    """A BERT of `transformers` with large random weights, and ours with the same weights."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=50, intermediate_size=40, max_position_embeddings=20, type_vocab_size=3, **shape
    )
    torch.manual_seed(0)
    reference = BertModel(config).eval()
    for parameter in reference.parameters():
        nn.init.normal_(parameter, std=0.2)
    tower = bert.BertTower(backbones._config_to_dict(config)).eval()
    tower.load_state_dict(reference.state_dict())
    return reference, tower


def random_texts(count: int = 5, length: int = 11) -> tuple[Tensor, Tensor]:
    """Token ids and masks of texts whose lengths differ; the first fills its row."""
    lengths = torch.tensor([length, *range(1, count)])
    return torch.randint(0, 50, (count, length)), torch.arange(length) < lengths[:, None]


def encode(tower: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
    hidden: Tensor = tower(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    return hidden


@pytest.mark.parametrize("shape", SHAPES)
def test_vectors_equal_those_of_transformers(shape: dict[str, Any]) -> None:
    reference, tower = build_pair(**shape)
    ids, mask = random_texts()
    with torch.no_grad():
        found, expected = encode(tower, ids, mask), encode(reference, ids, mask)
    assert expected[mask].std() > 0.1
    torch.testing.assert_close(found[mask], expected[mask], atol=1e-6, rtol=0)


def test_gradients_equal_those_of_transformers_with_and_without_recomputing() -> None:
    reference, tower = build_pair(**SHAPES[1])
    ids, mask = random_texts()
    recomputing = copy.deepcopy(tower)
    recomputing.gradient_checkpointing_enable({"use_reentrant": False})
    gradients = []
    for model in (reference, tower, recomputing):
        disable_dropout(model.train())  # which draws other numbers in each model
        encode(model, ids, mask)[mask].square().mul(torch.arange(24)).mean().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    used = [name for name in gradients[0] if not name.startswith("pooler")]
    assert len(used) > 30
    for expected, found, recomputed in ([g[name] for g in gradients] for name in used):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(recomputed, found, atol=0, rtol=0)


def disable_dropout(tower: nn.Module) -> None:
    """Set all dropout to zero; that of attention is a plain number in our tower, as in theirs."""
    for part in tower.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
        if isinstance(getattr(part, "dropout", None), float):
            part.__dict__["dropout"] = 0.0


def test_dropout_is_active_in_training_only() -> None:
    tower = build_pair(**SHAPES[1])[1]
    ids, mask = random_texts()
    assert torch.equal(encode(tower, ids, mask), encode(tower, ids, mask))
    tower.train()
    assert not torch.equal(encode(tower, ids, mask), encode(tower, ids, mask))
    for part in tower.modules():  # leaves that of attention alone
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    assert not torch.equal(encode(tower, ids, mask), encode(tower, ids, mask))


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "relu"},
        {"is_decoder": True},
        {"add_cross_attention": True},
        {"position_embedding_type": "relative_key"},
        {"model_type": "roberta"},
    ],
)
def test_other_architectures_are_left_to_transformers(change: dict[str, Any]) -> None:
    assert bert.is_supported({"model_type": "bert", "hidden_act": "gelu"})
    assert not bert.is_supported({"model_type": "bert", "hidden_act": "gelu"} | change)


def test_minilm_equals_that_of_transformers() -> None:
    from transformers import AutoModel

    folder = backbones.find_minilm_folder()
    reference = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    model = checkpoint.load("builtin")
    tower = model.network.towers.text_backbone()
    assert isinstance(tower, bert.BertTower)
    expected = reference.state_dict()
    assert list(tower.state_dict()) == list(expected)
    assert all(torch.equal(value, expected[name]) for name, value in tower.state_dict().items())
    texts = model.preprocessor.tokenize_texts(["red milk", "the café sells 3 large apples today"])
    with torch.inference_mode():
        found, wanted = (encode(t, texts.ids, texts.mask) for t in (tower, reference))
    torch.testing.assert_close(found[texts.mask], wanted[texts.mask], atol=1e-6, rtol=0)


def test_the_text_tower_of_the_builtin_model_can_recompute_activations() -> None:
    network = checkpoint.load("builtin").network
    checkpoint_towers(network)
    tower = network.towers.text_backbone().train()
    ids, mask = random_texts(2)
    encode(tower, ids, mask).sum().backward()
    assert all(p.grad is not None for p in tower.encoder.parameters())  # type: ignore[union-attr]


def test_a_trained_text_tower_loads_into_transformers(tmp_path: Path) -> None:
    from safetensors.torch import load_file
    from transformers import AutoTokenizer, BertConfig, BertModel

    model = checkpoint.load("builtin")
    network = model.network.train()
    ids, mask = random_texts(2)
    network.towers.encode_text(ids, mask).pooled.square().sum().backward()
    torch.optim.SGD(network.towers.text_backbone().parameters(), 0.1).step()
    checkpoint.save(model, tmp_path)

    loaded = checkpoint.load(tmp_path)
    assert loaded.network.config.text_source == ""
    prefix = checkpoint.TEXT_TOWER
    stored = load_file(tmp_path / "model.safetensors")
    reference = BertModel(BertConfig(**loaded.network.config.towers["text"])).eval()
    reference.load_state_dict(
        {name.removeprefix(prefix): w for name, w in stored.items() if name.startswith(prefix)}
    )
    tokens = AutoTokenizer.from_pretrained(tmp_path / "tokenizer")("red milk", return_tensors="pt")
    expected = reference(**tokens).last_hidden_state
    texts = loaded.preprocessor.tokenize_texts(["red milk"])
    found = encode(loaded.network.towers.text_backbone(), texts.ids, texts.mask)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    untrained = checkpoint.load("builtin").network.towers.text_backbone()
    assert not torch.allclose(found, encode(untrained, texts.ids, texts.mask), atol=1e-3)
