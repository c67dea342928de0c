"""One weight per visit, for models that read a series of scans."""

import pytest
import torch
from torch import Tensor, nn

import foveal
from foveal.core import ModelError
from foveal.explainers.visits import VisitAttention

VISITS = 4


def series(count: int = 2, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, VISITS, 3, 6, 8, generator=generator)


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * float(other.abs().max()))


class Recurrent(nn.Module):
    """Each scan through a small trunk, the visits through a GRU, the last state to the head."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.trunk = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        self.gru = nn.GRU(5, 6, batch_first=True)
        self.head = nn.Linear(6, classes)

    def states(self, batch: Tensor) -> Tensor:
        scans = self.trunk(batch.flatten(0, 1)).flatten(1)
        return self.gru(scans.unflatten(0, batch.shape[:2]))[0]

    def forward(self, batch: Tensor) -> Tensor:
        return self.head(self.states(batch)[:, -1])


class Attentive(Recurrent):
    """A softmax over the visits weighs their states; subclasses write it in other ways."""

    def __init__(self) -> None:
        super().__init__()
        self.energy = nn.Linear(6, 1)
        nn.init.normal_(self.energy.weight, std=3)

    def forward(self, batch: Tensor) -> Tensor:
        states = self.states(batch)
        self.kept = weights = self.energy(states).softmax(dim=1)
        return self.head((weights * states).sum(dim=1))


class Flat(Attentive):
    def forward(self, batch):
        states = self.states(batch)
        weights = torch.softmax(self.energy(states).squeeze(2), -1)
        self.kept = weights[:, :, None]
        return self.head(torch.einsum("bv,bvf->bf", weights, states))


class VisitsFirst(Attentive):
    def forward(self, batch):
        states = self.states(batch).transpose(0, 1)
        weights = nn.functional.softmax(self.energy(states), dim=0)
        self.kept = weights.transpose(0, 1)
        return self.head((weights * states).sum(dim=0))


class ReturnsWeights(Attentive):
    def forward(self, batch):
        return {"logits": super().forward(batch), "weights": self.kept}


class Pooling(Attentive):
    """A learned query looks at the visits by torch's own attention, with two heads."""

    def __init__(self):
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, 6))
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, batch):
        states = self.states(batch)
        query = self.query.expand(len(batch), -1, -1)
        pooled, weights = self.attention(query, states, states, need_weights=True)
        self.kept = weights.transpose(1, 2)
        return self.head(pooled[:, 0])


class LastOfItself(Pooling):
    """The visits look at each other, and the last of them is read."""

    def forward(self, batch):
        states = self.states(batch)
        mixed, weights = self.attention(states, states, states, need_weights=True)
        self.kept = weights[:, -1, :, None]
        return self.head(mixed[:, -1])


def logit(output: object) -> Tensor:
    return (output["logits"] if isinstance(output, dict) else output)[:, 1]  # type: ignore[index]


ATTENTIVE = [Attentive, Flat, VisitsFirst, ReturnsWeights, Pooling, LastOfItself]


@pytest.mark.parametrize("kind", ATTENTIVE)
def test_the_models_own_weights_are_found(kind):
    model, batch = kind().eval(), series()
    maps = foveal.attribute(model, batch, VisitAttention(), target=logit)
    parts = maps.info["visits"].parts
    model(batch)
    assert parts["source"] == "attention"
    torch.testing.assert_close(parts["visits"], model.kept[:, :, 0].detach())
    torch.testing.assert_close(parts["visits"].sum(dim=1), torch.ones(2))


def gradient_x_input(model: nn.Module, batch: Tensor) -> Tensor:
    leaf = batch.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(logit(model(leaf)).sum(), leaf)
    return gradient * batch


@pytest.mark.parametrize("kind", [Recurrent, Attentive])
def test_the_map_is_gradient_times_input_of_the_whole_series(kind):
    model, batch = kind().eval(), series()
    maps = foveal.attribute(model, batch, VisitAttention(), target=1)
    assert tuple(maps["visits"].shape) == (2, VISITS, 3, 6, 8)
    close(maps["visits"], gradient_x_input(model, batch))


def test_without_weights_a_visit_has_the_sum_of_gradient_times_input():
    model, batch = Recurrent().eval(), series()
    parts = foveal.attribute(model, batch, VisitAttention(), target=1).info["visits"].parts
    assert parts["source"] == "gradient x input"
    close(parts["visits"], gradient_x_input(model, batch).flatten(2).sum(dim=2))


