"""Over which pixels of a dense output a target is averaged."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from foveal.core import Target
from foveal.models.heads import Head, predicted_class


def pixels_of(
    target: Target, index: int, output: Float[Tensor, "sample output ..."], head: Head
) -> tuple[Bool[Tensor, "sample ..."], tuple[str | None, ...]]:
    """The target's pixels in each sample, and the reason where there are none.

    `empty_mask` where no pixel is predicted as the class (or the mask given is empty), `full_mask`
    where every pixel is, so that the class has no boundary.

    Raises:
        ValueError: A point or a mask that does not fit the grid, the boundary of a regression.
    """
    chosen = _chosen(target, index, output, head)
    full = [False] * len(chosen)
    if isinstance(target.pixels, str) and target.pixels == "boundary":
        full = chosen.flatten(1).all(dim=1).tolist()
        chosen = boundary(chosen)
    some = chosen.flatten(1).any(dim=1).tolist()
    reasons = [
        None if there else "full_mask" if covered else "empty_mask"
        for there, covered in zip(some, full, strict=True)
    ]
    return chosen, tuple(reasons)


def boundary(mask: Bool[Tensor, "sample ..."]) -> Bool[Tensor, "sample ..."]:
    """The pixels of a mask that touch one outside it along an axis; the image's edge is none."""
    edge = torch.zeros_like(mask)
    for axis in range(1, mask.ndim):
        steps = mask.shape[axis] - 1
        differs = mask.narrow(axis, 0, steps) != mask.narrow(axis, 1, steps)
        edge.narrow(axis, 0, steps).logical_or_(differs)
        edge.narrow(axis, 1, steps).logical_or_(differs)
    return mask & edge


def _chosen(target: Target, index: int, output: Tensor, head: Head) -> Tensor:
    grid = tuple(output.shape[2:])
    if isinstance(target.pixels, str):
        if head == "identity" and target.pixels == "boundary":
            raise ValueError(
                "a regression predicts no class, so there is no boundary; choose pixels='all', a "
                "(row, column) or a mask"
            )
        if head == "identity" or target.pixels == "all":
            return torch.ones((len(output), *grid), dtype=torch.bool, device=output.device)
        if head == "sigmoid":  # each class for itself; none may be there
            return output[:, index] > 0
        return predicted_class(output, head) == (1 if output.shape[1] == 1 else index)
    if isinstance(target.pixels, tuple):
        return _point(target.pixels, grid, output.device).expand(len(output), *grid)
    mask = torch.as_tensor(target.pixels, device=output.device)
    if tuple(mask.shape) != grid:
        raise ValueError(
            f"the target's pixel mask is {tuple(mask.shape)}, but the output's grid is "
            f"{grid}; where each image has a mask of its own, give one target for each"
        )
    return mask.bool().expand(len(output), *grid)


def _point(place: tuple[int, ...], grid: tuple[int, ...], device: torch.device) -> Tensor:
    inside = [0 <= p < side for p, side in zip(place, grid, strict=False)]
    if len(place) != len(grid) or not all(inside):
        raise ValueError(f"pixel {place} lies outside the output's {grid} grid")
    mask = torch.zeros(grid, dtype=torch.bool, device=device)
    mask[place] = True
    return mask
