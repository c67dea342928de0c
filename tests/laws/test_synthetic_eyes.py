"""What holds for a synthetic eye of any seed."""

from math import hypot

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from foveal.synthetic import draw_fundus, render, without
from foveal.synthetic.devices import DEVICES
from foveal.synthetic.grading import grade_of

# A seed cannot be made simpler, so a failure is reported as it is.
few = settings(max_examples=6, deadline=None, phases=[Phase.generate])
seeds = st.integers(0, 2**32 - 1)
grades = st.integers(0, 4)
sides = st.sampled_from(["right", "left"])
devices = st.sampled_from(list(DEVICES))


@few
@given(seed=seeds, grade=grades, laterality=sides, device=devices)
def test_an_eye_is_what_was_asked_for_and_healthy_without_its_lesions(
    seed, grade, laterality, device
):
    spec = draw_fundus(seed, grade=grade, laterality=laterality, device=device)
    assert (spec.laterality, spec.device) == (laterality, DEVICES[device])
    assert grade_of(spec.lesions) == grade
    assert grade_of(without(spec).lesions) == 0


@few
@given(seed=seeds, grade=grades, device=devices)
def test_no_lesion_is_on_the_disc_or_outside_the_field(seed, grade, device):
    spec = draw_fundus(seed, grade=grade, device=device)
    eye = render(spec, size=96)
    found = {region.name: region.mask for region in eye.regions}
    for region in eye.regions:
        assert not (region.mask & ~found["field"]).any()
        assert region.kind != "lesion" or not (region.mask & found["optic disc"]).any()
    for spot in (spot for lesion in spec.lesions for spot in lesion.spots):
        down, across = spot.row - spec.disc.row, spot.column - spec.disc.column
        assert hypot(down / spec.disc.aspect, across) > spec.disc.radius
