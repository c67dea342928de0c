"""Photographs lose everything but their pixels, and folders their names."""

import os
import re
import stat
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont, PngImagePlugin

from foveal.core import Image, ImageError, StoreError
from foveal.images import burned_in_text, deidentify, find_field, read
from foveal.images.deidentification import record
from foveal.images.deidentification.dates import age_at, capped_age, shifted_date, shifted_datetime
from foveal.images.deidentification.key import SecretKey, open_key
from foveal.synthetic.dicom import ophthalmic_photograph

PLANTED = re.compile(rb"zq\d{4}", re.IGNORECASE)
SIDE = 192


def eye(side: int = SIDE, *, seed: int = 0) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side]
    inside = (rows - side / 2) ** 2 + (columns - side / 2) ** 2 < (0.42 * side) ** 2
    texture = np.random.default_rng(seed).integers(90, 200, (side, side, 3))
    return (texture * inside[:, :, None]).astype(np.uint8)


def write_planted(folder: Path) -> None:
    """Every place of a photograph that can hold a word, each with its own."""
    picture = PillowImage.fromarray(eye())
    exif = PillowImage.Exif()
    exif[0x010E], exif[0x013B], exif[0x8298] = "Zq0001", "Zq0002", "Zq0003"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0Zq0004"
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><a>Zq0005</a></x:xmpmeta>"
    jpeg = folder / "Zq0006_OD.jpg"
    picture.save(jpeg, exif=exif, comment="Zq0007", icc_profile=b"Zq0008".ljust(200), xmp=xmp)
    jpeg.write_bytes(jpeg.read_bytes() + b"Zq0009 after the end")
    text = PngImagePlugin.PngInfo()
    text.add_text("Zq0010", "Zq0011")
    text.add_text("Author", "Zq0012", zip=True)
    text.add_itxt("Comment", "Zq0013", lang="en", tkey="Zq0014", zip=True)
    png = folder / "Zq0015_OS.png"
    picture.save(png, pnginfo=text, exif=exif, icc_profile=b"Zq0016".ljust(200))
    png.write_bytes(png.read_bytes() + b"Zq0017")
    hidden = np.dstack([eye(), np.full((SIDE, SIDE), 255, np.uint8)])
    hidden[:4, :6, :3] = np.frombuffer(b"Zq0018" * 12, np.uint8).reshape(4, 6, 3)
    hidden[:4, :6, 3] = 0
    PillowImage.fromarray(hidden).save(folder / "Zq0019.png")
    tifffile.imwrite(
        folder / "Zq0020.tif", eye(), photometric="rgb", description="Zq0021", software="Zq0022",
        extratags=[(315, "s", 0, "Zq0023", True), (33432, "s", 0, "Zq0024", True)],
    )  # fmt: skip
    (folder / "Zq0025.txt").write_text("Zq0026")
    (folder / "Zq0027.vol").write_bytes(b"HSF-OCT-103 Zq0028")


def leaks(folder: Path) -> list[bytes]:
    """What of the planted is in any byte, name or compressed stream."""
    found = []
    for path in sorted(folder.rglob("*")):
        texts = [str(path.relative_to(folder)).encode()]
        if path.is_file():
            texts += [path.read_bytes(), path.read_bytes().replace(b"\0", b"")]
            texts += [pixels(path).tobytes()] if path.suffix == ".png" else []
            texts += [inflated(body) for _, body in chunks(path)] if path.suffix == ".png" else []
        for text in texts:
            found += PLANTED.findall(text)
    return found


