"""Reader studies planned from a pilot: RJafroc's numbers on Van Dyke's components, closed forms."""

from dataclasses import replace

import numpy as np
import pytest
import scipy

from foveal.analysis import mrmc_power, size_for_mrmc
from foveal.analysis.obuchowski_rockette import VarianceComponents

PILOT = VarianceComponents(
    reader=0.001535,
    arm_reader=0.00020040252,
    error=0.00080228827,
    cov1=0.00034661371,
    cov2=0.00034407483,
    cov3=0.00023902837,
    n_units=114,
)
SEEN = 0.043800322


@pytest.mark.parametrize(
    ("readers", "cases", "published"), [(10, 165, 0.80541995), (6, 111, 0.5526116)]
)
def test_the_power_is_that_of_rjafroc_on_van_dykes_components(readers, cases, published):
    told = mrmc_power(PILOT, SEEN, readers=readers, patients=cases)
    assert told == pytest.approx(published, abs=1e-7)


def test_six_readers_need_251_patients_as_rjafroc_says_and_more_readers_need_fewer():
    assert size_for_mrmc(PILOT, SEEN, readers=6) == 251
    assert mrmc_power(PILOT, SEEN, readers=6, patients=250) < 0.8
    assert size_for_mrmc(PILOT, -SEEN, readers=10) < 165


def test_readers_who_differ_too_much_cannot_be_made_up_for_by_patients():
    with pytest.raises(ValueError, match="ask more readers"):
        size_for_mrmc(PILOT, 0.02, readers=3)


def test_without_errors_of_readers_or_patients_every_study_finds_it():
    alike = replace(PILOT, arm_reader=0.0, error=0.0, cov1=0.0, cov2=0.0, cov3=0.0)
    assert mrmc_power(alike, 0.01, readers=5, patients=10) == 1
    known = replace(PILOT, arm_reader=0.0, cov1=PILOT.error - 0.0001, cov2=PILOT.cov3 + 0.0001)
    z = 0.04 * np.sqrt(5 / (2 * 0.0005))
    expected = scipy.stats.norm.sf(1.959964 - z) + scipy.stats.norm.cdf(-1.959964 - z)
    assert mrmc_power(known, 0.04, readers=5, patients=114) == pytest.approx(expected, abs=1e-5)


def test_a_million_patients_who_are_not_enough_are_not_an_answer():
    # Without readers who differ only the errors matter, which patients make small.
    alike = replace(PILOT, arm_reader=0.0)
    needed = size_for_mrmc(alike, 0.001, readers=5)
    assert mrmc_power(alike, 0.001, readers=5, patients=needed) >= 0.8
    assert mrmc_power(alike, 0.001, readers=5, patients=needed - 1) < 0.8
    with pytest.raises(ValueError, match=r"with 1,000,000 patients, not of 0\.8: ask more readers"):
        size_for_mrmc(alike, 0.0005, readers=5)


WRONG = [
    pytest.param(
        lambda: mrmc_power(PILOT, 0.0, readers=5, patients=100), "difference", id="no difference"
    ),
    pytest.param(lambda: size_for_mrmc(PILOT, 0.1, readers=5, power=1), "power", id="power"),
    pytest.param(
        lambda: mrmc_power(PILOT, np.nan, readers=5, patients=100), "difference", id="NaN to find"
    ),
    pytest.param(
        lambda: size_for_mrmc(replace(PILOT, error=np.nan), 0.1, readers=5),
        "without all its variances",
        id="a pilot without errors",
    ),
    pytest.param(
        lambda: mrmc_power(replace(PILOT, cov3=np.inf), 0.1, readers=5, patients=100),
        "without all its variances",
        id="a pilot without bounds",
    ),
]


@pytest.mark.parametrize(("ask", "message"), WRONG)
def test_studies_that_cannot_be_planned_are_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()
