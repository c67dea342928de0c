"""The score of one box of a detector, followed from the clean image to its probes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import torch
from jaxtyping import Float
from torch import Tensor

Detection = Mapping[str, Tensor]
"""What torchvision's detectors say about one image: `boxes` (box, 4) as first column, first row,
last column, last row, with `labels` and `scores` (box)."""
_NEEDED = {"boxes", "labels", "scores"}


@dataclass(frozen=True, kw_only=True, eq=False)
class FollowedBox:
    """A box of the clean image and its class."""

    corners: Float[Tensor, "4"]
    """In the order of a detection's `boxes`."""
    label: int


def are_detections(output: object) -> TypeGuard[Sequence[Detection]]:
    """Whether this is what torchvision's detectors return: one detection per image."""
    return (
        isinstance(output, list | tuple)
        and len(output) > 0
        and all(isinstance(one, Mapping) and one.keys() >= _NEEDED for one in output)
    )


def follow(
    found: Detection, label: int | None, box: tuple[float, float, float, float] | None
) -> FollowedBox | None:
    """The box to follow: the one given, else the surest of its class, else the surest of all.

    The class of a box that is given without one is that of the detection it fits best, by IoU x
    score. `None` where the detector finds no box (of the class, that overlaps the given one).
    """
    boxes, fits = found["boxes"].detach(), found["scores"].detach()
    given = None if box is None else boxes.new_tensor([box[1], box[0], box[3], box[2]])
    if label is not None:
        fits = fits * (found["labels"] == label)
    if given is not None:
        fits = fits * _overlap(boxes, given)
    if not bool((fits > 0).any()):
        return None
    best = int(fits.argmax())
    return FollowedBox(
        corners=boxes[best] if given is None else given, label=int(found["labels"][best])
    )


def box_score(found: Detection, followed: FollowedBox | None) -> Float[Tensor, ""]:
    """How surely the detector still finds a box: the largest IoU x score over those of its class.

    In [0, 1]: the box's own score where it is found again in its place, zero where nothing of its
    class overlaps it.

    Reference:
        Petsiuk et al. 2021, D-RISE, section 3.2: s(d_t, d_j) = IoU(L_t, L_j) cos(P_t, P_j) O_j,
        and the maximum over all detections j. Detectors that return a label and its score give no
        vector of class probabilities P: with that of the label alone, cos is one for the same
        label and zero for another, and O is the score.
    """
    scores = found["scores"]
    if followed is None:
        return scores.sum() * 0
    alike = found["labels"] == followed.label
    similar = scores * alike * _overlap(found["boxes"], followed.corners)
    return torch.cat([similar, similar.new_zeros(1)]).max()  # an image may have no box at all


def _overlap(boxes: Float[Tensor, "box 4"], corners: Float[Tensor, "4"]) -> Float[Tensor, " box"]:
    """Intersection over union of boxes with one box."""
    first = torch.maximum(boxes[:, :2], corners[:2])
    last = torch.minimum(boxes[:, 2:], corners[2:])
    shared = (last - first).clamp(min=0).prod(dim=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    union = areas + (corners[2:] - corners[:2]).prod() - shared
    return shared / union.clamp(min=torch.finfo(union.dtype).tiny)
