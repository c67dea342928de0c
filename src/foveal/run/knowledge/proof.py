"""Which proof an explanation needs, by what was photographed and what the model is asked."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from foveal.core import Modality, PlanError
from foveal.models.card import Task
from foveal.models.toml import read_toml

SHIPPED = Path(__file__).with_name("proof.toml")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Proof(_Table):
    """One question, and what answers it."""

    asks: str
    measures: tuple[str, ...] = ()
    """Any of them."""
    on: Literal["lesions", "structures"] | None = None
    """What they must have been taken on."""
    fact: Literal["gate", "calibrator"] | None = None
    """What answers where no measure of a single map does."""
    get: str
    """How to come by it."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Proof":
        if bool(self.measures) == (self.fact is not None):
            raise ValueError("give either measures or fact")
        return self


class Need(_Table):
    """What one kind of task on one kind of image needs."""

    modality: Modality
    tasks: Annotated[tuple[Task, ...], Field(min_length=1)]
    title: str
    demand: Literal["medium", "high", "very high"]
    why: str
    proofs: tuple[Proof, ...]


class ProofTable(_Table):
    """All kinds."""

    needs: tuple[Need, ...]


def read_proof(path: Path = SHIPPED) -> ProofTable:
    """The needs in a file; those that come with the package by default.

    Raises:
        PlanError: A file that is missing or no TOML, or keys that are wrong, each with its line.
    """
    return read_toml(path, ProofTable, PlanError)


def proof_facts(tasks: Iterable[str]) -> list[dict[str, object]]:
    """What a run keeps of it: the needs of these tasks, on whatever is photographed."""
    asked = set(tasks)
    needs = (need for need in read_proof().needs if asked.intersection(need.tasks))
    return [need.model_dump(mode="json") for need in needs]
