"""Attention, rollout and Chefer's relevance, on every way of writing attention."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import torchvision_operators  # noqa: F401 (timm and torchvision import torchvision)
from nets import Convolutional, Transformer, TransformerBlock, images
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import foveal
from foveal.core import ModelError
from foveal.explainers.attention import Attention, AttentionRollout, Chefer
from foveal.explainers.explicit_attention import ExplicitAttention

ALL = [Attention(), AttentionRollout(), Chefer()]
NAMES = ["attention", "rollout", "chefer"]


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * float(other.abs().max()))


# The slow twin: attention by hand from the model's weights, and the papers' products in full.


def matrices(model: Transformer, image: Tensor, target: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and gradients of each block, (head, token, token), by matrix products and softmax."""
    patches = model.patches(image[None]).flatten(2).transpose(1, 2)
    tokens = torch.cat([model.token, patches], dim=1) + model.positions
    kept = []
    for block in model.blocks:
        normed = block.before(tokens)[0]
        query, key, value = (normed @ w.T + b for w, b in zip(
            block.qkv.weight.chunk(3), block.qkv.bias.chunk(3), strict=True))  # fmt: skip
        weights, heads = [], []
        for q, k, v in zip(query.chunk(3, 1), key.chunk(3, 1), value.chunk(3, 1), strict=True):
            exponents = (q @ k.T / 4**0.5).exp()
            weights.append(exponents / exponents.sum(dim=1, keepdim=True))
            heads.append(weights[-1] @ v)
        kept.append(weights)
        tokens = tokens + block.mix(torch.cat(heads, dim=1))
        tokens = tokens + block.mlp(block.between(tokens))
    tokens = model.top(tokens)[0]
    score = model.head(tokens[0] if model.pool == "token" else tokens[1:].mean(dim=0))[target]
    found = []
    for weights in kept:
        gradient = torch.autograd.grad(score, weights, retain_graph=True)
        found.append(tuple(torch.stack(list(m)).detach().numpy() for m in (weights, gradient)))
    return found


def row_read(model: Transformer, matrix: np.ndarray) -> Tensor:
    """The class token's row, or the mean of the patches' rows, on the grid of 3 x 3 patches."""
    row = matrix[0] if model.pool == "token" else matrix[1:].mean(axis=0)
    return torch.as_tensor(row[1:].reshape(3, 3), dtype=torch.float32)


def rollout_by_hand(found):
    total = np.eye(10)
    for weights, _ in found:
        mixed = (weights.mean(axis=0) + np.eye(10)) / 2
        total = mixed / mixed.sum(axis=1, keepdims=True) @ total
    return total


def chefer_by_hand(found):
    relevance = np.eye(10)
    for weights, gradient in found:
        relevance = relevance + np.maximum(gradient * weights, 0).mean(axis=0) @ relevance
    return relevance - np.eye(10)


@pytest.mark.parametrize("pool", ["token", "mean"])
def test_the_maps_are_the_papers_products_of_attention_worked_out_by_hand(pool):
    model, batch = Transformer(pool=pool).double(), images(2).double()
    maps = foveal.attribute(model, batch, ALL, target=[1, 3])
    for place, target in enumerate([1, 3]):
        found = matrices(model, batch[place], target)
        last = found[-1][0].mean(axis=0)
        close(maps["attention"][place], row_read(model, last))
        close(maps["rollout"][place], row_read(model, rollout_by_hand(found)))
        close(maps["chefer"][place], row_read(model, chefer_by_hand(found)))


def test_a_block_and_a_head_can_be_chosen():
    model, batch = Transformer().double(), images(1).double()
    found = matrices(model, batch[0], 0)
    for block, head in [(0, 2), (1, 0), (-2, 1)]:
        explainer = Attention(block=block, head=head)
        chosen = foveal.attribute(model, batch, explainer, target=0)["attention"][0]
        close(chosen, row_read(model, found[block][0][head]))


def test_rollout_of_even_attention_is_known():
    model = Transformer()
    for block in model.blocks:
        nn.init.zeros_(block.qkv.weight)
    rolled = foveal.attribute(model, images(1), AttentionRollout())["rollout"]
    # (J/10 + I)/2 squared is (3 J/10 + I)/4, with J a matrix of ones.
    torch.testing.assert_close(rolled, torch.full((1, 3, 3), 0.075))


