"""Volumes from vendors' files: the order, the places, the spacing and the lines they carry."""

import struct
import warnings

import numpy as np
import pytest
from PIL import Image as PillowImage

import foveal
from foveal.core import FovealWarning, ImageError
from foveal.images import read_volume
from foveal.images.oct.order import order_sections

COUNT, ROWS, COLUMNS = 5, 12, 16
ROW_MM, COLUMN_MM, APART_MM = 0.004, 0.01, 0.1


def sections(count=COUNT, rows=ROWS, columns=COLUMNS):
    """Sections that cannot be mistaken for each other."""
    level = np.arange(count)[:, None, None] * 40
    return (level + np.arange(rows)[:, None] + np.zeros(columns)).astype(np.uint8)


def places(rows_mm, columns=COLUMNS):
    return [((1.0, y), (1.0 + columns * COLUMN_MM, y)) for y in rows_mm]


FALLING = [2.0 - APART_MM * number for number in range(COUNT)]


def xml(rows_mm=FALLING, *, files=True, lines="", extra="", grid=(ROWS, COLUMNS), side="R"):
    """Heidelberg's export as far as it matters, with a localizer of 300 x 300 pixels of 0.01 mm."""
    images = [
        "<Image><ImageNumber>0</ImageNumber><ImageType><Type>LOCALIZER</Type></ImageType>"
        "<OphthalmicAcquisitionContext><Width>30</Width><Height>30</Height><ScaleX>0.1</ScaleX>"
        "<ScaleY>0.1</ScaleY></OphthalmicAcquisitionContext>"
        r"<ImageData><ExamURL>file:///\\host\share\slo.png</ExamURL></ImageData></Image>"
    ]
    for number, (start, end) in enumerate(places(rows_mm), 1):
        url = rf"<ExamURL>file:///\\host\share\b{number}.png</ExamURL>" if files else ""
        coordinates = "".join(
            f"<{name}><Coord><X>{x}</X><Y>{y:.4f}</Y></Coord></{name}>"
            for name, (x, y) in (("Start", start), ("End", end))
        )
        images.append(
            f"<Image><ImageNumber>{number}</ImageNumber><ImageType><Type>OCT</Type></ImageType>"
            f"<OphthalmicAcquisitionContext><Width>{grid[1]}</Width><Height>{grid[0]}</Height>"
            f"<ScaleX>{COLUMN_MM}</ScaleX><ScaleY>{ROW_MM}</ScaleY>{coordinates}"
            f"</OphthalmicAcquisitionContext><ImageData>{url}</ImageData>{lines}</Image>"
        )
    return (
        f"<HEDX><BODY><Patient><PatientID>P7</PatientID><Study><StudyDate><Date><Year>2020</Year>"
        f"<Month>02</Month><Day>03</Day></Date></StudyDate><Series><Laterality>{side}</Laterality>"
        f"{''.join(images)}</Series>{extra}</Study></Patient></BODY></HEDX>"
    )


@pytest.fixture
def export(tmp_path):
    """A folder as HEYEX writes it: sections, localizer, description."""
    for number, plane in enumerate(sections(), 1):
        PillowImage.fromarray(plane).save(tmp_path / f"b{number}.png")
    PillowImage.fromarray(np.full((30, 30), 99, np.uint8)).save(tmp_path / "slo.png")
    (tmp_path / "scan.xml").write_text(xml())
    return tmp_path


def levels(volume):
    """Which section of `sections` lies where."""
    return np.rint(volume.pixels[:, 0, 0, 0] * 255 / 40).astype(int).tolist()


