"""The decoder: what a token sees, experts, the loss, presets, and the benchmark's plain twin."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from benchmarks.train_step import PlainDecoder, plain_names, zipf_batches
from benchmarks.train_step import model as benchmark_model
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention

from corpusmill.errors import UsageError
from corpusmill.pretrain import attention
from corpusmill.pretrain.config import PRESETS, ModelSettings, Settings
from corpusmill.pretrain.device import deterministic, one_thread, resolve
from corpusmill.pretrain.feed_forward import Experts
from corpusmill.pretrain.loss import SCORE_BYTES, summed_loss
from corpusmill.pretrain.model import Decoder, count_parameters
from corpusmill.tokenize.rows import IGNORED

VOCABULARY, CONTEXT = 90, 48

VARIANTS: list[dict[str, object]] = [
    {},
    {"kv_heads": 1},
    {"qk_norm": True},
    {"window": 5, "global_every": 2},
    {"window": 5, "kv_heads": 4, "qk_norm": True, "tied_embeddings": False},
    {"experts": 8, "experts_per_token": 2},
]


@pytest.fixture(autouse=True)
def _deterministic() -> Iterator[None]:
    with deterministic(), one_thread():
        yield


def settings_of(**changes: object) -> ModelSettings:
    return ModelSettings.model_validate(
        {"layers": 3, "width": 64, "heads": 4, "feed_forward": 96, **changes}
    )


def decoder(**changes: object) -> Decoder:
    torch.manual_seed(5)
    return Decoder(settings_of(**changes), vocab_size=VOCABULARY, context=CONTEXT)


def packed(seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, targets and documents [2, CONTEXT]."""
    random = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, VOCABULARY, (2, CONTEXT), generator=random)
    targets = torch.randint(0, VOCABULARY, (2, CONTEXT), generator=random)
    targets[1, -7:] = IGNORED
    documents = (torch.rand((2, CONTEXT), generator=random) < 0.15).cumsum(1)
    return tokens, targets, documents


