"""What the clinical door returns: images, maps and scores, which can show and save themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from foveal.analysis.shuffled import Shuffled, against_shuffled
from foveal.core import Attribution, Finding, Image, Region, Score
from foveal.images import MapGrid, map_from_array, read_map
from foveal.measures.base import Array, as_numpy
from foveal.models import Model
from foveal.models.targets import TargetLike
from foveal.run.casework import case_of, view_of
from foveal.run.elsewhere import Elsewhere, answers_elsewhere
from foveal.run.gating import Gates
from foveal.run.identity import Identity
from foveal.run.one_image import Answer, Look, Question
from foveal.run.together import Together
from foveal.store import Case, Explained, MapName, Measured, Scored

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from foveal.report.dicom import Exported


@dataclass(kw_only=True, eq=False)
class Reading:
    """One image of a result: as it was read, as the model saw it, and what came of it."""

    image: Image
    seen: Look
    target: TargetLike
    answers: list[Answer]
    regions: list[Region] = field(default_factory=list)
    """On the original grid, as they were last measured."""
    scores: dict[str, list[Measured]] = field(default_factory=dict)
    """By the map's name."""
    findings: dict[str, Finding] = field(default_factory=dict)
    """By the map's name, as they were last diagnosed."""

    @property
    def name(self) -> str:
        """What the user's own table calls the image: its file's name."""
        return Path(self.image.source).name if self.image.source else "image"

    def case(self, identity: Identity, *, name: str) -> Case:
        """Everything about it, as a run keeps it."""
        explained = [
            Explained(
                key=answer.key,
                attribution=answer.attribution,
                scores=tuple(self.scores.get(answer.key, [])),
                finding=self.findings.get(answer.key),
            )
            for answer in self.answers
        ]
        view = view_of(self.seen, explained)
        return case_of(self.image, self.regions, [view], identity, name=name)

    def scored(self) -> list[Scored]:
        """Its maps without their values, as the diagnosis takes them."""
        model = self.seen.model.card.name
        return [
            Scored(
                name=MapName(self.name, model, answer.key, answer.attribution.target),
                reason=answer.attribution.reason,
                scores=tuple(self.scores.get(answer.key, [])),
                finding=self.findings.get(answer.key),
            )
            for answer in self.answers
        ]


