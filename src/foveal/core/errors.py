"""What can go wrong, in one tree. Wrong arguments are `ValueError` or `TypeError` instead.

FovealError
├── ImageError   a file or its pixels cannot be used
├── ModelError   a model, its card or its weights cannot do what was asked
├── PlanError    a plan cannot be run as it is written
└── StoreError   a run on disk is missing, foreign, damaged or cannot be written
"""


class FovealError(Exception):
    """Anything wrong with the world outside the program; the message says what to do."""


class ImageError(FovealError):
    """A file or its pixels cannot be used."""


class ModelError(FovealError):
    """A model, its card or its weights cannot do what was asked."""


class PlanError(FovealError):
    """A plan cannot be run as it is written."""


class StoreError(FovealError):
    """A run on disk is missing, foreign, damaged or cannot be written."""


class FovealWarning(UserWarning):
    """The result stands, but the reader should know this about it."""
