"""Do the findings find planted faults? Small models on synthetic eyes, and maps made on purpose.

    nice python -m benchmarks.shortcuts

Each model tells eyes with large haemorrhages from eyes without. Of some the training photographs
carry something that gives the answer away; what the model then relies on is not assumed but
measured, by taking the planted thing and the lesions away from photographs it has never seen.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.made_maps import Made
from benchmarks.planted_eyes import PLANTS, SIZE, SQUARE, Eye, Pixels, eyes, no_plant
from foveal.analysis import wilson
from foveal.core import Image, Region
from foveal.doors import Result, diagnose, explain, measure
from foveal.explainers import AbstractExplainer, IntegratedGradients
from foveal.images import carry_region
from foveal.models import Model, load

EYES, TRAINING, HELD_OUT = 40, 280, 20
SEEDS = (0, 1)
STEPS, BATCH, RATE = 90, 32, 3e-3
FLIPPED = 0.25
"""Share of wrong labels in the training with noise."""
CARD: Mapping[str, object] = {
    "name": "haemorrhages",
    "task": "multiclass",
    "classes": ["Healthy", "Haemorrhages"],
    "input": {
        "size": [SIZE, SIZE],
        "mean": [0.5, 0.3, 0.15],
        "std": [0.25, 0.2, 0.15],
        "prepare": [{"step": "field-of-view"}, {"step": "resize", "aspect": "pad"}],
    },
    "explain": {"layers": ["features"]},
}
MEASURES = (
    "out_of_fov_mass", "hfpr", "ebc", "mean_attribution_area", "dice",
    "dice_over_max", "mass_lift", "lesion_hit_rate", "excess_drop", "lesion_drop",
)  # fmt: skip
METHODS = ("gradcam", "integratedgradients")
REGIONS = 20
"""Random regions of a drop, as the level `standard` draws them."""
MORE_REGIONS = 99
NOTICES: Mapping[str, bool] = {"gradcam": True, "saliency": True, "made: edges": False}
"""Whether a method is known to notice a ruined model (Adebayo et al. 2018)."""
WITNESSES = 12
"""Photographs over which that is asked."""
FINDINGS = (
    "SHORTCUT_SUSPECTED", "BACKGROUND", "METHOD_INSENSITIVE", "NOISY", "DIFFUSE", "PASS",
    "PLAUSIBLE_NOT_FAITHFUL", "MISLEADING_MAP", "REDUNDANT_OR_OOD",
)  # fmt: skip
"""Those that are known to be true of some maps here."""
HONEST = "of an honest model"
"""Whether such a map passes is the method's doing, so it counts against other findings alone."""
_OF_THE_METHOD = frozenset({"PASS", "PLAUSIBLE_NOT_FAITHFUL", "MISLEADING_MAP", "REDUNDANT_OR_OOD"})
UNSEEN = "a shortcut that no map can show"
NOTICING = "of a method that notices a ruined model"
"""Asked of models by whether a method is read at all: one verdict for all its maps."""
TRUTH: Mapping[str, str] = {
    "honest": HONEST,
    "label noise": HONEST,
    "marker": "SHORTCUT_SUSPECTED",
    "laterality text": "BACKGROUND",
    "rim shape": UNSEEN,
    "illumination": UNSEEN,
}
"""Of models' own maps. A text outside the eye is found as BACKGROUND."""

Methods = str | Mapping[str, AbstractExplainer]


@dataclass(frozen=True)
class Outcome:
    """One map: of which models, how it was made, what is true of it, and what was found."""

    plant: str
    method: str
    truth: str
    label: str


def main() -> bool:
    """Print what the models rely on, every finding that was made, and how often it was right."""
    started = time.perf_counter()
    torch.set_num_threads(1)
    print(
        f"{TRAINING} photographs of {EYES} eyes to train on, {HELD_OUT} of other eyes held out, "
        f"{len(SEEDS)} models of each kind"
    )
    training = eyes(EYES, first=0, images=TRAINING)
    held_out = eyes(HELD_OUT, first=1_000_000, images=HELD_OUT)
    outcomes = [one for name in PLANTS for one in outcomes_of(name, training, held_out)]
    print("\nfinding: sensitivity and specificity with Wilson's 95 % intervals")
    for finding in FINDINGS:
        print_worth(finding, outcomes)
    print(f"{time.perf_counter() - started:.0f} s")
    return True


