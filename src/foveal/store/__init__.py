"""A run on disk, versioned and read without torch; docs/store.md describes it in prose."""

from foveal.store.case import ALL_LESIONS, Case, Explained, Loss, MapName, Measured, Scored, View
from foveal.store.lock import at_work
from foveal.store.run import FORMAT, VERSION, Run

__all__ = [
    "ALL_LESIONS",
    "FORMAT",
    "VERSION",
    "Case",
    "Explained",
    "Loss",
    "MapName",
    "Measured",
    "Run",
    "Scored",
    "View",
    "at_work",
]