def gradients(model: Decoder, *batch: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    model(*batch).objective.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("changes", VARIANTS)
def test_a_change_in_one_document_leaves_its_neighbours_logits_bit_equal(
    changes: dict[str, object],
) -> None:
    model = decoder(**changes)
    for seed in range(3):
        tokens, _, documents = packed(seed)
        inside = torch.zeros_like(tokens, dtype=torch.bool)
        inside[0] = documents[0] == documents[0, CONTEXT // 4]
        changed = torch.where(inside, (tokens + 1 + seed) % VOCABULARY, tokens)
        before, after = model(tokens, None, documents), model(changed, None, documents)
        assert torch.equal(before[~inside], after[~inside])
        assert not torch.allclose(before[inside], after[inside])
        # without masks the documents after it do change: the mask is what keeps them apart
        assert not torch.equal(model(tokens)[~inside], model(changed)[~inside])


def test_a_document_in_a_pack_has_the_scores_that_it_has_alone() -> None:
    # rotary positions count distances only
    model = decoder(window=7, global_every=2)
    tokens, _, documents = packed()
    for number in range(int(documents[0].max()) + 1):
        inside = documents[0] == number
        if not inside.any():
            continue
        alone = model(tokens[:1, inside])
        assert torch.allclose(alone[0], model(tokens, None, documents)[0, inside], atol=1e-5)


@pytest.mark.parametrize("window", [1, 2, 7, CONTEXT - 1])
def test_a_window_shows_exactly_so_many_tokens(window: int) -> None:
    model = decoder(layers=1, window=window)
    tokens, _, _ = packed()
    last = CONTEXT - 1
    for distance in {0, 1, window - 1, window, last} - {CONTEXT}:
        changed = tokens.clone()
        changed[:, last - distance] = (changed[:, last - distance] + 1) % VOCABULARY
        same = torch.equal(model(tokens)[:, last], model(changed)[:, last])
        assert same == (distance >= window)


def test_every_so_many_blocks_one_sees_everything() -> None:
    windows = [settings_of(window=9, global_every=3).window_of(n) for n in range(7)]
    assert windows == [9, 9, None, 9, 9, None, 9]
    assert [settings_of(window=9, global_every=1).window_of(n) for n in range(2)] == [None, None]


@pytest.mark.parametrize("changes", VARIANTS)
def test_flex_attention_sees_what_the_written_mask_says(
    changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    # not compiled: the same definition, with the scores written out; on the CPU without gradient
    monkeypatch.setattr(attention, "_flex_kernel", lambda: flex_attention)
    tokens, _, documents = packed()
    written, flex = decoder(**changes), decoder(**changes)
    flex.backend = "flex"
    with torch.no_grad():
        for numbers in (documents, None):
            expected = written(tokens, None, numbers)
            assert torch.allclose(flex(tokens, None, numbers), expected, atol=1e-5)


@pytest.mark.parametrize("window", [None, 6])
def test_varlen_attention_gets_the_bounds_of_documents(
    window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_document(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        cu_seq_q: Tensor,
        cu_seq_k: Tensor,
        max_q: int,
        max_k: int,
        *,
        window_size: tuple[int, int],
        enable_gqa: bool,
    ) -> Tensor:
        """What torch documents: (W, 0) is W tokens before and the token itself, -1 all of them."""
        assert torch.equal(cu_seq_q, cu_seq_k)
        assert cu_seq_q.dtype == torch.int32
        assert max_q == max_k == int(cu_seq_q.diff().max())
        before, after = window_size
        assert after == 0
        mixed = []
        for first, end in zip(cu_seq_q[:-1].tolist(), cu_seq_q[1:].tolist(), strict=True):
            distance = torch.arange(end - first)[:, None] - torch.arange(end - first)
            mask = (distance >= 0) & ((distance <= before) | (before == -1))
            q, k, v = (x[first:end].transpose(0, 1)[None] for x in (query, key, value))
            mixed.append(
                F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=enable_gqa)
            )
        return torch.cat(mixed, dim=2)[0].transpose(0, 1)

    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", by_document)
    tokens, _, documents = packed()
    written, varlen = decoder(window=window), decoder(window=window)
    varlen.backend = "varlen"
    for numbers in (documents, None):
        expected = written(tokens, None, numbers)
        assert torch.allclose(varlen(tokens, None, numbers), expected, atol=1e-5)


def test_kernels_are_chosen_and_refused_by_what_they_can(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(**changes: object) -> str:
        return resolve(Settings.model_validate(changes)).attention

    with pytest.raises(UsageError, match="varlen needs a CUDA device: set attention=sdpa"):
        chosen(attention="varlen", device="cpu")
    assert chosen(document_masks=True, device="cpu") == "sdpa"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda: (9, 0))
    narrow = {"width": 24, "heads": 3}
    assert chosen() == "sdpa"
    assert chosen(document_masks=True) == chosen(model={"window": 9}) == "flex"
    assert chosen(document_masks=True, model=narrow | {"kv_heads": 3}) == "sdpa"
    assert chosen(attention="varlen") == "varlen"
    for changes, message in (
        ({"attention": "varlen", "precision": "fp32"}, "varlen needs precision=bf16"),
        ({"attention": "varlen", "model": {"width": 48}}, "multiple of 8 and at most 256, .* 12"),
        ({"attention": "flex", "model": {"width": 48}}, "flex needs heads 16 wide at least, .* 12"),
    ):
        with pytest.raises(UsageError, match=message):
            chosen(**changes)


@pytest.mark.parametrize("changes", VARIANTS)
@pytest.mark.parametrize("every", [1, 2])
def test_computing_blocks_again_changes_no_bit(changes: dict[str, object], every: int) -> None:
    batch = packed()
    kept, again = decoder(**changes, dropout=0.1), decoder(**changes, dropout=0.1)
    again.recompute = every
    found = []
    for model in (kept, again):
        torch.manual_seed(3)
        found.append((model(*batch).objective.detach(), gradients(model, *batch)))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1].keys() == found[1][1].keys()
    assert all(torch.equal(gradient, found[1][1][name]) for name, gradient in found[0][1].items())


def test_the_gradient_of_a_tied_matrix_is_that_of_both_its_uses() -> None:
    tokens, targets, documents = packed()
    model = decoder()
    scores = model(tokens, None, documents)
    expected = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="sum")
    torch.autograd.backward(expected)
    plain = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    ours = gradients(model, tokens, targets, documents)
    assert torch.allclose(model(tokens, targets, documents).nats, expected.detach())
    assert plain.keys() == ours.keys()
    assert all(torch.allclose(ours[name], plain[name], atol=1e-4) for name in plain)
    # a second backward before the step adds to it
    model(tokens, targets, documents).objective.backward()
    assert model.head.weight.grad is not None
    assert torch.allclose(model.head.weight.grad, 2 * plain["embedding.weight"], atol=1e-4)


def test_one_expert_is_a_dense_network() -> None:
    dense, mixture = decoder(), decoder(experts=1, experts_per_token=1)
    state = dense.state_dict()
    for name in list(state):
        if ".feed_forward." in name:
            renamed = name.replace(".feed_forward.", ".feed_forward.experts.0.")
            state[renamed] = state.pop(name)
    for name, tensor in mixture.state_dict().items():
        if "router" in name:
            state[name] = tensor
    mixture.load_state_dict(state)
    tokens, _, documents = packed()
    assert torch.equal(dense(tokens, None, documents), mixture(tokens, None, documents))


def test_each_token_gets_the_weighted_sum_of_its_experts_and_none_is_dropped() -> None:
    torch.manual_seed(2)
    layer = Experts(settings_of(experts=5, experts_per_token=2))
    x = torch.randn(2, 9, 64)
    # all want the same two: a layer with a capacity would drop most of them
    with torch.no_grad():
        layer.router.weight[:] = 0
        layer.router.weight[1:3] = layer.router.weight.new_tensor([[2.0], [1.0]]) / 64
    x = x.abs()
    mixed, imbalance = layer(x)
    weights = layer.router(x)[..., 1:3].softmax(-1)
    parts = torch.stack([layer.experts[n](x) for n in (1, 2)], dim=-1)
    assert torch.allclose(mixed, (parts * weights[..., None, :]).sum(-1), atol=1e-6)
    assert bool((imbalance > 1).all())


def test_imbalance_is_one_when_experts_are_used_alike_and_reaches_the_router() -> None:
    layer = Experts(settings_of(experts=4, experts_per_token=4))
    _, imbalance = layer(torch.randn(3, 8, 64))
    assert torch.allclose(imbalance, torch.ones(3))
    one_each = Experts(settings_of(experts=4, experts_per_token=1))
    with torch.no_grad():
        one_each.router.weight[:] = torch.eye(4, 64)
    x = torch.zeros(1, 8, 64)
    x[0, :, :4] = torch.eye(4).repeat(2, 1)
    assert torch.allclose(one_each(x)[1], torch.ones(1))

    tokens, targets, documents = packed()
    with_balance = gradients(decoder(experts=4, balance=0.5), tokens, targets, documents)
    without = gradients(decoder(experts=4, balance=0.0), tokens, targets, documents)
    router = "blocks.0.feed_forward.router.weight"
    assert bool(without[router].abs().sum() > 0)
    assert not torch.allclose(with_balance[router], without[router])
    # what nobody chose has a gradient too: processes exchange the same tensors
    crowded = decoder(experts=40, experts_per_token=1)
    assert len(gradients(crowded, tokens[:1, :20], targets[:1, :20])) == len(
        list(crowded.parameters())
    )


def test_experts_that_few_tokens_chose_give_the_same_bits_as_those_that_many_did() -> None:
    layer = Experts(settings_of(experts=3, experts_per_token=1))
    x = torch.randn(1, 40, 64)
    whole, _ = layer(x)
    for length in (1, 3, 9):
        assert torch.equal(layer(x[:, :length])[0], whole[:, :length])


def test_what_others_chose_changes_no_bit_where_rows_end_between_instructions() -> None:
    layer = Experts(settings_of(experts=3, experts_per_token=2, feed_forward=33))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(4)
    for seed in range(20):
        torch.manual_seed(seed)
        x = torch.randn(1, 120, 64)
        other = torch.cat((torch.randn(1, 60, 64), x[:, 60:]), dim=1)
        assert torch.equal(layer(x)[0][:, 60:], layer(other)[0][:, 60:])


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_have_the_parameters_that_their_names_say(preset: str) -> None:
    settings = ModelSettings.model_validate({"preset": preset})
    with torch.device("meta"):
        model = Decoder(settings, vocab_size=16, context=8)
    named = float(preset[:-1]) * {"m": 1e6, "b": 1e9}[preset[-1]]
    assert count_parameters(model.blocks) == pytest.approx(named, rel=0.1)


def test_smoothing_and_z_loss_are_of_training_only() -> None:
    tokens, targets, documents = packed()
    model = decoder().eval()
    plain = model(tokens, targets, documents)
    assert torch.equal(plain.objective, plain.nats)
    trained = model(tokens, targets, documents, smoothing=0.2, z_loss=1e-2)
    assert torch.equal(trained.nats, plain.nats)
    assert not torch.allclose(trained.objective, plain.objective)


@pytest.mark.parametrize("changes", VARIANTS)
def test_bf16_gives_about_the_loss_of_fp32(changes: dict[str, object]) -> None:
    batch = packed()
    model = decoder(**changes)
    exact, exact_gradients = model(*batch), gradients(model, *batch)
    exact_gradients = {name: g.clone() for name, g in exact_gradients.items()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model(*batch, smoothing=0.1, z_loss=1e-4)
        assert rounded.nats.dtype == rounded.objective.dtype == torch.float32
        objective = model(*batch).objective
    assert rounded.nats.item() == pytest.approx(exact.nats.item(), rel=2e-3)
    model.zero_grad()
    objective.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32
        if "router" in name or "experts" in name:  # rounding sends a few tokens elsewhere
            continue
        difference = (parameter.grad - exact_gradients[name]).norm()
        assert difference < 0.1 * exact_gradients[name].norm(), name


@pytest.mark.parametrize("rows", [3, 96])
def test_ignored_targets_count_nothing_wherever_they_stand(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCORE_BYTES, "cpu", rows * VOCABULARY * 4)
    torch.manual_seed(4)
    hidden = torch.randn((31, 16), requires_grad=True)
    weight = torch.randn((VOCABULARY, 16), requires_grad=True)
    # not contiguous, with pieces that have nothing to predict
    targets = torch.randint(0, VOCABULARY, (31, 2))[:, 0]
    targets[3:17] = IGNORED
    loss = summed_loss(hidden, weight, targets, smoothing=0.1, z_loss=1e-3)
    whole = F.cross_entropy(hidden @ weight.T, targets, reduction="sum")
    assert torch.allclose(loss.nats, whole)
    ours = torch.autograd.grad(loss.objective, (hidden, weight))
    assert not bool(ours[0][3:17].any())
    valid = targets != IGNORED
    fewer = summed_loss(hidden[valid], weight, targets[valid], smoothing=0.1, z_loss=1e-3)
    expected = torch.autograd.grad(fewer.objective, (hidden, weight))
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(ours, expected, strict=True))

    none = summed_loss(hidden, weight, torch.full_like(targets, IGNORED), z_loss=1e-3)
    assert none.objective.item() == none.nats.item() == 0
    assert not any(bool(g.any()) for g in torch.autograd.grad(none.objective, (hidden, weight)))
    empty = summed_loss(hidden[:0], weight, targets[:0])
    assert empty.nats.item() == 0


def test_scores_far_apart_give_a_finite_loss() -> None:
    hidden = torch.tensor([[400.0], [-400.0]], requires_grad=True)
    weight = torch.tensor([[1.0], [-1.0], [0.0]], requires_grad=True)
    loss = summed_loss(hidden, weight, torch.tensor([1, 1]))
    assert loss.nats.item() == pytest.approx(800.0)
    hidden_grad, weight_grad = torch.autograd.grad(loss.objective, (hidden, weight))
    assert hidden_grad.flatten().tolist() == [2.0, 0.0]
    assert weight_grad.flatten().tolist() == [400.0, -400.0, 0.0]


def test_the_benchmarks_plain_decoder_is_the_same_function() -> None:
    ours, plain = benchmark_model(16), PlainDecoder(16)
    plain.load_state_dict(plain_names(ours.state_dict()))
    batch = next(zipf_batches(1, 16))
    loss = ours(batch.inputs, batch.targets).nats / 16
    expected = F.cross_entropy(plain(batch.inputs).flatten(0, 1), batch.targets.flatten())
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
