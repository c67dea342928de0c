"""From a run and the originals' files to a folder of objects for each."""

import hashlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner

from foveal.app.exporting import export as command
from foveal.core import ImageError, StoreError
from foveal.images import Resize
from foveal.images.preparation.flip import Flip
from foveal.report.dicom import Choice, export, exporting
from foveal.report.dicom.building import KINDS
from foveal.synthetic.dicom import ophthalmic_photograph, ophthalmic_tomography

PHI = {"PatientName": "Muster^Änne", "PatientID": "MRN-4711", "AccessionNumber": "A-0815",
       "PatientBirthDate": "19481224", "ReferringPhysicianName": "Doktor^Zett",
       "StudyDescription": "Kontrolle Muster"}  # fmt: skip
MIRRORED = (
    Flip(source=(40, 60), target=(40, 60), to="left", laterality="right", mirrored=True),
    Resize(
        source=(40, 60), target=(20, 20), source_box=(0, 20, 40, 40), target_box=(0, 0, 20, 20),
        aspect="pad",
    ),
)  # fmt: skip


@pytest.fixture
def original(tmp_path) -> Path:
    """The photograph of which `make_case` is a case."""
    rows, columns = np.mgrid[:40, :60]
    pixels = np.stack([rows * 6, columns * 4, 60 + 0 * rows], axis=2).astype(np.uint8)
    return saved(tmp_path / "in" / "Muster.dcm", ophthalmic_photograph(pixels, **PHI))


