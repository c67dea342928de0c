"""Writers of what annotation tools export, made after their documentation, for tests alone."""

import csv
import io
import json
import zipfile

import highdicom
import nibabel
import nrrd
import numpy as np
import roifile
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian


def xy(ring):
    """Numbers in the order x, y, x, y of a ring of (row, column)."""
    return [float(number) for row, column in ring for number in (column, row)]


def runs(mask, by_columns):
    """Lengths of runs, the first one outside."""
    flat = (mask.T if by_columns else mask).ravel().astype(int)
    ends = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff([0, *ends, flat.size]).tolist()
    return [0, *lengths] if flat[0] else lengths


def compressed(counts):
    """The letters of COCO, as its description says: 5 bits each, 32 to go on, and 48 to be text."""
    letters = []
    for index, count in enumerate(counts):
        number, more = count - (counts[index - 2] if index > 2 else 0), True
        while more:
            bits, number = number & 31, number >> 5
            more = number != (-1 if bits & 16 else 0)
            letters.append(chr(bits + (32 if more else 0) + 48))
    return "".join(letters)


def coco(path, name, grid, annotations, categories=("MA",)):
    rows, columns = grid
    told = [{"id": 1, "image_id": 7, "category_id": 1, **one} for one in annotations]
    named = [{"id": number, "name": word} for number, word in enumerate(categories, start=1)]
    images = [
        {"id": 7, "file_name": name, "height": rows, "width": columns},
        {"id": 8, "file_name": "another.jpg", "height": 3, "width": 4},
    ]
    text = {"images": images, "annotations": told, "categories": named}
    path.write_text(json.dumps(text))


def coco_polygon(path, name, rings, mask):
    coco(path, name, mask.shape, [{"segmentation": [xy(ring)]} for ring in rings])


def coco_rle(path, name, rings, mask):
    drawn = {"size": list(mask.shape), "counts": runs(mask, by_columns=True)}
    coco(path, name, mask.shape, [{"segmentation": drawn, "iscrowd": 1}])


def coco_compressed(path, name, rings, mask):
    drawn = {"size": list(mask.shape), "counts": compressed(runs(mask, by_columns=True))}
    coco(path, name, mask.shape, [{"segmentation": drawn}])


def via_regions(rings):
    return [
        {
            "shape_attributes": {
                "name": "polygon",
                "all_points_x": [float(column) for _, column in ring],
                "all_points_y": [float(row) for row, _ in ring],
            },
            "region_attributes": {"lesion": "MA"},
        }
        for ring in rings
    ]


def via_2(path, name, rings, mask):
    picture = {"filename": name, "size": 99, "regions": via_regions(rings), "file_attributes": {}}
    path.write_text(json.dumps({f"{name}99": picture}))


def via_1(path, name, rings, mask):
    regions = {str(number): region for number, region in enumerate(via_regions(rings))}
    picture = {"filename": name, "size": 99, "regions": regions, "file_attributes": {}}
    path.write_text(json.dumps({f"{name}99": picture}))


def via_project(path, name, rings, mask):
    picture = {"filename": name, "size": 99, "regions": via_regions(rings), "file_attributes": {}}
    project = {"_via_settings": {}, "_via_img_metadata": {f"{name}99": picture}}
    path.write_text(json.dumps({**project, "_via_attributes": {"region": {}, "file": {}}}))


def via_csv(path, name, rings, mask):
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(
        [
            *("filename", "file_size", "file_attributes", "region_count", "region_id"),
            *("region_shape_attributes", "region_attributes"),
        ]
    )
    rows.writerow(["another.jpg", 5, "{}", 0, 0, "{}", "{}"])
    for number, region in enumerate(via_regions(rings)):
        told = [json.dumps(region[key]) for key in ("shape_attributes", "region_attributes")]
        rows.writerow([name, 99, "{}", len(rings), number, *told])
    path.write_text(text.getvalue())


