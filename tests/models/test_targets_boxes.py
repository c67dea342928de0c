"""The score of a detector's box: fixed on the clean image, found again in its probes."""

import pytest
import torch
import torchvision_operators  # noqa: F401 (torchvision's operators load beside any torch)
from nets import images
from torch import Tensor, nn

from foveal.core import Target
from foveal.doors import attribute
from foveal.explainers import RISE
from foveal.models.targets import fix


def found(*rows: tuple[list[float], int, float]) -> dict[str, Tensor]:
    """Boxes as torchvision gives them: first column, first row, last column, last row."""
    return {
        "boxes": torch.tensor([box for box, _, _ in rows]).reshape(-1, 4),
        "labels": torch.tensor([label for _, label, _ in rows], dtype=torch.long),
        "scores": torch.tensor([score for _, _, score in rows]),
    }


CLEAN = found(
    ([0.0, 0.0, 4.0, 2.0], 1, 0.6), ([4.0, 4.0, 8.0, 8.0], 1, 0.9), ([0.0, 0.0, 4.0, 4.0], 2, 0.8)
)


def score(target: object, clean: dict[str, Tensor], later: dict[str, Tensor]) -> float:
    fixed = fix(target, [clean], count=1)  # type: ignore[arg-type]
    return fixed.score([later], torch.zeros(1, dtype=torch.long)).item()


CHOSEN = [
    pytest.param(None, 1, 0.9, id="the surest"),
    pytest.param(1, 1, 0.9, id="the surest of a class"),
    pytest.param(Target(index=2), 2, 0.8, id="of another class"),
    pytest.param(Target(index=1, box=(0.0, 0.0, 2.0, 4.0)), 1, 0.6, id="the box given"),
    pytest.param(Target(box=(0.0, 0.0, 4.0, 4.0)), 2, 0.8, id="the class of the box given"),
    pytest.param(Target(index=1, box=(0.0, 0.0, 4.0, 4.0)), 1, 0.3, id="half covered"),
]


@pytest.mark.parametrize(("target", "label", "expected"), CHOSEN)
def test_a_box_is_chosen_on_the_clean_image(target, label, expected):
    fixed = fix(target, [CLEAN], count=1)
    assert fixed.indices == (label,)
    assert fixed.labels == (f"box of class {label}",)
    assert fixed.modes == ("box score",)
    assert score(target, CLEAN, CLEAN) == pytest.approx(expected)


LATER = [
    pytest.param(found(([4.0, 4.0, 8.0, 8.0], 1, 0.5)), 0.5, id="less sure"),
    pytest.param(found(([4.0, 4.0, 8.0, 6.0], 1, 0.5)), 0.25, id="half the box"),
    pytest.param(found(([6.0, 4.0, 10.0, 8.0], 1, 0.6)), 0.2, id="moved aside by half"),
    pytest.param(found(([4.0, 4.0, 8.0, 8.0], 2, 0.9)), 0.0, id="another class"),
    pytest.param(found(([0.0, 0.0, 4.0, 4.0], 1, 0.9)), 0.0, id="elsewhere"),
    pytest.param(found(([4.0, 4.0, 8.0, 6.0], 1, 0.8), ([4.0, 4.0, 8.0, 8.0], 1, 0.3)), 0.4,
                 id="the largest product"),
    pytest.param(found(), 0.0, id="no box"),
    pytest.param(found(([5.0, 5.0, 5.0, 5.0], 1, 0.9)), 0.0, id="a box without area"),
]  # fmt: skip


@pytest.mark.parametrize(("later", "expected"), LATER)
def test_its_score_is_the_largest_overlap_times_score_of_its_class(later, expected):
    assert score(1, CLEAN, later) == pytest.approx(expected)


def test_a_box_without_area_overlaps_nothing_not_even_itself():
    dot = found(([5.0, 5.0, 5.0, 5.0], 1, 0.9))
    assert score(1, dot, dot) == 0


def test_the_overlap_is_torchvisions():
    from torchvision.ops import box_iou

    generator = torch.Generator().manual_seed(0)
    first = torch.rand(20, 2, generator=generator) * 10
    boxes = torch.cat([first, first + torch.rand(20, 2, generator=generator) * 10], dim=1)
    scores = torch.rand(20, generator=generator)
    labels = torch.ones(20, dtype=torch.long)
    later = {"boxes": boxes, "labels": labels, "scores": scores}
    corners = CLEAN["boxes"][1:2]
    expected = (box_iou(boxes, corners)[:, 0] * scores).max().item()
    assert score(1, CLEAN, later) == pytest.approx(expected)


MISSING = [
    pytest.param(3, 3, id="no box of the class"),
    pytest.param(Target(box=(20.0, 20.0, 21.0, 21.0)), None, id="nothing there"),
]


@pytest.mark.parametrize(("target", "index"), MISSING)
def test_where_the_detector_finds_no_such_box_the_reason_says_so(target, index):
    fixed = fix(target, [CLEAN], count=1)
    assert (fixed.reasons, fixed.indices) == (("empty_mask",), (index,))
    assert score(target, CLEAN, CLEAN) == 0


WRONG = [
    pytest.param(Target(at_least=1), 1, "no grades or contrasts", id="grade"),
    pytest.param(Target(index=1, against=2), 1, "no grades or contrasts", id="contrast"),
    pytest.param(Target(index=1, pixels=(1, 1)), 1, "no pixels, so leave pixels= out", id="pixels"),
    pytest.param(1, 2, "1 detections for 2 images", id="count"),
    pytest.param(Target(output="boxes"), 1, "returned detections, so", id="head"),
]


@pytest.mark.parametrize(("target", "count", "message"), WRONG)
def test_what_boxes_do_not_have_is_refused(target, count, message):
    with pytest.raises(ValueError, match=message):
        fix(target, [CLEAN], count=count)


class Detector(nn.Module):
    """A box over the upper left quarter, as sure as the red there is strong; one elsewhere."""

    def forward(self, batch: Tensor) -> list[dict[str, Tensor]]:
        side = batch.shape[-1]
        boxes = torch.tensor([[0, 0, side / 2, side / 2], [side / 2, side / 2, side, side]])
        red = batch[:, 0, : side // 2, : side // 2].mean(dim=(1, 2))
        return [
            {
                "boxes": boxes.to(one),
                "labels": torch.tensor([1, 1]),
                "scores": torch.stack([one, 0.01 * one]),
            }
            for one in red
        ]


def test_the_gradient_of_a_box_lies_where_its_score_comes_from():
    batch = images(2, side=8)
    gradient = attribute(Detector(), batch, "inputxgradient", target=1)["inputxgradient"]
    expected = torch.zeros_like(batch)
    expected[:, 0, :4, :4] = batch[:, 0, :4, :4] / 16
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("method", ["saliency", "occlusion", RISE(masks=16, cells=3)], ids=str)
def test_boxes_of_a_batch_are_explained_as_one_by_one(method):
    batch = images(2, side=8)
    boxes = Target(index=1, box=(0.0, 0.0, 4.0, 4.0)), None
    together = attribute(Detector(), batch, method, target=list(boxes))
    for row, target in enumerate(boxes):
        alone = attribute(Detector(), batch[row : row + 1], method, target=target)
        for name in together:
            torch.testing.assert_close(together[name][row : row + 1], alone[name])
