from pathlib import Path


def grader_card() -> Path:
    """The model card of the synthetic grader, with its weights and its check beside it.

    The card names a Python factory, so loading it needs `trust`, as for any model that is code.
    """
    return Path(__file__).with_name("grader.toml")


def anterior_card() -> Path:
    """The model card of the classifier of synthetic slit lamp photographs, as `grader_card`."""
    return Path(__file__).with_name("anterior.toml")


def oct_card() -> Path:
    """The model card of the classifier of synthetic sections of the macula, as `grader_card`."""
    return Path(__file__).with_name("oct.toml")