def saved(path: Path, dataset) -> Path:
    path.parent.mkdir(exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture
def case_of(make_case):
    def case(path: Path, **changes):
        return make_case(
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            facts={"format": "DICOM"},
            **changes,
        )

    return case


def read(folder: Path, kind: str):
    return pydicom.dcmread(folder / f"{kind}-001.dcm")


def test_an_original_is_known_by_its_bytes_whatever_it_is_called(
    tmp_path, original, case_of, make_run
):
    saved(original.with_name("other.dcm"), ophthalmic_photograph(np.zeros((40, 60, 3), np.uint8)))
    (original.with_name("notes.txt")).write_text("no picture")
    done = export(make_run([case_of(original)]), [original.parent], tmp_path / "out")
    assert done.left == {}
    assert done.folders == (tmp_path / "out" / "I-0",)
    assert sorted(path.name for path in done.folders[0].iterdir()) == [
        f"{kind}-001.dcm" for kind in KINDS
    ]
    source = pydicom.dcmread(original)
    for kind in KINDS:
        made = read(done.folders[0], kind)
        assert made.StudyInstanceUID == source.StudyInstanceUID
        assert made.PatientName == source.PatientName == "Muster^Änne"


@pytest.mark.parametrize(
    ("steps", "native", "corner"),
    [
        pytest.param(None, (0, 0), (0, 10), id="cut to the middle, top left"),
        pytest.param(None, (3, 3), (39, 49), id="cut, bottom right"),
        pytest.param(None, (0, 3), (0, 49), id="cut, top right"),
        pytest.param(MIRRORED, (0, 3), (0, 0), id="mirrored, then cut, top right"),
    ],
)
def test_a_map_that_is_hot_in_a_corner_is_hot_in_that_corner_of_the_original(
    tmp_path, original, case_of, make_run, make_view, make_map, steps, native, corner
):
    values = np.zeros((4, 4), np.float32)
    values[native] = 1.0
    changes = {"explained": (make_map(values),)}
    if steps is not None:
        changes["steps"] = tuple(dict(step.numbers()) for step in steps)
    case = case_of(original, views=(make_view(**changes),))
    (folder,) = export(make_run([case]), [original], tmp_path / "out").folders
    away = np.abs(np.mgrid[:40, :60] - np.reshape(corner, (2, 1, 1))).max(axis=0)
    for kind in ("2-segments", "3-strength", "4-map"):
        pixels = read(folder, kind).pixel_array.reshape(-1, 40, 60)[0].astype(np.float64)
        assert pixels[corner] == pixels.max() > 0, kind
        assert not pixels[away > 15].any(), "a cell and half of its neighbour are 15 pixels"


@pytest.mark.filterwarnings("ignore:the sections lie in another order")
@pytest.mark.parametrize(
    ("word", "numbers", "frames"),
    [("frame", [1, 3], [1, 3]), ("section", [1, 2, 3], [2, 3, 1])],
    ids=["frames as in the file", "sections as in the eye"],
)
def test_frames_of_one_volume_come_into_one_object_of_each_kind(
    tmp_path, case_of, make_run, make_view, make_map, word, numbers, frames
):
    """Section n stands in the file as frame `frames[n - 1]`; its map holds nothing but n."""
    sections = np.random.default_rng(0).integers(0, 255, (3, 40, 60), dtype=np.uint8)
    dataset = ophthalmic_tomography(sections, stored=[2, 0, 1], slice_spacing_mm=0.125)
    path = saved(tmp_path / "in" / "volume.dcm", dataset)
    cases = []
    for number in numbers:
        view = make_view(explained=(make_map(np.full((4, 4), number, np.float32)),))
        case = case_of(path, name=f"I-{number}", views=(view,))
        object.__setattr__(case, "facts", {"format": "DICOM", word: number})
        cases.append(case)
    done = export(make_run(cases), [path], tmp_path / "out")
    assert done.left == {}
    (folder,) = done.folders
    made = read(folder, "4-map")
    assert made.NumberOfFrames == len(numbers)
    found = {}
    groups = made.PerFrameFunctionalGroupsSequence
    for group, pixels in zip(groups, made.pixel_array, strict=True):
        frame = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        found[int(frame)] = round(float(pixels.max()))
    assert found == dict(zip(frames, numbers, strict=True))
    pictures = len(list(folder.glob("1-picture-*.dcm")))
    assert (pictures, len(list(folder.iterdir()))) == (len(numbers), len(numbers) + len(KINDS) - 1)


def test_under_a_pseudonym_nothing_of_the_patient_is_in_the_files(
    tmp_path, original, case_of, make_run
):
    run = make_run([case_of(original)])
    (folder,) = export(run, [original], tmp_path / "out", identity="pseudonym").folders
    for kind in KINDS:
        made = read(folder, kind)
        assert made.PatientID == made.PatientName.family_name == "P-1"
        assert made.PatientIdentityRemoved == "YES"
        written = (folder / f"{kind}-001.dcm").read_bytes()
        for planted in PHI.values():
            for part in planted.split("^"):
                assert part.encode() not in written, kind


def test_a_picture_with_burned_in_identity_is_not_called_pseudonymous(tmp_path, make_run, case_of):
    dataset = ophthalmic_photograph(np.zeros((40, 60, 3), np.uint8), BurnedInAnnotation="YES")
    path = saved(tmp_path / "in" / "burned.dcm", dataset)
    run = make_run([case_of(path)])
    done = export(run, [path], tmp_path / "hidden", identity="pseudonym")
    assert "burned into its pixels" in done.left["I-0"]
    (folder,) = export(run, [path], tmp_path / "out").folders
    assert read(folder, "1-picture").BurnedInAnnotation == "YES"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sha256": "0" * 64, "facts": {"format": "DICOM"}}, "byte for byte"),
        ({"sha256": "0" * 64, "facts": {"format": "PNG"}}, "a PNG file and no DICOM object"),
        ({"failure": "the file ends", "views": (), "picture": None}, "was not explained"),
        ({"grid": (40, 61)}, "is it the same file"),
    ],
    ids=["another file", "no DICOM", "failed", "another grid"],
)
def test_what_cannot_be_exported_is_named_with_the_reason(
    tmp_path, original, make_case, make_run, changes, says
):
    known = {"sha256": hashlib.sha256(original.read_bytes()).hexdigest()}
    done = export(make_run([make_case(**{**known, **changes})]), [original], tmp_path / "out")
    assert done.folders == ()
    assert says in done.left["I-0"]
    assert not (tmp_path / "out").exists()


def test_only_the_maps_that_are_asked_for_leave(
    tmp_path, original, case_of, make_run, make_view, make_map
):
    maps = make_map(), make_map(key="rise"), make_map(target="grade>=2")
    run = make_run([case_of(original, views=(make_view(explained=maps),))])
    for choice, count in (
        (Choice(), 3), (Choice(methods=["rise"]), 1), (Choice(targets=["predicted: Severe"]), 2),
    ):  # fmt: skip
        out = tmp_path / f"out-{count}"
        (folder,) = export(run, [original], out, choice=choice).folders
        assert len(list(folder.glob("4-map-*.dcm"))) == count
    done = export(run, [original], tmp_path / "none", choice=Choice(models=["other"]))
    assert "none of its maps was chosen" in done.left["I-0"]


