"""The plan of a run: models x images x methods x measures, in one file that repeats it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from foveal.core import Modality, PlanError
from foveal.explainers import AbstractExplainer
from foveal.explainers.registry import explainer_named
from foveal.images import AnatomyPart, MapGrid, Method, check_pattern
from foveal.images.anatomy import strange_parts
from foveal.images.quality import MEANINGS, check_limits
from foveal.measures import measure_named
from foveal.models.toml import checked, read_toml
from foveal.run.again import GRADIENTS, PERTURBATIONS, STABILITY
from foveal.run.measuring import MEASURED
from foveal.run.perturbing import PERTURBING
from foveal.run.placing import PLACING
from foveal.run.trials import Trials
from foveal.store.statement import checked_statement

Level = Literal["quick", "standard", "full"]

_PLACING = tuple(PLACING)
_PERTURBING = (
    "srg", "aopc", "deletion_auc", "early_auc", "insertion_auc", "average_drop",
    "pct_increase_confidence", "sufficiency_delta", "average_gain", "masked_roi_drop",
    "excess_drop", "lesion_drop", "relevance_rank_correlation", "faithfulness_estimate",
    "faithfulness_correlation", "infidelity_normalized",
)  # fmt: skip
_STABLE = (*STABILITY, "repeat_variance")
_HEALTH = (*GRADIENTS, "intensity_cv", "hfpr")
_CLINIC = "nuisance_stability"
_SANITY = ("mprt", "random_logit")
LEVELS: Mapping[Level, tuple[str, ...]] = {
    "quick": _PLACING,
    "standard": _PLACING + _PERTURBING + _HEALTH + _STABLE,
    "full": _PLACING + tuple(PERTURBING) + _HEALTH + _STABLE + (_CLINIC,) + _SANITY,
}
"""Which measures a level runs; `full` measures the stability of methods too that send probes of
their own."""
RANDOM: Mapping[Level, tuple[int, int]] = {"quick": (0, 0), "standard": (10, 20), "full": (10, 20)}
"""Random orders and random regions of each level."""


def measures_named(names: Sequence[str]) -> tuple[str, ...]:
    """Measures that a run can make, by their own names, from these or others.

    Raises:
        ValueError: An unknown name, with the nearest, or one with several meanings.
    """
    return tuple(dict.fromkeys(measure_named(name, MEASURED) for name in names))


def is_costly(names: Sequence[str], level: Level) -> bool:
    """Whether the stability of methods that send probes of their own is measured.

    It is at the level `full`, and where measures are named rather than the level's.
    """
    return level == "full" or tuple(names) != LEVELS[level]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ImagesTable(_Table):
    """Some images: files by pattern, or a table that names them."""

    files: str | None = None
    """A pattern such as `images/*.jpg`, relative to the plan."""
    manifest: str | None = None
    """A CSV with the columns image, patient, eye, laterality, visit and grade."""
    labels: tuple[str, ...] = ()
    """Further columns of the manifest that the run keeps, in the clear."""
    regions: str | None = None
    """A pattern of mask files such as `masks/{grader}/{stem}_{region}.png`, or of annotations such
    as `annotations.json` or `marks/{stem}.xml`."""
    consensus: Method = "majority"
    """What is measured where several graders marked one image."""
    modality: Modality | None = None
    sections: Literal["all"] | Annotated[int, Field(ge=1)] | None = None
    """The files are volumes, and each section is an image: all of them, or so many of each, evenly
    spread. A folder is a volume whose sections are the pictures in it."""
    lines: str | None = None
    """A pattern such as `layers/{stem}/*.png` of pictures in which experts drew the layers'
    boundaries, one for each section of a volume, in the order of their names. {stem} is the
    volume's name without suffix; only of a single volume it may be left out."""
    layers: dict[str, tuple[str, str]] = {}
    """Regions between two boundaries of a section, such as `{ retina = ["ILM", "BM"] }`; `drusen`
    is only where they are 40 um apart or more."""
    anatomy: tuple[AnatomyPart, ...] = ()
    """Structures of the eye that are looked for where no mask shows them."""

    @model_validator(mode="after")
    def _one_source(self) -> "ImagesTable":
        if (self.files is None) == (self.manifest is None):
            raise ValueError("give either files or manifest")
        if self.labels and self.manifest is None:
            raise ValueError("labels are columns of a manifest; name one, or leave them out")
        if self.sections is None and (self.lines or self.layers):
            raise ValueError(
                'lines and layers are of volumes; set sections = "all" for these files'
            )
        if self.regions is not None:
            check_pattern(self.regions)
        elif strange := self._strange:
            raise ValueError(
                f"anatomy asks for {', '.join(strange)}, which is not looked for in images of this "
                "modality; leave it out, or give masks of it as regions"
            )
        return self

    @property
    def _strange(self) -> list[str]:
        modality = self.modality or ("unknown" if self.sections is None else "oct")
        return [] if modality == "unknown" else strange_parts(self.anatomy, modality)