def chunks(path: Path) -> list[tuple[bytes, bytes]]:
    data, at, found = path.read_bytes(), 8, []
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def inflated(body: bytes) -> bytes:
    """Whatever a chunk has behind any byte that starts a zlib stream."""
    texts = []
    for start in [match.start() for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", body)]:
        try:
            texts.append(zlib.decompressobj().decompress(body[start:]))
        except zlib.error:
            continue
    return b"".join(texts)


def pixels(path: Path) -> np.ndarray:
    return imagecodecs.png_decode(path.read_bytes())


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    there = folder / "in" / "Zq0030 Anna"
    there.mkdir(parents=True)
    write_planted(there)
    assert len(set(leaks(folder / "in"))) >= 24
    return folder, deidentify(folder / "in", folder / "out", key=folder / "key")


def test_nothing_planted_survives_in_any_byte_name_or_stream(planted):
    folder, _ = planted
    assert leaks(folder / "out") == []


def test_a_png_is_pixels_and_nothing_else(planted):
    folder, _ = planted
    written = list((folder / "out").rglob("*.png"))
    assert len(written) == 4
    assert {kind for path in written for kind, _ in chunks(path)} == {b"IHDR", b"IDAT", b"IEND"}


def test_pixels_stay_as_they_are_and_what_alpha_hid_is_black(planted):
    folder, _ = planted
    jpeg = imagecodecs.jpeg8_decode((folder / "in/Zq0030 Anna/Zq0006_OD.jpg").read_bytes())
    written = [pixels(path) for path in (folder / "out").rglob("*.png")]
    assert sum((picture == eye()).all() for picture in written) == 3  # its corners are black
    assert sum((picture == jpeg).all() for picture in written) == 1


def test_what_is_not_written_is_listed_with_its_reason(planted):
    _, done = planted
    outcomes = {record.outcome: record.reasons[0] for record in done.files if record.reasons}
    assert outcomes["left out"].startswith("is a text file")
    assert "Heidelberg .vol" in outcomes["refused"]
    assert [record.outcome for record in done.need_eyes] == ["refused"]


def test_one_patient_has_one_alias_in_folders_and_pairs_stay_pairs(tmp_path):
    given = tmp_path / "in"
    for folder in ("2023/images", "2023/masks", "2024/images"):
        (given / folder / "Anna Muster").mkdir(parents=True)
        name = "eye_7_MA.png" if "masks" in folder else "eye_7.png"
        PillowImage.fromarray(eye()).save(given / folder / "Anna Muster" / name)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[10:20, 10:20] = 255
    PillowImage.fromarray(mask).save(given / "2023" / "masks" / "Anna Muster" / "eye_7_MA.png")
    deidentify(given, tmp_path / "out", key=tmp_path / "key")
    files = tmp_path / "out" / "files"
    image, masks, later = _by_kind(files)
    assert image.parts[2] == masks.parts[2] == later.parts[2]
    assert masks.stem == f"{image.stem}_MA"
    assert image.parts[0] == masks.parts[0] != later.parts[0]
    assert (pixels(files / masks) == mask).all()


def _by_kind(files: Path) -> tuple[Path, Path, Path]:
    found = [path.relative_to(files) for path in files.rglob("*.png")]
    (masks,) = (path for path in found if path.parts[1] == "masks")
    (image,) = (path for path in found if path not in (masks,) and path.parts[0] == masks.parts[0])
    (later,) = (path for path in found if path.parts[0] != masks.parts[0])
    return image, masks, later


def test_sixteen_bits_and_a_turned_picture_stay_what_a_reader_sees(tmp_path):
    given = tmp_path / "in"
    given.mkdir()
    deep = eye().astype(np.uint16) * 251
    (given / "a.png").write_bytes(imagecodecs.png_encode(deep))
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    PillowImage.fromarray(eye()[:, :150]).save(given / "b.png", exif=exif)
    deidentify(given, tmp_path / "out")
    shown = {path.shape: path for path in map(pixels, (tmp_path / "out/files").glob("*.png"))}
    assert (shown[SIDE, SIDE, 3] == deep).all()
    assert (shown[150, SIDE, 3] == np.rot90(eye()[:, :150], k=-1)).all()


def test_a_label_image_keeps_its_indices(tmp_path):
    given = tmp_path / "in"
    given.mkdir()
    PillowImage.fromarray(eye()).save(given / "a.png")
    labels = PillowImage.new("P", (SIDE, SIDE))
    labels.putpalette([0, 0, 0, 250, 0, 0, 0, 250, 0])
    ImageDraw.Draw(labels).rectangle((20, 20, 40, 40), fill=2)
    labels.save(given / "a_mask.png")
    deidentify(given, tmp_path / "out")
    (written,) = (tmp_path / "out/files").glob("*_mask.png")
    with PillowImage.open(written) as picture:
        assert (np.asarray(picture) == np.asarray(labels)).all()
        assert picture.getpalette()[:9] == [0, 0, 0, 250, 0, 0, 0, 250, 0]


def with_text(text: str, at: tuple[int, int], size: int = 18, side: int = 512) -> np.ndarray:
    picture = PillowImage.fromarray(eye(side))
    font = ImageFont.load_default(size)
    ImageDraw.Draw(picture).text(at, text, fill=(255, 255, 255), font=font)
    return np.asarray(picture)


def marks(samples: np.ndarray) -> int:
    shown = Image(pixels=np.moveaxis(samples / np.float32(255), -1, 0).copy())
    return burned_in_text(shown, find_field(shown))


def notched() -> np.ndarray:
    samples = eye(512)
    samples[244:268, 470:490] = 130
    return samples


@pytest.mark.parametrize(
    ("samples", "flagged"),
    [
        pytest.param(eye(512), False, id="clean"),
        pytest.param(notched(), False, id="notch"),
        pytest.param(with_text("OD", (8, 8)), False, id="only the side"),
        pytest.param(with_text("Muster 4711", (8, 8)), True, id="corner"),
        pytest.param(with_text("1961-03-17", (350, 480)), True, id="other corner"),
        pytest.param(with_text("Muster", (8, 8), 11), True, id="small"),
        pytest.param(with_text("Muster 4711", (200, 250)), False, id="inside is missed"),
    ],
)
def test_text_beside_the_eye_is_seen_and_text_in_it_is_not(samples, flagged):
    assert (marks(samples) >= 4) is flagged


def test_dark_text_on_a_light_surround_is_seen():
    samples = np.full((512, 512), 0.7, np.float32)
    lettered = PillowImage.fromarray(np.full((512, 512), 180, np.uint8))
    ImageDraw.Draw(lettered).text((8, 8), "Muster 4711", fill=0, font=ImageFont.load_default(18))
    field = np.zeros((512, 512), bool)
    field[100:400, 100:400] = True
    samples = np.asarray(lettered, np.float32) / 255
    assert burned_in_text(Image(pixels=samples[np.newaxis]), field) >= 4


def test_a_picture_with_text_is_quarantined_and_blanking_frees_it(tmp_path):
    given = tmp_path / "in"
    given.mkdir()
    PillowImage.fromarray(with_text("Muster 4711", (8, 8))).save(given / "a.png")
    held = deidentify(given, tmp_path / "held")
    assert [path.parent.name for path in (tmp_path / "held").rglob("*.png")] == ["quarantine"]
    assert stat.S_IMODE((tmp_path / "held/quarantine").stat().st_mode) == 0o700
    assert "look like text" in held.need_eyes[0].reasons[0]
    freed = deidentify(given, tmp_path / "freed", blank_outside=True)
    (written,) = (tmp_path / "freed/files").rglob("*.png")
    assert freed.need_eyes == ()
    assert (pixels(written)[:40, :150] == 0).all()
    assert (pixels(written)[256, 100:400] == eye(512)[256, 100:400]).all()


def test_without_a_surround_or_with_a_reader_that_finds_text_a_person_must_look(tmp_path):
    given = tmp_path / "in"
    given.mkdir()
    full = np.random.default_rng(0).integers(90, 200, (64, 64, 3)).astype(np.uint8)
    PillowImage.fromarray(full).save(given / "a.png")
    PillowImage.fromarray(eye()).save(given / "b.png")
    done = deidentify(given, tmp_path / "out", ocr=lambda image: "Anna" * (image.grid[0] > 64))
    reasons = sorted(record.reasons for record in done.need_eyes)
    assert reasons == [
        ("the OCR reader found text",),
        ("there is no dark surround in which text could be looked for",),
    ]


def test_the_same_key_gives_the_same_bytes_and_another_key_others(tmp_path):
    given = tmp_path / "in"
    given.mkdir()
    PillowImage.fromarray(eye()).save(given / "a.png")
    names = [
        [record.name for record in deidentify(given, tmp_path / out, key=key).files]
        for out, key in (("1", tmp_path / "key"), ("2", tmp_path / "key"), ("3", None))
    ]
    assert names[0] == names[1] != names[2]


def test_two_processes_derive_the_same():
    key = SecretKey(secret=bytes(32), kept=True)
    code = (  # the module alone: the rest of the room takes seconds to import
        "import sys; from runpy import run_path as run; k = run(sys.argv[1])['SecretKey']"
        "(secret=bytes(32), kept=True); print(k.uid('1.2.3'), k.alias('Ann'), k.days('Ann'))"
    )
    command = [sys.executable, "-c", code, sys.modules[SecretKey.__module__].__file__]
    for seed in ("1", "2"):
        said = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        assert said == f"{key.uid('1.2.3')} {key.alias('Ann')} {key.days('Ann')}\n"


def test_a_key_file_is_made_for_its_owner_and_refused_when_others_can_read_it(tmp_path):
    made = open_key(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert open_key(tmp_path / "key") == made
    assert made.secret.hex() not in repr(made)
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(StoreError, match="can be read by others"):
        open_key(tmp_path / "key")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"format": "foveal-deidentification-key"}',
        '{"format": "foveal-deidentification-key", "secret": "00"}',
    ],
)
def test_a_damaged_key_file_is_refused(tmp_path, content):
    (tmp_path / "key").write_text(content)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(StoreError, match="no key file"):
        open_key(tmp_path / "key")


