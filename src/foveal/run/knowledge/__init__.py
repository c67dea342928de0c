"""What is known before any map is made: where evidence should lie, and which proof it needs."""

from foveal.run.knowledge.focus import (
    FocusScale,
    FocusTable,
    focus_facts,
    read_focus,
    scale_chosen,
    scale_for,
)
from foveal.run.knowledge.proof import Need, ProofTable, proof_facts, read_proof

__all__ = [
    "FocusScale",
    "FocusTable",
    "Need",
    "ProofTable",
    "focus_facts",
    "proof_facts",
    "read_focus",
    "read_proof",
    "scale_chosen",
    "scale_for",
]
