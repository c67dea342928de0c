"""No file leads to another one outside its folder: entities, paths and names in archives."""

import json
import sys
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import roifile
from annotators import asap, coco, cvat
from PIL import Image as PillowImage
from specimens import MASK, RING
from test_oct_files import xml as heidelberg

from foveal.core import Image, ImageError
from foveal.images import read_regions, read_volume

CANARY = "canary"
Write = Callable[..., object]

BOMB = "<!DOCTYPE a [<!ENTITY b 'ha'>" + "".join(
    f"<!ENTITY c{number} '{f'&c{number - 1};' * 10 if number else '&b;' * 10}'>"
    for number in range(9)
)
PROLOGUES = {
    "billion laughs": (f"{BOMB}]>", "&c8;"),
    "quadratic": (f"<!DOCTYPE a [<!ENTITY b '{'x' * 50_000}'>]>", "&b;" * 1000),
    "entity from a file": ("<!DOCTYPE a [<!ENTITY b SYSTEM 'CANARY'>]>", "&b;"),
    "entity from the network": ("<!DOCTYPE a [<!ENTITY b SYSTEM 'http://127.0.0.1:9/'>]>", "&b;"),
    "parameter entity": ("<!DOCTYPE a [<!ENTITY % b SYSTEM 'CANARY'> %b;]>", ""),
    "document type in a file": ("<!DOCTYPE a SYSTEM 'CANARY'>", ""),
    "document type alone": ("<!DOCTYPE a>", ""),
}
INCLUDED = "<x:include xmlns:x='http://www.w3.org/2001/XInclude' href='CANARY' parse='text'/>"


def image() -> Image:
    return Image(pixels=np.zeros((3, *MASK.shape), np.float32), source="eye_1.jpg")


def drawn(writer: Write, folder: Path) -> str:
    path = folder / "marks"
    writer(path, "eye_1.jpg", [RING], MASK)
    return path.read_text().split("?>")[-1].strip()


def described(folder: Path) -> str:
    for number in range(1, 6):
        PillowImage.fromarray(np.zeros((12, 16), np.uint8)).save(folder / f"b{number}.png")
    PillowImage.fromarray(np.zeros((30, 30), np.uint8)).save(folder / "slo.png")
    return heidelberg()


def cvat_polygon(path: Path, name: str, rings: object, mask: np.ndarray) -> None:
    points = ";".join(f"{column},{row}" for row, column in RING)
    cvat(path, name, mask.shape, f'<polygon label="MA" points="{points}"/>')


READERS = {
    "CVAT": (partial(drawn, cvat_polygon), lambda path: read_regions(path, image=image())),
    "ASAP": (partial(drawn, asap), lambda path: read_regions(path, image=image())),
    "Heidelberg": (described, read_volume),
}


@pytest.fixture
def touched(tmp_path):
    """Every file that is opened, and every address that is asked."""
    asked: list[str] = []
    watching = [True]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching[0] and event in ("open", "socket.connect", "socket.getaddrinfo"):
            asked.append(f"{event} {arguments[0]} {arguments[-1] if event != 'open' else ''}")

    (tmp_path / CANARY).write_text("<svg/>")
    PillowImage.fromarray(np.zeros((12, 16), np.uint8)).save(tmp_path / f"{CANARY}.png")
    sys.addaudithook(hook)
    yield asked
    watching[0] = False


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("prologue", PROLOGUES)
def test_xml_with_a_document_type_is_refused_and_nothing_is_asked(
    tmp_path, touched, reader, prologue
):
    write, read = READERS[reader]
    (tmp_path / "in").mkdir()
    text, (head, body) = write(tmp_path / "in"), PROLOGUES[prologue]
    (tmp_path / "in" / "marks").unlink(missing_ok=True)
    first, _, rest = text.partition(">")
    path = tmp_path / "in" / "scan.xml"
    path.write_text(f"{head}{first}>{body}{rest}".replace("CANARY", (tmp_path / CANARY).as_uri()))

    with pytest.raises(ImageError, match=r"defines entities|declares XML entities"):
        read(path)
    assert not any(CANARY in one or one.startswith("socket") for one in touched)


