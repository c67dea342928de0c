"""Each transfer syntax with each kind of pixels: what was encoded must come out, colours once."""

import imagecodecs
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import Decoder
from pydicom.pixels.processing import apply_modality_lut, apply_voi
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from foveal.core import FovealWarning, ImageError
from foveal.images import read
from foveal.synthetic.dicom import en_face_image, ophthalmic_photograph, secondary_capture
from foveal.synthetic.dicom.header import item

RNG = np.random.default_rng(0)
# Smooth colours: chroma that JPEG halves or rounds stays near; and far from grey, so that colours
# which were converted twice or never are far away.
ROWS, COLUMNS = np.mgrid[:32, :40] / 40
RGB8 = np.stack([200 - 90 * ROWS, 60 + 80 * COLUMNS, 30 + 40 * ROWS], axis=-1).astype(np.uint8)
GREY8 = (60 + 80 * COLUMNS + 50 * ROWS).astype(np.uint8)
GREY16 = RNG.integers(0, 65536, (32, 40), dtype=np.uint16)
RGB16 = RNG.integers(0, 65536, (32, 40, 3), dtype=np.uint16)

LOSSLESS = (
    *(ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian),
    *(ExplicitVRBigEndian, RLELossless, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless),
    *(JPEGLossless, JPEGLosslessSV1),
)
LOSSY = {JPEGBaseline8Bit: 3, JPEGExtended12Bit: 3, JPEGLSNearLossless: 2, JPEG2000: 4}
"""The most grey levels, of 255, by which a pixel of these smooth pictures may differ."""

PIXELS = {"grey 8": GREY8, "grey 16": GREY16, "RGB 8": RGB8, "RGB 16": RGB16}


def shares(samples):
    whole = samples / np.iinfo(samples.dtype).max
    return whole[np.newaxis] if samples.ndim == 2 else np.moveaxis(whole, -1, 0)


def saved(tmp_path, dataset):
    path = tmp_path / "eye.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("pixels", [pytest.param(p, id=name) for name, p in PIXELS.items()])
@pytest.mark.parametrize("syntax", [pytest.param(s, id=s.name) for s in LOSSLESS])
def test_what_is_kept_losslessly_comes_back_to_the_last_level(tmp_path, syntax, pixels):
    image = read(saved(tmp_path, ophthalmic_photograph(pixels, transfer_syntax=syntax)))

    np.testing.assert_allclose(image.pixels, shares(pixels), rtol=2e-7)
    assert image.facts["transfer_syntax"] == syntax.name


@pytest.mark.parametrize("pixels", [pytest.param(GREY8, id="grey"), pytest.param(RGB8, id="RGB")])
@pytest.mark.parametrize("syntax", [pytest.param(s, id=s.name) for s in LOSSY])
def test_what_is_kept_with_losses_comes_back_near(tmp_path, syntax, pixels):
    dataset = ophthalmic_photograph(pixels, transfer_syntax=syntax)

    image = read(saved(tmp_path, dataset))

    assert dataset.LossyImageCompression == "01"
    np.testing.assert_allclose(image.pixels, shares(pixels), atol=(LOSSY[syntax] + 0.01) / 255)


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_lossless_jpeg_is_read_with_every_predictor_and_precision(tmp_path, predictor, bits):
    kind = np.uint8 if bits == 8 else np.uint16
    pixels = RNG.integers(0, 2**bits, (16, 18)).astype(kind)
    dataset = ophthalmic_photograph(pixels, BitsStored=bits, HighBit=bits - 1)
    put(dataset, pixels, JPEGLossless, lossless=True, predictor=predictor, bitspersample=bits)

    np.testing.assert_allclose(
        read(saved(tmp_path, dataset)).pixels[0], pixels / (2**bits - 1), rtol=2e-7
    )


def test_extended_jpeg_is_read_with_12_bit(tmp_path):
    pixels = (4095 * (ROWS + COLUMNS) / 2).astype(np.uint16)
    dataset = ophthalmic_photograph(pixels, BitsStored=12, HighBit=11)
    put(dataset, pixels, JPEGExtended12Bit, level=100, bitspersample=12)

    np.testing.assert_allclose(
        read(saved(tmp_path, dataset)).pixels[0], pixels / 4095, atol=2.1 / 4095
    )


def test_signed_levels_in_lossless_jpeg_keep_their_sign(tmp_path):
    pixels = RNG.integers(-32768, 32768, (16, 18)).astype(np.int16)
    dataset = ophthalmic_photograph(pixels.view(np.uint16), PixelRepresentation=1)
    put(dataset, pixels.view(np.uint16), JPEGLosslessSV1, lossless=True, predictor=1)

    np.testing.assert_allclose(
        read(saved(tmp_path, dataset)).pixels[0], (pixels + 32768.0) / 65535, rtol=1e-5, atol=1e-7
    )


