"""Runs every benchmark on two threads; exit 1 when a promise is broken."""

import sys

import torch

from benchmarks import (
    agreement,
    cams,
    cohort,
    cohort_statistics,
    faithfulness,
    images,
    measure_agreement,
    memory,
    probes,
    windows,
)


def main() -> None:
    """Run what is named on the command line, or all of it."""
    torch.set_num_threads(2)
    known = {
        "agreement": agreement.main,
        "measure-agreement": measure_agreement.main,
        "cams": cams.main,
        "probes": probes.main,
        "windows": windows.main,
        "memory": memory.main,
        "faithfulness": faithfulness.main,
        "images": images.main,
        "cohort": cohort.main,
        "cohort-statistics": cohort_statistics.main,
    }
    asked = sys.argv[1:] or list(known)
    kept = [known[name]() for name in asked]
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
