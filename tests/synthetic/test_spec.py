import pytest

from foveal.synthetic.spec import Lesion, Spot, Vessel

WRONG = [
    pytest.param(
        lambda: Vessel(kind="vein", points=((0.0, 0.0),), radii=(0.1,)),
        "two points or more .* has 1 points and 1 radii",
        id="a vessel of one point",
    ),
    pytest.param(
        lambda: Vessel(kind="vein", points=((0.0, 0.0), (1.0, 1.0)), radii=(0.1,)),
        "has 2 points and 1 radii",
        id="a radius too few",
    ),
    pytest.param(
        lambda: Spot(row=0.0, column=0.0, radius=0.0, strength=0.5),
        "has 0.0 and 0.5",
        id="no radius",
    ),
    pytest.param(
        lambda: Spot(row=0.0, column=0.0, radius=0.1, strength=1.5),
        "has 0.1 and 1.5",
        id="too strong",
    ),
    pytest.param(
        lambda: Lesion(kind="haemorrhages"), "'haemorrhages' needs something", id="no spots"
    ),
    pytest.param(lambda: Lesion(kind="neovascularisation"), "needs something", id="no new vessels"),
]


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_parts_that_cannot_be_drawn_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
