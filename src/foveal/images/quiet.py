"""Keeps back what libraries say aloud: they quote names of files and what stands in them."""

import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def unlogged(library: str) -> Generator[None]:
    """Without what a library logs; Python prints it where nobody listens."""
    log = logging.getLogger(library)
    log.addFilter(_nothing)
    try:
        yield
    finally:
        log.removeFilter(_nothing)


@contextmanager
def quiet(library: str) -> Generator[None]:
    """Without what a library logs and warns of."""
    with unlogged(library), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _nothing(_: logging.LogRecord) -> bool:
    return False
