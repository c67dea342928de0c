"""Topcon, Zeiss, Optovue, Bioptigen and E2E files, written here by their layouts."""

import numpy as np
import pytest

from foveal.core import FovealWarning, ImageError
from foveal.images import read_volume

COUNT, ROWS, COLUMNS = 3, 10, 8
RAW = np.arange(COUNT * ROWS * COLUMNS, dtype="<u2").reshape(COUNT, ROWS, COLUMNS) * 200


def topcon(*, kind=b"FDA", mode=2, line=None, drop=0):
    """A file of named chunks, each built by oct-converter's definitions."""
    pytest.importorskip("oct_converter")
    from oct_converter.readers.binary_structs import fda_binary, fds_binary

    side = fda_binary.capture_info_header.build({"eye": 1, "cap_date": [2020, 1, 2, 3, 4, 5]})
    scan = fda_binary.param_scan_04_header.build(
        {
            **dict.fromkeys(("fixation", "mirror_pos", "polar", "base_pos", "used_calib_data"), 0),
            **dict.fromkeys(("comp_eff_2", "comp_eff_3"), 0.0),
            "x_dimension_mm": 6.0,
            "y_dimension_mm": 4.5,
            "z_resolution_um": 2.6,
        }
    )
    header = {
        "scan_mode": mode,
        "width": COLUMNS,
        "height": ROWS,
        "bits_per_pixel": 16,
        "number_slices": COUNT,
        "format": 0,
        "size": RAW.nbytes,
    }
    pixels = fds_binary.oct_header.build(header) + RAW.tobytes()
    chunks = {
        b"@IMG_SCAN_03": pixels[: len(pixels) - drop],
        b"@PARAM_SCAN_04": scan,
        b"@CAPTURE_INFO": side,
        b"@PATIENT_INFO_02": b"P7".ljust(32, b"\0") + b"Doe".ljust(96, b"\0"),
    }
    if line is not None:
        contour = {"id": "MULTILAYERS_1", "method": 0, "format": 0, "width": COLUMNS}
        contour |= {"height": COUNT, "size": line.nbytes}
        built = fda_binary.contour_info_header.build(contour)
        chunks[b"@CONTOUR_INFO"] = built + line.astype("<u2").tobytes()
    file = b"FOCT" + kind + b"\0" * 8
    for name, content in chunks.items():
        file += bytes([len(name)]) + name + len(content).to_bytes(4, "little") + content
    return file + b"\0"


@pytest.mark.parametrize("kind", [b"FDA", b"FDS"])
def test_a_topcon_scan_says_its_size_side_and_patient(tmp_path, kind):
    heights = np.full((COUNT, COLUMNS), 4)
    heights[0] = 6  # the first line of the contour is of the last section
    (tmp_path / "scan.bin").write_bytes(topcon(kind=kind, line=heights))
    volume = read_volume(tmp_path / "scan.bin")
    np.testing.assert_allclose(volume.pixels[:, 0], RAW / 65535, rtol=1e-6)
    assert volume.spacing_mm == pytest.approx((0.0026, 6.0 / COLUMNS))
    assert volume.slice_spacing_mm == pytest.approx(4.5 / COUNT)
    assert volume.eye == "P7/left"
    assert volume.lines["ILM"][:, 0].tolist() == [6.5, 6.5, 4.5]
    assert "does not say" in volume.facts["order"]


def test_a_radial_topcon_scan_has_no_distance_between_sections(tmp_path):
    (tmp_path / "scan.fds").write_bytes(topcon(mode=3))
    assert read_volume(tmp_path / "scan.fds").slice_spacing_mm is None


def test_a_topcon_scan_that_promises_more_than_it_holds_is_refused(tmp_path):
    (tmp_path / "scan.fds").write_bytes(topcon(drop=2))
    with pytest.raises(ImageError, match="cut off"):
        read_volume(tmp_path / "scan.fds")
    (tmp_path / "scan.fds").write_bytes(topcon())
    with pytest.raises(ImageError, match="raise max_pixels"):
        read_volume(tmp_path / "scan.fds", max_pixels=10)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(3))
def test_whatever_byte_is_wrong_the_answer_is_a_volume_or_an_image_error(tmp_path, seed):
    random = np.random.default_rng(seed)
    whole = np.frombuffer(topcon(line=np.full((COUNT, COLUMNS), 4)), np.uint8)
    for _ in range(60):
        broken = whole.copy()
        places = random.integers(0, len(broken), 4)
        broken[places] = random.integers(0, 256, 4)
        (tmp_path / "scan.fda").write_bytes(broken[: random.integers(1, len(broken) + 1)].tobytes())
        try:
            read_volume(tmp_path / "scan.fda", max_pixels=10_000)
        except ImageError:
            continue


