"""What single scores say of a map: yes, no, or not known, because a score is missing."""

from collections.abc import Mapping, Sequence
from typing import Literal

from foveal.core import Score
from foveal.store import ALL_LESIONS, Measured

Answer = bool | None
Place = Literal["good", "between", "poor"]

OUTSIDE, OUTSIDE_WARNING = 0.05, 0.005
"""Shares of the evidence outside the eye: above the first a finding, above the other a warning."""
GRAIN, SPARSE, UNSTABLE = 0.5, 0.95, 0.3
"""Limits of the high-frequency power ratio, of gradient sparsity and of average sensitivity."""
COMPRESSED, WIDE = 0.4, 0.3
"""Less of the evidence in the strongest fifth of the field, or more of the field above half of the
maximum, is diffuse: the two limits belong together, as a round blob over 30 % of a round field has
0.42 of its evidence in that fifth."""
WELL_PLACED, BADLY_PLACED = 0.5, 0.2
"""Overlap with the lesions from which a map is well placed, and below which it is badly placed."""
HIGH = 0.95
"""Share of random draws that a number must exceed."""
UNNOTICED = 1e-3
"""A change of the score that nobody would notice, however rare it is by chance."""
INSENSITIVE = 0.6
"""A method notices if the AUROC of same-image against cross-patient similarity is surely below."""
UNSURE, SATURATED, CELLS = 0.5, 0.3, 2.0
"""Probability below which evidence is weak; share of dead gradients; lesions a cell may be wide."""

_OF_THE_MAP: Mapping[str, tuple[str, ...]] = {
    "nan_map": ("ebc", "mean_attribution_area", "relevance_mass", "out_of_fov_mass", "hfpr"),
    "zero_map": ("ebc", "mean_attribution_area", "gini", "map_entropy", "relevance_mass"),
    "constant_map": ("hfpr", "pointing_game", "masked_roi_drop", "excess_drop"),
}
"""Measures whose missing value says that the map itself is empty, by reason."""