class ModelTable(_Table):
    """One model and what is asked of it."""

    card: str
    targets: tuple[str, ...] | None = None
    """`predicted` by default; of a segmentation every class but the background."""
    layers: tuple[str, ...] | None = None
    """Layers for the methods that watch one; the card's, else chosen."""
    expected_focus: str | None = None
    """What its classes should rest on: a scale such as `icdr`, or a file such as `mine.toml`; by
    default the only known scale with all of its classes."""

    @model_validator(mode="after")
    def _once(self) -> "ModelTable":
        for layer in self.layers or ():
            if (self.layers or ()).count(layer) > 1:
                raise ValueError(f"the layer {layer!r} is named twice; leave one out")
        return self


class MethodTable(BaseModel):
    """One method and its settings; two settings of one method take names with `as`."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)

    name: str
    key: Annotated[str | None, Field(alias="as")] = None

    def explainer(self) -> AbstractExplainer:
        """The method with its settings.

        Raises:
            ValueError: An unknown method or setting, or a value out of range.
        """
        settings = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in (self.model_extra or {}).items()
        }
        return explainer_named(self.name, **settings)


class MapsTable(_Table):
    """Maps made elsewhere, measured as a method of their own."""

    name: Annotated[str, Field(min_length=1)]
    """Their name in the run."""
    files: str
    """A pattern of files such as `maps/{stem}_shap.npy`, relative to the plan."""
    grid: MapGrid = "original"
    signed: bool | None = None
    """True refuses files that can hold no sign, False refuses negative values."""
    source: str = ""
    """What made them; it stands in the report as it is."""
    model: str | None = None
    """The name of the only model that they are of; all by default."""
    target: str | None = None
    """The only target that they are of; all by default."""

    @model_validator(mode="after")
    def _one_an_image(self) -> "MapsTable":
        if "{stem}" not in self.files:
            raise ValueError("the pattern of maps needs {stem}, the image's name without suffix")
        return self


class MeasuresTable(_Table):
    """Which measures run, and how much chance they are compared with."""

    names: tuple[str, ...] | None = None
    random_orders: Annotated[int, Field(ge=0)] | None = None
    """Random orders of patches behind the chance of the curves."""
    random_regions: Annotated[int, Field(ge=0)] | None = None
    """Random regions behind the chance of the drops."""
    baseline: Literal["blur", "linear", "annulus", "black", "field-mean"] = "blur"
    """What replaces removed pixels, for all measures but `srg`."""
    baselines: Annotated[
        tuple[Literal["blur", "linear", "annulus", "black", "field-mean"], ...],
        Field(min_length=1),
    ] = ("blur", "linear", "annulus")
    """The baselines of `srg`, the headline of faithfulness: its median over them."""
    perturbations: Annotated[int, Field(ge=1)] = PERTURBATIONS
    """Noisy copies of each image behind the measures of stability."""

    @field_validator("names")
    @classmethod
    def _own_names(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if names is None else measures_named(names)


class QualityTable(_Table):
    """How good images have to be: limits such as `focus = ">= 1.2"`, by the number's name."""

    review: dict[str, str] = {}
    """An image that does not keep one is told of in the log."""
    refuse: dict[str, str] = {}
    """An image that does not keep one is not explained."""

    @model_validator(mode="after")
    def _limits(self) -> "QualityTable":
        check_limits({"review": self.review, "refuse": self.refuse})
        for name in (*self.review, *self.refuse):
            if name not in MEANINGS:
                raise ValueError(f"no quality is called {name!r}; there are {', '.join(MEANINGS)}")
        return self


