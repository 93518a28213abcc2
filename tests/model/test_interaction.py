"""The interaction equals a loop over nodes, ignores padding, and separates near-twins."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from sgmn.model.interaction import Interaction

GROUPS, CLIPS, PRODUCTS, DIM, HEADS, NEIGHBORS = 3, 4, 7, 16, 4, 3
Groups = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def draw_groups(seed: int = 0) -> Groups:
    """Group 0 is complete; 1 has two clips and five products; 2 has clips but no products."""
    torch.manual_seed(seed)
    clips = normalize(torch.randn(GROUPS, CLIPS, DIM), dim=-1)
    products = normalize(torch.randn(GROUPS, PRODUCTS, DIM), dim=-1)
    clip_mask = torch.ones(GROUPS, CLIPS).bool()
    product_mask = torch.ones(GROUPS, PRODUCTS).bool()
    clip_mask[1, 2:], product_mask[1, 5:], product_mask[2] = False, False, False
    clips, products = clips * clip_mask.unsqueeze(-1), products * product_mask.unsqueeze(-1)
    return clips, clip_mask, products, product_mask, torch.rand(GROUPS, CLIPS, PRODUCTS)


def build_interaction(seed: int = 4) -> Interaction:
    """An interaction with open gates whose parameters all differ from their initial values."""
    torch.manual_seed(seed)
    interaction = Interaction(DIM, HEADS, NEIGHBORS)
    with torch.no_grad():
        for parameter in interaction.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return interaction


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


class Loop:
    """The formula for one group without padding: one node, head and neighbor at a time."""

    def __init__(self, interaction: Interaction, group: Groups) -> None:
        clips, _, products, _, self.relevance = (tensor[0] for tensor in group)
        self.interaction, self.clip_count = interaction, len(clips)
        self.nodes = torch.cat([clips, products])
        self.kinds = [0] * len(clips) + [1] * len(products)
        logits = interaction.cosine_logits
        self.queries, self.keys, self.values = (
            layer(self.nodes).view(len(self.nodes), HEADS, -1)
            for layer in (logits.query, logits.key, interaction.value)
        )

    def affinity(self, i: int, j: int) -> Tensor:
        if self.kinds[i] == self.kinds[j]:
            return self.nodes[i] @ self.nodes[j] - 1
        return self.relevance[min(i, j), max(i, j) - self.clip_count]

    def logit(self, i: int, j: int, head: int) -> Tensor:
        query, key, net = self.queries[i, head], self.keys[j, head], self.interaction
        cosine = query @ key / (query @ query + 1e-4).sqrt() / (key @ key + 1e-4).sqrt()
        same_kind = self.kinds[i] == self.kinds[j]
        scale = (
            net.log_similarity_scale[head].exp() if same_kind else 10 * net.relevance_scale[head]
        )
        logit: Tensor = cosine / net.cosine_logits.log_temperature[head].exp()
        return (
            logit + scale * self.affinity(i, j) + net.kind_bias[head, self.kinds[i], self.kinds[j]]
        )

    def neighbors(self, i: int) -> list[int]:
        senders = [i]
        for kind in (0, 1):
            others = [j for j, other in enumerate(self.kinds) if other == kind and j != i]
            senders += sorted(others, key=lambda j: -self.affinity(i, j).item())[:NEIGHBORS]
        return senders

    def update(self, i: int) -> Tensor:
        message = torch.zeros(HEADS, DIM // HEADS)
        senders = self.neighbors(i)
        for head in range(HEADS):
            attention = torch.softmax(torch.stack([self.logit(i, j, head) for j in senders]), 0)
            for weight, j in zip(attention, senders, strict=True):
                gate = 10 * self.interaction.gate[head, self.kinds[i], self.kinds[j]]
                difference = self.values[j, head] - self.values[i, head]
                message[head] = message[head] + gate * weight * difference
        return normalize(self.nodes[i] + self.interaction.out(message.flatten()), dim=0)


@torch.no_grad()
def test_equals_a_loop_over_nodes() -> None:
    clips, clip_mask, products, product_mask, relevance = (t[:1] for t in draw_groups())
    group = (clips, clip_mask, products, product_mask, relevance)
    new_clips, new_products = build_interaction()(*group)
    loop = Loop(build_interaction(), group)
    expected = torch.stack([loop.update(i) for i in range(CLIPS + PRODUCTS)])
    assert_close(torch.cat([new_clips[0], new_products[0]]), expected)


def test_an_untrained_interaction_is_the_identity() -> None:
    clips, _, products, *_ = draw_groups()
    new_clips, new_products = Interaction(DIM)(*draw_groups())
    assert_close(new_clips, clips)
    assert_close(new_products, products)


def test_vectors_have_length_one_and_are_zero_at_padding() -> None:
    clips, clip_mask, products, product_mask, _ = draw_groups()
    new_clips, new_products = build_interaction()(*draw_groups())
    assert_close(new_clips.norm(dim=-1), clip_mask.float())
    assert_close(new_products.norm(dim=-1), product_mask.float())
    assert (new_clips - clips)[clip_mask].norm(dim=-1).median() > 0.01
    assert (new_products - products)[product_mask].norm(dim=-1).median() > 0.01


def test_vectors_follow_the_order_of_products() -> None:
    clips, clip_mask, products, product_mask, relevance = draw_groups()
    # A product that is listed twice: ties must not depend on the order either.
    products[0, 3], relevance[0, :, 3] = products[0, 1], relevance[0, :, 1]
    order = torch.randperm(PRODUCTS)
    interaction = build_interaction()
    expected = interaction(clips, clip_mask, products, product_mask, relevance)
    permuted = (products[:, order], product_mask[:, order], relevance[:, :, order])
    new_clips, new_products = interaction(clips, clip_mask, *permuted)
    assert_close(new_clips, expected[0])
    assert_close(new_products, expected[1][:, order])


def test_a_single_group_equals_the_group_in_a_batch() -> None:
    batched_clips, batched_products = build_interaction()(*draw_groups())
    for row, (width, shelf) in enumerate([(CLIPS, PRODUCTS), (2, 5), (CLIPS, 0)]):
        clips, clip_mask, products, product_mask, relevance = (t[[row]] for t in draw_groups())
        new_clips, new_products = build_interaction()(
            clips[:, :width],
            clip_mask[:, :width],
            products[:, :shelf],
            product_mask[:, :shelf],
            relevance[:, :width, :shelf],
        )
        assert_close(new_clips, batched_clips[[row], :width])
        assert_close(new_products, batched_products[[row], :shelf])


def test_padding_affects_neither_output_nor_gradient() -> None:
    clips, clip_mask, products, product_mask, relevance = draw_groups()
    pair_mask = clip_mask.unsqueeze(2) & product_mask.unsqueeze(1)
    noisy_clips = torch.where(clip_mask.unsqueeze(-1), clips, 3.0).requires_grad_()
    noisy_products = torch.where(product_mask.unsqueeze(-1), products, 3.0).requires_grad_()
    noisy_relevance = torch.where(pair_mask, relevance, 3.0).requires_grad_()
    interaction = build_interaction()
    new_clips, new_products = interaction(
        noisy_clips, clip_mask, noisy_products, product_mask, noisy_relevance
    )
    expected = interaction(*draw_groups())
    assert_close(new_clips, expected[0])
    assert_close(new_products, expected[1])
    target = torch.linspace(-1, 1, DIM)
    ((new_clips @ target).sum() - (new_products @ target).sum()).backward()
    for values, mask in (
        (noisy_clips, clip_mask),
        (noisy_products, product_mask),
        (noisy_relevance, pair_mask),
    ):
        assert values.grad is not None and values.grad.isfinite().all()
        assert not values.grad[~mask].any()
        assert values.grad[0].any()


@pytest.mark.parametrize("untrained", [True, False])
def test_parameters_have_gradients(untrained: bool) -> None:
    """All parameters; before training, only those of the gates."""
    interaction = Interaction(DIM) if untrained else build_interaction()
    clips, products = interaction(*draw_groups())
    (clips @ products.mT).square().sum().backward()
    for name, parameter in interaction.named_parameters():
        if name == "gate" or not untrained:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_a_distant_product_has_no_effect() -> None:
    """A product that is no neighbor of any node changes no vector."""
    clips, clip_mask, products, product_mask, relevance = (t[:1] for t in draw_groups())
    products[0, 6], relevance[0, :, 6] = -products[0, :6].sum(0) / 10, -1.0
    interaction = build_interaction()
    before = interaction(clips, clip_mask, products, product_mask, relevance)
    product_mask[0, 6] = False
    after = interaction(clips, clip_mask, products, product_mask, relevance)
    assert_close(after[0], before[0])
    assert_close(after[1][:, :6], before[1][:, :6])


def test_a_negative_gate_separates_twins_along_their_difference() -> None:
    torch.manual_seed(0)
    shared, detail = normalize(torch.randn(2, DIM), dim=-1)
    twins = normalize(torch.stack([shared + 0.2 * detail, shared - 0.2 * detail]), dim=-1)
    interaction = Interaction(DIM)
    interaction.gate.data[:, 1, 1] = -0.2
    mask = torch.ones(1, 2).bool()
    no_clips, no_relevance = torch.zeros(1, 0, DIM), torch.zeros(1, 0, 2)
    _, products = interaction(no_clips, mask[:, :0], twins.unsqueeze(0), mask, no_relevance)
    assert products[0, 0] @ products[0, 1] < twins[0] @ twins[1] - 0.05
    difference = normalize(products[0, 0] - products[0, 1], dim=0)  # heads differ slightly
    assert difference @ normalize(twins[0] - twins[1], dim=0) > 0.99
