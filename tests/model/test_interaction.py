"""Clips and products that see each other, against a loop over nodes, and on near-twins."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from sgmn.model.interaction import Interaction

G, W, S, D, HEADS, NEAR = 3, 4, 7, 16, 4, 3
Groups = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def groups(seed: int = 0) -> Groups:
    """Group 0 is full; 1 has two clips and five products; 2 has clips and nothing to sell."""
    torch.manual_seed(seed)
    clips = normalize(torch.randn(G, W, D), dim=-1)
    products = normalize(torch.randn(G, S, D), dim=-1)
    clip_mask, product_mask = torch.ones(G, W).bool(), torch.ones(G, S).bool()
    clip_mask[1, 2:], product_mask[1, 5:], product_mask[2] = False, False, False
    clips, products = clips * clip_mask.unsqueeze(-1), products * product_mask.unsqueeze(-1)
    return clips, clip_mask, products, product_mask, torch.rand(G, W, S)


def trained(seed: int = 4) -> Interaction:
    """As after training: nothing is at its start, and the gates are open."""
    torch.manual_seed(seed)
    interaction = Interaction(D, HEADS, NEAR)
    with torch.no_grad():
        for parameter in interaction.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return interaction


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def by_loop(net: Interaction, group: Groups) -> tuple[Tensor, Tensor]:
    """One group of valid nodes: a node, a head and a neighbour at a time."""
    clips, _, products, _, relevance = (part[0] for part in group)
    nodes, count = torch.cat([clips, products]), len(clips)
    kinds = [0] * count + [1] * len(products)
    queries, keys, values = (
        layer(nodes).view(len(nodes), HEADS, -1)
        for layer in (net.cosine_logits.query, net.cosine_logits.key, net.value)
    )

    def bond(i: int, j: int) -> Tensor:
        if kinds[i] == kinds[j]:
            return nodes[i] @ nodes[j] - 1
        return relevance[min(i, j), max(i, j) - count]

    def logit(i: int, j: int, h: int) -> Tensor:
        lengths = [(row[h] @ row[h] + 1e-4).sqrt() for row in (queries[i], keys[j])]
        content = queries[i, h] @ keys[j, h] / lengths[0] / lengths[1]
        content = content / net.cosine_logits.log_temperature[h].exp()
        within = kinds[i] == kinds[j]
        scale = net.log_similarity_scale[h].exp() if within else 10 * net.relevance_scale[h]
        return content + scale * bond(i, j) + net.kind_bias[h, kinds[i], kinds[j]]

    out = []
    for i in range(len(nodes)):
        heard = [i]
        for kind in (0, 1):
            others = [j for j in range(len(nodes)) if kinds[j] == kind and j != i]
            heard += sorted(others, key=lambda j: -bond(i, j).item())[:NEAR]
        message = torch.zeros(HEADS, D // HEADS)
        for h in range(HEADS):
            shares = torch.softmax(torch.stack([logit(i, j, h) for j in heard]), 0)
            for share, j in zip(shares, heard, strict=True):
                gate = 10 * net.gate[h, kinds[i], kinds[j]]
                message[h] = message[h] + gate * share * (values[j, h] - values[i, h])
        out.append(normalize(nodes[i] + net.out(message.flatten()), dim=0))
    return torch.stack(out[:count]), torch.stack(out[count:])


@torch.no_grad()
def test_equals_a_loop_over_nodes() -> None:
    group: Groups = tuple(part[:1] for part in groups())  # type: ignore[assignment]
    seen, shown = trained()(*group)
    expected = by_loop(trained(), group)
    close(seen[0], expected[0])
    close(shown[0], expected[1])


def test_fresh_is_the_identity() -> None:
    clips, _, products, *_ = groups()
    seen, shown = Interaction(D)(*groups())
    close(seen, clips)
    close(shown, products)


def test_vectors_of_length_one_and_zero_at_padding() -> None:
    clips, clip_mask, products, product_mask, _ = groups()
    seen, shown = trained()(*groups())
    close(seen.norm(dim=-1), clip_mask.float())
    close(shown.norm(dim=-1), product_mask.float())
    assert (seen - clips)[clip_mask].norm(dim=-1).median() > 0.01
    assert (shown - products)[product_mask].norm(dim=-1).median() > 0.01


def test_a_permuted_shelf() -> None:
    clips, clip_mask, products, product_mask, relevance = groups()
    products[0, 3], relevance[0, :, 3] = products[0, 1], relevance[0, :, 1]  # listed twice
    order = torch.randperm(S)
    seen, shown = trained()(clips, clip_mask, products, product_mask, relevance)
    moved = (products[:, order], product_mask[:, order], relevance[:, :, order])
    again = trained()(clips, clip_mask, *moved)
    close(again[0], seen)
    close(again[1], shown[:, order])


def test_a_group_alone_is_the_group_in_a_batch() -> None:
    seen, shown = trained()(*groups())
    for row, (width, shelf) in enumerate([(W, S), (2, 5), (W, 0)]):
        clips, clip_mask, products, product_mask, relevance = (p[[row]] for p in groups())
        alone = trained()(
            clips[:, :width],
            clip_mask[:, :width],
            products[:, :shelf],
            product_mask[:, :shelf],
            relevance[:, :width, :shelf],
        )
        close(alone[0], seen[[row], :width])
        close(alone[1], shown[[row], :shelf])


def test_padding_changes_nothing_and_learns_nothing() -> None:
    clips, clip_mask, products, product_mask, relevance = groups()
    pairs = clip_mask.unsqueeze(2) & product_mask.unsqueeze(1)
    masks = (clip_mask, product_mask, pairs)
    values = [
        torch.where(mask if part is relevance else mask.unsqueeze(-1), part, 3.0).requires_grad_()
        for part, mask in zip((clips, products, relevance), masks, strict=True)
    ]
    net = trained()
    seen, shown = net(values[0], clip_mask, values[1], product_mask, values[2])
    before = net(*groups())
    close(seen, before[0])
    close(shown, before[1])
    ((seen @ torch.linspace(-1, 1, D)).sum() + (shown @ torch.linspace(1, -1, D)).sum()).backward()
    for part, mask in zip(values, masks, strict=True):
        assert part.grad is not None and part.grad.isfinite().all()
        assert not part.grad[~mask].any()
        assert part.grad[0].any()


@pytest.mark.parametrize("fresh", [True, False])
def test_everything_learns(fresh: bool) -> None:
    net = Interaction(D) if fresh else trained()
    seen, shown = net(*groups())
    (seen @ shown.mT).square().sum().backward()
    for name, parameter in net.named_parameters():
        if name == "gate" or not fresh:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_who_is_far_is_not_heard() -> None:
    """A product beyond the nearest of all nodes changes nobody."""
    clips, clip_mask, products, product_mask, relevance = (part[:1] for part in groups())
    products[0, 6], relevance[0, :, 6] = -products[0, :6].sum(0) / 10, -1.0
    net = trained()
    before = net(clips, clip_mask, products, product_mask, relevance)
    product_mask[0, 6] = False
    after = net(clips, clip_mask, products, product_mask, relevance)
    close(after[0], before[0])
    close(after[1][:, :6], before[1][:, :6])


def test_a_gate_below_zero_parts_twins_along_their_difference() -> None:
    torch.manual_seed(0)
    shared, detail = normalize(torch.randn(2, D), dim=-1)
    twins = normalize(torch.stack([shared + 0.2 * detail, shared - 0.2 * detail]), dim=-1)
    net = Interaction(D)
    net.gate.data[:, 1, 1] = -0.2
    there = torch.ones(1, 2).bool()
    none = torch.zeros(1, 0, D)
    _, shown = net(none, there[:, :0], twins.unsqueeze(0), there, torch.zeros(1, 0, 2))
    assert shown[0, 0] @ shown[0, 1] < twins[0] @ twins[1] - 0.05
    moved = normalize(shown[0, 0] - shown[0, 1], dim=0)  # each head weighs a little differently
    assert moved @ normalize(twins[0] - twins[1], dim=0) > 0.99