class OutputTable(_Table):
    """Where the run goes and what leaves it."""

    folder: str
    report: tuple[Literal["html", "json"], ...] = ("html", "json")
    figures: bool = True
    identity: Literal["pseudonym", "keep"] = "pseudonym"
    key: str | None = None
    """The pseudonyms' key file; beside the folder by default."""
    images_per_shard: Annotated[int, Field(ge=1)] = 8


class Plan(_Table):
    """A run, as in `plan.toml`. Paths are relative to the plan's own folder.

    Raises:
        ValidationError: Keys that are unknown, missing or do not fit each other.
    """

    name: Annotated[str, Field(min_length=1)]
    level: Level = "standard"
    seed: Annotated[int, Field(ge=0)] = 0
    threads: Annotated[int, Field(ge=1)] | None = None
    max_batch: Annotated[int, Field(ge=1)] = 16
    precision: Literal["float32", "bf16"] = "float32"
    device: str = "cpu"
    images: Annotated[tuple[ImagesTable, ...], Field(min_length=1)]
    models: Annotated[tuple[ModelTable, ...], Field(min_length=1)]
    methods: tuple[MethodTable, ...] = ()
    maps: tuple[MapsTable, ...] = ()
    measures: MeasuresTable = MeasuresTable()
    quality: QualityTable | None = None
    """Not measured where the plan has no such table."""
    statement: dict[str, str] = {}
    """What the run cannot know of itself, by topic, for its report; no result depends on it."""
    output: OutputTable

    @field_validator("statement")
    @classmethod
    def _known_topics(cls, statement: dict[str, str]) -> dict[str, str]:
        return checked_statement(statement)

    @model_validator(mode="after")
    def _distinct(self) -> "Plan":
        names = [*self.explainers(), *(table.name for table in self.maps)]
        if not names:
            raise ValueError("there is nothing to measure: name a method, or maps made elsewhere")
        _check_once(names)
        return self

    def explainers(self) -> dict[str, AbstractExplainer]:
        """The methods by the names their maps have in the run.

        Raises:
            ValueError: An unknown method or setting, or two methods under one name.
        """
        _check_once([table.key or table.name for table in self.methods])
        return {table.key or table.name: table.explainer() for table in self.methods}

    @property
    def measure_names(self) -> tuple[str, ...]:
        """Those asked for, else the level's."""
        return LEVELS[self.level] if self.measures.names is None else self.measures.names

    @property
    def costly(self) -> bool:
        """Whether stability is measured of all methods: in `full`, or where it is asked for."""
        return is_costly(self.measure_names, self.level)

    @property
    def random_orders(self) -> int:
        """As asked for, else the level's."""
        asked = self.measures.random_orders
        return RANDOM[self.level][0] if asked is None else asked

    @property
    def random_regions(self) -> int:
        """As asked for, else the level's."""
        asked = self.measures.random_regions
        return RANDOM[self.level][1] if asked is None else asked

    @property
    def trials(self) -> Trials:
        """How images are perturbed."""
        return Trials(
            names=frozenset(self.measure_names),
            baseline=self.measures.baseline,
            baselines=self.measures.baselines,
            random_orders=self.random_orders,
            random_regions=self.random_regions,
            seed=self.seed,
            max_batch=self.max_batch,
        )


def read_plan(path: Path) -> Plan:
    """The plan in a file.

    Raises:
        PlanError: A file that is missing or no TOML, or keys that are wrong, each with its line.
    """
    return read_toml(path, Plan, PlanError)


def _check_once(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f'two methods are called {name!r}; give one another name with as = "..."'
            )


def plan_from(table: Mapping[str, object]) -> Plan:
    """A plan put together in memory.

    Raises:
        PlanError: Keys that are wrong.
    """
    return checked(table, Plan, PlanError, where="the plan")
