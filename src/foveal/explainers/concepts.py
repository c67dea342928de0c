"""Concepts that people name, and whether a class depends on them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from foveal.core import Score
from foveal.explainers.base import (
    AbstractExplainer,
    Draw,
    Fold,
    Frame,
    MethodCard,
    Need,
    Seen,
    Wants,
    check_count,
)
from foveal.explainers.cav import Training, Trial, balanced, holm, two_sided
from foveal.explainers.settings import check_number

Pool = Literal["none", "mean"]
_FEWEST_SETS = 30
_FEWEST_EXAMPLES = 10


class ConceptSet(NamedTuple):
    """Examples of a concept, and random examples matched to them."""

    concept: Float[Tensor, "example channel ..."]
    random: Float[Tensor, "example channel ..."]


@dataclass(frozen=True, kw_only=True, eq=False)
class TCAV(AbstractExplainer):
    """Does a concept that people can name raise the score of a class?

    A linear classifier tells a concept's examples from random ones at a layer; its normal v, the
    concept activation vector, points towards the concept. The TCAV score is the share of the
    class's images x whose score s rises along it, grad s(f(x)) . v > 0 with f the activations at
    the layer, and the mean over CAVs trained against other random examples. 0.5 is chance.

    On eyes it answers for a whole class, at the level of words: do haemorrhages count for "Severe"?
    It gives no map and says nothing about a single image. Concepts are sets of images: patches
    around lesions (`lesion_patches`), or folders sorted by texture, pallor, cup-to-disc ratio,
    vessel curvature. What the sets differ in beside the concept (camera, brightness, sharpness) is
    learnt as well, so match the random examples; those of one patient are no independent examples.
    Explain images of one class, with that class as the target. It costs one forward and one
    backward pass an image, and one forward pass for each example.

    There are no maps: `info["tcav"].parts["concepts"]` holds one `foveal.Score` a concept
    (`concept@layer` for several layers), `parts["derivatives"]` the mean directional derivative of
    each image. Each Score carries the scores of random sets as its `null`, and in its parts the
    two-sided p-value `p` against them, `p_holm` adjusted over all concepts and layers of the call,
    and the CAVs' `accuracy` on held-out examples. It is missing where the classifier cannot tell
    the concept from random examples, or where there are fewer than ten to learn from.

    Args:
        concepts: Images by the concept's name, as the model takes them (in display units at the
            clinical door), or a `ConceptSet` that brings its own random examples.
        random: Random images for the concepts that bring none; best three times as many as a
            concept has, since each CAV takes as many as it has examples, and random sets take the
            concept's place.
        runs: CAVs a set, each against other random examples.
        random_sets: Sets of random examples that the concept is compared with, 30 at least. The
            smallest p-value is 2 / (random_sets + 1), which `p_holm` multiplies by the number of
            concepts and layers.
        ridge: Penalty of the classifier, in units of the examples' mean squared distance from
            their mean.
        pool: `none` for the layer as it is, as in the paper; `mean` over its places, where the
            concept may be anywhere.
        least_accuracy: Held-out accuracy below which a classifier has found no concept.

    Raises:
        ValueError: No concept, a concept without random examples, or a setting out of range.
        TypeError: Examples that are no tensors.

    Reference:
        Kim et al. 2018, Interpretability Beyond Feature Attribution, equation 1:
        S = grad h(f(x)) . v, TCAV = the share of x with S > 0. A ridge regression classifies.
        The paper's t-test is replaced by the rank among random sets, whose level is exact.
    """

    concepts: Mapping[str, Tensor | ConceptSet]
    random: Tensor | None = None
    runs: int = 20
    random_sets: int = 500
    ridge: float = 1.0
    pool: Pool = "none"
    least_accuracy: float = 0.7

    name: ClassVar[str] = "tcav"
    needs: ClassVar[tuple[Need, ...]] = ("activations", "layer gradients")
    wants: ClassVar[Wants] = Wants(gradient=True)
    card: ClassVar[MethodCard] = MethodCard(
        question="Does a concept that people can name raise the score of a class?",
        sign="above 0.5: the concept raises the score of most images; below: lowers it",
        grid="no map: one Score a concept",
        cost="1 F + 1 B, and 1 F for each example",
        reference="Kim et al. 2018, Interpretability Beyond Feature Attribution, eq. 1",
    )

    def __post_init__(self) -> None:
        if not isinstance(self.concepts, Mapping) or not self.concepts:
            raise ValueError(
                'concepts must be images by name, such as {"haemorrhage": images}, but is '
                f"{self.concepts!r}"
            )
        if not isinstance(self.random, Tensor | None):
            raise TypeError(
                "random must be a tensor of images, which no plan file can hold, but is "
                f"{type(self.random).__name__}"
            )
        for name, (own, random) in self._sets().items():
            _check_examples(name, own, random)
        check_count("runs", self.runs)
        check_count("random_sets", self.random_sets)
        if self.random_sets < _FEWEST_SETS:
            raise ValueError(f"random_sets must be at least 30, but is {self.random_sets}")
        for what in ("ridge", "least_accuracy"):
            check_number(what, getattr(self, what))
        if not self.ridge > 0:
            raise ValueError(f"ridge must be positive, but is {self.ridge}")
        if self.pool not in get_args(Pool):
            raise ValueError(f'pool must be "none" or "mean", but is {self.pool!r}')
        if not 0 <= self.least_accuracy < 1:
            raise ValueError(f"least_accuracy must be in [0, 1), but is {self.least_accuracy}")

    @property
    def settings(self) -> dict[str, object]:
        """As they were given, with the number of examples in the place of examples."""
        sets = self._sets().items()
        return {
            "concepts": {name: len(own) for name, (own, _) in sets},
            "random": {name: len(random) for name, (_, random) in sets},
            **{name: getattr(self, name) for name in ("runs", "random_sets", "ridge", "pool")},
            "least_accuracy": self.least_accuracy,
        }

    @property
    def fuses_layers(self) -> bool:
        """All layers are tested together, since p-values are adjusted for their number."""
        return True

    @property
    def examples(self) -> Float[Tensor, "example channel ..."]:
        """The concepts' and the random ones, each set once."""
        return torch.cat(list(self._distinct().values()))

    def fold(self, clean: Seen, answers: Sequence[Iterator[Seen]], frame: Frame) -> Fold:
        """The derivative of each image's score towards each example, from which CAVs are made."""
        grams: dict[str, Tensor] = {}
        parts: dict[str, object] = {}
        for layer, seen in clean.layers.items():
            examples = frame.examples[layer]
            activation, gradient = seen.pair
            _check_places(layer, examples, activation, self.pool)
            points = _pooled(examples, self.pool)
            points = points - points.mean(dim=0)  # no CAV changes, and float32 sums stay exact
            slopes = _pooled(gradient, self.pool, total=True) @ points.T
            parts[layer] = slopes.double().cpu()
            if frame.first == 0:  # of all chunks the first one brings what they share
                grams[layer] = (points @ points.T).double().cpu()
        return Fold(map=None, parts={**parts, "space": _Space(grams, frame.draw)})

    def conclude(self, parts: Mapping[str, object]) -> Mapping[str, object]:
        """The concepts' scores over the whole batch."""
        space = parts["space"]
        if not isinstance(space, _Space):
            raise TypeError("these parts are no parts of TCAV")
        found = {
            concept if len(space.grams) == 1 else f"{concept}@{layer}": self._tested(
                concept, layer, space, parts[layer]
            )
            for layer in space.grams
            for concept in self.concepts
        }
        tested = {key: one for key, one in found.items() if one.p is not None}
        adjusted = dict(zip(tested, holm([one.p or 0 for one in tested.values()]), strict=True))
        return {
            "concepts": {key: self._score(one, adjusted.get(key)) for key, one in found.items()},
            "derivatives": {key: one.derivatives for key, one in tested.items()},
        }

    def _tested(self, concept: str, layer: str, space: "_Space", slopes: object) -> "_Tested":
        own, pool = self._rows()[concept]
        if not isinstance(slopes, Tensor):
            raise TypeError(f"there are no derivatives at {layer}")
        usable = slopes.isfinite().all(dim=1) & slopes.any(dim=1)
        size = balanced(len(own), len(pool))
        params = {
            "concept": concept,
            "layer": layer,
            "examples": size,
            "concept_examples": len(own),
            "random_examples": len(pool),
            **{k: self.settings[k] for k in ("runs", "random_sets", "ridge", "pool")},
        }
        counts = {"images": int(usable.sum()), "images_without_gradient": int((~usable).sum())}
        if size < _FEWEST_EXAMPLES or not usable.any():
            return _Tested(params=params, counts=counts)
        training = Training(draw=space.draw, runs=self.runs, ridge=self.ridge)
        gram = space.grams[layer]
        vectors = training.concept(gram, own, pool)
        trial = Trial(slopes[usable] @ vectors.weights.T)
        null = [
            Trial(slopes[usable] @ random.weights.T)
            for random in training.random(gram, size, pool, self.random_sets)
        ]
        return _Tested(
            params=params,
            counts=counts,
            p=two_sided(trial, null),
            trial=trial,
            null=tuple(one.score for one in null),
            accuracy=vectors.accuracy,
            derivatives=(slopes @ vectors.weights.T).mean(dim=1).float(),
        )

    def _score(self, one: "_Tested", p_holm: float | None) -> Score:
        card = {
            "name": self.name,
            "direction": "context",
            "range": (0.0, 1.0),
            "chance": 0.5,
            "params": one.params,
        }
        if one.trial is None:
            text = (
                f"a CAV needs {_FEWEST_EXAMPLES} examples of the concept, twice as many random "
                "ones, and images with a gradient at the layer"
            )
            return Score(reason="too_few", reason_text=text, parts=one.counts, **card)
        parts = {
            **one.counts,
            "accuracy": one.accuracy,
            "p": one.p,
            "p_holm": p_holm,
            "runs": one.trial.runs,
        }
        if one.accuracy < self.least_accuracy:
            text = (
                "the concept cannot be told from random examples at this layer: accuracy "
                f"{one.accuracy:.2f} on held-out ones"
            )
            return Score(reason="no_concept", reason_text=text, null=one.null, parts=parts, **card)
        return Score(value=one.trial.score, null=one.null, parts=parts, **card)

    def _sets(self) -> dict[str, ConceptSet]:
        return {name: _as_set(name, given, self.random) for name, given in self.concepts.items()}

    def _distinct(self) -> dict[int, Tensor]:
        """Every set of examples by its identity, so that random ones may be shared."""
        return {id(block): block for one in self._sets().values() for block in one}

    def _rows(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Where each concept's examples, and its random ones, stand among all examples."""
        blocks = self._distinct()
        ends = torch.tensor([len(block) for block in blocks.values()]).cumsum(0).tolist()
        rows = {
            key: torch.arange(end - len(block), end)
            for (key, block), end in zip(blocks.items(), ends, strict=True)
        }
        return {name: (rows[id(one[0])], rows[id(one[1])]) for name, one in self._sets().items()}


class _Space(NamedTuple):
    """What all images of a call share."""

    grams: Mapping[str, Tensor]
    """Inner products of the centred activations of all examples, by layer."""
    draw: Draw


@dataclass(frozen=True, kw_only=True)
class _Tested:
    """One concept at one layer; without a trial where there was too little to learn from."""

    params: Mapping[str, object]
    counts: Mapping[str, object]
    p: float | None = None
    trial: Trial | None = None
    null: tuple[float, ...] = ()
    accuracy: float = 0.0
    derivatives: Tensor | None = None


def _as_set(name: str, given: object, random: Tensor | None) -> ConceptSet:
    if isinstance(given, tuple):
        return ConceptSet(*given)
    if not isinstance(given, Tensor):
        raise TypeError(
            f"the examples of {name!r} must be a tensor of images, which no plan file can hold, "
            f"but are {type(given).__name__}"
        )
    if random is None:
        raise ValueError(
            f"the concept {name!r} has no random examples to be told from; give random=images, or "
            "a ConceptSet such as concept_patches makes"
        )
    return ConceptSet(given, random)


def _check_examples(name: str, own: Tensor, random: Tensor) -> None:
    for what, images in (("examples", own), ("random examples", random)):
        if not isinstance(images, Tensor) or not images.is_floating_point():
            raise TypeError(f"the {what} of {name!r} must be a tensor of floating-point images")
        if images.ndim < 4 or not bool(images.isfinite().all()):
            raise ValueError(
                f"the {what} of {name!r} must be finite (example, channel, row, column), but "
                f"their shape is {tuple(images.shape)}"
            )
    if own.shape[1:] != random.shape[1:]:
        raise ValueError(
            f"the examples of {name!r} are {tuple(own.shape[1:])}, but its random ones "
            f"{tuple(random.shape[1:])}"
        )


def _check_places(layer: str, examples: Tensor, activation: Tensor, pool: Pool) -> None:
    if pool == "none" and examples.shape[1:] != activation.shape[1:]:
        raise ValueError(
            f"at layer {layer!r} examples give {tuple(examples.shape[1:])}, but images "
            f'{tuple(activation.shape[1:])}; resize the examples, or use pool="mean"'
        )


def _pooled(values: Tensor, pool: Pool, *, total: bool = False) -> Float[Tensor, "sample number"]:
    """One row a sample; a mean over places has the sum of their gradients as its gradient."""
    if pool == "none":
        return values.flatten(1)
    places = values.flatten(2)
    return places.sum(dim=2) if total else places.mean(dim=2)
