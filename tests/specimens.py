"""Small right files of every kind that is read, each with its reader, to be made wrong.

All of them name one patient, who must not be named by a warning or by what may be shown.
"""

import io
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import annotators
import imagecodecs
import numpy as np
import tifffile
from PIL import Image as PillowImage
from PIL import PngImagePlugin

NAME = "Quillfeather"
"""The patient: in headers, in file names, in folders' names."""

MAX_PIXELS = 1_000_000
"""What readers are told that can be told."""

SIDE = 24
RNG = np.random.default_rng(0)
RGB8 = RNG.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
GREY8, GREY16 = RGB8[..., 0], RNG.integers(0, 65536, (SIDE, SIDE), dtype=np.uint16)
MASK = np.zeros((12, 17), bool)
MASK[2:10, 3:5] = MASK[2:4, 3:11] = True
RING = [(2.25, 3.25), (2.25, 10.75), (3.75, 10.75), (3.75, 4.75), (9.75, 4.75), (9.75, 3.25)]


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """One kind of file."""

    group: str
    write: Callable[[Path], Path]
    """Makes the file, and what belongs to it, in an empty folder."""
    read: Callable[[Path], object]
    """What is done with the file; what it gives is looked through for the patient's name."""
    also: tuple[type[Exception], ...] = ()
    """Errors that are documented beside FovealError."""


def specimens() -> Mapping[str, Specimen]:
    """All kinds by name."""
    return {
        **_photographs(),
        **_dicom(),
        **_volumes(),
        **_annotations(),
        **_maps(),
        **_deidentified(),
        **_plans(),
        **_runs(),
    }


def _photographs() -> dict[str, Specimen]:
    exif = PillowImage.Exif()
    exif[0x0112], exif[0x013B] = 6, NAME
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", NAME)
    profile = b"\0" * 36 + b"acsp" + NAME.encode().ljust(160)
    told = {"exif": exif, "icc_profile": profile}
    cmyk = PillowImage.fromarray(RGB8).convert("CMYK")
    palette = PillowImage.fromarray(RGB8).convert("P")
    alpha = PillowImage.fromarray(np.dstack([RGB8, GREY8]))
    tags = {"description": NAME, "software": NAME}
    files = {
        "PNG colours": _saved("PNG", RGB8, pnginfo=text, **told),
        "PNG grey": _saved("PNG", GREY8),
        "PNG palette": _saved("PNG", palette, transparency=3),
        "PNG alpha": _saved("PNG", alpha),
        "PNG of one bit": _saved("PNG", PillowImage.fromarray(GREY8 > 99)),
        "PNG of 16 bit": bytes(imagecodecs.png_encode(np.dstack([GREY16] * 3))),
        "JPEG colours": _saved("JPEG", RGB8, comment=NAME, **told),
        "JPEG grey": _saved("JPEG", GREY8),
        "JPEG progressive": _saved("JPEG", RGB8, progressive=True),
        "JPEG inks": _saved("JPEG", cmyk),
        "TIFF": _tiff(RGB8, photometric="rgb", **tags),
        "TIFF of 16 bit": _tiff(GREY16, compression="deflate", predictor=True),
        "TIFF of fractions": _tiff(GREY8.astype(np.float32) / 255, compression="lzw"),
        "TIFF tiles": _tiff(RGB8, photometric="rgb", tile=(16, 16), compression="packbits"),
        "TIFF of JPEG": _tiff(RGB8, photometric="ycbcr", compression="jpeg"),
        "TIFF palette": _saved("TIFF", palette),
        "TIFF large": _tiff(RGB8, photometric="rgb", bigtiff=True, byteorder=">"),
        "TIFF planes": _tiff(np.moveaxis(RGB8, -1, 0), photometric="rgb", planarconfig="separate"),
        "TIFF fax": _saved("TIFF", PillowImage.fromarray(GREY8 > 99), compression="group4"),
        "TIFF of two pages": _saved(
            "TIFF",
            PillowImage.fromarray(RGB8),
            save_all=True,
            append_images=[PillowImage.fromarray(GREY8)],
        ),
    }
    return {
        name: Specimen(group=name[:4].strip(), write=partial(_put, "eye", data), read=_read_image)
        for name, data in files.items()
    }


