from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

FINDINGS: Mapping[str, str] = MappingProxyType(
    {
        "EMPTY": "the map says nothing",
        "BACKGROUND": "the map rests on what lies outside the eye",
        "METHOD_INSENSITIVE": "the method draws the same for a ruined model, so it is not read",
        "NOISY": "the map is noise in at least two ways",
        "DIFFUSE": "the map is spread over so much of the eye that it points at nothing",
        "PASS": "the map lies on the marked lesions, and the model depends on where it points",
        "PLAUSIBLE_NOT_FAITHFUL": "the map lies on the marked lesions, but the model does not "
        "depend on where it points",
        "SHORTCUT_SUSPECTED": "the model depends on where the map points, which is not on the "
        "marked lesions, and not on the lesions",
        "MISLEADING_MAP": "the model depends on the marked lesions, but the map points elsewhere, "
        "where it does not",
        "MIXED_EVIDENCE": "the model depends on the marked lesions and on where the map points, "
        "which is elsewhere",
        "REDUNDANT_OR_OOD": "the model depends neither on the marked lesions nor on where the map "
        "points: the evidence is redundant, or the baseline strange to the model",
        "REVIEW": "the map lies on some of the marked lesions: a person must look",
        "UNVERIFIED_FOCUS": "nothing is wrong with the map as far as was checked, but whether it "
        "is in the right place and matters to the model is not known",
    }
)
"""What the diagnosis can say of a map, by label, in the order in which it is checked."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One score that a finding rests on, or why it is missing.

    Raises:
        ValueError: A value together with a reason, or neither.
    """

    measure: str
    region: str | None = None
    value: float | None = None
    chance: float | None = None
    """What a map without information would reach."""
    percentile: float | None = None
    """The share of random draws that the value exceeds, where there were draws."""
    reason: str | None = None
    """In words, why there is no value: `not measured`, or as the score says."""

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError(
                f"evidence by {self.measure!r} needs either a value or a reason, but got value "
                f"{self.value} and reason {self.reason!r}"
            )


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the diagnosis says of one map, what it rests on, and what to do next.

    Raises:
        ValueError: An unknown label.
    """

    label: str
    """One of `FINDINGS`."""
    cause: str | None = None
    """Why, in words, where the scores tell."""
    evidence: tuple[Evidence, ...] = ()
    unchecked: tuple[str, ...] = ()
    """What could not be ruled out, and which scores that needs, in words."""
    warnings: tuple[str, ...] = ()
    next_step: str
    """One command or function away."""

    def __post_init__(self) -> None:
        if self.label not in FINDINGS:
            raise ValueError(f"unknown finding {self.label!r}; use one of {', '.join(FINDINGS)}")

    @property
    def text(self) -> str:
        """The finding in words."""
        return FINDINGS[self.label]