def test_discarding_sets_the_smallest_weights_to_zero():
    model, batch = Transformer().double(), images(1).double()
    found = []
    for weights, gradient in matrices(model, batch[0], 0):
        mean = weights.mean(axis=0)
        mean[mean < np.sort(mean, axis=None)[60]] = 0
        found.append((mean[None], gradient))
    discarded = foveal.attribute(model, batch, AttentionRollout(discard=0.6), target=0)["rollout"]
    close(discarded[0], row_read(model, rollout_by_hand(found)))


# Every way in which attention is written.

SMALL = {"img_size": 64, "embed_dim": 48, "depth": 2, "num_heads": 3, "num_classes": 3}


def timm_net(name, **arguments):
    import timm

    return timm.create_model(name, **{**SMALL, **arguments})


def torchvision_net():
    from torchvision.models import VisionTransformer

    net = VisionTransformer(image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16,
                            mlp_dim=32, num_classes=3)  # fmt: skip
    nn.init.normal_(net.heads.head.weight)
    return net


class FirstOutput(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, batch):
        return self.net(batch)[0]


def monai_net(sides, channels, **arguments):
    from monai.networks.nets import ViT

    return FirstOutput(
        ViT(in_channels=channels, img_size=sides, patch_size=8, hidden_size=24, mlp_dim=48,
            num_layers=2, num_heads=3, spatial_dims=len(sides), classification=True, num_classes=3,
            **arguments)
    )  # fmt: skip


class Eager(TransformerBlock):
    """As in Hugging Face's eager form: softmax in float32, dropout in place."""

    def attend(self, query, key, value):
        scores = torch.matmul(query, key.transpose(-1, -2)) * query.shape[-1] ** -0.5
        weights = nn.functional.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
        weights = nn.functional.dropout(weights, p=0.1, training=self.training, inplace=True)
        return torch.matmul(weights, value).contiguous()


class ChangesInPlace(Eager):
    def attend(self, query, key, value):
        return (query @ key.transpose(-1, -2) * 0.5).softmax(-1).mul_(1) @ value


class Checkpointed(TransformerBlock):
    def forward(self, tokens):
        return checkpoint(super().forward, tokens, use_reentrant=False)


def same_weights(kind):
    """The tiny transformer with its attention written in another way."""
    net, source = Transformer(), Transformer().state_dict()
    net.blocks = nn.ModuleList(kind(12, heads=3) for _ in range(2))
    net.load_state_dict(source)
    return net


