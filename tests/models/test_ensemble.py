"""Several networks that answer as one."""

import math

import pytest
import torch
from nets import Convolutional, Segmenting, images
from torch import Tensor, nn

from foveal.core import Target
from foveal.doors import attribute
from foveal.models import Ensemble
from foveal.models.heads import probabilities
from foveal.models.targets import fix


class Says(nn.Module):
    """The same output for every image."""

    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output

    def forward(self, batch: Tensor) -> object:
        return self.output


MEMBERS = [torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([[-1.0, 0.5, 3.0]])]
BATCH = torch.zeros(1, 3, 4, 4)


def test_the_mean_of_outputs_is_that_of_the_members():
    ensemble = Ensemble([Says(output) for output in MEMBERS])
    assert ensemble(BATCH).tolist() == [[0.5, 0.25, 1.0]]


@pytest.mark.parametrize("head", ["softmax", "sigmoid", "coral"])
def test_the_mean_of_probabilities_is_exactly_that_of_the_members(head):
    outputs = [output.sort(descending=True).values for output in MEMBERS]  # as grades go down
    ensemble = Ensemble([Says(output) for output in outputs], mean="probabilities", head=head)
    expected = sum(probabilities(output, head) for output in outputs) / 2
    torch.testing.assert_close(probabilities(ensemble(BATCH), head), expected)
    p = float(expected[0, 2])
    fixed = fix(Target(index=2, score="log-odds"), ensemble(BATCH), count=1, head=head)
    odds = fixed.score(ensemble(BATCH), torch.zeros(1, dtype=torch.long)).item()
    assert odds == pytest.approx(math.log(p / (1 - p)), rel=1e-5)


def test_under_a_softmax_the_logits_are_logarithms_of_the_mean():
    ensemble = Ensemble([Says(output) for output in MEMBERS], mean="probabilities")
    expected = sum(output.softmax(dim=1) for output in MEMBERS) / 2
    torch.testing.assert_close(ensemble(BATCH), expected.log())


def test_sure_members_stay_finite():
    sure = [Says(torch.tensor([[200.0]])), Says(torch.tensor([[300.0]]))]
    ensemble = Ensemble(sure, mean="probabilities", head="sigmoid")
    # 1 - p is the mean of exp(-200) and exp(-300), so the log-odds are 200 + ln 2.
    assert ensemble(BATCH).item() == pytest.approx(200.6931, abs=1e-3)


def test_the_map_of_a_mean_is_the_mean_of_the_maps_where_the_method_is_linear():
    members, batch = [Convolutional(seed=s).double() for s in (0, 1)], images(2).double()
    maps = [attribute(m, batch, "inputxgradient", target=1)["inputxgradient"] for m in members]
    together = attribute(Ensemble(members), batch, "inputxgradient", target=1)["inputxgradient"]
    torch.testing.assert_close(together, (maps[0] + maps[1]) / 2)


def test_a_layer_of_a_member_shows_that_members_part():
    members, batch = [Convolutional(seed=s).double() for s in (0, 1)], images(2).double()
    alone = attribute(members[1], batch, "gradcam", target=1, layers="top")["gradcam"]
    part = attribute(Ensemble(members), batch, "gradcam", target=1, layers="members.1.top")
    torch.testing.assert_close(part["gradcam"], alone / 2)


def test_segmentations_are_averaged_pixel_by_pixel():
    members = [Segmenting(), Segmenting()]
    ensemble, batch = Ensemble(members, mean="probabilities"), images(1, side=8)
    expected = sum(member(batch).softmax(dim=1) for member in members) / 2
    torch.testing.assert_close(ensemble(batch).softmax(dim=1), expected)


WRONG = [
    pytest.param([], {}, "at least one network", id="none"),
    pytest.param([Says(None)], {"mean": "logits"}, "mean must be .*but is 'logits'", id="mean"),
    pytest.param([Says(None)], {"mean": "probabilities", "head": "identity"}, "no probabilities",
                 id="regression"),
]  # fmt: skip


@pytest.mark.parametrize(("members", "settings", "message"), WRONG)
def test_what_is_no_ensemble_is_refused(members, settings, message, monkeypatch):
    init = getattr(Ensemble.__init__, "__wrapped__", Ensemble.__init__)
    monkeypatch.setattr(Ensemble, "__init__", init)  # users do not run a type checker
    with pytest.raises(ValueError, match=message):
        Ensemble(members, **settings)


MIXED = [
    pytest.param([MEMBERS[0], MEMBERS[0][:, :2]], r"\(1, 3\), \(1, 2\)", id="shapes"),
    pytest.param([{"logits": MEMBERS[0]}, {"logits": MEMBERS[1]}], "gave dict, dict", id="dicts"),
]


@pytest.mark.parametrize(("outputs", "message"), MIXED)
def test_members_that_do_not_go_together_say_what_they_gave(outputs, message):
    with pytest.raises(ValueError, match=message):
        Ensemble([Says(output) for output in outputs])(BATCH)