def test_the_visits_of_a_linear_model_add_up_to_its_score():
    class Linear(nn.Module):
        def forward(self, batch: Tensor) -> Tensor:
            late = torch.arange(1.0, VISITS + 1)
            return (batch.mean(dim=(2, 3, 4)) * late).sum(dim=1, keepdim=True)

    maps = foveal.attribute(Linear(), torch.ones(1, VISITS, 3, 6, 8), VisitAttention())
    visits = maps.info["visits"].parts["visits"]
    torch.testing.assert_close(visits, torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    torch.testing.assert_close(visits.sum(dim=1), maps.info["visits"].scores)


class Graded(Recurrent):
    """As many grades as visits, and probabilities for an answer."""

    def __init__(self):
        super().__init__(classes=VISITS)

    def forward(self, batch):
        return super().forward(batch).softmax(dim=1)


def test_probabilities_of_as_many_classes_as_visits_are_no_weights():
    maps = foveal.attribute(Graded().eval(), series(), VisitAttention(), target=lambda p: p[:, 1])
    assert maps.info["visits"].parts["source"] == "gradient x input"


class Gated(Attentive):
    """Two softmaxes over the visits, and gates, which are no softmax."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Sequential(nn.Linear(6, 1), nn.Sigmoid())
        self.last = nn.Softmax(dim=1)
        self.first = nn.Softmax(dim=1)

    def forward(self, batch):
        states = self.states(batch)
        states = states * self.first(self.energy(states))
        self.kept = self.gate(states)
        return self.head((self.last(self.energy(states)) * self.kept * states).sum(dim=1))


def test_the_layer_of_the_weights_can_be_named():
    model, batch = Gated().eval(), series()
    named = foveal.attribute(model, batch, VisitAttention(weights="gate"), target=1)
    model(batch)
    torch.testing.assert_close(named.info["visits"].parts["visits"], model.kept[:, :, 0].detach())


def test_of_several_attentions_the_last_counts():
    model, batch = Gated().eval(), series()
    found = foveal.attribute(model, batch, VisitAttention(), target=1)
    named = foveal.attribute(model, batch, VisitAttention(weights="last"), target=1)
    close(found.info["visits"].parts["visits"], named.info["visits"].parts["visits"])


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        ("gates", ValueError, "no layer 'gates'; near names: gate"),
        ("trunk", ModelError, r"'trunk' gives .* no weight for each of 4 visits of 2 series"),
        ("spare", ModelError, "'spare' did not run"),
    ],
)
def test_a_layer_that_gives_no_weights_is_refused(layer, error, message):
    model = Gated().eval()
    model.spare = nn.Identity()
    with pytest.raises(error, match=message):
        foveal.attribute(model, series(), VisitAttention(weights=layer), target=1)


@pytest.mark.parametrize("kind", [Recurrent, Attentive, LastOfItself])
def test_a_batch_of_series_gives_what_each_gives_alone(kind):
    model, batch = kind().eval(), series(3)
    together = foveal.attribute(model, batch, VisitAttention(), target=1, max_batch=2)
    for row in range(3):
        alone = foveal.attribute(model, batch[row : row + 1], VisitAttention(), target=1)
        close(together["visits"][row : row + 1], alone["visits"])
        visits = together.info["visits"].parts["visits"][row : row + 1]
        close(visits, alone.info["visits"].parts["visits"])


@pytest.mark.parametrize("weights", [None, "energy"])
def test_the_model_keeps_no_hook_and_cudnn_stays_as_it_was(weights):
    model = Attentive()
    cudnn = torch.backends.cudnn.enabled
    foveal.attribute(model, series(), VisitAttention(weights=weights), target=1)
    parts = list(model.modules())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in parts)
    assert torch.backends.cudnn.enabled == cudnn
    assert model.training


def test_a_model_without_gradient_through_its_head_still_shows_its_weights():
    model, batch = LastOfItself().eval(), series()
    nn.init.zeros_(model.head.weight)
    maps = foveal.attribute(model, batch, VisitAttention(), target=1)
    assert maps.info["visits"].reasons == ("zero_map", "zero_map")
    torch.testing.assert_close(maps.info["visits"].parts["visits"].sum(dim=1), torch.ones(2))