class Encoder(nn.Module):
    """torch's own encoder layers, whose fast path in eval mode shows nothing."""

    def __init__(self, batch_first):
        super().__init__()
        torch.manual_seed(0)
        self.first = batch_first
        self.patches = nn.Conv2d(3, 12, 8, stride=8)
        layer = nn.TransformerEncoderLayer(12, 2, 24, batch_first=batch_first, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(12, 3)

    def forward(self, batch):
        tokens = self.patches(batch).flatten(2).transpose(1, 2)
        if self.first:
            return self.head(self.layers(tokens).mean(dim=1))
        return self.head(self.layers(tokens.transpose(0, 1)).mean(dim=0))


class AsksForWeights(nn.Module):
    """Attention whose weights the model itself uses."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 12, 8, stride=8)
        self.attention = nn.MultiheadAttention(12, 2, batch_first=True)
        self.mlp, self.head = nn.Linear(12, 12), nn.Linear(12, 3)

    def forward(self, batch):
        tokens = self.mlp(self.patches(batch).flatten(2).transpose(1, 2))
        mixed, weights = self.attention(tokens, tokens, tokens)
        return self.head((weights @ mixed).mean(dim=1))


NETS = [
    pytest.param(lambda: timm_net("vit_small_patch16_224"), (3, 64, 64), (4, 4), 1, 1,
                 id="timm ViT with class token"),
    pytest.param(lambda: timm_net("vit_small_patch16_224", global_pool="avg"), (3, 64, 64), (4, 4),
                 16, 1, id="timm ViT, mean of patches beside a class token"),
    pytest.param(lambda: timm_net("vit_medium_patch16_reg4_gap_256"), (3, 64, 64), (4, 4), 16, 4,
                 id="timm ViT with registers, mean of patches"),
    pytest.param(lambda: timm_net("vit_small_patch14_reg4_dinov2", img_size=70), (3, 70, 70),
                 (5, 5), 1, 5, id="timm DINOv2 with registers"),
    pytest.param(lambda: timm_net("deit_small_distilled_patch16_224"), (3, 64, 64), (4, 4), 2, 2,
                 id="timm DeiT distilled"),
    pytest.param(lambda: timm_net("beit_base_patch16_224"), (3, 64, 64), (4, 4), 16, 1,
                 id="timm BEiT, a bias added to the attention"),
    pytest.param(lambda: timm_net("vit_small_patch16_224", img_size=(48, 80)), (3, 48, 80), (3, 5),
                 1, 1, id="not square"),
    pytest.param(torchvision_net, (3, 32, 32), (4, 4), 1, 1, id="torchvision ViT"),
    pytest.param(lambda: monai_net((32, 48), 3), (3, 32, 48), (4, 6), 1, 1, id="MONAI ViT"),
    pytest.param(lambda: monai_net((16, 32, 24), 1), (1, 16, 32, 24), (2, 4, 3), 1, 1,
                 id="MONAI ViT of volumes"),
    pytest.param(lambda: Encoder(True), (3, 24, 24), (3, 3), 9, 0, id="torch encoder layers"),
    pytest.param(lambda: Encoder(False), (3, 24, 24), (3, 3), 9, 0,
                 id="torch encoder layers, tokens first"),
    pytest.param(AsksForWeights, (3, 24, 24), (3, 3), 9, 0, id="weights used by the model"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "shape", "grid", "read", "without_place"), NETS)
def test_a_transformer_of_any_library_is_seen_and_not_changed(
    make, shape, grid, read, without_place
):
    torch.manual_seed(0)
    model = make().eval()
    batch = torch.rand(2, *shape)
    before = model(batch)
    maps = foveal.attribute(model, batch, ALL, target=1)
    assert torch.equal(model(batch), before)
    for name in NAMES:
        assert tuple(maps[name].shape) == (2, *grid)
        assert maps.info[name].reasons == (None, None)
        alone = foveal.attribute(model, batch[1:], ALL, target=1)[name]
        close(maps[name][1:], alone)
        assert maps.info[name].parts["tokens_read"].tolist() == [read, read]
        assert maps.info[name].parts["tokens_without_place"] == without_place
    torch.testing.assert_close(maps.info["chefer"].scores, before[:, 1].detach())


def hooked(part, where):
    """What goes into or comes out of a part, for a capture that has nothing to do with ours."""
    part.register_forward_hook(lambda _, given, output: where.append((given, output)))


def test_timm_without_fused_attention_gives_the_same_and_what_its_dropout_is_given():
    model = timm_net("vit_small_patch16_224").eval()
    batch = torch.rand(1, 3, 64, 64)
    fused = foveal.attribute(model, batch, ALL, target=2)
    seen = []
    for block in model.blocks:
        assert block.attn.fused_attn
        block.attn.fused_attn = False
    hooked(model.blocks[-1].attn.attn_drop, seen)
    explicit = foveal.attribute(model, batch, ALL, target=2)
    for name in NAMES:
        close(fused[name], explicit[name])
    ((weights,), _) = seen[0]
    close(fused["attention"][0].flatten(), weights.detach()[0].mean(dim=0)[0, 1:])


def test_torchvision_gives_what_its_attention_says_when_asked():
    model, batch = torchvision_net().eval(), torch.rand(1, 3, 32, 32)
    seen = []
    attention = model.encoder.layers[-1].self_attention
    hooked(attention, seen)
    with torch.no_grad():
        model(batch)
    (query, *_), _ = seen[0]
    _, expected = attention(query, query, query, need_weights=True, average_attn_weights=False)
    for head in range(2):
        map_ = foveal.attribute(model, batch, Attention(head=head), target=0)["attention"]
        close(map_[0].flatten(), expected[0, head, 0, 1:].detach())


@pytest.mark.parametrize("kind", [Eager, ChangesInPlace, Checkpointed])
def test_the_way_attention_is_written_changes_nothing(kind):
    batch = images(2)
    expected = foveal.attribute(Transformer(), batch, ALL, target=1)
    got = foveal.attribute(same_weights(kind), batch, ALL, target=1)
    for name in NAMES:
        close(got[name], expected[name])


def test_blocks_run_again_in_a_backward_pass_are_seen_once():
    model, batch = same_weights(Checkpointed), images(1)
    maps = foveal.attribute(model, batch, [*ALL, "saliency"], target=1)
    assert maps.info["rollout"].parts["blocks"] == 2
    close(
        maps["saliency"], foveal.attribute(Transformer(), batch, "saliency", target=1)["saliency"]
    )


MASK = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])
SETTINGS = [
    pytest.param({}, id="plain"),
    pytest.param({"scale": 0.3}, id="scale"),
    pytest.param({"is_causal": True}, id="causal"),
    pytest.param({"attn_mask": MASK}, id="mask with a row that looks nowhere"),
    pytest.param({"attn_mask": torch.randn(3, 3)}, id="bias"),
    pytest.param({"enable_gqa": True}, id="shared keys"),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_explicit_form_is_the_fused_one(settings):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 3, 5).unbind(0)
    if "enable_gqa" in settings:
        key, value = key[:, :2], value[:, :2]
    fused = F.scaled_dot_product_attention(query, key, value, **settings)
    seen: list[Tensor] = []

    def saw(weights):
        seen.append(weights)
        return weights

    with ExplicitAttention(saw=saw, saw_softmax=lambda result, _: result):
        explicit = F.scaled_dot_product_attention(query, key, value, **settings)
    torch.testing.assert_close(explicit, fused)
    assert [tuple(weights.shape) for weights in seen] == [(2, 4, 3, 3)]


@pytest.mark.parametrize("average", [True, False])
def test_multi_head_attention_gives_the_weights_it_is_asked_for(average):
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    for tokens in (torch.randn(2, 5, 8), torch.randn(5, 8)):
        expected = attention(tokens, tokens, tokens, average_attn_weights=average)
        with ExplicitAttention(saw=lambda weights: weights, saw_softmax=lambda result, _: result):
            got = attention(tokens, tokens, tokens, average_attn_weights=average)
        torch.testing.assert_close(got, expected)


# What is shared, read and refused.


def test_all_three_share_one_forward_and_one_backward_with_other_methods():
    model, batch = Transformer(), images(2)
    together = foveal.attribute(model, batch, [*ALL, "gradcam", "saliency"], target=1, layers="top")
    assert model.count.forwards == [2]
    assert model.count.backwards == 1
    for explainer in ALL:
        close(
            together[explainer.name],
            foveal.attribute(model, batch, explainer, target=1)[explainer.name],
        )


def test_below_the_first_attention_nothing_needs_gradients():
    model = Transformer()
    foveal.attribute(model, images(2), ALL, target=1)
    assert model.count.backwards == 0


def test_a_score_without_gradient_reads_the_class_token():
    model, batch = Transformer(), images(1)
    expected = foveal.attribute(model, batch, ALL, target=1)
    nn.init.zeros_(model.head.weight)
    maps = foveal.attribute(model, batch, ALL, target=1)
    close(maps["attention"], expected["attention"])
    close(maps["rollout"], expected["rollout"])
    assert maps.info["chefer"].reasons == ("zero_map",)
    assert maps.info["rollout"].parts["tokens_read"].tolist() == [0]


class Unused(Transformer):
    """A second branch that the score does not depend on."""

    def forward(self, batch):
        self.blocks[0](torch.zeros(len(batch), 10, 12))
        return super().forward(batch)


def test_attention_that_the_score_does_not_depend_on_does_not_count():
    expected = foveal.attribute(Transformer(), images(1), ALL, target=1)
    maps = foveal.attribute(Unused(), images(1), ALL, target=1)
    for name in NAMES:
        close(maps[name], expected[name])


class TwoEyes(Transformer):
    def forward(self, batch):
        return super().forward(batch) + super().forward(batch.flip(-1))


class NoGradient(Transformer):
    def forward(self, batch):
        with torch.no_grad():
            features = super().forward(batch)
        return self.head(features.repeat(1, 3))


class OverChannels(nn.Module):
    """Cross-covariance attention: each channel looks at the channels."""

    def __init__(self):
        super().__init__()
        self.patches, self.head = nn.Conv2d(3, 8, 8, stride=8), nn.Linear(8, 3)

    def forward(self, batch):
        channels = self.patches(batch).flatten(2).unflatten(1, (2, 4))
        weights = (channels @ channels.transpose(-1, -2)).softmax(dim=-1)
        return self.head((weights @ channels).flatten(1, 2).mean(dim=2))


REFUSED = [
    pytest.param(Convolutional, 24, "no attention over the tokens.*gradcam", id="CNN"),
    pytest.param(OverChannels, 24, "no attention over the tokens", id="attention over channels"),
    pytest.param(lambda: timm_net("swin_tiny_patch4_window7_224", embed_dim=24, depth=None,
                                  depths=(1, 1), num_heads=(2, 2), window_size=4),
                 64, "in windows", id="Swin"),
    pytest.param(lambda: timm_net("cait_xxs24_224"), 64, "1 queries over 17", id="CaiT"),
    pytest.param(lambda: timm_net("vit_base_patch16_siglip_224"), 64, "1 queries over 16",
                 id="attention pooling"),
    pytest.param(TwoEyes, 24, "side by side", id="two images"),
    pytest.param(NoGradient, 24, "without gradients", id="no gradients"),
    pytest.param(lambda: Convolutional().forward, 24, "scores only", id="callable"),
]  # fmt: skip


@pytest.mark.parametrize("explainer", ALL, ids=NAMES)
@pytest.mark.parametrize(("make", "side", "message"), REFUSED)
def test_what_has_no_rule_is_refused_with_what_to_do(explainer, make, side, message):
    with pytest.raises(ModelError, match=message):
        foveal.attribute(make(), images(2, side), explainer, target=0)


class Pooled(Transformer):
    """Its tokens are pooled between the blocks."""

    def forward(self, batch):
        patches = self.patches(batch)
        first = self.blocks[0](patches.flatten(2).transpose(1, 2))
        grid = first.transpose(1, 2).reshape_as(patches)
        fewer = F.avg_pool2d(grid, 2).flatten(2).transpose(1, 2)
        return self.head(self.blocks[1](fewer).mean(dim=1))


def test_where_the_number_of_tokens_changes_only_the_last_attention_has_a_map():
    model, batch = Pooled(sides=(32, 32)), images(1, 32)
    assert foveal.attribute(model, batch, Attention(), target=0)["attention"].shape == (1, 2, 2)
    for explainer in (AttentionRollout(), Chefer()):
        with pytest.raises(ModelError, match="16 and then 4 of them"):
            foveal.attribute(model, batch, explainer, target=0)
    with pytest.raises(ModelError, match="choose a later block"):
        foveal.attribute(model, batch, Attention(block=0), target=0)


WRONG = [
    pytest.param(lambda: Attention(block=0.5), TypeError, "block", id="block"),
    pytest.param(lambda: Attention(head=True), TypeError, "head", id="head"),
    pytest.param(lambda: AttentionRollout(discard="0.9"), TypeError, "discard", id="share type"),
    pytest.param(lambda: AttentionRollout(discard=1.0), ValueError, r"in \[0, 1\)", id="share"),
    pytest.param(lambda: Attention(block=2), ValueError, "2, from 0 to 1", id="no such block"),
    pytest.param(lambda: Attention(head=-4), ValueError, "3, from 0 to 2", id="no such head"),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG)
def test_wrong_settings_say_what_is_possible(make, error, message):
    with pytest.raises(error, match=message):
        foveal.attribute(Transformer(), images(1), make(), target=0)


def test_bfloat16_changes_the_maps_little():
    model, batch = Transformer(), images(1)
    full = foveal.attribute(model, batch, ALL, target=1)
    half = foveal.attribute(model, batch, ALL, target=1, precision="bf16")
    for name in NAMES:
        assert half[name].dtype == torch.float32
        assert (half[name] - full[name]).abs().max() < 0.05 * full[name].abs().max()