@pytest.fixture
def given(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(3):
        PillowImage.fromarray(eye(64, seed=number)).save(tmp_path / "in" / f"{number}.png")
    return tmp_path / "in"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"out": "in/out"}, "lie inside each other", id="output inside input"),
        pytest.param({"out": "."}, "lie inside each other", id="input inside output"),
        pytest.param({"key": "in/key"}, "would travel with the data", id="key inside input"),
        pytest.param({"key": "out/key"}, "would travel with the data", id="key inside output"),
        pytest.param({"links": "out/links"}, "would travel with the data", id="links in output"),
        pytest.param({"out": "other"}, "is not empty", id="output with something else"),
    ],
)
def test_what_would_mix_or_give_away_is_refused(given, options, message):
    (given.parent / "other").mkdir()
    (given.parent / "other" / "mine").touch()
    places = {"out": "out", **options}
    with pytest.raises(StoreError, match=message):
        deidentify(given, **{name: given.parent / place for name, place in places.items()})
    assert not (given.parent / "out").exists()


@pytest.mark.parametrize("text", ['{"images": [], "annotations": []}', "<annotations>"])
def test_annotations_are_left_out_with_what_to_do_instead(tmp_path, text):
    (tmp_path / "marks.xml").write_text(text)
    (record,) = deidentify(tmp_path / "marks.xml", tmp_path / "out").files
    assert record.outcome == "left out"
    assert "write them as masks" in record.reasons[0]