def test_an_export_is_read_with_its_spacing_places_eye_and_visit(export):
    volume = foveal.read_volume(export)
    assert volume.pixels.shape == (COUNT, 1, ROWS, COLUMNS)
    np.testing.assert_array_equal(volume.pixels[:, 0], sections() / np.float32(255))
    assert volume.spacing_mm == (ROW_MM, COLUMN_MM)
    assert volume.slice_spacing_mm == pytest.approx(APART_MM)
    assert (volume.laterality, volume.patient, volume.eye) == ("right", "P7", "P7/right")
    assert volume.visit == "2020-02-03"
    assert volume.localizer is not None
    assert volume.localizer.grid == (30, 30)
    # 2.0 mm down and 1.0 mm right, in pixels of 0.1 mm
    np.testing.assert_allclose(volume.places[0], [[20.0, 10.0], [20.0, 11.6]])
    assert volume.facts["order"] == "by the places in the file"


@pytest.mark.parametrize(
    ("rows_mm", "expected"),
    [
        pytest.param([2.0, 1.9, 1.8, 1.7, 1.6], [0, 1, 2, 3, 4], id="upwards"),
        pytest.param([1.6, 1.7, 1.8, 1.9, 2.0], [0, 1, 2, 3, 4], id="downwards"),
        pytest.param([2.0, 1.8, 1.9, 1.7, 1.6], [0, 2, 1, 3, 4], id="two changed places"),
        pytest.param([1.8, 1.9, 2.0, 1.6, 1.7], [3, 4, 0, 1, 2], id="the end first"),
    ],
)
def test_sections_lie_as_their_places_say(export, rows_mm, expected):
    (export / "scan.xml").write_text(xml(rows_mm))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        volume = read_volume(export)
    changed = expected != sorted(expected)
    assert [warning.category for warning in said] == [FovealWarning] * changed
    assert volume.facts["reordered"] is changed
    assert levels(volume) == expected
    assert volume.slice_spacing_mm == pytest.approx(APART_MM)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(xml([2.0, 1.9, 1.9, 1.8, 1.7]), "2 and 3 at the same place", id="one place"),
        pytest.param(xml(grid=(12, 17)), "description says", id="another size"),
        pytest.param(xml(side="R</Laterality><Laterality>L"), "both eyes", id="both eyes"),
        pytest.param(xml() + "<more/>", "not well-formed", id="damaged"),
        pytest.param(
            '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><HEDX>&a;</HEDX>',
            "entities",
            id="an external entity",
        ),
        pytest.param("<HEDX><BODY/></HEDX>", "no OCT sections", id="another XML"),
        pytest.param(
            xml(lines="<SegLine><Name>ILM</Name><Array>1 2 3</Array></SegLine>"),
            "3 values for 16 columns",
            id="a short line",
        ),
        pytest.param(
            xml(lines="<SegLine><Name>ILM</Name><Array>1 two</Array></SegLine>"),
            "something else than numbers",
            id="a line of words",
        ),
        pytest.param(xml().replace(">12<", ">-12<"), "not a whole number", id="negative rows"),
    ],
)
def test_a_description_that_cannot_be_true_is_refused(export, text, message):
    (export / "scan.xml").write_text(text)
    with pytest.raises(ImageError, match=message):
        read_volume(export)


def test_a_picture_named_with_a_path_is_only_looked_for_beside_the_description(export, tmp_path):
    outside = tmp_path.parent / "outside.png"
    PillowImage.fromarray(sections()[0]).save(outside)
    text = xml().replace(r"\\host\share\b1.png", r"..\outside.png")
    (export / "scan.xml").write_text(text)
    with pytest.raises(ImageError, match=r"first outside\.png"):
        read_volume(export / "scan.xml")


def test_lines_of_an_export_are_rows_with_centres_at_a_half_and_gaps_are_unknown(export):
    values = " ".join(["3e+038", "-1", "12", "nan"] + ["4.25"] * (COLUMNS - 4))
    line = (
        f"<Segmentation><SegLine><Name>ILM</Name><Array>{values}</Array></SegLine></Segmentation>"
    )
    (export / "scan.xml").write_text(xml(lines=line))
    volume = read_volume(export)
    assert np.isnan(volume.lines["ILM"][:, :4]).all()
    assert (volume.lines["ILM"][:, 4:] == 4.75).all()


