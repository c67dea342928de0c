"""What graders drew with other tools, and what several of them have in common."""

from foveal.images.annotations.consensus import Consensus, Method, PairAgreement, consensus_of
from foveal.images.annotations.label_names import read_labels
from foveal.images.annotations.soft import SoftMask, read_soft_mask

__all__ = [
    "Consensus",
    "Method",
    "PairAgreement",
    "SoftMask",
    "consensus_of",
    "read_labels",
    "read_soft_mask",
]