def test_masks_of_a_dicom_photograph_stay_its_pair(tmp_path):
    (tmp_path / "in").mkdir()
    ophthalmic_photograph(eye()).save_as(tmp_path / "in" / "Zq0031.dcm", enforce_file_format=True)
    mask = (eye()[..., 0] > 150).astype(np.uint8) * 255
    PillowImage.fromarray(mask).save(tmp_path / "in" / "Zq0031_optic_disc.png")
    done = deidentify(tmp_path / "in", tmp_path / "out")
    photograph, pair = sorted(record.name for record in done.files)
    assert pair == photograph.replace(".dcm", "_optic_disc.png")
    (written,) = (tmp_path / "out").rglob("*.png")
    assert (pixels(written) == mask).all()
    assert leaks(tmp_path / "out") == []


def test_links_are_listed_and_not_followed(given):
    (given.parent / "secret").mkdir()
    PillowImage.fromarray(eye()).save(given.parent / "secret" / "x.png")
    (given / "folder").symlink_to(given.parent / "secret")
    (given / "file.png").symlink_to(given.parent / "secret" / "x.png")
    done = deidentify(given, given.parent / "out")
    assert done.counts == {"written": 3, "left out": 2}
    assert len(list((given.parent / "out").rglob("*.png"))) == 3


