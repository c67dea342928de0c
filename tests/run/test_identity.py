"""Names that leave a run, and names that must not."""

from pathlib import Path

import pytest

from foveal.core import StoreError
from foveal.run.identity import Identity, numbered

SECRET = bytes(32)


@pytest.mark.parametrize(
    "text",
    [
        "eyes/Muster.png: too dark",
        "Muster.png is too dark",
        "the mask Muster_MA is too small",
        "the mask left_Muster is too small",
        "{folder}/eyes/Muster_MA.png cannot be read",
    ],
)
def test_a_message_is_cleaned_of_every_spelling_of_the_name(text, tmp_path):
    path = tmp_path / "eyes" / "Muster.png"
    identity = Identity(keep=False, secret=SECRET)
    told = identity.clean(text.format(folder=tmp_path), path, "eyes/Muster.png")
    assert "Muster" not in told
    assert str(tmp_path) not in told
    assert identity.image("eyes/Muster.png") in told


def test_words_that_only_hold_the_name_stay_readable():
    identity = Identity(keep=False, secret=SECRET)
    assert identity.clean("the marked area", Path("eyes/mark.png"), "eyes/mark.png") == (
        "the marked area"
    )


def test_two_names_never_share_a_pseudonym():
    identity = Identity(keep=False, secret=SECRET)
    alias = identity.image("one.png")
    assert identity.image("one.png") == alias
    identity.known[identity.image("two.png")] = "three.png"
    with pytest.raises(StoreError, match="by chance"):
        identity.image("two.png")


def test_repeated_names_get_a_number():
    assert numbered(["a.png", "b.png", "a.png", "a.png"]) == [
        "a.png", "b.png", "a.png#2", "a.png#3",
    ]  # fmt: skip
