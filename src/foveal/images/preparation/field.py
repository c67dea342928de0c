"""Where the picture of the eye is: the lit disc of a photograph, the scan of an OCT section.

The field is found on a reduced copy of at most 512 pixels a side; the edge of a photograph's field
is then settled pixel by pixel.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage
from skimage.morphology import convex_hull_image

from foveal.core import Grid, Image, ImageError, Modality
from foveal.images.preparation.sliding import grown, opened, window_means

_REDUCED = 512

_FLAT = 0.03
"""An image whose darkest and brightest per cent differ by less shows nothing."""

_EDGE = 0.15
"""Where the edge lies between the surround (0) and the middle of the field (1): light scattered in
the camera stays below, the vignetted rim of a dark eye above."""

_SURROUND = 0.25
"""A surround is darker than this share of the field, or it is no surround."""

_CORNERS = 0.01
"""Least share of the image that a surround takes up; a dark vessel at the side is not one."""

_SAME = 4 / 255
"""Levels by which a flat surround varies where JPEG has been."""

_PADDING = 9
"""Padding of an OCT section is flat at least this many pixels wide; speckle never is."""

_WHITE, _BLACK = 0.96, 0.01
"""Levels of padding, since JPEG blurs them."""

_CONVEX = 0.97
"""Least share of its convex hull that an aperture fills."""


def find_field(image: Image) -> Bool[np.ndarray, "row column"]:
    """The field of view on the image's grid.

    In an OCT section, everything but flat white or black padding. In any other image, the largest
    connected part that is lit in its brightest channel (red in a colour photograph of the fundus),
    with dark lesions filled in; the whole image when it has no dark surround. Where all four
    corners are of one flat colour that is not dark, as on white paper, all but that colour. In a
    slit lamp photograph lids and the dark beside the beam are eye too: the surround counts only
    where it is flat and black in all four corners, as around a round aperture.

    Raises:
        ImageError: Nothing to see: the image is black, or nearly of one colour.
    """
    return field_of_pixels(image.pixels, image.modality)


def field_of_pixels(
    pixels: Float[np.ndarray, "channel row column"], modality: Modality
) -> Bool[np.ndarray, "row column"]:
    """`find_field` for pixels alone."""
    rows, columns = pixels.shape[1:]
    stride = -(-max(rows, columns) // _REDUCED)
    reduced = pixels[:, ::stride, ::stride].max(axis=0)
    smooth = window_means(reduced, (3, 3))
    low, high = np.percentile(smooth, [1, 99])
    if high - low < _FLAT:
        raise ImageError(
            f"has no field of view: all of it lies between {low:.2f} and {high:.2f} of full "
            "brightness, so there is no eye to see; leave it out"
        )
    if modality == "oct":
        return _enlarged(_scan(reduced), stride, (rows, columns))
    around = _around(pixels[:, ::stride, ::stride])
    if modality == "slit-lamp":
        return _in_aperture(pixels, around, stride)
    if around is not None and around.max() >= _SURROUND:
        return _on_paper(pixels, around, stride)
    return _lit(pixels, smooth, stride)


def _around(
    reduced: Float[np.ndarray, "channel row column"],
) -> Float[np.ndarray, " channel"] | None:
    """The one flat colour of all four corners: black, white, or an exported grey."""
    if min(reduced.shape[1:]) < 2 * _PADDING:
        return None
    near, far = slice(None, _PADDING), slice(-_PADDING, None)
    corners = np.stack([reduced[:, row, column] for row in (near, far) for column in (near, far)])
    low, high = corners.min(axis=(0, 2, 3)), corners.max(axis=(0, 2, 3))
    flat = (high - low <= _SAME).all()
    return np.asarray(np.median(corners, axis=(0, 2, 3))) if flat else None


def _in_aperture(
    pixels: Float[np.ndarray, "channel row column"],
    around: Float[np.ndarray, " channel"] | None,
    stride: int,
) -> Bool[np.ndarray, "row column"]:
    """What a round aperture shows of a flat black surround; without one the whole picture."""
    whole = np.ones(pixels.shape[1:], bool)
    if around is None or around.max() > _BLACK + _SAME:
        return whole
    shown = _on_paper(pixels, around, stride)
    reduced = shown[::stride, ::stride]
    # Dark beside the beam leaves a ragged part; an aperture, cut off or not, is convex.
    return shown if reduced.sum() >= _CONVEX * convex_hull_image(reduced).sum() else whole


def _on_paper(
    pixels: Float[np.ndarray, "channel row column"],
    paper: Float[np.ndarray, " channel"],
    stride: int,
) -> Bool[np.ndarray, "row column"]:
    """All but the paper around it: what differs from its colour, spots of that colour included."""
    grid = pixels.shape[1], pixels.shape[2]
    other = np.any(np.abs(pixels - paper[:, np.newaxis, np.newaxis]) > _SAME, axis=0)
    blank = np.pad(~other[::stride, ::stride], _PADDING, constant_values=True)
    rough = _largest_part(~opened(blank, _PADDING)[_PADDING:-_PADDING, _PADDING:-_PADDING])
    return _settled(rough, other, stride, grid)


def _lit(
    pixels: Float[np.ndarray, "channel row column"],
    smooth: Float[np.ndarray, "row_reduced column_reduced"],
    stride: int,
) -> Bool[np.ndarray, "row column"]:
    grid = pixels.shape[1], pixels.shape[2]
    low = float(np.percentile(smooth, 1))
    middle = float(np.median(smooth[_brighter_part(smooth)]))
    edge = low + _EDGE * (middle - low)
    rough = _largest_part(smooth > edge)
    if low > _SURROUND * middle or (~rough).mean() < _CORNERS:
        return np.ones(grid, bool)
    return _settled(rough, np.any(pixels > edge, axis=0), stride, grid)


def _settled(
    rough: Bool[np.ndarray, "row_reduced column_reduced"],
    shows: Bool[np.ndarray, "row column"],
    stride: int,
    grid: Grid,
) -> Bool[np.ndarray, "row column"]:
    """The field found on the reduced copy, its edge where pixels show something."""
    possible, impossible = grown(rough, 2), grown(~rough, 3)
    return (shows & _enlarged(possible, stride, grid)) | _enlarged(~impossible, stride, grid)


def _brighter_part(smooth: Float[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    """The brighter of two classes by Otsu's method (1979), on a logarithmic scale.

    Linear brightness would set a flare against the rest of a dark eye.
    """
    levels = np.log(smooth + _FLAT)
    counts, edges = np.histogram(levels, bins=256)
    centers = (edges[1:] + edges[:-1]) / 2
    below, sums = counts.cumsum()[:-1], (counts * centers).cumsum()
    above = smooth.size - below
    difference = (sums[-1] - sums[:-1]) / above - sums[:-1] / below
    return levels > edges[1 + np.argmax(below * above * difference**2)]


def _scan(reduced: Float[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    # Beyond the image counts as white, so that a thin white bar at its side is found; as black it
    # would take dark vitreous with it.
    white = np.pad(reduced >= _WHITE, _PADDING, constant_values=True)
    white = opened(white, _PADDING)[_PADDING:-_PADDING, _PADDING:-_PADDING]
    scan = ~grown(white | opened(reduced <= _BLACK, _PADDING), 2)
    if not scan.any():
        raise ImageError("has no field of view: all of it is flat black or white; leave it out")
    return _largest_part(scan)


def _largest_part(mask: Bool[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    if mask.all():
        return mask
    parts = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, output=parts)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(ndimage.binary_fill_holes(parts == sizes.argmax()))


def _enlarged(
    mask: Bool[np.ndarray, "row column"], stride: int, grid: Grid
) -> Bool[np.ndarray, "row_out column_out"]:
    rows, columns = grid
    return mask.repeat(stride, axis=0)[:rows].repeat(stride, axis=1)[:, :columns]