def via_3(path, name, rings, mask):
    metadata = {
        f"1_{number}": {"vid": "1", "flg": 0, "z": [], "xy": [7, *xy(ring)], "av": {"1": "0"}}
        for number, ring in enumerate(rings)
    }
    told = {
        "project": {"pid": "__VIA_PROJECT_ID__"},
        "attribute": {"1": {"aname": "lesion", "options": {"0": "MA", "1": "EX"}}},
        "file": {"1": {"fid": "1", "fname": name}, "2": {"fid": "2", "fname": "another.jpg"}},
        "view": {"1": {"fid_list": ["1"]}, "2": {"fid_list": ["2"]}},
        "metadata": metadata,
    }
    path.write_text(json.dumps(told))


def via_3_csv(path, name, rings, mask):
    text = io.StringIO("# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg)\n")
    text.seek(0, io.SEEK_END)
    options = {"1": {"aname": "lesion", "options": {"0": "MA"}}}
    text.write(f"# ATTRIBUTE = {json.dumps(options)}\n")
    header = "metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata"
    text.write(f"# CSV_HEADER = {header}\n")
    rows = csv.writer(text)
    for number, ring in enumerate(rings):
        shape, told = json.dumps([7, *xy(ring)]), json.dumps({"1": "0"})
        rows.writerow([f"1_{number}", json.dumps([name]), 0, "[]", shape, told])
    path.write_text(text.getvalue())


def labelbox_row(name, grid, objects, grader="first@clinic"):
    label = {"label_details": {"created_by": grader}, "annotations": {"objects": objects}}
    return {
        "data_row": {"id": "c1", "external_id": name, "row_data": f"https://far/{name}?sig=1"},
        "media_attributes": {"height": grid[0], "width": grid[1]},
        "projects": {"p1": {"name": "eyes", "labels": [label]}},
    }


def labelbox(path, name, rings, mask):
    objects = [
        {
            "name": "MA",
            "annotation_kind": "ImagePolygon",
            "polygon": [{"x": float(column), "y": float(row)} for row, column in ring],
        }
        for ring in rings
    ]
    rows = [labelbox_row("another.jpg", (3, 4), []), labelbox_row(name, mask.shape, objects)]
    path.write_text("\n".join(json.dumps(row) for row in rows))


def cvat(path, name, grid, inner):
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta/>'
        '<image id="0" name="another.jpg" width="4" height="3"></image>'
        f'<image id="1" name="{name}" width="{grid[1]}" height="{grid[0]}">'
        f"<tag label='graded'/>{inner}</image></annotations>"
    )


def cvat_polygon(path, name, rings, mask):
    drawn = (";".join(f"{column},{row}" for row, column in ring) for ring in rings)
    inner = "".join(f'<polygon label="MA" points="{points}" z_order="0"/>' for points in drawn)
    cvat(path, name, mask.shape, inner)


def cvat_mask(path, name, rings, mask):
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, left = rows[0], columns[0]
    cut = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    counts = ", ".join(map(str, runs(cut, by_columns=False)))
    inner = (
        f'<mask label="MA" rle="{counts}" left="{left}" top="{top}" width="{cut.shape[1]}" '
        f'height="{cut.shape[0]}" z_order="0"/>'
    )
    cvat(path, name, mask.shape, inner)


def asap(path, name, rings, mask):
    drawn = "".join(
        f'<Annotation Name="Annotation {number}" Type="Polygon" PartOfGroup="MA"><Coordinates>'
        + "".join(
            f'<Coordinate Order="{order}" X="{column}" Y="{row}"/>'
            for order, (row, column) in reversed(list(enumerate(ring)))
        )
        + "</Coordinates></Annotation>"
        for number, ring in enumerate(rings)
    )
    path.write_text(
        f"<ASAP_Annotations><Annotations>{drawn}</Annotations><AnnotationGroups>"
        '<Group Name="MA" PartOfGroup="None"/></AnnotationGroups></ASAP_Annotations>'
    )