def test_pictures_are_matched_to_a_stripped_description_by_their_numbers(export):
    (export / "scan.xml").write_text(xml(files=False))
    (export / "slo.png").unlink()
    (export / "b1.png").unlink()
    volume = read_volume(export / "b*.png")
    assert levels(volume) == [1, 2, 3, 4]
    assert volume.spacing_mm == (ROW_MM, COLUMN_MM)
    (export / "b5.png").rename(export / "b6.png")
    with pytest.raises(ImageError, match=r"b6\.png whose description knows no section"):
        read_volume(export / "b*.png")


def test_pictures_alone_are_sorted_by_number_and_measure_nothing(tmp_path):
    for number, plane in zip((2, 10, 9, 1, 11), sections(), strict=True):
        PillowImage.fromarray(np.stack([plane] * 3, axis=-1)).save(tmp_path / f"s{number}.png")
    volume = read_volume(tmp_path)
    assert volume.pixels.shape[1] == 1
    assert levels(volume) == [3, 0, 2, 1, 4]
    assert volume.spacing_mm is None
    assert volume.slice_spacing_mm is None
    assert "does not say" in volume.facts["order"]


def test_pages_of_a_tiff_are_sections_and_one_page_is_none(tmp_path):
    pages = [PillowImage.fromarray(plane) for plane in sections()]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    pages[0].save(tmp_path / "one.tif")
    assert levels(read_volume(tmp_path / "scan.tif", sections=(2, 4))) == [1, 2, 3]
    with pytest.raises(ImageError, match=r"foveal\.read"):
        read_volume(tmp_path / "one.tif")


def vol(raw, rows_mm, *, distance=APART_MM, lines=None, pattern=3, side=b"OD"):
    """A .vol file by the vendor's layout, written independently of the reader."""
    count, rows, columns = raw.shape
    header = struct.pack(
        "<12s3I3d", b"HSF-OCT-103", columns, count, rows, COLUMN_MM, distance, ROW_MM
    )
    header += struct.pack("<2I2dId", 30, 20, 0.1, 0.2, 30, 0.0)
    header += struct.pack("<4sQ2I16s16sI24sd", side, 0, pattern, 512, b"1", b"", 7, b"P7", 0.0)
    header += struct.pack("<I24sd", 1, b"", 43864.0)
    file = header.ljust(2048, b"\0") + bytes(range(200)) * 3
    for plane, (start, end) in zip(raw, places(rows_mm, columns), strict=True):
        head = struct.pack("<12sI4d3If", b"HSF-BS-103", 512, *start, *end, 0, 256, 0, 0.0)
        if lines is not None:
            head = struct.pack("<12sI4d2I", b"HSF-BS-103", 512, *start, *end, len(lines), 256)
            head = head.ljust(256, b"\0") + lines.astype("<f4").tobytes()
        file += head.ljust(512, b"\0") + plane.astype("<f4").tobytes()
    return file


RAW = np.linspace(0, 1, COUNT * ROWS * COLUMNS).reshape(COUNT, ROWS, COLUMNS)


def test_raw_intensities_are_shown_by_their_fourth_root_and_gaps_are_black(tmp_path):
    raw = RAW.astype(np.float32)
    raw[0, 0] = np.finfo(np.float32).max
    raw[0, 1] = np.nan
    lines = np.array([np.full(COLUMNS, 3.0), np.full(COLUMNS, 3.4028235e38)])
    (tmp_path / "a.vol").write_bytes(vol(raw, FALLING, lines=lines))
    volume = read_volume(tmp_path / "a.vol")
    assert (volume.pixels[0, 0, :2] == 0).all()
    np.testing.assert_allclose(volume.pixels[1:, 0], RAW[1:] ** 0.25, rtol=1e-6)
    assert list(volume.lines) == ["ILM"]
    assert (volume.lines["ILM"] == 3.5).all()
    assert volume.slice_spacing_mm == pytest.approx(APART_MM)
    assert (volume.eye, volume.visit) == ("P7/right", "2020-02-03")
    assert volume.localizer.pixels[0, 0, 7] == np.float32(7 / 255)
    # the localizer's pixels are 0.2 mm high and 0.1 mm wide
    np.testing.assert_allclose(volume.places[0], [[10.0, 10.0], [10.0, 11.6]])


