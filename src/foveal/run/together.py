"""Methods that ask about many images at once and give numbers instead of maps, such as TCAV."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch

from foveal.core import FovealWarning, Score
from foveal.explainers import TCAV, AbstractExplainer, Frame
from foveal.explainers.engine import explain_batch
from foveal.explainers.plan import plan_tasks
from foveal.explainers.request import Request
from foveal.models import Model
from foveal.models.targets import TargetLike
from foveal.run.one_image import Look, Question, target_in_words


@dataclass(frozen=True, kw_only=True, eq=False)
class Together:
    """A score over all images of a question."""

    key: str
    """The method's name there."""
    explainer: AbstractExplainer
    target: str
    score: Score


def apart(
    explainers: Mapping[str, AbstractExplainer],
) -> tuple[Mapping[str, AbstractExplainer], Mapping[str, AbstractExplainer]]:
    """The methods that give a map for each image, and those that ask about all images together."""
    joint = {key: one for key, one in explainers.items() if isinstance(one, TCAV)}
    return {key: one for key, one in explainers.items() if key not in joint}, joint


def explain_together(
    looks: Sequence[Look],
    target: TargetLike,
    question: Question,
    explainers: Mapping[str, AbstractExplainer],
) -> list[Together]:
    """The scores of the methods that ask about all images together, from one pass over these.

    Raises:
        ModelError: The model cannot give what a method needs.
        ValueError: A layer, class or setting that does not fit.
    """
    return list(_scores(looks, target, question, explainers)) if explainers else []


def _scores(
    looks: Sequence[Look],
    target: TargetLike,
    question: Question,
    explainers: Mapping[str, AbstractExplainer],
) -> Iterator[Together]:
    first = looks[0]
    images = torch.cat([seen.pixels for seen in looks])
    fields = torch.cat([cast(torch.Tensor, seen.frame.field) for seen in looks])
    request = Request(
        target=target,
        head=first.model.head,
        frame=Frame(display=True, field=fields),
        seed=question.seed,
        precision=question.precision,
        max_batch=first.bound(question.max_batch),
        progress=question.progress,
    )
    named = list(first.model.card.explain.layers) or None
    layers = named if question.layers is None else question.layers
    tasks, _ = plan_tasks(first.network, images, explainers, layers, request)
    for key, outcome in explain_batch(first.network, images, tasks, request).items():
        warn_of_several_targets(key, outcome.indices)
        words = _targets_in_words(first.model, target, outcome.indices)
        for score in cast(Mapping[str, Score], outcome.parts["concepts"]).values():
            yield Together(key=key, explainer=explainers[key], target=words, score=score)


def _targets_in_words(model: Model, target: TargetLike, indices: Sequence[int | None]) -> str:
    """`predicted: Mild, Severe` where the images were explained for their own classes."""
    first, *others = dict.fromkeys(target_in_words(model, target, index) for index in indices)
    return ", ".join([first, *(one.removeprefix("predicted: ") for one in others)])


def warn_of_several_targets(key: str, targets: Sequence[object]) -> None:
    """Say it where a number about one class was made from images with several targets."""
    several = sorted({str(target) for target in targets})
    if len(several) > 1:
        warnings.warn(
            f"{key}: the images have several targets ({', '.join(several)}), but "
            "its scores are about the images of one class; give that class as the target",
            FovealWarning,
            stacklevel=4,
        )
