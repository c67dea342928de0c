"""The documented training leaves out what is in the lesion set, also in another file and size."""

import csv

import pytest
import real_grader


@pytest.mark.real
@pytest.mark.slow
def test_photographs_known_to_be_in_both_sets_are_found_and_no_others(real_data, tmp_path):
    outlined, graded = (real_data / f"fundus-idrid-{name}" for name in ("lesions", "grading-640"))
    with (outlined / "grades-from-grading-set.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:3]
    known = {row["same_photo_in_grading_set"]: f"{row['lesion_image']}.jpg" for row in rows}
    others = ["train/IDRiD_096.jpg", "test/IDRiD_067.jpg", "train/IDRiD_127.jpg"]
    ours = real_grader.photographs(graded, [*known, *others], 256, tmp_path / "graded.npz")
    theirs = real_grader.photographs(
        outlined / "images", list(known.values()), 256, tmp_path / "outlined.npz"
    )
    found = real_grader.repeated(ours, theirs, "in both")
    assert {one.file: one.repeats for one in found} == known
    assert real_grader.likeness(ours.pixels[-3:], theirs.pixels).max() < real_grader.SAME_EYE