def test_a_full_disk_leaves_nothing_half_written_and_an_old_export_stays(
    tmp_path, original, case_of, make_run, monkeypatch
):
    run, out = make_run([case_of(original)]), tmp_path / "out"
    (folder,) = export(run, [original], out).folders
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(StoreError, match=r"is there already.*--overwrite"):
        export(run, [original], out)
    written = []

    def full(dataset, path, **_):
        written.append(path)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        path.write_bytes(b"half")

    with monkeypatch.context() as disk:
        disk.setattr(pydicom.Dataset, "save_as", full)
        with pytest.raises(StoreError, match="No space left on device"):
            export(run, [original], out, overwrite=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in out.iterdir()] == ["I-0"]
    export(run, [original], out, overwrite=True)
    assert [path.name for path in out.iterdir()] == ["I-0"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} != before, "new UIDs"


def test_names_of_images_do_not_lead_out_of_the_folder(tmp_path, original, case_of, make_run):
    run = make_run([case_of(original, name="../../..")])
    (folder,) = export(run, [original], tmp_path / "out").folders
    assert folder.resolve().parent == (tmp_path / "out").resolve()


def test_a_source_that_is_not_there_is_refused(tmp_path, original, case_of, make_run):
    run = make_run([case_of(original)])
    with pytest.raises(ImageError, match="cannot be opened"):
        export(run, [tmp_path / "gone.dcm"], tmp_path / "out")


def test_without_highdicom_the_error_says_what_to_install(
    tmp_path, original, case_of, make_run, monkeypatch
):
    monkeypatch.setattr(exporting, "find_spec", lambda _: None)
    with pytest.raises(Exception, match=r"pip install 'foveal\[dicom\]'"):
        export(make_run([case_of(original)]), [original], tmp_path / "out")


def test_the_command_tells_how_it_went_by_its_exit_code(tmp_path, original, case_of, make_run):
    good, bad = case_of(original), case_of(original, name="I-1")
    object.__setattr__(bad, "sha256", "0" * 64)
    for number, (cases, code) in enumerate([([good], 0), ([good, bad], 3)]):
        run = make_run(cases)
        asked = [
            "--dicom-source",
            str(original),
            "--out",
            str(tmp_path / str(number)),
        ]
        ran = CliRunner().invoke(command, [str(run.folder), *asked], standalone_mode=False)
        assert ran.return_value == code
        assert "DICOM objects of 1 image(s)" in ran.output
        assert ("left out: I-1" in ran.output) == (code == 3)
    for wrong in (["--out", "x"], ["x", "--identity", "nobody"]):
        assert CliRunner().invoke(command, wrong).exit_code == 2


def test_what_highdicom_says_about_a_patient_is_not_repeated(tmp_path, case_of, make_run, recwarn):
    pixels = np.zeros((40, 60, 3), np.uint8)
    plain = ophthalmic_photograph(pixels, PatientName="MUSTER")  # highdicom warns, with the name
    odd = ophthalmic_photograph(pixels, PatientSex="X")  # and refuses what CS does not list
    paths = [saved(tmp_path / "in" / name, one) for name, one in [("a", plain), ("b", odd)]]
    run = make_run([case_of(path, name=f"I-{n}") for n, path in enumerate(paths)])
    done = export(run, paths, tmp_path / "out")
    assert [folder.name for folder in done.folders] == ["I-0"]
    assert "header cannot be taken over" in done.left["I-1"]
    assert not recwarn


def test_examples_are_a_photograph_and_a_volume_with_all_their_objects(tmp_path, monkeypatch):
    from foveal.app import dicom_examples

    monkeypatch.setattr(dicom_examples, "_SECTIONS", 2)
    monkeypatch.setattr(dicom_examples, "_SIZE", 96)
    ran = CliRunner().invoke(
        command, ["--examples", str(tmp_path / "to-try")], standalone_mode=False
    )
    assert ran.return_value == 0, ran.exception
    for name in ("photograph", "volume"):
        source = pydicom.dcmread(tmp_path / "to-try" / f"{name}.dcm")
        for kind in KINDS:
            made = read(tmp_path / "to-try" / f"{name}-objects", kind)
            assert made.StudyInstanceUID == source.StudyInstanceUID


@pytest.mark.filterwarnings("ignore::foveal.core.FovealWarning")
def test_a_result_in_memory_is_exported_as_a_run_is(folder, original):
    import foveal

    model = foveal.load_model(folder / "model.toml", trust=True)
    result = foveal.explain(model, foveal.read(original), methods=["gradcam"])
    done = result.export_dicom(folder / "objects")
    assert done.left == {}
    made = read(done.folders[0], "4-map")
    assert made.PatientName == "Muster^Änne"
    assert (made.Rows, made.Columns) == (40, 60)
    (hidden,) = result.export_dicom(folder / "hidden", identity="pseudonym").folders
    assert read(hidden, "5-numbers").PatientID == "image 1"