def _read_image(path: Path) -> object:
    from foveal.images import read

    image = read(path, frame=1, max_pixels=MAX_PIXELS)
    return dict(image.facts)


def _saved(kind: str, samples: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture = PillowImage.fromarray(samples) if isinstance(samples, np.ndarray) else samples
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _tiff(samples: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **{"metadata": None, "datetime": None, **options})
    return buffer.getvalue()


def _put(name: str, data: bytes | str, folder: Path) -> Path:
    path = folder / f"{NAME}_{name}"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


SYNTAXES = (
    *("ImplicitVRLittleEndian", "ExplicitVRLittleEndian", "DeflatedExplicitVRLittleEndian"),
    *("ExplicitVRBigEndian", "RLELossless", "JPEGLSLossless", "JPEGLSNearLossless"),
    *("JPEG2000Lossless", "JPEG2000", "HTJ2KLossless", "JPEGLossless", "JPEGLosslessSV1"),
    *("JPEGBaseline8Bit", "JPEGExtended12Bit"),
)


def _dicom() -> dict[str, Specimen]:
    found = {
        f"DICOM photograph, {syntax}": Specimen(
            group="DICOM", write=partial(_write_object, "photograph", syntax), read=_read_image
        )
        for syntax in SYNTAXES
    }
    for kind in ("16 bit", "palette", "slit lamp", "wide", "wide 3D", "capture", "VL", "en face"):
        found[f"DICOM {kind}"] = Specimen(
            group="DICOM", write=partial(_write_object, kind, SYNTAXES[1]), read=_read_image
        )
    for kind, syntaxes in (("tomography", SYNTAXES), ("analysis", SYNTAXES[:1])):
        for syntax in (one for one in syntaxes if kind == "analysis" or one not in SYNTAXES[-2:]):
            found[f"DICOM {kind}, {syntax}"] = Specimen(
                group="DICOM", write=partial(_write_object, kind, syntax), read=_read_volume
            )
    for name, kind in (("an export", "tomography"), ("a directory", "directory")):
        found[f"DICOM {name}"] = Specimen(
            group="DICOM", write=partial(_write_object, kind, SYNTAXES[1]), read=_list_export
        )
    return found


def _write_object(kind: str, syntax: str, folder: Path) -> Path:
    path = folder / f"{NAME}_eye.dcm"
    made = _object(kind, syntax)
    made.save_as(path, enforce_file_format=True)
    return path


def _object(kind: str, syntax: str) -> Any:
    from pydicom import uid

    from foveal.synthetic import dicom

    said = {"transfer_syntax": getattr(uid, syntax), "PatientName": f"{NAME}^A", "patient": NAME}
    sections = np.stack([GREY8, GREY8.T])
    match kind:
        case "16 bit":
            return dicom.ophthalmic_photograph(GREY16, **said)
        case "slit lamp":
            return dicom.ophthalmic_photograph(RGB8, device="slit lamp", **said)
        case "wide" | "wide 3D":
            projection = "3d" if kind.endswith("3D") else "stereographic"
            return dicom.wide_field_photograph(RGB8, projection=projection, **said)
        case "capture":
            return dicom.secondary_capture(GREY8, WindowCenter=100, WindowWidth=90, **said)
        case "palette":
            tables = {
                f"{color}PaletteColorLookupTable{part}": value
                for color in ("Red", "Green", "Blue")
                for part, value in (("Descriptor", [256, 0, 16]), ("Data", bytes(512)))
            }
            color = {"PhotometricInterpretation": "PALETTE COLOR"}
            return dicom.secondary_capture(GREY8, **color, **tables, **said)
        case "VL":
            return dicom.photographic_image(RGB8, **said)
        case "en face":
            source = dicom.ophthalmic_photograph(GREY8, **said)
            return dicom.en_face_image(GREY8, source=source, spacing_mm=(0.01, 0.01))
        case "tomography":
            return dicom.ophthalmic_tomography(sections, **said)
        case "analysis":
            return dicom.volume_analysis(sections, **said)
        case "directory":
            return directory(["PT000000", "ST000000", f"{NAME.upper()}"])
    return dicom.ophthalmic_photograph(RGB8, **said)


def directory(parts: list[str]) -> Any:
    """A DICOMDIR that names one file."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage, generate_uid

    from foveal.synthetic.dicom.header import item

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["directory"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    entry = item(DirectoryRecordType="IMAGE", ReferencedFileID=parts, PatientName=f"{NAME}^A")
    made.DirectoryRecordSequence = [entry]
    return made


def _read_volume(path: Path) -> object:
    from foveal.images import read_volume

    volume = read_volume(path, max_pixels=MAX_PIXELS)
    return dict(volume.facts)


def _list_export(path: Path) -> object:
    from foveal.images import dicom_files

    return [record.why_not for record in dicom_files(path.parent)]


def _volumes() -> dict[str, Specimen]:
    from test_oct_files import COLUMNS, COUNT, FALLING, RAW, sections, vol, xml
    from test_oct_vendors import topcon

    lines = np.array([np.full(COLUMNS, 3.0)])
    drawn = f"<SegLine><Name>ILM</Name><Array>{'3.0 ' * COLUMNS}</Array></SegLine>"
    named = vol(RAW, FALLING, lines=lines).replace(b"P7\0", NAME.encode()[:2] + b"\0")

    def export(folder: Path) -> Path:
        for number, plane in enumerate(sections(), 1):
            PillowImage.fromarray(plane).save(folder / f"b{number}.png")
        PillowImage.fromarray(np.full((30, 30), 99, np.uint8)).save(folder / "slo.png")
        return _put("scan.xml", xml(lines=drawn).replace("P7", NAME), folder)

    scan = topcon(line=np.full((3, 8), 4)).replace(b"Doe", NAME[:3].encode())
    pages = [PillowImage.fromarray(plane) for plane in sections()]
    stack = _saved("TIFF", pages[0], save_all=True, append_images=pages[1:])
    cube = np.arange(COUNT * 16 * 12, dtype=np.uint16).astype(np.uint8).tobytes()
    found = {
        "Heidelberg .vol": ("scan.vol", named),
        "Topcon .fda": ("scan.fda", scan),
        "Heidelberg .E2E": ("scan.e2e", b"CMDb" + bytes(range(256)) * 8),
        "Zeiss .img": (f"16x{COUNT}.img", cube),
        "Bioptigen .oct": ("scan.oct", bytes(range(256)) * 4),
        "TIFF stack": ("scan.tif", stack),
    }
    made = {
        name: Specimen(group="OCT", write=partial(_put, file, data), read=_read_volume)
        for name, (file, data) in found.items()
    }
    made["Heidelberg .xml"] = Specimen(group="vendor XML", write=export, read=_read_volume)
    return made


def _annotations() -> dict[str, Specimen]:
    def write(name: str, folder: Path) -> Path:
        file, writer = annotators.FORMATS[name]
        writer(folder / file, "eye_1.jpg", [RING], MASK)
        return folder / file

    return {
        f"annotations, {name}": Specimen(
            group="annotations", write=partial(write, name), read=_read_regions
        )
        for name in annotators.FORMATS
    }


def _read_regions(path: Path) -> object:
    from foveal.core import Image
    from foveal.images import read_regions

    image = Image(pixels=np.zeros((3, *MASK.shape), np.float32), source="eye_1.jpg")
    return [region.name for region in read_regions(path, image=image)]


def _maps() -> dict[str, Specimen]:
    import nibabel

    def nifti(folder: Path) -> Path:
        nibabel.save(nibabel.Nifti1Image(GREY8.astype(np.float32), np.eye(4)), folder / "map.nii")
        return folder / "map.nii"

    def read(path: Path) -> object:
        from foveal.images import read_map

        return dict(read_map(path).facts)

    array = io.BytesIO()
    np.save(array, GREY8.astype(np.float32))
    return {
        "map .npy": Specimen(
            group="maps", write=partial(_put, "map.npy", array.getvalue()), read=read
        ),
        "map .nii": Specimen(group="maps", write=nifti, read=read),
    }


_PIXEL_DATA = b"\xe0\x7f\x10\0"
"""Blocks of headers that stray into pixels stay there."""


def _deidentified() -> dict[str, Specimen]:
    def folder_of(write: Callable[[Path], Path], folder: Path) -> Path:
        (folder / "in").mkdir()
        return write(folder / "in")

    def deidentify(path: Path) -> object:
        from foveal.images import deidentify

        out = path.parents[1] / "out"
        shutil.rmtree(out, ignore_errors=True)
        done = deidentify(path.parent, out, max_pixels=MAX_PIXELS)
        told = [[record.name, record.reasons, record.notes] for record in done.files]
        written = [file.read_bytes() for file in out.rglob("*") if file.is_file()]
        return told, *(data.rpartition(_PIXEL_DATA)[0] or data for data in written)

    def open_secret(path: Path) -> object:
        from foveal.images.deidentification.key import open_key

        path.chmod(0o600)
        return open_key(path).kept

    secret = {"format": "foveal-deidentification-key", "secret": bytes(range(32)).hex()}
    files = {
        "DICOM": partial(_write_object, "photograph", SYNTAXES[1]),
        "DICOM, implicit": partial(_write_object, "photograph", SYNTAXES[0]),
        "DICOM, JPEG": partial(_write_object, "photograph", "JPEGBaseline8Bit"),
        "DICOM, JPEG-LS": partial(_write_object, "photograph", "JPEGLSLossless"),
        "DICOM volume": partial(_write_object, "tomography", SYNTAXES[1]),
        "PNG": _photographs()["PNG colours"].write,
        "JPEG": _photographs()["JPEG colours"].write,
        "TIFF": _photographs()["TIFF"].write,
    }
    made = {
        f"deidentify {name}": Specimen(
            group="deidentify", write=partial(folder_of, write), read=deidentify
        )
        for name, write in files.items()
    }
    made["deidentify, key"] = Specimen(
        group="keys", write=partial(_put, "key.json", json.dumps(secret)), read=open_secret
    )
    return made


def _plans() -> dict[str, Specimen]:
    def beside(file: str, folder: Path) -> Path:
        _model(folder)
        return folder / file

    def manifest(folder: Path) -> Path:
        _model(folder)
        # Its warnings and errors say what stands in it: the user's own words.
        path = folder / "cohort.csv"
        path.write_text("image,patient,eye,grade\neye.png,A,R,1\ntiny.pth,B,L,2\n")
        return path

    def secret(folder: Path) -> Path:
        from foveal.run.identity import Identity, save_identity

        identity = Identity(keep=False, secret=bytes(range(32)))
        identity.image(f"{NAME}.png")
        save_identity(identity, folder / "key.json")
        return folder / "key.json"

    readers: dict[str, tuple[str, Callable[[Path], Path], Callable[[Path], object]]] = {
        "model card": ("cards", partial(beside, "model.toml"), _load),
        "weights .safetensors": ("weights", partial(beside, "tiny.safetensors"), _load),
        "weights .pth": ("weights", partial(beside, "tiny.pth"), _load_pth),
        "calibrator": ("cards", _write_calibrator, _read_calibrator),
        "plan": ("plans", partial(beside, "plan.toml"), _open_plan),
        "manifest": ("plans", manifest, _read_manifest),
        "run key": ("keys", secret, _open_identity),
    }
    return {
        name: Specimen(group=group, write=write, read=read)
        for name, (group, write, read) in readers.items()
    }


@cache
def _network() -> tuple[str, dict[str, Any]]:
    from conftest import NETWORK

    namespace: dict[str, Any] = {}
    exec(NETWORK, namespace)
    return NETWORK, namespace["build"](seed=1).state_dict()


def _model(folder: Path) -> None:
    import torch
    from conftest import CARD, PLAN
    from safetensors.torch import save_file

    code, state = _network()
    (folder / "tiny_network.py").write_text(code)
    (folder / "model.toml").write_text(CARD)
    save_file(state, folder / "tiny.safetensors")
    torch.save({"model": state}, folder / "tiny.pth")
    PillowImage.fromarray(RGB8).save(folder / "eye.png")
    plan = PLAN.replace("eyes/*", "*.png").replace('regions = "masks/{stem}_{region}.png"', "")
    (folder / "plan.toml").write_text(plan)


def _load(path: Path) -> None:
    from foveal.models import load

    load(path.with_name("model.toml"), trust=True)


def _load_pth(path: Path) -> None:
    from conftest import CARD

    from foveal.models import load

    path.with_name("model.toml").write_text(CARD.replace(".safetensors", ".pth"))
    load(path.with_name("model.toml"), trust=True)


def _write_calibrator(folder: Path) -> Path:
    fitted = {
        "format": "foveal-calibrator",
        "version": 1,
        "method": "temperature",
        "numbers": {"temperature": 1.5},
        "model": "tiny",
        "fingerprint": "f",
        "rows": 9,
        "classes": ["No DR", "Mild"],
        "units": 5,
        "unit": "patients",
        "split": "half",
        "measured": {"ece": [0.2, 0.1]},
        "deferral": None,
    }
    return _put("calibrator.json", json.dumps(fitted), folder)


def _read_calibrator(path: Path) -> None:
    from foveal.analysis.calibrator_file import read_calibrator

    read_calibrator(path)


def _open_plan(path: Path) -> None:
    from foveal.run import read_plan
    from foveal.run.cohort import cohort

    plan = read_plan(path)
    cohort(plan, path.parent)


def _read_manifest(path: Path) -> None:
    from foveal.run import plan_from
    from foveal.run.cohort import cohort

    plan = plan_from(
        {
            "name": "a",
            "images": [{"manifest": path.name}],
            "models": [{"card": "c"}],
            "methods": [{"name": "gradcam"}],
            "output": {"folder": "out"},
        }
    )
    cohort(plan, path.parent)


def _open_identity(path: Path) -> None:
    from foveal.run.identity import known_names, open_identity

    open_identity(path, keep=False, new=False)
    known_names(path)


RUN_FILES = (
    *("run.json", "log.jsonl", "shards/00000/images.parquet", "shards/00000/views.parquet"),
    *("shards/00000/maps.parquet", "shards/00000/scores.parquet"),
    *("shards/00000/arrays.zarr/zarr.json", "shards/00000/pictures/0000.jpg"),
    *("shards/00000/pictures/0000_0.png",),
)


def _runs() -> dict[str, Specimen]:
    return {
        f"run, {Path(file).name}": Specimen(
            group="runs", write=partial(_write_run, file), read=partial(_read_run, file)
        )
        for file in RUN_FILES
    } | {
        "run, array": Specimen(
            group="runs", write=partial(_write_run, "*"), read=partial(_read_run, "*")
        )
    }


def _write_run(file: str, folder: Path) -> Path:
    from test_store import case, view

    from foveal.core import Region
    from foveal.store import Run

    run = Run.create(folder / "run", {"fingerprint": "f", "name": "trial"})
    region = Region(name="MA", mask=MASK, kind="lesion")
    picture = np.zeros((*MASK.shape, 3), np.uint8)
    run.write(0, [case(0, picture=picture, regions=(region,), views=(view(),))])
    run.log("started", images=1)
    if file == "*":
        return next(path for path in sorted(run.folder.rglob("c/**/*")) if path.is_file())
    return run.folder / file


def _read_run(file: str, path: Path) -> None:
    from foveal.store import Run
    from foveal.store.columns import columns

    folder = next(parent for parent in path.parents if parent.name == "run")
    run = Run.open(folder)
    for _ in run.cases():
        pass
    run.failures()
    run.scored_of(0)
    for _ in columns(run, "scores", ["image", "measure", "value"]):
        pass
    run.events()
