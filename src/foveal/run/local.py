"""Runs a plan on this machine: what is done stays done, the rest is done now."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from foveal.core import FovealError
from foveal.models import Model, load
from foveal.run.casework import Casework
from foveal.run.cohort import Entry, cohort
from foveal.run.header import header, machine
from foveal.run.identity import Identity, open_identity, save_identity
from foveal.run.plan import Plan
from foveal.store import Run

OnImage = Callable[[int, int], None]
"""Called with the images done and the images of the run."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A plan with its images found and its models loaded."""

    plan: Plan
    entries: Sequence[Entry]
    models: Sequence[Model]
    folder: Path

    @property
    def key(self) -> Path:
        """The pseudonyms' key file, outside the run."""
        beside = self.folder.with_name(f"{self.folder.name}.key.json")
        return Path(self.plan.output.key) if self.plan.output.key else beside

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
        PlanError: Images that are not there.
        ModelError: A model that cannot be loaded or fails its check.
    """
    entries = cohort(plan, base)
    models = [load(base / table.card, trust=trust, device=plan.device) for table in plan.models]
    return Job(plan=plan, entries=entries, models=models, folder=base / plan.output.folder)


def run(job: Job, *, command: str = "foveal run PLAN", on_image: OnImage | None = None) -> Summary:
    """Do what is not done yet; may be stopped at any time and called again.

    A bad image is kept with its reason and the run goes on. Shards are committed one by one, with
    the same threads and the same order of work, so that a run that was stopped and taken up again
    leaves the same bytes.

    Raises:
        StoreError: The output folder holds another run or cannot be written.
        ModelError: A model cannot give what a method needs.
        ValueError: A target or a layer that a model does not have.
    """
    threads = job.plan.threads or torch.get_num_threads()
    work = Casework(job.plan, job.models)
    facts = header(job.plan, job.entries, job.models, threads=threads, command=command)
    kept = Run.create(job.folder, facts)
    try:
        return _run(job, kept, work, on_image)
    except (FovealError, ValueError):
        kept.discard()  # a wrong call leaves nothing behind that stands in the way of the right one
        raise


def _run(job: Job, kept: Run, work: Casework, on_image: OnImage | None) -> Summary:
    before = sum(len(job.shard(number)) for number in job.shards if kept.done(number))
    identity = open_identity(job.key, keep=job.plan.output.identity == "keep", new=before == 0)
    kept.log("started", machine=machine(), images=len(job.entries), done=before)
    done = before
    with _threads(int(str(kept.header["threads"]))):
        for number in job.shards:
            if kept.done(number):
                continue
            for _ in _do_shard(number, job, kept, work, identity):
                done += 1
                if on_image is not None:
                    on_image(done, len(job.entries))
            save_identity(identity, job.key)
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
        kept.write(number, cases)
    for event, facts in work.take_events():
        kept.log(event, **facts)
    kept.log("shard", number=number, images=len(cases), seconds=work.take_seconds())


@contextmanager
def _threads(count: int) -> Generator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
