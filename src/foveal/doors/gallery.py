"""All methods on the same images, each asked alone, so that one that fails leaves the others."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor

from foveal.core import FovealError, ImageError
from foveal.explainers import AbstractExplainer, ExpectedGradients
from foveal.explainers.registry import Method, explainer_named, methods
from foveal.explainers.request import MAX_BATCH, Progress
from foveal.images import read
from foveal.models import Model
from foveal.models.layers import name_of
from foveal.models.targets import TargetLike
from foveal.report import Exhibit, Wall
from foveal.run.casework import case_of, targets_of, view_of
from foveal.run.cohort import Entry
from foveal.run.estimate import Estimate, estimate_alone
from foveal.run.identity import Identity
from foveal.run.marked import regions_of
from foveal.run.one_image import Look, Question, explain, look, target_in_words
from foveal.run.plan import ModelTable
from foveal.store import Case, Explained

OnMethod = Callable[[int, int, str], None]
"""Called before a method is asked: how many were asked before, of how many, and which one it is."""

QUICK: Mapping[str, Mapping[str, object]] = {
    "smoothgradcam++": {"samples": 8},
    "scorecam": {"top": 32},
    "smoothgrad": {"samples": 8},
    "squaregrad": {"samples": 8},
    "vargrad": {"samples": 8},
    "integratedgradients": {"steps": 16},
    "expectedgradients": {"samples": 32},
    "rise": {"masks": 500},
    "lime": {"samples": 250},
    "kernelshap": {"samples": 256},
    "xrai": {"steps": 16},
}
"""Settings with which methods are several times faster, and their maps rougher."""

_NO_ABOUT = ("Args:", "Returns:", "Raises:", "Reference:")
"""Parts of a docstring that are for programmers, or stand elsewhere."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Hung:
    """One image, read and prepared."""

    case: Case
    seen: Look


