"""Runs a plan on this machine: what is done stays done, the rest is done now."""

import warnings
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import torch

from foveal.core import FovealError, FovealWarning, ImageError, PlanError
from foveal.images import region_files
from foveal.models import Model, load
from foveal.run.casework import Casework
from foveal.run.cohort import Entry, cohort
from foveal.run.diagnosing import conclude
from foveal.run.header import header, machine, versions
from foveal.run.identity import Identity, key_beside, open_identity, save_identity
from foveal.run.knowledge import FocusScale, scale_chosen
from foveal.run.plan import Plan
from foveal.store import Run, at_work

OnImage = Callable[[int, int], None]
"""Called with the images done and the images of the run."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A plan with its images found and its models loaded."""

    plan: Plan
    entries: Sequence[Entry]
    models: Sequence[Model]
    folder: Path
    key: Path
    """The pseudonyms' key file, outside the run."""
    scales: Mapping[str, FocusScale] = field(default_factory=lambda: MappingProxyType({}))
    """The expected focus of the models for which the plan names one."""

    def shard(self, number: int) -> Sequence[Entry]:
        """The images of a shard: always the same ones."""
        size = self.plan.output.images_per_shard
        return self.entries[number * size : (number + 1) * size]

    @property
    def shards(self) -> range:
        """The numbers of the shards."""
        return range(-(-len(self.entries) // self.plan.output.images_per_shard))


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How a run ended."""

    run: Run
    images: int
    failed: int
    """Images that could not be explained; the report names them."""
    before: int
    """Images that were done when the run was taken up."""


def open_job(plan: Plan, base: Path, *, trust: bool = False) -> Job:
    """Find the images and load the models of a plan, before anything is written.

    Args:
        plan: The plan.
        base: The folder its paths are relative to.
        trust: Allow model loaders that run code.

    Raises:
        PlanError: Images that are not there, two models of one name, or a key file inside the run.
        ModelError: A model that cannot be loaded or fails its check.
    """
    folder = base / plan.output.folder
    key = _key_of(plan, base, folder)
    entries = cohort(plan, base)
    _note_masks_that_match_nothing(entries)
    models = [load(base / table.card, trust=trust, device=plan.device) for table in plan.models]
    name, times = Counter(model.card.name for model in models).most_common(1)[0]
    if times > 1:
        raise PlanError(
            f"two models are called {name!r}; give one card another name, by which the run tells "
            "their results apart"
        )
    scales = {
        model.card.name: scale_chosen(table.expected_focus, model.card.classes, base)
        for model, table in zip(models, plan.models, strict=True)
        if table.expected_focus is not None
    }
    return Job(plan=plan, entries=entries, models=models, folder=folder, key=key, scales=scales)


def run(job: Job, *, command: str = "foveal run PLAN", on_image: OnImage | None = None) -> Summary:
    """Do what is not done yet; may be stopped at any time and called again.

    A bad image is kept with its reason and the run goes on. Shards are committed one by one, with
    the same threads and the same order of work, so that a run that was stopped and taken up again
    leaves the same bytes.

    Raises:
        StoreError: The output folder holds another run or cannot be written, or another process
            is at work in it.
        ModelError: A model cannot give what a method needs.
        ValueError: A target or a layer that a model does not have.
    """
    threads = job.plan.threads or torch.get_num_threads()
    work = Casework(job.plan, job.models)
    facts = header(
        job.plan,
        job.entries,
        job.models,
        threads=threads,
        command=command,
        scales=job.scales,
    )
    with at_work(job.folder):
        kept = Run.create(job.folder, facts)
        kept.sweep()
        try:
            return _run(job, kept, work, on_image)
        except (FovealError, ValueError):
            if kept.is_new:
                kept.discard()  # a wrong call leaves nothing that stands in the way of a right one
            raise


def _run(job: Job, kept: Run, work: Casework, on_image: OnImage | None) -> Summary:
    before = sum(len(job.shard(number)) for number in job.shards if kept.done(number))
    identity = open_identity(job.key, keep=job.plan.output.identity == "keep", new=before == 0)
    for entry in job.entries:
        identity.image(entry.name)
    save_identity(identity, job.key)  # first: a case whose name is lost has lost its masks
    kept.log(
        "started", machine=machine(), versions=versions(), images=len(job.entries), done=before
    )
    done = before
    with _threads(int(str(kept.header["threads"]))):
        for number in job.shards:
            if kept.done(number):
                continue
            for _ in _do_shard(number, job, kept, work, identity):
                done += 1
                if on_image is not None:
                    on_image(done, len(job.entries))
        conclude(kept, work.yardstick, job.models)
    failed = len(kept.failures())
    kept.log("finished", images=len(job.entries), failed=failed)
    return Summary(run=kept, images=len(job.entries), failed=failed, before=before)


def _do_shard(
    number: int, job: Job, kept: Run, work: Casework, identity: Identity
) -> Generator[None]:
    """All images of a shard, then the shard in one move; yields after each image."""
    cases = []
    for entry in job.shard(number):
        cases.append(work.case(entry, identity))
        yield
    with work.stage("store"):
        save_identity(identity, job.key)  # with its patients, before they stand in the run
        kept.write(number, cases)
    for event, facts in work.take_events():
        kept.log(event, **facts)
    kept.log("shard", number=number, images=len(cases), seconds=work.take_seconds())


def _key_of(plan: Plan, base: Path, folder: Path) -> Path:
    if plan.output.key is None:
        return key_beside(folder)
    key = base / plan.output.key
    if key.resolve().is_relative_to(folder.resolve()):
        raise PlanError(
            f"the key file {key} would lie inside the run, where it undoes the pseudonyms for "
            "everybody who is given the run; choose a place outside"
        )
    return key


def _note_masks_that_match_nothing(entries: Sequence[Entry]) -> None:
    for pattern in dict.fromkeys(entry.regions for entry in entries if entry.regions):
        stems = (entry.stem for entry in entries if entry.regions == pattern)
        with suppress(ImageError):  # two masks for one region: said of the image, in the run
            if not any(region_files(pattern, stem) for stem in stems):
                warnings.warn(
                    f"no mask of any image matches {pattern}; nothing is measured on lesions",
                    FovealWarning,
                    stacklevel=3,
                )


@contextmanager
def _threads(count: int) -> Generator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