def test_a_zeiss_cube_is_cut_by_the_size_in_its_name(tmp_path):
    pytest.importorskip("oct_converter")
    rows, columns, count = 20, 16, 12
    cube = np.arange(count * columns * rows, dtype=np.uint8).reshape(count, columns, rows)
    file = tmp_path / "P7_Macular Cube 16x12_1-2-2020_3-4-5_OS_sn1_cube_z.img"
    file.write_bytes(cube.tobytes())
    volume = read_volume(file)
    assert volume.pixels.shape == (count, 1, rows, columns)
    # the fastest number in the file runs down a column
    np.testing.assert_allclose(volume.pixels[1, 0], cube[1].T / np.float32(255), rtol=1e-6)
    assert volume.eye == "P7/left"
    assert volume.spacing_mm is None
    file.write_bytes(cube.tobytes()[:-1])
    with pytest.raises(ImageError, match="do not fill"):
        read_volume(file)


def test_an_optovue_scan_is_read_with_its_description(tmp_path):
    pytest.importorskip("oct_converter")
    samples = np.random.default_rng(0).uniform(0, 50, size=(COUNT, COLUMNS, ROWS))
    (tmp_path / "scan.oct").write_bytes(samples.astype("<f4").tobytes())
    (tmp_path / "scan.txt").write_text(
        f"Eye Scanned = OD\nWindow Height = {ROWS}\nScan Length = {COLUMNS}\n"
        f"Scan Usage, Number = {COUNT}\n"
    )
    volume = read_volume(tmp_path / "scan.oct")
    expected = np.stack([np.rot90(plane) for plane in samples]) / samples.max()
    np.testing.assert_allclose(volume.pixels[:, 0], expected, rtol=1e-5)
    assert volume.laterality == "right"
    (tmp_path / "scan.txt").write_text("nothing of use")
    with pytest.raises(ImageError, match="no OCT scan"):
        read_volume(tmp_path / "scan.oct")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.E2E", b"CMDb" + b"\0" * 600, id="E2E without anything"),
        pytest.param("a.E2E", b"CMDb" + bytes(range(256)) * 4, id="E2E of noise"),
        pytest.param("a.OCT", bytes(range(256)) * 4, id="Bioptigen of noise"),
        pytest.param("a.fda", b"FOCTFDA" + b"\xff" * 600, id="Topcon of noise"),
        pytest.param("a.img", b"1", id="Zeiss of one byte"),
    ],
)
def test_a_damaged_file_is_an_error_with_its_name(tmp_path, name, content):
    pytest.importorskip("eyepy")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=name):
        read_volume(tmp_path / name)


class _Slice:
    """A section as eyepy's archive gives it."""

    def __init__(self, row_degrees, level):
        from eyepy.io.he.e2e_format import TypesEnum

        self.folders = {TypesEnum.bscanmeta: [None], TypesEnum.layer_annotation: [None]}
        self.row_degrees, self.level = row_degrees, level

    def get_meta(self):
        ends = {"start_pos": (-5.0, self.row_degrees), "end_pos": (5.0, self.row_degrees)}
        return {**ends, "size_x": COLUMNS, "size_y": ROWS}

    def get_bscan(self):
        plane = np.full((ROWS, COLUMNS), self.level, np.float32)
        plane[0] = 2.0  # nothing measured
        return plane

    def get_layers(self):
        return {0: np.full(COLUMNS, 3.0, np.float32)}


def test_an_archive_is_sorted_by_degrees_and_has_no_millimetres(tmp_path, monkeypatch):
    he = pytest.importorskip("eyepy.io.he")

    class Series:
        def __init__(self):
            self.slices = {0: _Slice(1.0, 0.0625), 2: _Slice(3.0, 1.0), 4: _Slice(2.0, 0.0)}

        def laterality(self):
            return "L"

    class Reader:
        def __init__(self, path):
            self.series = [Series()]

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(he, "HeE2eReader", Reader)
    (tmp_path / "a.E2E").write_bytes(b"CMDb" + b"\0" * 600)
    with pytest.warns(FovealWarning, match="sorted"):
        volume = read_volume(tmp_path / "a.E2E")
    assert volume.pixels[:, 0, 1, 0].tolist() == [0.5, 0.0, 1.0]  # fourth roots
    assert (volume.pixels[:, 0, 0] == 0).all()
    assert volume.spacing_mm is None
    assert volume.slice_spacing_mm is None
    assert volume.laterality == "left"
    assert (volume.lines["ILM"] == 3.5).all()