@dataclass(frozen=True, kw_only=True, eq=False)
class Gallery:
    """What is to be shown: images that a model has looked at, and methods.

    Images that cannot be read or prepared are left out, with their reasons in `failures`.

    Raises:
        ValueError: A method, target or layer that does not exist.
    """

    model: Model
    entries: Sequence[Entry]
    names: Sequence[str] = ()
    """Of methods; all that are built by default."""
    targets: tuple[str, ...] | None = None
    """What the model predicts by default; of a segmentation every class."""
    layers: tuple[str, ...] | None = None
    """For methods that watch a layer; the card's by default, else one is chosen."""
    seed: int = 0
    quick: bool = False
    keep_identity: bool = False
    """Whether images are called by the names of their files; else by their number."""
    max_batch: int = MAX_BATCH
    failures: dict[str, str] = field(default_factory=dict, init=False)
    """By the image's name, why it is not shown."""
    _hung: list[_Hung] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        known = {method.name for method in methods()}
        for name in self.names:
            if name not in known:
                explainer_named(name)  # which says what is near
        for layer in self.layers or ():
            name_of(self.model.module, layer)
        targets_of(self.model, self._table)
        self._hung.extend(self._images())

    @property
    def methods(self) -> list[Method]:
        """Those that are asked, in the order of their families."""
        return [method for method in methods() if not self.names or method.name in self.names]

    @property
    def images(self) -> int:
        """How many are shown."""
        return len(self._hung)

    def estimate(self) -> Estimate:
        """The passes of all methods that can be asked, and the time they take here."""
        explainers = []
        for method in self.methods:
            try:
                explainers.append(self._explainer(method, 0))
            except (ValueError, IndexError):  # it says so on the wall
                continue
        return estimate_alone(self.model, self._table, explainers, self.images)

    def walls(
        self, *, on_method: OnMethod | None = None, progress: Progress | None = None
    ) -> Iterator[Wall]:
        """One wall after the other: every method on one image for one target.

        A method that the model or this call cannot serve leaves its reason in the place of a map.

        Args:
            on_method: Called before each method.
            progress: Called with the passes done and planned of a method that sends passes of its
                own.
        """
        targets = targets_of(self.model, self._table)
        asked, total = 0, self.images * len(targets) * len(self.methods)
        for number, hung in enumerate(self._hung):
            for target in targets:
                exhibits: list[Exhibit] = []
                for method in self.methods:
                    if on_method is not None:
                        on_method(asked, total, f"{hung.case.id}: {method.name}")
                    exhibits += self._exhibits(method, number, target, progress)
                    asked += 1
                words = _asked(self.model, target, exhibits)
                yield Wall(case=hung.case, target=words, exhibits=tuple(exhibits))

    @property
    def _table(self) -> ModelTable:
        return ModelTable(card="", targets=self.targets, layers=self.layers)

    def _images(self) -> Iterator[_Hung]:
        told = Identity(keep=self.keep_identity, secret=b"").told
        for number, entry in enumerate(self.entries, start=1):
            name = Path(entry.name).name if self.keep_identity else f"image {number}"
            try:
                yield self._image(entry, name)
            except ImageError as problem:
                self.failures[name] = told(problem, entry.path, entry.name)

    def _image(self, entry: Entry, name: str) -> _Hung:
        image = entry.described(read(entry.path, modality=entry.modality))
        regions, _ = regions_of(entry, image)
        seen = look(self.model, image, regions)
        named = Identity(keep=True, secret=b"")
        case = case_of(image, regions, [view_of(seen, [])], named, name=name)
        if not self.keep_identity:
            case = replace(case, patient=None, eye=None, visit=None)
        return _Hung(case=case, seen=seen)

    def _exhibits(
        self, method: Method, number: int, target: TargetLike, progress: Progress | None
    ) -> list[Exhibit]:
        exhibit = partial(
            Exhibit,
            method=method.name,
            question=method.question,
            sign=method.sign,
            grid=method.grid,
            cost=method.cost,
            reference=method.reference,
            about=tuple(_about(method.cls)),
        )
        started = perf_counter()
        try:
            question = Question(
                explainers={method.name: self._explainer(method, number)},
                layers=self.layers,
                seed=self.seed,
                max_batch=self.max_batch,
                progress=progress,
            )
            answers = explain(self._hung[number].seen, target, question)
        except (FovealError, ValueError, TypeError) as problem:
            return [exhibit(refusal=str(problem))]
        except RuntimeError as problem:  # torch's own words for what an operation cannot do
            return [exhibit(refusal=f"{type(problem).__name__}: {problem}")]
        seconds = (perf_counter() - started) / len(answers)
        return [
            exhibit(
                explained=Explained(key=answer.key, attribution=answer.attribution),
                seconds=seconds,
            )
            for answer in answers
        ]

    def _explainer(self, method: Method, number: int) -> AbstractExplainer:
        """A method with its settings for one image, whose references are all the others."""
        settings = dict(QUICK.get(method.name, {})) if self.quick else {}
        if method.cls is ExpectedGradients:
            settings["reference"] = self._others(number)
        return explainer_named(method.name, **settings)

    def _others(self, number: int) -> Tensor:
        others = [hung.seen.pixels for n, hung in enumerate(self._hung) if n != number]
        if not others:
            raise ValueError(
                "expectedgradients compares an image with others, which a gallery takes from its "
                "own; give two images or more"
            )
        return torch.cat(others)


def _asked(model: Model, target: TargetLike, exhibits: Sequence[Exhibit]) -> str:
    """The target in words, with the class that was predicted where a method says so."""
    said = (one.explained.attribution.target for one in exhibits if one.explained is not None)
    return next(said, None) or target_in_words(model, target, None)


def _about(cls: type) -> Iterator[str]:
    """The prose of a docstring below its first paragraph, each paragraph in one line."""
    for paragraph in (inspect.getdoc(cls) or "").split("\n\n")[1:]:
        if not paragraph.startswith(_NO_ABOUT) and not paragraph.startswith(" "):
            yield " ".join(paragraph.replace("`", "").split())
