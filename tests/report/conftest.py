"""A small eye made by hand: 40 x 60 pixels, cut to 40 x 40, shown to the model at 20 x 20."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from foveal.core import Attribution, Prediction, Region, Score
from foveal.images import FieldOfView, Resize
from foveal.store import Case, Explained, Loss, Measured, Run, View

MakeCase = Callable[..., Case]
MakeRun = Callable[..., Run]

STEPS = (
    FieldOfView(
        source=(40, 60), target=(40, 40), source_box=(0, 10, 40, 40), target_box=(0, 0, 40, 40),
        margin=0.0, square=True, blacken=False, modality="fundus",
    ),
    Resize(
        source=(40, 40), target=(20, 20), source_box=(0, 0, 40, 40), target_box=(0, 0, 20, 20),
        aspect="pad",
    ),
)  # fmt: skip


@pytest.fixture(scope="session")
def make_score() -> Callable[..., Score]:
    return score


@pytest.fixture(scope="session")
def make_map() -> Callable[..., Explained]:
    return explained


@pytest.fixture(scope="session")
def make_view() -> Callable[..., View]:
    return view


@pytest.fixture(scope="session")
def make_case() -> MakeCase:
    return case


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    return lambda *shards, **changes: run(tmp_path_factory.mktemp("run"), *shards, **changes)


def score(**changes: object) -> Score:
    settings = {"name": "relevance_mass", "value": 0.25, "direction": "higher", "range": (0, 1)}
    return Score(**{**settings, **changes})  # type: ignore[arg-type]


def explained(
    values: object = None, *, key: str = "gradcam", scores: object = (), **changes: object
) -> Explained:
    """A map that is hottest at row 1, column 0 of 4 x 4 unless it is given."""
    given = np.zeros((4, 4), np.float32) if values is None else np.asarray(values, np.float32)
    if values is None:
        given[1, 0], given[3, 3] = 2.0, -1.0
    settings = {
        "method": key.partition("@")[0],
        "layer": "features.top",
        "target": "predicted: Severe",
        "model": "grader",
        "cost": {"forward": 2, "backward": 1},
    }
    made = Attribution(map=given, **{**settings, **changes})  # type: ignore[arg-type]
    return Explained(key=key, attribution=made, scores=tuple(scores))  # type: ignore[arg-type]


def view(**changes: object) -> View:
    rows, columns = np.mgrid[:20, :20] + 0.5
    settings = {
        "model": "grader",
        "steps": tuple(dict(step.numbers()) for step in STEPS),
        "pixels": np.full((3, 20, 20), 0.5, np.float32),
        "field": (rows - 10) ** 2 + (columns - 10) ** 2 < 100,
        "prediction": Prediction(
            label="Severe", index=1, values={"No DR": 0.0625, "Severe": 0.9375}
        ),
        "regions": (
            Region(name="hard exudates", mask=np.eye(20, dtype=bool), kind="lesion"),
            Region(name="optic disc", mask=columns > 17, kind="anatomy"),
        ),
        "losses": (Loss(region="hard exudates", lesions=3, lesions_lost=1, area_kept=0.5),),
        "explained": (explained(scores=measured()),),
    }
    return View(**{**settings, **changes})  # type: ignore[arg-type]


def measured() -> tuple[Measured, ...]:
    curve = {"fractions": [0.0, 0.25, 1.0], "scores": [0.9, 0.5, 0.1]}
    return (
        Measured(score=score(value=0.421875, chance=0.03125, ceiling=1), region="hard exudates"),
        Measured(score=score(value=None, reason="empty_mask"), region="soft exudates"),
        Measured(score=score(value=0.015625, chance=0.0625, ceiling=1), region="optic disc"),
        Measured(score=score(name="deletion_auc", value=0.34375, direction="lower", parts=curve)),
        Measured(score=score(name="excess_drop", value=0.0078125, chance=0, range=(-1, 1))),
    )


def case(name: str = "I-0", **changes: object) -> Case:
    rows, columns = np.mgrid[:40, :60]
    settings = {
        "id": name,
        "patient": "P-1",
        "eye": "P-1/right",
        "laterality": "right",
        "modality": "fundus",
        "grid": (40, 60),
        "spacing_mm": (0.1, 0.1),
        "sha256": "0123456789abcdef" * 4,
        "labels": {"grade": "3"},
        "picture": np.stack([rows * 6, columns * 4, 60 + 0 * rows], axis=2).astype(np.uint8),
        "regions": (
            Region(name="hard exudates", mask=np.eye(40, 60, dtype=bool), kind="lesion"),
            Region(name="optic disc", mask=columns > 54, kind="anatomy"),
        ),
        "views": (view(),),
    }
    return Case(**{**settings, **changes})  # type: ignore[arg-type]


def run(folder: Path, *shards: list[Case], **changes: object) -> Run:
    """A run with these shards; by default one with an explained image and a failed one."""
    shards = shards or ([case(), Case(id="I-9", failure="the file ends in the middle")],)
    made = Run.create(folder, {**header(len(shards)), **changes})
    made.log("started", machine={"system": "Linux", "cores": 2})
    for number, cases in enumerate(shards):
        made.write(number, list(cases))
        seconds = {"read": 0.5, "explain": 1.5}
        made.log("shard", number=number, images=len(cases), seconds=seconds)
    made.log("cost", image="I-0", model="grader", key="gradcam", target="x", seconds=0.25)
    made.log("warning", image="I-0", text="the layer was chosen by rule")
    return made


def header(shards: int) -> dict[str, object]:
    return {
        "name": "trial",
        "fingerprint": "f" * 64,
        "identity": "pseudonym",
        "level": "standard",
        "seed": 7,
        "threads": 2,
        "images": 2,
        "shards": shards,
        "plan": {"name": "trial", "images": [{"files": "<files>"}]},
        "command": "foveal run plan.toml",
        "versions": {"foveal": "0.1.0", "python": "3.11.7"},
        "models": [
            {
                "name": "grader",
                "task": "ordinal",
                "head": "softmax",
                "classes": ["No DR", "Severe"],
                "unit": None,
                "input": {"size": [20, 20], "color": "rgb", "mean": [0.5], "std": [0.25]},
                "fingerprint": "a" * 64,
                "gives": ["scores"],
                "check": "no check",
                "notes": ["2 keys were left out"],
                "layers": [],
                "parameters": 1234567,
            }
        ],
        "methods": [
            {
                "key": "gradcam",
                "name": "gradcam",
                "settings": {"steps": 3},
                "question": "Where?",
                "sign": "positive: raises the score",
                "grid": "the layer's",
                "cost": "1 F",
                "reference": "Selvaraju et al. 2017",
            }
        ],
        "measures": [
            {
                "name": name,
                "question": "How much?",
                "direction": direction,
                "range": bounds,
                "needs": [],
                "chance": "the region's share",
                "missing": "the region is empty",
                "cost": "none",
                "reference": "Arras et al. 2022",
            }
            for name, direction, bounds in (
                ("relevance_mass", "higher", [0, 1]),
                ("deletion_auc", "lower", [None, None]),
                ("excess_drop", "higher", [-1, 1]),
            )
        ],
    }