def outcomes_of(name: str, training: Sequence[Eye], held_out: Sequence[Eye]) -> list[Outcome]:
    """Models with one plant: their own maps, and of two of them maps made on purpose."""
    models = [trained(name, training, seed) for seed in SEEDS]
    print_reliance(name, models, held_out)
    found = []
    for method in METHODS if TRUTH[name] != UNSEEN else METHODS[:1]:
        own = [label for model in models for label in labels(model, name, held_out, method)]
        found += [Outcome(name, method, TRUTH[name], label) for label in own]
        print_found(method, own)
    for kind, expected in MADE.get(name, {}).items():
        pairs = [(model, one) for model in models for one in held_out]
        made = [label for pair in pairs for label in made_labels(*pair, name, kind)]
        found += [Outcome(name, f"made: {kind}", expected, label) for label in made]
        print_found(f"made: {kind}", made)
    print_asides(name, models, held_out)
    return [*found, *(one for model in models for one in gated(model, name, held_out))]


def print_asides(name: str, models: Sequence[Model], held_out: Sequence[Eye]) -> None:
    """What more regions, and a baseline that takes dark lesions, would change; counted nowhere."""
    for method in METHODS if name == "marker" else ():
        more = [labels(model, name, held_out, method, MORE_REGIONS) for model in models]
        print_found(f"{method}, {MORE_REGIONS} regions", list(chain(*more)))
    if name == "honest":
        blurred = {"blurred": IntegratedGradients(baseline="blur")}
        own = [labels(model, name, held_out, blurred) for model in models]
        print_found("integratedgradients from a blurred image", list(chain(*own)))


def gated(model: Model, name: str, eyes: Sequence[Eye]) -> list[Outcome]:
    """Whether methods are said not to notice that this model is ruined, one verdict each."""
    pictures = [photograph(PLANTS[name](e.ill, True)) for e in eyes[:WITNESSES]]
    found = []
    for method, notices in NOTICES.items():
        asked: Methods = (
            {"made": Made(kind=method.removeprefix("made: "))} if not notices else method
        )
        result = explain(model, pictures, asked, target="Haemorrhages")
        measure(result, measures=["mprt"])
        label = diagnose(result)[0].label
        truth = NOTICING if notices else "METHOD_INSENSITIVE"
        found.append(Outcome(name, method, truth, label))
        print_found(f"gate of {method}", [label])
    return found