def test_a_stopped_run_goes_on_and_does_nothing_twice(given):
    out, key = given.parent / "out", given.parent / "key"

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deidentify(given, out, key=key, progress=stop)
    assert not (out / "deidentification.json").exists()
    journal = out / ".deidentification.jsonl"
    journal.write_text(journal.read_text() + '{"name": "torn')
    (out / "files" / ".x.png.half-123").touch()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert len(before) == 2
    done = deidentify(given, out, key=key)
    assert done.counts == {"written": 3}
    assert {path: path.stat().st_mtime_ns for path in before} == before
    again = deidentify(given, out, key=key)
    assert [r.name for r in again.files] == [r.name for r in done.files]
    assert sorted(path.name for path in out.iterdir()) == [
        "deidentification.json", "deidentification.md", "files",
    ]  # fmt: skip
    assert len(list((out / "files").iterdir())) == 3


def test_what_is_there_is_not_overwritten(given):
    out, key = given.parent / "out", given.parent / "key"
    deidentify(given, out, key=key)
    PillowImage.fromarray(eye(64, seed=9)).save(given / "1.png")
    before = {path: path.read_bytes() for path in out.rglob("*.png")}
    for _ in range(3):
        done = deidentify(given, out, key=key)
        assert done.counts == {"written": 2, "failed": 1}
    assert {path: path.read_bytes() for path in out.rglob("*.png")} == before
    with pytest.raises(StoreError, match="another key, other options"):
        deidentify(given, out, key=key, blank_outside=True)


def test_hidden_files_of_others_stay(given):
    out, key = given.parent / "out", given.parent / "key"
    deidentify(given, out, key=key)
    (out / ".git").mkdir()
    (out / ".git" / ".keep").touch()
    (out / ".gitignore").write_text("*")
    deidentify(given, out, key=key)
    assert (out / ".git" / ".keep").exists()
    assert (out / ".gitignore").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_a_second_run_into_the_same_folder_is_refused_while_the_first_is_at_work(given):
    out, key = given.parent / "out", given.parent / "key"
    refused = []

    def again(done: int, total: int) -> None:
        with pytest.raises(StoreError, match="another foveal is at work") as problem:
            deidentify(given, out, key=key)
        refused.append(problem)

    done = deidentify(given, out, key=key, progress=again)
    assert (len(refused), done.counts) == (3, {"written": 3})
    assert deidentify(given, out, key=key).counts == {"written": 3}


def test_damaged_files_fail_alone_and_their_messages_name_nobody(given):
    (given / "Zq0001.png").write_bytes((given / "1.png").read_bytes()[:500])
    (given / "Zq0002.dcm").write_bytes(bytes(128) + b"DICM" + b"Zq0003" * 20)
    done = deidentify(given, given.parent / "out")
    assert done.counts == {"written": 3, "failed": 2}
    assert leaks(given.parent / "out") == []


def test_a_manifest_is_renamed_as_its_files_are(given):
    table = given.parent / "cohort.csv"
    table.write_text(
        "image,patient,eye,grade,name\n0.png,Anna,OD,2,Zq0001\n1,Anna,Anna/L,3,Zq0002\n"
    )
    out = given.parent / "out"
    done = deidentify(
        given, out, key=given.parent / "key", manifest=table, keep_columns=["grade"],
        links=given.parent / "links.csv",
    )  # fmt: skip
    header, first, second = (out / "files/manifest.csv").read_text().splitlines()
    key = open_key(given.parent / "key")
    assert header == "image,patient,eye,grade"
    assert first == f"{done.files[0].name},{key.alias('Anna')},OD,2"
    assert second == f"{done.files[1].name[:-4]},{key.alias('Anna')},{key.alias('Anna/L')},3"
    assert leaks(out) == []
    assert stat.S_IMODE((given.parent / "links.csv").stat().st_mode) == 0o600
    assert f"{done.files[2].name},2.png" in (given.parent / "links.csv").read_text()