def imagej(path, name, rings, mask):
    """The ROI manager's archive: the second of a name is numbered."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, ring in enumerate(rings):
            label = f"MA-{number}" if number else "MA"
            points = np.asarray(ring, np.float32)[:, ::-1]
            roi = roifile.ImagejRoi.frompoints(points, name=label)
            archive.writestr(f"{label}.roi", roi.tobytes())


def itk(path, name, rings, mask):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(mask[np.newaxis].astype(np.uint8)), str(path))


def nifti(path, name, rings, mask):
    """As nibabel writes it: columns first, and an affine that says right to left."""
    values = mask.T[:, :, np.newaxis].astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([-1.0, -1.0, 1.0, 1.0])), path)


def slicer(path, name, rings, mask):
    """3D Slicer: overlapping layers, cut to where there is something, placed by an offset."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    layers = np.stack([cut * 0, cut * 3]).transpose(0, 2, 1)[..., np.newaxis].astype(np.uint8)
    header = {
        "kinds": ["list", "domain", "domain", "domain"],
        "space": "left-posterior-superior",
        "space directions": np.array([[np.nan] * 3, [1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        "space origin": [float(columns[0]), float(rows[0]), 0.0],
        "Segment0_Name": "MA",
        "Segment0_LabelValue": "3",
        "Segment0_Layer": "1",
        "Segmentation_ReferenceImageExtentOffset": f"{columns[0]} {rows[0]} 0",
    }
    nrrd.write(str(path), layers, header)


def dicom_source(grid, uid="1.2.826.0.1.3680043.8.498.1"):
    """An object for segmentations to refer to."""
    source = Dataset()
    source.file_meta = FileMetaDataset()
    source.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    source.SOPClassUID, source.SOPInstanceUID = CTImageStorage, uid
    source.StudyInstanceUID, source.SeriesInstanceUID = f"{uid}.1", f"{uid}.2"
    source.FrameOfReferenceUID = f"{uid}.3"
    source.Rows, source.Columns = grid
    source.PixelSpacing, source.SliceThickness = [1, 1], 1
    source.ImagePositionPatient, source.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    source.PatientID = source.PatientName = source.PatientBirthDate = source.PatientSex = ""
    source.StudyDate = source.StudyTime = source.AccessionNumber = source.StudyID = ""
    source.ReferringPhysicianName = ""
    source.Modality, source.InstanceNumber = "CT", 1
    source.PositionReferenceIndicator = ""
    source.BitsAllocated = 8
    return source


def dicom_seg(path, sources, pixels, kind="BINARY", labels=("MA",), creator=None):
    described = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Hemorrhage,
            algorithm_type="MANUAL",
        )
        for number, label in enumerate(labels, start=1)
    ]
    highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid="1.2.826.0.1.3680043.8.498.9",
        series_number=1,
        sop_instance_uid="1.2.826.0.1.3680043.8.498.10",
        instance_number=1,
        manufacturer="tests",
        manufacturer_model_name="tests",
        software_versions="1",
        device_serial_number="1",
        content_creator_name=creator,
        **({"max_fractional_value": 255} if kind == "FRACTIONAL" else {}),
    ).save_as(path)


def seg(path, name, rings, mask):
    dicom_seg(path, [dicom_source(mask.shape)], mask[np.newaxis].astype(np.uint8))


FORMATS = {
    "COCO outlines": ("marks.json", coco_polygon),
    "COCO runs": ("marks.json", coco_rle),
    "COCO compressed runs": ("marks.json", coco_compressed),
    "VIA 1": ("marks.json", via_1),
    "VIA 2": ("marks.json", via_2),
    "VIA 2 project": ("marks.json", via_project),
    "VIA 2 CSV": ("marks.csv", via_csv),
    "VIA 3 project": ("marks.json", via_3),
    "VIA 3 CSV": ("marks.csv", via_3_csv),
    "Labelbox": ("marks.ndjson", labelbox),
    "CVAT outlines": ("marks.xml", cvat_polygon),
    "CVAT runs": ("marks.xml", cvat_mask),
    "ASAP": ("marks.xml", asap),
    "ImageJ": ("marks.zip", imagej),
    "ITK-SNAP NIfTI": ("eye_1_MA.nii.gz", itk),
    "nibabel NIfTI": ("eye_1_MA.nii", nifti),
    "NRRD": ("eye_1_MA.nrrd", itk),
    "MetaImage": ("eye_1_MA.mha", itk),
    "MetaImage in two files": ("eye_1_MA.mhd", itk),
    "3D Slicer": ("marks.seg.nrrd", slicer),
    "DICOM SEG": ("marks.dcm", seg),
}
"""File name and writer of each, called with the path, the photograph's name, rings and mask."""