@pytest.mark.parametrize(
    ("file", "message"),
    [
        pytest.param(vol(RAW, FALLING)[:-1], "cut off", id="cut off"),
        pytest.param(vol(RAW, FALLING)[:100], "cut off", id="cut off in the header"),
        pytest.param(vol(RAW, FALLING, distance=0.2), "0.2 mm apart", id="two distances"),
        pytest.param(
            vol(RAW, FALLING)[:12] + b"\xff" * 12 + vol(RAW, FALLING)[24:],
            "pixels allowed",
            id="a huge header",
        ),
        pytest.param(vol(RAW, [2.0, 2.0, 1.9, 1.8, 1.7]), "same place", id="one place"),
        pytest.param(vol(RAW, [np.nan, 2.0, 1.9, 1.8, 1.7]), "nowhere", id="no place"),
    ],
)
def test_a_raw_export_that_cannot_be_true_is_refused(tmp_path, file, message):
    (tmp_path / "a.vol").write_bytes(file)
    with pytest.raises(ImageError, match=message):
        read_volume(tmp_path / "a.vol")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["vol", "xml"])
def test_whatever_byte_is_wrong_the_answer_is_a_volume_or_an_image_error(export, kind):
    random = np.random.default_rng(0)
    lines = np.array([np.full(COLUMNS, 3.0)])
    text = f"<SegLine><Name>ILM</Name><Array>{'3.0 ' * COLUMNS}</Array></SegLine>"
    whole = vol(RAW, FALLING, lines=lines) if kind == "vol" else xml(lines=text).encode()
    header = 2648 if kind == "vol" else len(whole)  # there, what is wrong matters
    (export / "scan.xml").unlink()
    for number in range(150):
        broken = bytearray(whole)
        for place in random.integers(0, header if number % 3 else len(whole), 1 + number % 4):
            broken[place] = random.integers(0, 256)
        end = len(broken) if number % 2 else random.integers(1, len(broken))
        (export / f"scan.{kind}").write_bytes(broken[:end])
        try:
            volume = read_volume(export / f"scan.{kind}", max_pixels=10_000)
        except ImageError:
            continue
        assert volume.pixels.shape[1] == 1


def test_part_of_a_volume_is_read_in_order_of_place(tmp_path):
    (tmp_path / "a.vol").write_bytes(vol(RAW, [2.0, 1.8, 1.9, 1.7, 1.6]))
    with pytest.warns(FovealWarning, match="sorted by"):
        volume = read_volume(tmp_path / "a.vol", sections=(2, 3))
    np.testing.assert_allclose(volume.pixels[:, 0], RAW[[2, 1]] ** 0.25, rtol=1e-6)
    np.testing.assert_allclose(volume.places[:, 0, 0] * 0.2, [1.9, 1.8])
    assert volume.slice_spacing_mm == pytest.approx(APART_MM)
    with pytest.raises(ImageError, match="no section 6"):
        read_volume(tmp_path / "a.vol", sections=(1, 6))
    with pytest.raises(ImageError, match="raise max_pixels"):
        read_volume(tmp_path / "a.vol", max_pixels=COUNT * ROWS * COLUMNS - 1)