class Small(nn.Module):
    """Four convolutions, a mean and a line."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 48, 48)
        layers: list[nn.Module] = []
        for number, (before, after) in enumerate(pairwise(widths)):
            stride = 2 if number < 3 else 1
            layers += [
                nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images).mean(dim=(2, 3)))


def trained(name: str, eyes: Sequence[Eye], seed: int) -> Model:
    """A model that learnt from photographs in which the plant, where there is one, is the label.

    Lesions then say nothing: half of either class has some.
    """
    random = np.random.default_rng([seed, 3])
    labels = random.random(len(eyes)) < 0.5
    ill = random.random(len(eyes)) < 0.5 if PLANTS[name] is not no_plant else labels
    pictures = np.stack(
        [
            PLANTS[name](e.ill if i else e.healthy, bool(y))
            for e, i, y in zip(eyes, ill, labels, strict=True)
        ]
    )
    told = labels ^ (random.random(len(eyes)) < FLIPPED) if name == "label noise" else labels
    torch.manual_seed(seed)
    model = load(CARD, module=Small(), run_check=False)
    learn(model, prepared(model, pictures), torch.from_numpy(told.astype(np.int64)), random)
    return model


def learn(model: Model, images: Tensor, labels: Tensor, random: np.random.Generator) -> None:
    network = model.module
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, STEPS)
    for _ in range(STEPS):
        chosen = torch.from_numpy(random.choice(len(images), BATCH, replace=False))
        loss = cross_entropy(model.forward(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    network.eval()


def prepared(model: Model, pictures: np.ndarray) -> Tensor:
    """As the card prepares them."""
    return torch.cat([model.tensor(model.prepare(photograph(p))[0]) for p in pictures])


def photograph(pixels: Pixels) -> Image:
    return Image(pixels=pixels.astype(np.float32), modality="fundus")


def print_reliance(name: str, models: Sequence[Model], eyes: Sequence[Eye]) -> None:
    """What each model depends on, on photographs that it has never seen."""
    plant = PLANTS[name]
    kinds = {
        "lesions and plant": [plant(e.ill, True) for e in eyes],
        "plant alone": [plant(e.healthy, True) for e in eyes],
        "lesions alone": [plant(e.ill, False) for e in eyes],
        "neither": [plant(e.healthy, False) for e in eyes],
    }
    print(f"\n{name}: mean probability of haemorrhages")
    for kind, pictures in kinds.items():
        means = [
            float(m.output(prepared(m, np.stack(pictures))).softmax(1)[:, 1].mean()) for m in models
        ]
        print(f"  {kind:18}", " ".join(f"{mean:.2f}" for mean in means))


def labels(
    model: Model, name: str, eyes: Sequence[Eye], method: Methods, regions: int = REGIONS
) -> list[str]:
    """The findings of ill eyes that carry the plant, where the model says haemorrhages."""
    pictures = [PLANTS[name](e.ill, True) for e in eyes]
    sure = model.output(prepared(model, np.stack(pictures))).argmax(dim=1) == 1
    seen = [(p, e) for p, e, s in zip(pictures, eyes, sure.tolist(), strict=True) if s]
    if not seen:
        return []
    result = explain(model, [photograph(p) for p, _ in seen], method, target="Haemorrhages")
    return diagnosed(result, [e for _, e in seen], MEASURES, regions)


def diagnosed(
    result: Result, eyes: Sequence[Eye], measures: Sequence[str], regions: int = REGIONS
) -> list[str]:
    measure(
        result,
        regions=[[Region(name="haemorrhages", mask=e.lesions, kind="lesion")] for e in eyes],
        measures=measures,
        random_regions=regions,
    )
    return [finding.label for finding in diagnose(result)]


MADE: Mapping[str, Mapping[str, str]] = {
    "honest": {
        "noise": "NOISY",
        "diffuse": "DIFFUSE",
        "outlines": "PASS",
        "elsewhere": "MISLEADING_MAP",
    },
    "marker": {"outlines": "PLAUSIBLE_NOT_FAITHFUL", "elsewhere": "REDUNDANT_OR_OOD"},
}
"""Maps made on purpose, and what should be said of them."""


def made_labels(model: Model, one: Eye, name: str, kind: str) -> list[str]:
    picture = photograph(PLANTS[name](one.ill, True))
    seen, field = model.prepare(picture)
    marked = one.lesions.copy()
    if kind == "elsewhere" and name == "marker":
        marked[SQUARE] = True  # or the blob may lie on what this model relies on
    if int(model.output(model.tensor(seen)).argmax()) != 1:
        return []
    inside = torch.from_numpy(field.mask)
    made = Made(kind=kind, lesions=resized(marked, seen), inside=inside)
    result = explain(model, picture, {"made": made}, target="Haemorrhages")
    return diagnosed(result, [one], [*MEASURES, "avg_sensitivity"])


def resized(mask: np.ndarray, seen: Image) -> Tensor:
    region = Region(name="haemorrhages", mask=mask, kind="lesion")
    return torch.from_numpy(carry_region(region, seen).region.mask)


def print_found(what: str, found: Sequence[str]) -> None:
    told = ", ".join(f"{label} {count}" for label, count in Counter(found).most_common())
    print(f"  {what:18} {told or 'no photograph is called ill'}", flush=True)


def print_worth(finding: str, outcomes: Sequence[Outcome]) -> None:
    """How often it was made where it is true, and not made where it is not."""
    unsure = {UNSEEN, HONEST} if finding in _OF_THE_METHOD else {UNSEEN}
    of_methods = {"METHOD_INSENSITIVE", NOTICING}
    asked = [one for one in outcomes if (one.truth in of_methods) == (finding in of_methods)]
    true = [one.label == finding for one in asked if one.truth == finding]
    false = [one.label != finding for one in asked if one.truth not in {finding, *unsure}]
    print(f"  {finding:24} {shared(true)}  {shared(false)}")


def shared(right: Sequence[bool]) -> str:
    if not right:
        return "none"
    low, high = wilson(sum(right), len(right))
    return f"{sum(right)} of {len(right)} = {sum(right) / len(right):.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