def put(dataset, pixels, syntax, **settings):
    dataset.PixelData = encapsulate([bytes(imagecodecs.jpeg8_encode(pixels, **settings))])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax


JFIF_YBR = bytes(imagecodecs.jpeg8_encode(RGB8, level=98, subsampling="444"))
HALVED = bytes(imagecodecs.jpeg8_encode(RGB8, level=98, subsampling="422"))
ADOBE_RGB = bytes(imagecodecs.jpeg8_encode(RGB8, level=98, outcolorspace="RGB"))
_AFTER_JFIF = 20
ADOBE_YBR = (
    JFIF_YBR[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x01" + JFIF_YBR[_AFTER_JFIF:]
)
BARE_YBR = JFIF_YBR[:2] + JFIF_YBR[_AFTER_JFIF:]
STREAMS = [
    pytest.param(JFIF_YBR, "YBR_FULL", id="YCbCr with JFIF"),
    pytest.param(HALVED, "YBR_FULL_422", id="4:2:2 with JFIF"),
    pytest.param(ADOBE_YBR, "YBR_FULL", id="YCbCr with Adobe's marker"),
    pytest.param(ADOBE_YBR, "RGB", id="YCbCr with Adobe's marker under RGB"),
    pytest.param(BARE_YBR, "YBR_FULL_422", id="YCbCr without a marker"),
    pytest.param(ADOBE_RGB, "RGB", id="RGB with Adobe's marker"),
]


@pytest.mark.parametrize(("stream", "color"), STREAMS)
def test_jpeg_colours_are_converted_exactly_once_whoever_says_what_they_are(
    tmp_path, stream, color
):
    dataset = ophthalmic_photograph(RGB8, PhotometricInterpretation=color)
    dataset.PixelData = encapsulate([stream])
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit

    image = read(saved(tmp_path, dataset))

    np.testing.assert_allclose(image.pixels, shares(RGB8), atol=4.5 / 255)
    assert image.facts["color"] == color


def test_a_stream_that_contradicts_its_header_about_colours_is_believed_and_warned_about(tmp_path):
    dataset = ophthalmic_photograph(RGB8)
    dataset.PixelData = encapsulate([JFIF_YBR])
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit

    with pytest.warns(UserWarning, match="JFIF APP marker"):
        image = read(saved(tmp_path, dataset))
    np.testing.assert_allclose(image.pixels, shares(RGB8), atol=4.5 / 255)


def test_native_4_2_2_is_spread_and_converted(tmp_path):
    flat = np.broadcast_to(np.array([[[180, 90, 60]]], np.uint8), (4, 6, 3))
    luma = 0.299 * 180 + 0.587 * 90 + 0.114 * 60
    blue, red = 128 + (60 - luma) / 1.772, 128 + (180 - luma) / 1.402
    dataset = ophthalmic_photograph(flat, PhotometricInterpretation="YBR_FULL_422")
    dataset.PixelData = bytes([round(luma), round(luma), round(blue), round(red)] * 12)

    np.testing.assert_allclose(read(saved(tmp_path, dataset)).pixels, shares(flat), atol=1.6 / 255)


def test_colours_that_only_a_compression_can_have_are_refused_without_it(tmp_path):
    dataset = ophthalmic_photograph(RGB8, PhotometricInterpretation="YBR_RCT")

    with pytest.raises(ImageError, match="YBR_RCT colours that its compression has not"):
        read(saved(tmp_path, dataset))


@pytest.mark.parametrize(
    "syntax", [JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless]
)
def test_a_stream_larger_than_its_header_is_refused_before_it_is_decoded(
    tmp_path, monkeypatch, syntax
):
    dataset = ophthalmic_photograph(GREY8, transfer_syntax=syntax, Rows=16, Columns=20)
    path = saved(tmp_path, dataset)
    monkeypatch.setattr(Decoder, "as_array", lambda *_, **__: pytest.fail("it was decoded"))

    with pytest.raises(ImageError, match=r"16 x 20 .*, but its compressed picture is 32 x 40"):
        read(path)


def test_without_its_decoder_a_picture_is_refused_with_the_package_that_is_missing(
    tmp_path, monkeypatch
):
    path = saved(tmp_path, ophthalmic_photograph(GREY8, transfer_syntax=JPEGLSLossless))
    monkeypatch.setattr(Decoder, "is_available", False)
    monkeypatch.setattr(Decoder, "missing_dependencies", ["pyjpegls: requires pyjpegls>=1.2"])

    with pytest.raises(ImageError, match=r"JPEG-LS Lossless.*requires pyjpegls.*install foveal"):
        read(path)


PIXELS_ELSEWHERE = [
    pytest.param({"FloatPixelData": bytes(4)}, "floating-point pixels", id="float"),
    pytest.param({"DoubleFloatPixelData": bytes(8)}, "floating-point pixels", id="double"),
    pytest.param({"PixelDataProviderURL": "https://h/p"}, "on a server", id="elsewhere"),
]


@pytest.mark.parametrize(("attributes", "message"), PIXELS_ELSEWHERE)
def test_pixels_that_are_no_levels_are_refused(tmp_path, attributes, message):
    dataset = ophthalmic_photograph(GREY8, **attributes, PixelData=None)

    with pytest.raises(ImageError, match=message):
        read(saved(tmp_path, dataset))


def test_an_overlay_is_named_and_not_drawn(tmp_path):
    dataset = ophthalmic_photograph(GREY8)
    dataset.add_new(0x60003000, "OW", b"\xff" * 160)
    dataset.add_new(0x60000010, "US", 32)

    image = read(saved(tmp_path, dataset))

    assert image.facts["overlays"] == "1, not drawn"
    np.testing.assert_allclose(image.pixels, shares(GREY8), rtol=2e-7)


def table(count, bits, entries, *, first=0, **attributes):
    made = item(LUTDescriptor=[count % 65536, first, bits], LUTData=entries, **attributes)
    made["LUTDescriptor"].VR = "US"
    made["LUTData"].VR = "US" if isinstance(entries, list) else "OW"
    return [made]


CURVE = np.sqrt(np.arange(256) / 255)
MODALITY = {"ModalityLUTType": "US"}
TABLES = [
    pytest.param(
        {"VOILUTSequence": table(256, 8, [round(255 * value) for value in CURVE])},
        np.round(255 * CURVE[GREY8]) / 255,
        "table of 256 levels",
        id="VOI",
    ),
    pytest.param(
        {"VOILUTSequence": table(256, 12, (4095 * CURVE).astype("<u2").tobytes())},
        np.floor(4095 * CURVE[GREY8]) / 4095,
        "table of 256 levels",
        id="VOI of 12 bit in bytes",
    ),
    pytest.param(
        {"VOILUTSequence": table(256, 8, (255 * CURVE).astype("u1").tobytes())},
        np.floor(255 * CURVE[GREY8]) / 255,
        "table of 256 levels",
        id="VOI packed in single bytes",
    ),
    pytest.param(
        {"VOILUTSequence": table(11, 8, list(range(0, 220, 20)), first=80)},
        20 * np.clip(GREY8.astype(int) - 80, 0, 10) / 255,
        "table of 11 levels",
        id="levels beyond the ends of the table take its ends",
    ),
    pytest.param(
        {"ModalityLUTSequence": table(256, 10, [4 * (255 - v) for v in range(256)], **MODALITY)},
        4 * (255 - GREY8.astype(int)) / 1023,
        "full range 0 to 1023",
        id="modality",
    ),
    pytest.param(
        {
            "ModalityLUTSequence": table(256, 10, [4 * v for v in range(256)], **MODALITY),
            "WindowCenter": 512,
            "WindowWidth": 1024,
        },
        4 * GREY8.astype(int) / 1023,
        "center 512, width 1024, LINEAR",
        id="modality, then a window",
    ),
    pytest.param(
        {
            "VOILUTSequence": table(256, 8, [255 - v for v in range(256)]),
            "WindowCenter": 1,
            "WindowWidth": 2,
        },
        1 - GREY8 / 255,
        "table of 256 levels",
        id="a table goes before a window",
    ),
]


@pytest.mark.parametrize(("attributes", "expected", "said"), TABLES)
def test_grey_levels_go_through_the_tables_of_their_header(tmp_path, attributes, expected, said):
    image = read(saved(tmp_path, ophthalmic_photograph(GREY8, **attributes)))

    np.testing.assert_allclose(image.pixels[0], expected, atol=1e-6)
    assert image.facts["window"] == said


def test_both_tables_in_turn_are_those_of_pydicom(tmp_path):
    dataset = ophthalmic_photograph(
        GREY16,
        ModalityLUTSequence=table(65536, 16, (np.arange(65536) // 16).astype("<u2").tobytes()),
        VOILUTSequence=table(4096, 14, [min(16383, 5 * v) for v in range(4096)]),
    )
    dataset.ModalityLUTSequence[0].ModalityLUTType = "US"

    image = read(saved(tmp_path, dataset))

    expected = apply_voi(apply_modality_lut(GREY16, dataset), dataset) / 16383
    np.testing.assert_allclose(image.pixels[0], expected, atol=1e-6)
    assert image.facts["modality_table"] == "16 bit"


BROKEN = [
    pytest.param(table(256, 8, [0] * 20), "20 entries up to 0, where 256 of 8 bit", id="too few"),
    pytest.param(table(4, 8, [0, 1, 2, 300]), "up to 300, where 4 of 8 bit", id="too bright"),
    pytest.param(table(4, 40, [0, 1, 2, 3]), "4 of 40 bit are announced", id="too deep"),
    pytest.param([item(LUTData=[1, 2])], "broken table", id="no descriptor"),
]


@pytest.mark.parametrize(("broken", "message"), BROKEN)
def test_a_broken_table_is_refused(tmp_path, broken, message):
    for made in broken:
        made["LUTData"].VR = "US"
    path = saved(tmp_path, ophthalmic_photograph(GREY8, VOILUTSequence=broken))

    with pytest.raises(ImageError, match=message):
        read(path)


def test_a_spacing_that_is_said_in_two_ways_is_warned_about(tmp_path):
    group = item(PixelMeasuresSequence=[item(PixelSpacing=[0.02, 0.02])])
    dataset = ophthalmic_photograph(
        GREY8, spacing_mm=(0.01, 0.01), SharedFunctionalGroupsSequence=[group]
    )

    with pytest.warns(FovealWarning, match=r"spacing \(in mm: 0\.01 x 0\.01, 0\.02 x 0\.02\)"):
        image = read(saved(tmp_path, dataset))
    assert image.spacing_mm == (0.01, 0.01)


@pytest.mark.parametrize("count", [None, "", "0", "1"])
def test_one_frame_is_read_however_it_is_counted(tmp_path, count):
    dataset = ophthalmic_photograph(GREY8, NumberOfFrames=None)
    if count is not None:
        dataset.NumberOfFrames = count

    image = read(saved(tmp_path, dataset))

    np.testing.assert_allclose(image.pixels, shares(GREY8), rtol=2e-7)


def test_an_en_face_image_says_where_it_is_from(tmp_path):
    source = ophthalmic_photograph(RGB8)
    dataset = en_face_image(GREY16, source=source, spacing_mm=(0.01, 0.02), laterality="L")

    image = read(saved(tmp_path, dataset))

    assert (image.modality, image.laterality, image.eye) == ("oct", "left", "P001/left")
    assert image.spacing_mm == (0.01, 0.02)
    assert image.facts["sop_class"] == "OCT En Face"
    assert image.facts["window"] == "center 32768, width 65536, LINEAR"
    np.testing.assert_allclose(image.pixels, shares(GREY16), atol=2e-5)


MODALITIES = [
    pytest.param({}, "unknown", id="nothing"),
    pytest.param({"Modality": "OPT"}, "oct", id="of tomography"),
    pytest.param(
        {
            "AcquisitionDeviceTypeCodeSequence": [
                item(CodeValue="397247004", CodingSchemeDesignator="SCT", CodeMeaning="Slit lamp")
            ]
        },
        "slit-lamp",
        id="of a slit lamp",
    ),
    pytest.param(
        {
            "AcquisitionDeviceTypeCodeSequence": [
                item(CodeValue="409903006", CodingSchemeDesignator="SCT", CodeMeaning="Camera")
            ]
        },
        "unknown",
        id="of an external camera",
    ),
]


@pytest.mark.parametrize(("attributes", "modality"), MODALITIES)
def test_a_secondary_capture_shows_what_its_header_says(tmp_path, attributes, modality):
    assert read(saved(tmp_path, secondary_capture(RGB8, **attributes))).modality == modality


def test_a_photograph_at_the_slit_lamp_says_so(tmp_path):
    dataset = ophthalmic_photograph(RGB8, device="slit lamp")

    assert read(saved(tmp_path, dataset)).modality == "slit-lamp"


CONTEXT = [
    pytest.param("1.2.840.10008.5.1.4.1.1.81.1", "Ophthalmic Thickness Map", id="thickness"),
    pytest.param("1.2.840.10008.5.1.4.1.1.80.1", "Static Perimetry", id="perimetry"),
    pytest.param("1.2.840.10008.5.1.4.1.1.78.7", "Axial Measurements", id="axial length"),
]


@pytest.mark.parametrize(("uid", "name"), CONTEXT)
def test_what_only_tells_about_an_eye_is_refused_as_context(tmp_path, uid, name):
    dataset = ophthalmic_photograph(GREY8, SOPClassUID=uid)

    with pytest.raises(ImageError, match=f"{name}.* read as context, not as image"):
        read(saved(tmp_path, dataset))
