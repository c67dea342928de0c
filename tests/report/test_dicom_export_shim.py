"""These fail when highdicom mends what `source_of` works around: then the shim can go."""

from copy import deepcopy

import dicom_sources
import highdicom
import numpy as np
import pytest
from dicom_sources import COLUMNS, MAKER, ROWS
from highdicom.pm import RealWorldValueMapping
from pydicom.sr.codedict import codes

from foveal.report.dicom import source_of


def parametric_map(source):
    return highdicom.pm.ParametricMap(
        source_images=[source],
        pixel_array=np.ones((1, ROWS, COLUMNS), np.float32),
        series_instance_uid=highdicom.UID(),
        series_number=1,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            RealWorldValueMapping("a", "b", codes.UCUM.NoUnits, (0.0, 1.0), 1.0, 0.0)
        ],
        voi_lut_transformations=[highdicom.VOILUTTransformation(0.5, 1.0)],
        **MAKER.equipment,
    )


def test_highdicom_still_takes_no_ophthalmic_photograph_as_it_is():
    photograph, _ = dicom_sources.sources()["photograph"]
    with pytest.raises(AttributeError, match="SharedFunctionalGroupsSequence"):
        parametric_map(photograph)


def test_highdicom_still_writes_no_parametric_map_without_a_frame_of_reference():
    photograph, _ = dicom_sources.sources()["photograph"]
    shimmed = deepcopy(source_of(photograph).dataset)
    del shimmed.FrameOfReferenceUID
    with pytest.raises(RuntimeError, match="dimension index"):
        parametric_map(shimmed)


def test_with_the_whole_shim_it_writes_one():
    photograph, _ = dicom_sources.sources()["photograph"]
    assert parametric_map(source_of(photograph).dataset).NumberOfFrames == 1