class Result:
    """Images, their maps and their scores; measuring adds to it.

    It lives in memory. `show` draws the maps on the original pixels, `rows` gives the scores as a
    table, and `save` writes a run that the command line and the report can read. What it shows
    names no patient, eye, visit or file unless asked: notebooks are saved with their output.
    """

    def __init__(
        self,
        model: Model,
        question: Question,
        readings: Sequence[Reading],
        together: Sequence[Together] = (),
    ) -> None:
        self.model = model
        self.question = question
        self.readings = list(readings)
        self.together = tuple(together)
        """The scores of methods that ask about all images at once, such as TCAV."""
        self.folder: Path | None = None
        """Where it was saved; measuring saves it again."""
        self.identity: Literal["pseudonym", "keep"] = "pseudonym"
        """How it was saved there."""
        self.gates: Gates = {}
        """Which methods notice a ruined model, where `mprt` was measured over several patients."""
        self.shuffled: Shuffled = {}
        """How alike maps of different patients are, where that was asked of maps of noisy copies.

        The report holds `map_ssim` and its like against the mean of these pairs.
        """

    @property
    def images(self) -> list[Image]:
        """As they were read."""
        return [reading.image for reading in self.readings]

    @property
    def attributions(self) -> list[Attribution]:
        """Raw signed maps on their native grids, image by image."""
        return [answer.attribution for reading in self.readings for answer in reading.answers]

    @property
    def scores(self) -> list[Score]:
        """All scores that were measured; `rows` says what each belongs to."""
        measured = [measured.score for _, _, measured in self._measured()]
        return measured + [one.score for one in self.together]

    @property
    def findings(self) -> list[Finding]:
        """What is wrong with each map, in the order of `attributions`.

        Empty before `foveal.measure` or `foveal.diagnose`.
        """
        return [finding for _, _, finding in self._diagnosed()]

    def rows(self) -> list[dict[str, object]]:
        """The scores as a table, one row each; a missing value has its reason beside it.

        The region of TCAV's rows is the concept, and their image "all images".
        """
        rows = [
            {
                "image": reading.name,
                "method": answer.key,
                "layer": answer.attribution.layer,
                "target": answer.attribution.target,
                "region": measured.region,
                **_row(measured.score),
            }
            for reading, answer, measured in self._measured()
        ]
        return rows + [
            {
                "image": "all images",
                "method": one.key,
                "layer": one.score.params["layer"],
                "target": one.target,
                "region": one.score.params["concept"],
                **_row(one.score),
            }
            for one in self.together
        ]

    def show(
        self, image: int = 0, *, identity: Literal["none", "keep"] = "none", **drawing: object
    ) -> "Figure":
        """The maps of one image on its original pixels, each with its scale.

        Args:
            image: Which of the images, counted from 0.
            identity: `keep` heads the figure with the names of the file and the eye.
            **drawing: As for `foveal.report.case_figure`: `methods`, `signed`, `alpha`,
                `colormap`, `contours`.
        """
        from foveal.report import case_figure

        return case_figure(self.case(image, identity=identity), **drawing)  # type: ignore[arg-type]

    def case(self, image: int = 0, *, identity: Literal["none", "keep"] = "none") -> Case:
        """One image with everything about it; without names it is "image 1" and so on.

        Raises:
            ValueError: Another identity than `none` and `keep`.
        """
        if identity not in ("none", "keep"):
            raise ValueError(f"identity must be none or keep, but is {identity!r}")
        reading = self.readings[image]
        name = reading.name if identity == "keep" else f"image {image % len(self.readings) + 1}"
        case = reading.case(Identity(keep=True, secret=b""), name=name)
        case = against_shuffled(case, self.shuffled)
        return case if identity == "keep" else replace(case, patient=None, eye=None, visit=None)

    def add_map(
        self,
        name: str,
        values: Array | str | PathLike[str],
        image: int = 0,
        *,
        grid: MapGrid = "original",
        signed: bool | None = None,
        source: str = "",
    ) -> Attribution:
        """Take in a map that was made elsewhere, to be measured and shown as the others are.

        Of another library, a clinician's drawing, or where readers looked. Stability and random
        weights ask a method again, so for this map they have a reason and no number.

        Args:
            name: What to call it; no method of the image may be called so.
            values: An array of rows and columns, or a file: npy, NIfTI, TIFF or PNG.
            image: Which of the images it is of, counted from 0.
            grid: Whether it is on the photograph, or on what the model is given of it.
            signed: False refuses negative values, True files that cannot hold any.
            source: What made it; the report shows it as it is.

        Raises:
            ImageError: Another size than the grid's, or a file that holds no map.
            ValueError: A name that is taken, or another grid.
        """
        reading = self.readings[image]
        if any(answer.key == name for answer in reading.answers):
            raise ValueError(f"there is a map {name!r} of this image already; choose another name")
        if grid not in get_args(MapGrid):
            raise ValueError(f"grid must be one of {get_args(MapGrid)}, but is {grid!r}")
        if isinstance(values, str | PathLike):
            given = read_map(values, name=name, signed=signed)
        else:
            given = map_from_array(as_numpy(values), signed=signed)
        one = Elsewhere(key=name, given=given, grid=grid, source=source)
        (answer,) = answers_elsewhere(reading.seen, reading.target, [one])
        reading.answers.append(answer)
        if self.folder is not None:
            self.save(self.folder, identity=self.identity)
        return answer.attribution

    def save(
        self, folder: str | Path, *, identity: Literal["pseudonym", "keep"] = "pseudonym"
    ) -> Path:
        """Write a run with its report, as the command line does; gives the report's path.

        Raises:
            StoreError: The folder holds another run or other files, or cannot be written.
        """
        from foveal.doors.saving import save_result

        report = save_result(self, Path(folder), identity=identity)
        self.folder, self.identity = Path(folder), identity
        return report

    def export_dicom(
        self,
        folder: str | Path,
        *,
        identity: Literal["source", "pseudonym"] = "source",
        overwrite: bool = False,
    ) -> "Exported":
        """Write maps and scores as DICOM objects in the study of each image that was a DICOM file.

        The files must still be where they were read. With `pseudonym`, patients are called after
        their place among the images.

        Raises:
            StoreError: The objects cannot be written, or are there already.
            ImageError: A file that is gone.
            FovealError: highdicom is not installed.
        """
        from foveal.report.dicom import export_cases
        from foveal.run.header import versions

        return export_cases(
            map(self.case, range(len(self.readings))),
            [image.source for image in self.images if image.source is not None],
            folder,
            made_by=(versions()["foveal"], self.model.fingerprint),
            identity=identity,
            overwrite=overwrite,
        )

    def _measured(self) -> list[tuple[Reading, Answer, Measured]]:
        return [
            (reading, answer, measured)
            for reading in self.readings
            for answer in reading.answers
            for measured in reading.scores.get(answer.key, [])
        ]

    def _diagnosed(self) -> list[tuple[Reading, Answer, Finding]]:
        return [
            (reading, answer, reading.findings[answer.key])
            for reading in self.readings
            for answer in reading.answers
            if answer.key in reading.findings
        ]

    def _given(self) -> list[str]:
        """The names of the maps that were made elsewhere."""
        return [a.key for r in self.readings for a in r.answers if a.explainer is None]

    def _repr_html_(self) -> str:
        from foveal.report import case_html

        cases = [self.case(number) for number in range(len(self.readings))]
        return "".join(_with_own_ids(case_html(case), case.id) for case in cases)

    def __repr__(self) -> str:
        methods = ", ".join(
            dict.fromkeys(
                [*self.question.explainers, *self._given(), *(t.key for t in self.together)]
            )
        )
        count = len(self.readings)
        return (
            f"Result({count} image{'s' if count > 1 else ''}, {self.model.card.name}, {methods}, "
            f"{len(self.scores)} scores)"
        )

    def __str__(self) -> str:
        """In a line each, what is wrong with the maps, and what to do next."""
        return "\n".join([repr(self), *map(self._line, self._diagnosed())])

    def _line(self, diagnosed: tuple[Reading, Answer, Finding]) -> str:
        """Images are counted, since their names may be a patient's."""
        reading, answer, finding = diagnosed
        cause = "" if finding.cause is None else f" ({finding.cause})"
        return (
            f"image {self.readings.index(reading) + 1}, {answer.key}: {finding.label}, "
            f"{finding.text}{cause}. Next: {finding.next_step}"
        )


def _row(score: Score) -> dict[str, object]:
    return {
        "measure": score.name,
        "value": score.value,
        "chance": score.chance,
        "ceiling": score.ceiling,
        "better": score.direction,
        "reason": score.reason,
    }


def _with_own_ids(html: str, name: str) -> str:
    """The same with ids that follow from its content.

    The results of one notebook share a page, and each has an "image 1": under one id a browser
    would show the first one's picture in all of them.
    """
    from foveal.report.sheets import anchor

    return html.replace(anchor(name), f"case-{sha256(html.encode()).hexdigest()[:10]}")