@pytest.mark.parametrize("start", ["", "./", "in/", "{root}/"])
def test_a_row_is_of_the_very_file_that_it_names(given, start):
    PillowImage.fromarray(eye(64, seed=7)).save(given / "0.jpg", quality=95)
    table = given.parent / "cohort.csv"
    named = start.format(root=given)
    table.write_text(f"image,grade\n{named}0.png,png\n{named}0.jpg,jpg\n")
    done = deidentify(given, given.parent / "out", manifest=table, keep_columns=["grade"])
    kinds = {record.name: {"PNG": "png", "JPEG": "jpg"}[record.kind] for record in done.files}
    _, *rows = (given.parent / "out/files/manifest.csv").read_text().splitlines()
    assert [kinds[row.split(",")[0]] for row in rows] == ["png", "jpg"]
    assert [row.split(",")[1] for row in rows] == ["png", "jpg"]


def test_a_patient_who_is_called_as_a_side_is_renamed(given):
    (given.parent / "cohort.csv").write_text("image,patient,eye\n0.png,Ou,OU\n")
    deidentify(given, given.parent / "out", manifest=given.parent / "cohort.csv")
    row = (given.parent / "out/files/manifest.csv").read_text().splitlines()[1].split(",")
    assert (row[1] == "Ou", row[2]) == (False, "OU")


def test_a_manifest_that_is_refused_leaves_no_output(given):
    (given.parent / "cohort.csv").write_text("photo\n0.png\n")
    with pytest.raises(ImageError, match="needs image or patient"):
        deidentify(given, given.parent / "out", manifest=given.parent / "cohort.csv")
    assert not (given.parent / "out").exists()


def test_a_manifest_without_a_column_that_is_to_be_kept_is_refused(given):
    (given.parent / "cohort.csv").write_text("image,grade\n0.png,2\n")
    with pytest.raises(ImageError, match="it needs image or patient and age"):
        deidentify(
            given, given.parent / "out", manifest=given.parent / "cohort.csv", keep_columns=["age"]
        )


def test_the_report_says_that_a_key_was_not_kept(given):
    done = deidentify(given, given.parent / "out")
    assert done.settings["key"] == "random, not kept"
    assert "random, not kept" in (given.parent / "out" / record.READABLE).read_text()


@pytest.mark.parametrize(
    ("text", "days", "moved"),
    [
        ("20240110", 10, "20231231"),
        ("2024.01.10", 10, "20231231"),
        ("20240301", 1, "20240229"),
        ("00010101", 1, None),
        ("20241301", 1, None),
        ("yesterday", 1, None),
    ],
)
def test_dates_move_to_the_past(text, days, moved):
    assert shifted_date(text, days) == moved


@pytest.mark.parametrize(
    ("text", "days", "moved"),
    [
        ("20240110103000.123456+0130", 10, "20231231103000.123456+0130"),
        ("2024011010", 10, "2023123110"),
        ("202401", 31, "202312"),
        ("2024", 200, "2023"),
        ("20240110", 10, "20231231"),
        ("2024-01-10", 10, None),
    ],
)
def test_times_with_dates_stay_as_exact_as_they_were(text, days, moved):
    assert shifted_datetime(text, days) == moved


@pytest.mark.parametrize(
    ("age", "kept"),
    [("047Y", "047Y"), ("089Y", "089Y"), ("090Y", "090Y"), ("101Y", "090Y"), ("009M", "009M"),
     ("999D", "999D"), ("47", None)],
)  # fmt: skip
def test_ages_over_89_are_one(age, kept):
    assert capped_age(age) == kept


@pytest.mark.parametrize(
    ("birth", "study", "age"),
    [("19610317", "20240316", "062Y"), ("19610317", "20240317", "063Y"),
     ("19200101", "20240101", "090Y"), ("", "20240101", None), ("20250101", "20240101", None)],
)  # fmt: skip
def test_an_age_that_is_not_stated_follows_from_the_birth_date(birth, study, age):
    assert age_at(birth, study) == age


def test_days_are_between_1_and_364_and_differ_between_patients():
    key = SecretKey(secret=bytes(32), kept=True)
    days = [key.days(str(patient)) for patient in range(500)]
    assert min(days) >= 1
    assert max(days) <= 364
    assert len(set(days)) > 250


@pytest.mark.real
def test_real_photographs_without_text_are_not_held(real_data, tmp_path):
    files = sorted((real_data / "fundus-idrid-grading-640" / "train").iterdir())[:12]
    images = [read(path, modality="fundus") for path in files]
    assert [burned_in_text(image, find_field(image)) for image in images] == [0] * 12