class Known:
    """The scores of one map, with what only a cohort can tell of it."""

    def __init__(
        self,
        measured: Sequence[Measured],
        *,
        reason: str | None = None,
        gate: Score | None = None,
        variance_limit: float | None = None,
        elsewhere: bool = False,
    ) -> None:
        self._scores = {(m.score.name, m.region): m.score for m in measured}
        if gate is not None:
            self._scores["mprt", None] = gate
        self._gated = gate is not None
        self._reason = reason
        self._variance_limit = variance_limit
        self.elsewhere = elsewhere
        """Whether the map was made elsewhere, so that no method of ours can be blamed."""

    @property
    def lesions(self) -> str | None:
        """The region the map should rest on: all lesions, or the only one."""
        regions = {region for name, region in self._scores if name == "lesion_hit_rate"}
        if any(region == ALL_LESIONS for _, region in self._scores):
            return ALL_LESIONS
        return next(iter(regions)) if len(regions) == 1 else None

    def score(self, name: str, *, on_lesions: bool = False) -> Score | None:
        """A score of the whole map, or on the lesions; `None` where it was not measured."""
        if name == "mprt" and not self._gated:
            return None  # of one image alone there is no verdict
        return self._scores.get((name, self.lesions if on_lesions else None))

    def value(self, name: str, *, on_lesions: bool = False) -> float | None:
        """Its value, where it has one."""
        found = self.score(name, on_lesions=on_lesions)
        return None if found is None else found.value

    def shares(self) -> dict[str, Score]:
        """Which share of the map each structure has."""
        return {
            region: score
            for (name, region), score in self._scores.items()
            if name == "region_shares" and region is not None and score.value is not None
        }

    @property
    def emptiness(self) -> str | None:
        """Why the map is empty, a code of `REASONS`, where it is."""
        if self._reason in _OF_THE_MAP:
            return self._reason
        for reason, measures in _OF_THE_MAP.items():
            found = (self.score(name) or self.score(name, on_lesions=True) for name in measures)
            if any(score is not None and score.reason == reason for score in found):
                return reason
        return None

    @property
    def outside(self) -> float | None:
        """Share of the evidence that lies outside the eye, beyond what a coarse layer spills."""
        score = self.score("out_of_fov_mass")
        if score is None or score.value is None:
            return None
        far = score.parts.get("far_mass")
        return far if isinstance(far, float) else score.value

    @property
    def noisy(self) -> list[Answer]:
        """Four signs of noise."""
        variance = self.value("repeat_variance")
        spread = None
        if variance is not None and self._variance_limit is not None:
            spread = variance > self._variance_limit
        limits = {"hfpr": GRAIN, "grad_sparsity": SPARSE, "avg_sensitivity": UNSTABLE}
        return [spread, *(_above(self.value(name), limit) for name, limit in limits.items())]

    @property
    def diffuse(self) -> list[Answer]:
        """Two signs of spread."""
        packed = self.value("ebc")
        loose = None if packed is None else packed < COMPRESSED
        return [loose, _above(self.value("mean_attribution_area"), WIDE)]

    @property
    def place(self) -> Place | None:
        """Whether the map lies on the lesions; `None` where none are known."""
        near = self.score("dice_over_max", on_lesions=True)
        whole = self.score("dice", on_lesions=True)
        overlap = None if whole is None else whole.value
        lift = self.score("mass_lift", on_lesions=True)
        if near is not None and near.value is not None:
            # A lesion over half of the field is half hit by any map.
            if near.value >= WELL_PLACED and near.value > (near.chance or 0):
                return "good"
            overlap = near.value if overlap is None else overlap
        chance = (whole.chance if whole is not None else None) or 0
        if (overlap is not None and overlap >= WELL_PLACED and overlap > chance) or _lifted(lift):
            return "good"
        if overlap is None:
            return None
        return "poor" if overlap < BADLY_PLACED else "between"

    @property
    def map_matters(self) -> Answer:
        """Whether taking the map's strongest region away hurts more than any region like it.

        A region as large as the lesions, where that was measured; else 5 % of the field.
        """
        return matters(self.score("excess_drop", on_lesions=True) or self.score("excess_drop"))

    @property
    def map_matters_at_some_size(self) -> Answer:
        """Whether one of the two regions matters: as large as the lesions, or 5 % of the field.

        Where neither the lesions nor as much of the map matter, a larger region is the next thing
        to ask for: less than a cell of a coarse map, or a part of what it marks, leaves the rest.

        Two looks err more often than one: with 20 random regions a place that means nothing is
        said to matter at one of 1 % and 5 % of the field in 16 to 18 of 100 maps, with 99 in 9 to
        13 (simulated; docs/diagnosis.md).
        """
        drops = (self.score("excess_drop", on_lesions=True), self.score("excess_drop"))
        known = [answer for answer in map(matters, drops) if answer is not None]
        return any(known) if known else None

    @property
    def lesions_matter(self) -> Answer:
        """The same for the marked lesions."""
        return matters(self.score("lesion_drop", on_lesions=True))

    @property
    def insensitive(self) -> Answer:
        """Whether the method surely draws the same for a ruined model."""
        gate = self.score("mprt")
        passed = None if gate is None else gate.parts.get("passed")
        if gate is None or passed is None:
            return None
        if passed or gate.parts.get("unchanged"):
            return not passed  # one drawing for every image has no AUROC that would tell
        interval = gate.parts.get("auroc_interval")
        if isinstance(interval, Sequence) and interval[0] <= INSENSITIVE:
            return None  # too few patients to say either
        return True


def at_least(signs: Sequence[Answer], count: int) -> Answer:
    """Whether so many signs are there; not known where the missing ones would decide."""
    yes = sum(sign is True for sign in signs)
    if yes >= count:
        return True
    return False if yes + sum(sign is None for sign in signs) < count else None


def both(*answers: Answer) -> Answer:
    """Whether all hold; one that surely does not settles it."""
    if any(answer is False for answer in answers):
        return False
    return None if any(answer is None for answer in answers) else True


def negated(answer: Answer) -> Answer:
    """The contrary; not known stays so."""
    return None if answer is None else not answer


def matters(drop: Score | None) -> Answer:
    """Whether a drop exceeds 95 % of those under random regions, and can be noticed at all."""
    if drop is None or drop.value is None:
        return None
    share = percentile(drop)
    return None if share is None else share >= HIGH and drop.value > UNNOTICED


def percentile(score: Score) -> float | None:
    """The share of a score's random draws that lie below it, ties counting half."""
    told = score.parts.get("percentile")
    if isinstance(told, int | float):
        return float(told)
    if score.value is None or not score.null:
        return None
    below = sum((one < score.value) + 0.5 * (one == score.value) for one in score.null)
    return below / len(score.null)


def _lifted(lift: Score | None) -> bool:
    """Whether the lesions hold more of the evidence than by chance, with an interval or a null."""
    if lift is None or lift.value is None or lift.value <= 1:
        return False
    interval = lift.parts.get("interval")
    if isinstance(interval, Sequence) and not isinstance(interval, str):
        return interval[0] > 1
    share = percentile(lift)
    return share is not None and share >= HIGH


def _above(value: float | None, limit: float) -> Answer:
    return None if value is None else value > limit
