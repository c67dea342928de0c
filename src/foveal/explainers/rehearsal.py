"""Half precision tried against full precision on the first probes of a method."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import rankdata
from torch import Tensor

PROBES = 32
"""So many probes are sent in both precisions."""


class Rehearsal:
    """Scores of the same probes in bfloat16 and in float32."""

    def __init__(self) -> None:
        self.half: list[Tensor] = []
        self.full: list[Tensor] = []

    @property
    def open(self) -> bool:
        """Whether more probes are wanted."""
        return sum(map(len, self.half)) < PROBES

    def saw(self, half: Float[Tensor, "probe sample"], full: Float[Tensor, "probe sample"]) -> None:
        """Keep the scores of some probes in both precisions."""
        self.half.append(half.float().cpu())
        self.full.append(full.float().cpu())

    def rank_correlation(self) -> Float[Tensor, " sample"] | None:
        """Spearman's correlation over the probes, per sample.

        NaN where all probes score alike; `None` where fewer than three probes were sent.
        """
        if sum(map(len, self.half)) < 3:
            return None
        half, full = torch.cat(self.half).numpy(), torch.cat(self.full).numpy()
        each = [_spearman(half[:, sample], full[:, sample]) for sample in range(half.shape[1])]
        return torch.tensor(each)


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])