@pytest.mark.parametrize("reader", READERS)
def test_xinclude_is_an_element_like_any_other(tmp_path, touched, reader):
    write, read = READERS[reader]
    (tmp_path / "in").mkdir()
    first, _, rest = write(tmp_path / "in").partition(">")
    (tmp_path / "in" / "marks").unlink(missing_ok=True)
    path = tmp_path / "in" / "scan.xml"
    included = INCLUDED.replace("CANARY", (tmp_path / CANARY).as_uri())
    path.write_text(f"{first}>{included}{rest}")

    assert read(path)
    assert not any(CANARY in one or one.startswith("socket") for one in touched)


WAYS_OUT = [
    f"../{CANARY}.png", f"..\\{CANARY}.png", f"./../{CANARY}.png", f"in/../../{CANARY}.png",
    f"file:///../{CANARY}.png",
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS_OUT)
def test_pictures_of_a_description_are_looked_for_beside_it_alone(tmp_path, touched, way):
    (tmp_path / "in").mkdir()
    text = described(tmp_path / "in").replace(r"file:///\\host\share\b1.png", way)
    (tmp_path / "in" / "scan.xml").write_text(text)

    with pytest.raises(ImageError, match=f"{CANARY}.png"):
        read_volume(tmp_path / "in" / "scan.xml")
    assert not any(f"{tmp_path / CANARY}" in one for one in touched)


@pytest.mark.filterwarnings("ignore:annotations of .* by the file's name alone")
@pytest.mark.parametrize("way", WAYS_OUT)
def test_a_picture_that_coco_names_is_never_opened(tmp_path, touched, way):
    path = tmp_path / "marks.json"
    coco(path, way, MASK.shape, [{"bbox": [1, 1, 2, 2]}])
    pictured = Image(pixels=image().pixels, source=f"elsewhere/{CANARY}.png")

    # Of another folder's name the marks are refused; what counts is that nobody looks there.
    with suppress(ImageError):
        assert len(read_regions(path, image=pictured)) == 1
    assert not any(CANARY in one for one in touched)


@pytest.mark.parametrize("name", ["../canary", "/etc/canary", "a/../../canary", "C:\\canary"])
def test_names_in_an_archive_become_labels_and_no_paths(tmp_path, name):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "marks.zip"
    roi = roifile.ImagejRoi.frompoints(np.asarray(RING, np.float32)[:, ::-1])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.roi", roi.tobytes())

    (region,) = read_regions(path, image=image())

    assert region.mask.any()
    assert [one.name for one in tmp_path.rglob("*")] == ["in", "marks.zip"]


def test_a_header_leads_to_no_link(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(MASK.size))
    (tmp_path / "in" / "values.raw").symlink_to(tmp_path / "secret.raw")
    path = tmp_path / "in" / "eye_1_MA.mhd"
    path.write_text(
        f"ObjectType = Image\nNDims = 2\nDimSize = {MASK.shape[1]} {MASK.shape[0]}\n"
        "ElementType = MET_UCHAR\nElementDataFile = values.raw\n"
    )

    with pytest.raises(ImageError, match="keeps its values in a file that is not beside it"):
        read_regions(path, image=image())


def test_an_address_in_an_export_is_never_asked(tmp_path, touched):
    path = tmp_path / "marks.json"
    row = {
        "data_row": {"external_id": "eye_1.jpg", "row_data": "http://127.0.0.1:9/eye_1.jpg"},
        "media_attributes": {"height": MASK.shape[0], "width": MASK.shape[1]},
        "projects": {"p": {"labels": [{"annotations": {"objects": []}}]}},
    }
    path.write_text(json.dumps([row]))

    assert list(read_regions(path, image=image())) == []
    assert not any(one.startswith("socket") for one in touched)
