"""A list of readings, sorted into the block of images, arms and readers that a study takes."""

import numpy as np
import pytest

from foveal.analysis import crossed_reads, reader_aucs, units_of

ARMS = ("without", "with")


def test_a_list_of_readings_becomes_a_block_whose_holes_are_refused():
    truth, reads = np.arange(6) % 2 == 0, np.random.default_rng(11).normal(size=(6, 2, 3))
    image, arm, reader = (grid.ravel() for grid in np.indices(reads.shape))
    order = np.random.default_rng(0).permutation(len(image))[:-1]
    found = crossed_reads(
        reads.ravel()[order],
        images=image[order].tolist(),
        arms=[ARMS[one] for one in arm[order]],
        readers=reader[order].tolist(),
    )
    back = [np.argsort(np.array(names)) for names in (found.images, found.readers)]
    arms = [found.arms.index(name) for name in ARMS]
    block = found.reads[np.ix_(back[0], arms, back[1])]
    known = np.isfinite(block)
    assert known.sum() == reads.size - 1
    assert block[known] == pytest.approx(reads[known])
    with pytest.raises(ValueError, match="1 of 36 readings are missing"):
        reader_aucs(truth, block, units_of(list("ABCDEF")), arms=ARMS)


WRONG = [
    pytest.param(
        lambda: crossed_reads(np.ones(2), images=[1, 1], arms=["a", "a"], readers=[7, 7]),
        "reader 7 read image 1 twice in arm 'a'",
        id="read twice",
    ),
    pytest.param(
        lambda: crossed_reads(np.ones(2), images=[1], arms=["a", "a"], readers=[7, 7]),
        "needs image, arm and reader",
        id="lengths",
    ),
    pytest.param(
        lambda: crossed_reads([1.0, 2], images=["a", None], arms=["a", "a"], readers=[7, 7]),
        "needs its image, but row 1 has None",
        id="no image",
    ),
    pytest.param(
        lambda: crossed_reads([1.0, 2], images=[1, 2], arms=["", "a"], readers=[7, 7]),
        "needs its arm, but row 0 has ''",
        id="no arm",
    ),
    pytest.param(
        lambda: crossed_reads([1.0, 2], images=[1, 2], arms=["a", "a"], readers=[7, np.nan]),
        "needs its reader, but row 1 has nan",
        id="no reader",
    ),
]


@pytest.mark.parametrize(("ask", "message"), WRONG)
def test_readings_that_are_nobodys_or_read_twice_are_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()
