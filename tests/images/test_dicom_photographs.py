"""DICOM objects written here attribute by attribute: what goes in must come out."""

import hashlib
import io
import warnings

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageCms
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_windowing
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import (
    MPEG2MPML,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    OphthalmicPhotography8BitImageStorage,
    OphthalmicPhotography16BitImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    VLPhotographicImageStorage,
    WideFieldOphthalmicPhotographyStereographicProjectionImageStorage,
    generate_uid,
)

from foveal.core import FovealWarning, ImageError
from foveal.images import read
from foveal.images.header import photograph_modality

RNG = np.random.default_rng(0)
RGB8 = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY8 = RNG.integers(0, 256, (6, 9), dtype=np.uint8)
GREY12 = RNG.integers(0, 4096, (6, 9), dtype=np.uint16)
GREY16 = RNG.integers(0, 65536, (6, 9), dtype=np.uint16)
SIGNED16 = RNG.integers(-2048, 2048, (6, 9)).astype(np.int16)
STUDY = "1.2.826.0.1.3680043.8.498.1"


def photograph(samples, *, frames=None, bits=None, **attributes):
    """An ophthalmic photograph as a camera would write it, with other attributes as asked."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    wide = samples.dtype.itemsize > 1
    dataset.SOPClassUID = (
        OphthalmicPhotography16BitImageStorage if wide else OphthalmicPhotography8BitImageStorage
    )
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["photograph"])
    dataset.StudyInstanceUID = STUDY
    dataset.PatientID = "12345"
    color = samples.ndim - (frames is not None) == 3
    dataset.Rows, dataset.Columns = samples.shape[1:3] if frames else samples.shape[:2]
    dataset.SamplesPerPixel = 3 if color else 1
    dataset.PhotometricInterpretation = "RGB" if color else "MONOCHROME2"
    if color:
        dataset.PlanarConfiguration = 0
    if frames is not None:
        dataset.NumberOfFrames = frames
    dataset.BitsAllocated = 8 * samples.dtype.itemsize
    dataset.BitsStored = bits or dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(samples.dtype.kind == "i")
    dataset.PixelData = samples.tobytes() + bytes(samples.nbytes % 2)
    dataset["PixelData"].VR = "OW" if wide else "OB"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def written(tmp_path, dataset):
    path = tmp_path / "eye.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def item(**attributes):
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def code(value):
    return item(
        CodeValue=value.value,
        CodingSchemeDesignator=value.scheme_designator,
        CodeMeaning=value.meaning,
    )


def display(samples, full_scale):
    shares = samples.astype(np.float64) / full_scale
    return shares[np.newaxis] if samples.ndim == 2 else shares.transpose(2, 0, 1)


def plain(syntax):
    def encode(dataset):
        dataset.file_meta.TransferSyntaxUID = syntax

    return encode


def compressed(syntax):
    return lambda dataset: dataset.compress(syntax, generate_instance_uid=False)


def deflated(dataset):
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"


LARGE_RGB8 = RGB8.repeat(8, axis=0).repeat(8, axis=1)  # JPEG 2000 needs room for its wavelets
LARGE_GREY16 = GREY16.repeat(8, axis=0).repeat(8, axis=1)
LOSSLESS = [
    pytest.param(plain(ImplicitVRLittleEndian), id="implicit"),
    pytest.param(plain(ExplicitVRLittleEndian), id="explicit"),
    pytest.param(deflated, id="deflated"),
    pytest.param(compressed(RLELossless), id="RLE"),
    pytest.param(compressed(JPEGLSLossless), id="JPEG-LS"),
    pytest.param(compressed(JPEG2000Lossless), id="JPEG 2000"),
]


@pytest.mark.parametrize("encode", LOSSLESS)
@pytest.mark.parametrize(
    ("samples", "full_scale"),
    [
        pytest.param(LARGE_RGB8, 255, id="RGB"),
        pytest.param(LARGE_GREY16, 65535, id="16 bit grey"),
    ],
)
def test_lossless_transfer_syntaxes_give_every_sample_back(tmp_path, encode, samples, full_scale):
    dataset = photograph(samples)
    encode(dataset)

    image = read(written(tmp_path, dataset))

    np.testing.assert_allclose(image.pixels, display(samples, full_scale), rtol=2e-7)
    assert image.facts["transfer_syntax"] == dataset.file_meta.TransferSyntaxUID.name


def test_big_endian_is_read(tmp_path):
    dataset = photograph(GREY16)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dataset.PixelData = GREY16.astype(">u2").tobytes()

    path = tmp_path / "eye.dcm"
    dataset.save_as(path, implicit_vr=False, little_endian=False, enforce_file_format=True)

    np.testing.assert_allclose(read(path).pixels, display(GREY16, 65535), rtol=2e-7)


def test_jpeg_colours_come_back_as_rgb_once(tmp_path):
    smooth = np.linspace([200, 80, 40], [90, 200, 120], 32 * 32).reshape(32, 32, 3)
    buffer = io.BytesIO()
    PillowImage.fromarray(smooth.astype(np.uint8)).save(buffer, "JPEG", quality=95)
    dataset = photograph(smooth.astype(np.uint8), PhotometricInterpretation="YBR_FULL_422")
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([buffer.getvalue()])

    image = read(written(tmp_path, dataset))

    # Left as YBR, or converted twice, the mean error would be tens of grey levels.
    assert np.abs(image.pixels - display(smooth, 255)).mean() < 2 / 255
    assert image.facts["color"] == "YBR_FULL_422"


def test_uncompressed_ybr_comes_back_as_rgb(tmp_path):
    ybr = np.asarray(PillowImage.fromarray(RGB8).convert("YCbCr"))

    image = read(written(tmp_path, photograph(ybr, PhotometricInterpretation="YBR_FULL")))

    np.testing.assert_allclose(image.pixels, display(RGB8, 255), atol=2.5 / 255)


def test_planes_are_put_together(tmp_path):
    dataset = photograph(RGB8, PlanarConfiguration=1)
    dataset.PixelData = RGB8.transpose(2, 0, 1).tobytes()

    np.testing.assert_allclose(
        read(written(tmp_path, dataset)).pixels, display(RGB8, 255), rtol=2e-7
    )


def test_a_palette_is_looked_up(tmp_path):
    entries = RNG.integers(0, 256, (3, 256), dtype=np.uint8)
    dataset = photograph(GREY8, PhotometricInterpretation="PALETTE COLOR")
    for name, plane in zip(("Red", "Green", "Blue"), entries, strict=True):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 8])
        setattr(dataset, f"{name}PaletteColorLookupTableData", plane.tobytes())

    expected = display(np.moveaxis(entries[:, GREY8], 0, -1), 255)
    np.testing.assert_allclose(read(written(tmp_path, dataset)).pixels, expected, rtol=2e-7)


GREYS = [
    pytest.param(GREY8, {}, GREY8 / 255, "full range 0 to 255", id="8 bit"),
    pytest.param(GREY12, {"bits": 12}, GREY12 / 4095, "full range 0 to 4095", id="12 of 16 bit"),
    pytest.param(
        SIGNED16,
        {"bits": 12},
        (SIGNED16 + 2048.0) / 4095,
        "full range -2048 to 2047",
        id="signed 12 of 16 bit",
    ),
    pytest.param(
        GREY16,
        {"RescaleSlope": "2", "RescaleIntercept": "-100"},
        GREY16 / 65535,
        "full range -100 to 130970",
        id="a rescale alone changes no contrast",
    ),
    pytest.param(
        GREY16,
        {"RescaleSlope": "-1", "RescaleIntercept": "0"},
        1 - GREY16 / 65535,
        "full range -65535 to 0",
        id="a negative slope inverts",
    ),
    pytest.param(
        GREY16,
        {"WindowWidth": "1000"},
        GREY16 / 65535,
        "full range 0 to 65535",
        id="half a window is none",
    ),
    pytest.param(
        GREY16,
        {"WindowCenter": "500", "WindowWidth": "0"},
        GREY16 / 65535,
        "full range 0 to 65535",
        id="an empty window is none",
    ),
    pytest.param(
        GREY16,
        {"WindowCenter": "30000", "WindowWidth": "1"},
        (GREY16 >= 30000).astype(float),
        "center 30000, width 1, LINEAR",
        id="a window of one level is a step",
    ),
    pytest.param(
        GREY16,
        {"WindowCenter": "0", "WindowWidth": "2", "RescaleSlope": "1", "RescaleIntercept": "-5000"},
        (GREY16 >= 5000).astype(float),
        "center 0, width 2, LINEAR",
        id="a window counts rescaled levels",
    ),
]


@pytest.mark.parametrize(("samples", "attributes", "expected", "window"), GREYS)
def test_grey_levels_span_the_recorded_range(tmp_path, samples, attributes, expected, window):
    image = read(written(tmp_path, photograph(samples, **attributes)))

    np.testing.assert_allclose(image.pixels[0], expected, atol=1e-6)
    assert image.facts["window"] == window


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(2048, 4096), (1000, 300), (100.5, 200)])
def test_windows_are_those_of_pydicom(tmp_path, function, center, width):
    dataset = photograph(
        GREY12,
        bits=12,
        WindowCenter=[str(center), "1"],
        WindowWidth=[str(width), "1"],
        VOILUTFunction=function,
    )

    image = read(written(tmp_path, dataset))

    expected = apply_windowing(GREY12, dataset) / 4095
    np.testing.assert_allclose(image.pixels[0], expected, atol=1e-6)
    assert image.facts["window"] == f"center {center:g}, width {width:g}, {function}"


def test_monochrome1_is_turned_so_that_light_is_bright(tmp_path):
    dataset = photograph(GREY8, PhotometricInterpretation="MONOCHROME1")

    image = read(written(tmp_path, dataset))

    np.testing.assert_allclose(image.pixels[0], 1 - GREY8 / 255, atol=1e-6)
    assert image.facts["inverted"] is True


def test_a_slope_of_zero_is_refused(tmp_path):
    dataset = photograph(GREY8, RescaleSlope="0", RescaleIntercept="1")

    with pytest.raises(ImageError, match="RescaleSlope of zero"):
        read(written(tmp_path, dataset))


def modified(value):
    region = item(CodeValue="81745001", CodingSchemeDesignator="SCT", CodeMeaning="Eye")
    region.AnatomicRegionModifierSequence = [code(value)]
    return [region]


def old_code(value, meaning):
    region = item(CodeValue="81745001", CodingSchemeDesignator="SCT", CodeMeaning="Eye")
    region.AnatomicRegionModifierSequence = [
        item(CodeValue=value, CodingSchemeDesignator="SRT", CodeMeaning=meaning)
    ]
    return [region]


def frame_anatomy(side):
    return [item(FrameAnatomySequence=[item(FrameLaterality=side)])]


SIDES = [
    pytest.param({"ImageLaterality": "R"}, "right", "ImageLaterality", id="image right"),
    pytest.param({"ImageLaterality": "L"}, "left", "ImageLaterality", id="image left"),
    pytest.param({"ImageLaterality": "B"}, "both", "ImageLaterality", id="image both"),
    pytest.param(
        {"SharedFunctionalGroupsSequence": frame_anatomy("L"), "Laterality": ""},
        "left",
        "FrameLaterality",
        id="shared frame anatomy",
    ),
    pytest.param(
        {
            "PerFrameFunctionalGroupsSequence": frame_anatomy("R"),
            "SharedFunctionalGroupsSequence": [item(PixelMeasuresSequence=[])],
        },
        "right",
        "FrameLaterality",
        id="own frame anatomy",
    ),
    pytest.param({"Laterality": "R"}, "right", "Laterality", id="series"),
    pytest.param({"ImageLaterality": "U", "Laterality": "L"}, "left", "Laterality", id="unpaired"),
    pytest.param(
        {"AnatomicRegionSequence": modified(codes.CID244.Left)},
        "left",
        "AnatomicRegionModifierSequence",
        id="modifier left",
    ),
    pytest.param(
        {"AnatomicRegionSequence": modified(codes.CID244.Right)},
        "right",
        "AnatomicRegionModifierSequence",
        id="modifier right",
    ),
    pytest.param(
        {"AnatomicRegionSequence": modified(codes.CID244.Bilateral)},
        "both",
        "AnatomicRegionModifierSequence",
        id="modifier both",
    ),
    pytest.param(
        {"AnatomicRegionSequence": old_code("G-A100", "Right")},
        "right",
        "AnatomicRegionModifierSequence",
        id="modifier in old codes",
    ),
    pytest.param(
        {"AnatomicRegionSequence": modified(codes.CID244.Unilateral)},
        "unknown",
        "not stated",
        id="modifier that names no side",
    ),
    pytest.param({}, "unknown", "not stated", id="nothing"),
]


@pytest.mark.parametrize(("attributes", "side", "said_by"), SIDES)
def test_the_side_comes_from_the_first_attribute_that_knows(tmp_path, attributes, side, said_by):
    image = read(written(tmp_path, photograph(RGB8, **attributes)))

    assert image.laterality == side
    assert image.facts["laterality_from"] == said_by
    assert image.eye == (f"12345/{side}" if side in ("right", "left") else None)


def test_a_header_that_contradicts_itself_about_the_side_is_warned_about(tmp_path):
    path = written(tmp_path, photograph(RGB8, ImageLaterality="R", Laterality="L"))

    with pytest.warns(FovealWarning, match="ImageLaterality right, Laterality left"):
        image = read(path)
    assert image.laterality == "right"


def measures(*spacing):
    return [item(PixelMeasuresSequence=[item(PixelSpacing=list(spacing))])]


SPACINGS = [
    pytest.param({"PixelSpacing": [0.01, 0.02]}, (0.01, 0.02), id="PixelSpacing"),
    pytest.param(
        {"SharedFunctionalGroupsSequence": measures(0.0039, 0.0117)},
        (0.0039, 0.0117),
        id="PixelMeasures",
    ),
    pytest.param(
        {"PixelSpacing": [0.01, 0.02], "SharedFunctionalGroupsSequence": measures(0.01, 0.02)},
        (0.01, 0.02),
        id="said twice",
    ),
    pytest.param({"PixelSpacing": [0, 0]}, None, id="zero is no spacing"),
    pytest.param({"PixelSpacing": None}, None, id="an empty spacing"),
    pytest.param({"ImagerPixelSpacing": [1, 1]}, None, id="spacing at the sensor is not the eye's"),
    pytest.param({}, None, id="nothing"),
]


@pytest.mark.parametrize(("attributes", "spacing"), SPACINGS)
def test_spacing_is_what_the_header_says_or_none(tmp_path, attributes, spacing):
    assert read(written(tmp_path, photograph(RGB8, **attributes))).spacing_mm == spacing


PATIENTS = [
    pytest.param({}, "12345", id="number"),
    pytest.param({"IssuerOfPatientID": "HOSP"}, "12345^^^HOSP", id="number and issuer"),
    pytest.param({"PatientID": "", "IssuerOfPatientID": "HOSP"}, None, id="issuer alone"),
    pytest.param({"PatientID": None}, None, id="nothing"),
]


@pytest.mark.parametrize(("attributes", "patient"), PATIENTS)
def test_a_patient_is_a_number_and_who_gave_it(tmp_path, attributes, patient):
    image = read(written(tmp_path, photograph(RGB8, ImageLaterality="L", **attributes)))

    assert image.patient == patient
    assert image.eye == (patient and f"{patient}/left")


def test_an_image_remembers_its_file_its_visit_and_nothing_of_the_person(tmp_path):
    dataset = photograph(RGB8, PatientName="Muster^Erika", StudyDate="20260102")
    path = written(tmp_path, dataset)

    image = read(path)

    assert image.visit == STUDY
    assert image.source == str(path)
    assert image.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert image.facts == {
        "format": "DICOM",
        "sop_class": "Ophthalmic Photography 8 Bit",
        "transfer_syntax": "Explicit VR Little Endian",
        "laterality_from": "not stated",
        "bit_depth": 8,
        "color": "RGB",
    }


MODALITIES = [
    pytest.param({}, "fundus", id="ophthalmic photography"),
    pytest.param(
        {"AcquisitionDeviceTypeCodeSequence": [code(codes.CID4202.FundusCamera)]},
        "fundus",
        id="fundus camera",
    ),
    pytest.param(
        {"AcquisitionDeviceTypeCodeSequence": [code(codes.CID4202.SlitLampBiomicroscope)]},
        "slit-lamp",
        id="slit lamp",
    ),
    pytest.param(
        {"SOPClassUID": WideFieldOphthalmicPhotographyStereographicProjectionImageStorage},
        "fundus",
        id="wide field",
    ),
    pytest.param({"SOPClassUID": VLPhotographicImageStorage}, "unknown", id="VL photographic"),
    pytest.param({"SOPClassUID": SecondaryCaptureImageStorage}, "unknown", id="secondary capture"),
]


@pytest.mark.parametrize(("attributes", "modality"), MODALITIES)
def test_the_sop_class_says_the_modality_unless_the_user_does(tmp_path, attributes, modality):
    path = written(tmp_path, photograph(RGB8, **attributes))

    assert read(path).modality == modality
    assert read(path, modality="slit-lamp").modality == "slit-lamp"


def test_old_slit_lamp_codes_are_known():
    old = Code("A-2B201", "SRT", "Slit lamp biomicroscope")
    device = code(old)

    assert old == codes.CID4202.SlitLampBiomicroscope
    assert photograph_modality(item(AcquisitionDeviceTypeCodeSequence=[device])) == "slit-lamp"


def test_a_frame_is_chosen_by_its_number_with_its_own_header(tmp_path):
    spacings = [measures(0.1, 0.1)[0], measures(0.2, 0.2)[0]]
    frames = np.stack([GREY8, 255 - GREY8])
    path = written(
        tmp_path,
        photograph(
            frames,
            frames=2,
            SOPClassUID="1.2.840.10008.5.1.4.1.1.7.2",
            PerFrameFunctionalGroupsSequence=spacings,
        ),
    )

    image = read(path, frame=2)

    np.testing.assert_allclose(image.pixels[0], 1 - GREY8 / 255, atol=1e-6)
    assert image.spacing_mm == (0.2, 0.2)
    assert image.facts["frame"] == 2
    with pytest.raises(ImageError, match="holds 2 frames; choose one with frame=1 to frame=2"):
        read(path)
    with pytest.raises(ImageError, match="so there is no frame 3"):
        read(path, frame=3)


@pytest.mark.parametrize("count", [0, 1])
def test_one_frame_needs_no_choice_however_it_is_counted(tmp_path, count):
    dataset = photograph(GREY8)
    dataset.NumberOfFrames = count
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pydicom corrects the 0 and says so
        image = read(written(tmp_path, dataset))

    np.testing.assert_allclose(image.pixels[0], GREY8 / 255, atol=1e-6)


def test_a_colour_profile_is_recorded(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))

    image = read(written(tmp_path, photograph(RGB8, ICCProfile=profile.tobytes())))

    assert image.facts["icc"] == ImageCms.getProfileDescription(profile).strip()


def test_a_file_without_preamble_is_read_only_when_asked_for(tmp_path):
    bare = tmp_path / "bare.dcm"
    dataset = photograph(RGB8)
    dataset.file_meta = FileMetaDataset()
    dataset.save_as(bare, implicit_vr=True, little_endian=True, enforce_file_format=False)

    with pytest.raises(ImageError, match="assume_dicom=True"):
        read(bare)
    image = read(bare, assume_dicom=True)
    np.testing.assert_allclose(image.pixels, display(RGB8, 255), rtol=2e-7)
    assert image.facts["transfer_syntax"] == "Implicit VR Little Endian"


def video(dataset):
    dataset.file_meta.TransferSyntaxUID = MPEG2MPML
    dataset.PixelData = encapsulate([bytes(8)])


def broken_jpeg(dataset):
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PhotometricInterpretation = "YBR_FULL_422"
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])


def without(keyword):
    return lambda dataset: dataset.__delattr__(keyword)


def of_class(uid):
    def change(dataset):
        dataset.SOPClassUID = uid

    return change


REFUSED = [
    pytest.param(video, "MPEG2.*not read; export it uncompressed", id="video"),
    pytest.param(broken_jpeg, "cannot be decoded", id="broken pixels"),
    pytest.param(without("PixelData"), "has no PixelData", id="no pixels"),
    pytest.param(without("Rows"), "has no Rows", id="no rows"),
    pytest.param(
        lambda dataset: setattr(dataset, "BitsStored", 6),
        "levels of 6 bits below bit 7 and not in the lowest",
        id="levels in the highest bits",
    ),
    pytest.param(
        of_class("1.2.840.10008.5.1.4.1.1.2"), "holds CT Image Storage", id="another organ"
    ),
    pytest.param(
        lambda dataset: setattr(dataset, "PhotometricInterpretation", "HSV"),
        "holds HSV colours",
        id="other colours",
    ),
    pytest.param(
        lambda dataset: setattr(dataset, "PhotometricInterpretation", "PALETTE COLOR"),
        "cannot be decoded",
        id="a palette without entries",
    ),
    pytest.param(without("SOPClassUID"), "holds no SOP class", id="no SOP class"),
    pytest.param(
        of_class("1.2.826.9"), r"unknown SOP class; .*\(it is 1\.2\.826\.9\)", id="unknown class"
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_is_no_readable_photograph_is_refused_with_the_reason(tmp_path, change, message):
    dataset = photograph(RGB8)
    change(dataset)
    path = tmp_path / "eye.dcm"
    dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)

    with pytest.raises(ImageError, match=message):
        read(path)


def test_a_huge_picture_is_refused_by_its_header(tmp_path):
    with pytest.raises(ImageError, match="60000 x 60000"):
        read(written(tmp_path, photograph(RGB8, Rows=60000, Columns=60000)))


@pytest.mark.parametrize("length", [140, 300, 700])
def test_a_file_cut_off_is_refused(tmp_path, length):
    path = written(tmp_path, photograph(RGB8, ImageLaterality="R"))
    path.write_bytes(path.read_bytes()[:length])

    with pytest.raises(ImageError, match=r"eye\.dcm: "):
        read(path)


def test_a_value_that_is_no_number_is_refused_as_damage(tmp_path):
    path = written(tmp_path, photograph(GREY8, WindowCenter="127", WindowWidth="255"))
    path.write_bytes(path.read_bytes().replace(b"127 ", b"abc "))

    with pytest.raises(ImageError, match=r"WindowCenter that is no number.*'abc'"):
        read(path)


QUOTED = [
    pytest.param({"NumberOfFrames": "12345678"}, b"12345678", id="a count"),
    pytest.param({"PixelSpacing": [0.125, 0.25]}, b"0.125\\0.", id="a spacing"),
    pytest.param({"WindowCenter": "12345678", "WindowWidth": "9"}, b"12345678", id="a window"),
]


@pytest.mark.filterwarnings("ignore")  # pydicom tells what it finds odd
@pytest.mark.parametrize(("attributes", "stored"), QUOTED)
def test_the_nameless_error_quotes_nothing_that_stands_in_the_file(tmp_path, attributes, stored):
    path = written(tmp_path, photograph(GREY8, **attributes))
    path.write_bytes(path.read_bytes().replace(stored, b"MRNSmith"))

    with pytest.raises(ImageError, match=r"eye\.dcm: .*MRNSmith") as caught:
        read(path)
    nameless = str(caught.value.__cause__)
    assert next(iter(attributes)) in nameless
    assert not [word for word in ("MRN", "eye.dcm") if word in nameless]


def test_a_deflated_file_that_is_cut_off_is_refused(tmp_path):
    dataset = photograph(RNG.integers(0, 9, (64, 64, 3), dtype=np.uint8))
    deflated(dataset)
    path = written(tmp_path, dataset)
    path.write_bytes(path.read_bytes()[:-1000])

    with pytest.raises(ImageError, match=r"not a readable DICOM file.*\(Error -5") as caught:
        read(path)
    assert "Error" not in str(caught.value.__cause__)


def test_a_decoder_for_high_throughput_jpeg_2000_is_there(tmp_path):
    dataset = photograph(RGB8)
    dataset.file_meta.TransferSyntaxUID = HTJ2KLossless
    dataset.PixelData = encapsulate([b"no codestream"])

    with pytest.raises(ImageError, match="cannot be decoded"):
        read(written(tmp_path, dataset))


@pytest.mark.filterwarnings("ignore")  # pydicom tells what it finds odd
def test_whatever_byte_is_wrong_the_answer_is_an_image_or_an_image_error(tmp_path):
    path = written(tmp_path, photograph(RGB8, ImageLaterality="R", PixelSpacing=[0.01, 0.01]))
    whole = path.read_bytes()
    outcomes = set()
    for place in RNG.integers(132, len(whole), 200):
        damaged = bytearray(whole)
        damaged[place] ^= int(RNG.integers(1, 256))
        path.write_bytes(damaged)
        try:
            read(path, max_pixels=10_000)
            outcomes.add("read")
        except ImageError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}