def test_one_section_missing_leaves_the_distance_unknown():
    rows = np.array([0.0, 0.1, 0.3, 0.4])
    found = order_sections(np.stack([np.c_[rows, rows * 0], np.c_[rows, rows * 0 + 1]], 1), 4)
    assert found.index == (0, 1, 2, 3)
    assert found.slice_spacing is None
    assert "unevenly" in found.words


def test_a_star_of_sections_keeps_the_order_of_the_file_and_has_no_distance():
    angle = np.linspace(0, np.pi, 6, endpoint=False)
    arm = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    found = order_sections(np.stack([-arm, arm], axis=1), 6)
    assert found.index == (0, 1, 2, 3, 4, 5)
    assert found.slice_spacing is None
    assert "not parallel" in found.words


@pytest.mark.parametrize("degrees", [0.0, 33.0, 90.0, -120.0])
def test_sections_of_any_direction_are_as_far_apart_as_they_are(degrees):
    turn = np.deg2rad(degrees)
    along, across = (np.sin(turn), np.cos(turn)), (np.cos(turn), -np.sin(turn))
    starts = np.arange(7)[:, None] * 0.25 * np.array(across)
    shuffled = [3, 0, 6, 1, 5, 2, 4]
    found = order_sections(np.stack([starts, starts + along], axis=1)[shuffled], 7)
    lying = [shuffled[number] for number in found.index]
    assert lying in ([*range(7)], [*reversed(range(7))])
    assert found.slice_spacing == pytest.approx(0.25)


def test_a_volume_given_to_read_is_named_and_sent_to_its_door(tmp_path):
    (tmp_path / "a.png").write_bytes(vol(RAW, FALLING))
    with pytest.raises(ImageError, match=r"Heidelberg \.vol volume; read it with foveal\.read_vol"):
        foveal.read(tmp_path / "a.png")


@pytest.mark.parametrize("content", [b"", b"no volume", b"\0" * 600])
def test_what_is_no_volume_is_an_error_with_its_name(tmp_path, content):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "scan.bin").write_bytes(content)
    with pytest.raises(ImageError, match=r"scan\.bin"):
        read_volume(tmp_path / "files" / "scan.bin")
    with pytest.raises(ImageError, match="no such file"):
        read_volume(tmp_path / "nothing.vol")
    with pytest.raises(ImageError, match="without pictures"):
        read_volume(tmp_path)


@pytest.mark.real
def test_the_bonn_volume_is_measured_by_its_description(real_data):
    folder = real_data / "oct-bonn-volume" / "bscans"
    volume = read_volume(folder / "*.png", sections=(1, 3))
    assert volume.pixels.shape == (3, 1, 496, 512)
    assert volume.spacing_mm == (0.003872, 0.011182)
    assert volume.slice_spacing_mm == pytest.approx(0.0298, abs=1e-4)
    assert volume.facts["sections_in_file"] == 73


@pytest.mark.real
def test_both_heidelberg_containers_give_what_eyepy_gives(real_data):
    eyepy = pytest.importorskip("eyepy")
    folder = real_data / "vendor-heidelberg-dummy"
    ours = read_volume(folder / "heyex_xml" / "test_volume")
    theirs = eyepy.import_heyex_xml(folder / "heyex_xml" / "test_volume")
    np.testing.assert_allclose(ours.pixels[:, 0] * 255, theirs.data, atol=1e-4)
    for name in ours.lines:
        np.testing.assert_allclose(ours.lines[name], theirs.layers[name].data + 0.5, rtol=1e-6)
    assert ours.slice_spacing_mm == pytest.approx(theirs.scale_z, rel=0.02)
    vol_file = folder / "heyex_vol" / "test_volume.vol"
    ours, theirs = read_volume(vol_file), eyepy.import_heyex_vol(vol_file)
    raw = theirs.raw_data
    np.testing.assert_allclose(ours.pixels[:, 0], np.where(raw <= 1, raw, 0) ** 0.25, atol=1e-4)
    assert ours.slice_spacing_mm == pytest.approx(theirs.scale_z)
