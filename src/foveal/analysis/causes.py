"""Why a finding may be, in words, where the scores tell."""

from collections.abc import Iterator, Sequence

from foveal.analysis.symptoms import (
    CELLS,
    OUTSIDE,
    OUTSIDE_WARNING,
    SATURATED,
    UNSURE,
    Known,
    matters,
)

_EMPTY = {
    "nan_map": "the map holds values that are not numbers",
    "constant_map": "the map has the same value everywhere",
    "zero_map": "nothing in the eye raises the score; there may be negative evidence",
}


def empty_cause(known: Known) -> str | None:
    """Not a number, constant, or nothing positive in the field."""
    outside = known.value("out_of_fov_mass")
    if known.emptiness == "zero_map" and outside is not None and outside > OUTSIDE:
        return "all evidence lies outside the eye"
    if known.emptiness == "zero_map" and known.elsewhere:
        return "the map marks nothing in the eye"
    return _EMPTY.get(known.emptiness or "")


def background_cause(known: Known) -> str | None:
    """Which number is over its limit: what is beyond a margin, where that is known."""
    if known.outside is None:
        return None
    limit = f"the limit is {100 * OUTSIDE:.0f} %"
    share = f"{100 * known.outside:.1f} % of the evidence"
    score = known.score("out_of_fov_mass")
    if score is not None and isinstance(score.parts.get("far_mass"), float):
        return f"far_mass: {share} lies more than 5 % of the eye's diameter outside it; {limit}"
    return f"{share} lies outside the eye; {limit}"


def diffuse_cause(known: Known) -> str | None:
    """A layer too coarse for the lesions, weak evidence, or dead gradients."""
    causes = (
        (_coarse(known), "resolution_limited: a cell of the map is wider than two lesions"),
        (_weak(known), "weak_evidence: the model is unsure, and the map's region matters little"),
        (_saturated(known), "saturated: most gradients of the layer are nearly zero"),
    )
    found = [words for holds, words in causes if holds]
    return "; ".join(found) or None


def unverified_cause(known: Known) -> str:
    """No lesions are known, or the model was not asked."""
    if known.place is None:
        lacking = known.score("dice", on_lesions=True)
        reason = None if lacking is None else lacking.reason
        return "no lesion is marked" if reason == "empty_mask" else "no outlines of lesions"
    return {
        "good": "the map lies on the marked lesions; whether that matters was not measured",
        "poor": "the map lies beside the marked lesions; whether that matters was not measured",
    }[known.place]


def background_warning(known: Known) -> Iterator[str]:
    """Evidence outside the eye that is too little, or too near, for a finding."""
    mass = known.value("out_of_fov_mass")
    if mass is not None and mass > OUTSIDE_WARNING:
        ours = "spilt over its edge by a coarse layer, or misaligned"
        where = "drawn beyond its edge, or on another grid" if known.elsewhere else ours
        yield f"{100 * mass:.1f} % of the evidence lies outside the eye: {where}"


def _coarse(known: Known) -> bool:
    """A native cell is wider than twice the median lesion."""
    grain, hits = known.score("hfpr"), known.score("lesion_hit_rate", on_lesions=True)
    if grain is None or hits is None:
        return False
    cells, grid = grain.params.get("grid"), hits.params.get("grid")
    diameter = hits.parts.get("median_diameter_px")
    if not (isinstance(cells, Sequence) and isinstance(grid, Sequence)):
        return False
    sides = [whole / own for whole, own in zip(grid, cells, strict=True)]
    return isinstance(diameter, int | float) and max(sides) > CELLS * diameter


def _weak(known: Known) -> bool:
    """A probability below a half whose drop is like any other's."""
    drop = known.score("masked_roi_drop")
    if drop is None or drop.params.get("scale") == "given":
        return False
    said = drop.parts.get("score")
    unsure = isinstance(said, int | float) and said < UNSURE
    return unsure and matters(known.score("excess_drop")) is False


def _saturated(known: Known) -> bool:
    """Many dead gradients, where these say something of the image."""
    index = known.score("gsi")
    if index is None or index.value is None or index.parts.get("gap_linear_head"):
        return False
    return index.value > SATURATED
