"""Where a layer's output keeps its places: rows and columns, channels last, or a row of tokens."""

from dataclasses import dataclass
from math import ceil, prod

from jaxtyping import Float
from torch import Tensor, nn

_ROUNDING, _SLANT = 1.5, 0.25
"""By how many cells, or by which share, a grid may differ from the image made coarser."""
_MAX_PREFIX = 16
"""More class, distillation and register tokens than any published transformer has."""
_CHANNELS_SECOND = nn.Conv1d | nn.BatchNorm1d | nn.Flatten


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How an output of shape (image, ...) becomes (image, channel, row, column), and back."""

    grid: tuple[int, ...]
    """Rows and columns (slices first for a volume)."""
    channels_last: bool = False
    prefix: int | None = None
    """For a row of tokens: how many lead it that stand for no place (class, registers)."""

    def to_grid(self, output: Float[Tensor, "image ..."]) -> Float[Tensor, "image channel ..."]:
        """The places in rows and columns; tokens that stand for no place are left out."""
        if self.prefix is not None:
            places = output[:, self.prefix :]
            return places.transpose(1, 2).unflatten(2, self.grid)
        return output.movedim(-1, 1) if self.channels_last else output

    def from_grid(
        self, places: Float[Tensor, "image channel ..."], output: Float[Tensor, "image ..."]
    ) -> Float[Tensor, "image ..."]:
        """The output with other values at its places; the leading tokens stay."""
        if self.prefix is not None:
            tokens = output.clone()
            tokens[:, self.prefix :] = places.flatten(2).transpose(1, 2)
            return tokens
        return places.movedim(1, -1) if self.channels_last else places


def layout_of(
    module: nn.Module, output: Float[Tensor, "row ..."], images: Float[Tensor, "image ..."]
) -> Layout | None:
    """How a module's output keeps the places of the images; `None` where it keeps none.

    Outputs with as many axes as the images have their channels second, or last where the module
    works on the last axis or only those axes fit. Outputs with three axes are tokens: their grid
    is the one patch size that explains their number, up to a few leading tokens.
    """
    if len(output) != len(images):
        return None
    sides = tuple(images.shape[2:])
    if output.ndim == images.ndim:
        first, last = tuple(output.shape[2:]), tuple(output.shape[1:-1])
        if _fits(last, sides) and (not _fits(first, sides) or _works_on_last(module, output)):
            return Layout(grid=last, channels_last=True)
        if _fits(first, sides) and not _works_on_last(module, output):
            return Layout(grid=first)
        return None
    if output.ndim != 3 or isinstance(module, _CHANNELS_SECOND):
        return None
    return token_layout(output.shape[1], sides)


def has_grid(output: Tensor, images: Tensor) -> bool:
    """Whether the axes after the second are the images' own, rows and columns coarser alike."""
    same = output.ndim == images.ndim
    return same and _fits(tuple(output.shape[2:]), tuple(images.shape[2:]))


def _fits(grid: tuple[int, ...], sides: tuple[int, ...]) -> bool:
    """Whether a grid is the image made coarser, alike in rows and columns.

    Slices lie further apart than pixels, so networks often keep more of them, or all.
    """
    *slices, rows, columns = grid
    *deep, high, wide = sides
    expected = rows * wide / high
    alike = abs(columns - expected) <= max(_ROUNDING, _SLANT * expected)
    return alike and all(own <= of + _ROUNDING for own, of in zip(slices, deep, strict=True))


def _works_on_last(module: nn.Module, output: Tensor) -> bool:
    """Layer norm and linear layers work on the last axis; some subclasses on the second."""
    if isinstance(module, nn.LayerNorm):
        channels = module.normalized_shape[-1]
    elif isinstance(module, nn.Linear):
        channels = module.out_features
    else:
        return False
    shape = output.shape
    second = channels == shape[1] and type(module) not in (nn.LayerNorm, nn.Linear)
    return len(shape) > 2 and channels == shape[-1] and not second


def token_layout(count: int, sides: tuple[int, ...]) -> Layout | None:
    """The grid of square patches that leaves the fewest tokens without a place.

    Of 197 tokens of an image of 224 x 224, 14 x 14 patches of 16 pixels leave one. Models may pad
    an image to whole patches, or leave the rest out, on all sides alike. `None` where no patch
    explains the number.
    """
    found: list[tuple[int, tuple[int, ...]]] = []
    for patch in range(1, max(sides) + 1):
        whole = tuple(side // patch for side in sides)
        padded = tuple(ceil(side / patch) for side in sides)
        for grid in (whole, padded):
            spare = count - prod(grid)
            if 0 <= spare <= min(_MAX_PREFIX, prod(grid)) and prod(grid) > 1:
                found.append((spare, grid))
    if not found:
        return None
    prefix, grid = min(found)
    return Layout(grid=grid, prefix=prefix)
