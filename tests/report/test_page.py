"""The page holds what the store holds, needs nothing else, and can be read by everyone."""

import re
import weakref
from base64 import b64decode, b64encode
from hashlib import sha256
from html.parser import HTMLParser
from io import BytesIO
from itertools import chain, pairwise

import numpy as np
import pytest
from PIL import Image as PillowImage

from foveal.core import Prediction, Region, StoreError
from foveal.report import case_html, write_page
from foveal.report.proof import picks, proof_of
from foveal.store import Case, Loss, Measured, Run

VOID = {"meta", "input", "br", "img", "link", "hr"}


class Document(HTMLParser):
    """A page taken apart; a tag that is not closed in its turn is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def values(self, name: str) -> list[str]:
        return [a[name] or "" for _, a in self.tags if name in a]

    @property
    def text(self) -> str:
        return re.sub(r"[ \n]+", " ", " ".join(self.words)).strip()


def page_of(run: Run, **settings: int) -> tuple[Document, str]:
    text = write_page(run, **settings).read_text(encoding="utf-8")
    return Document(text), text


def bare(text: str) -> str:
    """The page without its pictures."""
    return re.sub(r"data:image/[^\"]+", "data:", text)


@pytest.fixture(scope="module")
def page(make_run):
    return page_of(make_run())


def test_a_page_tells_of_quality_and_of_where_anatomy_is_from(make_run, make_case):
    facts = {
        "quality": "review", "quality.focus": 0.5, "quality.rim_glare": 1.25,
        "anatomy.disc.source": "heuristic", "anatomy.disc.confidence": 0.97,
        "anatomy.vessels.source": "none",
        "anatomy.etdrs.source": "ETDRS grid, taking the disc for 1.5 mm (nominal)",
        "anatomy.etdrs.confidence": 0.75,
    }  # fmt: skip
    document, _ = page_of(make_run([make_case(facts=facts)]))
    for words in (
        "Quality to be looked at: a limit of the plan is not kept; unusual: focus 0.5 (usually ",
        "Anatomy disc: found by its looks, confidence 0.97; etdrs: ETDRS grid, taking the disc for "
        "1.5 mm (nominal), confidence 0.75; vessels: not found",
        "optic disc (found, 0.97) (1 area)",
        "in green (ratio) 1.25 0.892",
    ):
        assert words in document.text
    assert "unusual: rim" not in document.text


def test_a_page_asks_for_nothing_outside_itself(page):
    document, text = page
    assert not re.search(r"https?:|//[a-z]|@import|url\(", bare(text))
    for link in document.values("href") + document.values("src"):
        assert link.startswith(("#", "data:image/"))
    for tag in ("link", "iframe", "object", "embed", "form", "base"):
        assert not document.all(tag)


def test_the_page_forbids_every_request_and_every_script_but_its_own(page):
    document, text = page
    (policy,) = [m["content"] for m in document.all("meta") if "http-equiv" in m]
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    own = b64encode(sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{own}'" in policy
    assert not [name for _, a in document.tags for name in a if name.startswith("on")]


def test_pictures_and_maps_have_words_for_those_who_cannot_see_them(page):
    document, _ = page
    drawn = [a for a in document.all("svg") if a.get("aria-hidden") != "true"]
    assert all(a["role"] == "img" and a["aria-label"] for a in drawn)
    labels = [a["aria-label"] for a in drawn]
    assert labels == [
        "Fundus photograph, right eye (OD) with outlines: field of view, hard exudates (3 areas) "
        "and optic disc (1 area).",
        "Grad-CAM for Severe (predicted): strongest in the upper temporal quadrant; of the "
        "positive evidence 42\u202f% in hard exudates and 2\u202f% in optic disc.",
        "Grad-CAM, deletion: the score goes from 0.9 to 0.1, half of the way at 25\u202f% of the "
        "field.",
    ]


def test_headings_landmarks_tables_and_links_are_in_order(page):
    document, _ = page
    levels = [int(tag[1]) for tag, _ in document.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    names = document.values("id")
    assert len(names) == len(set(names))
    targets = [link[1:] for link in document.values("href") if link.startswith("#")]
    assert set(targets) <= set(names)
    assert set(document.values("aria-labelledby")) <= set(names)
    assert len(document.all("main")) == len(document.all("nav")) == 1
    assert len(document.all("caption")) == len(document.all("table"))
    assert all(a["scope"] in ("col", "row", "rowgroup") for a in document.all("th"))
    first_link = document.all("a")[0]
    assert (first_link["class"], first_link["href"]) == ("fv-skip", "#summary")


def test_the_page_works_in_the_dark_on_paper_and_without_motion_or_script(page):
    document, text = page
    for query in ("prefers-color-scheme: dark", "print", "prefers-reduced-motion", "max-width"):
        assert f"@media ({query}" in text or f"@media {query}" in text
    (opacity,) = [a for a in document.all("div") if a.get("class") == "fv-opacity"]
    assert "hidden" in opacity, "the script shows what only works with it"
    (slider,) = [a for a in document.all("input") if a["type"] == "range"]
    assert (slider["min"], slider["max"], slider["value"]) == ("0", "100", "50")


def test_the_numbers_are_those_of_the_store(page):
    document, _ = page
    shown = [float(a["value"] or "") for a in document.all("data")]
    cohort = [
        [0.421875, 0.421875, 0.03125],
        [0.015625, 0.015625, 0.0625],
        [0.34375, 0.34375],
        [0.0078125, 0.0078125, 0.0],
    ]
    prediction = [0.0625, 0.9375]
    scores = [[0.03125, 1, 0.421875], [0.0625, 1, 0.015625], [0.34375], [0, 0.0078125]]
    assert shown == [*chain(*cohort), *prediction, *chain(*scores)]
    better = [a["value"] for a in document.all("data") if a.get("class") == "fv-better"]
    assert better == ["0.421875", "0.0078125"]


SAID = [
    "The model grader read 1 image, and 1 method drew 1 map of what the answers rest on. "
    "One image could not be explained.",
    "Images 1 of 2 explained",
    "Eyes and patients 1 eye of 1 patient",
    "none: nothing shows that images are prepared as in training",
    "not a medical device",
    "I-9 the file ends in the middle",
    "the layer was chosen by rule (I-0)",
    "grader says: Severe",
    "Why Severe (predicted)?",
    "Grade 3",
    "hard exudates: 1 of 3 areas lost, 50\u202f% of its area kept",
    "field-of-view (40 × 60 → 40 × 40, blacken no, margin 0.0, modality fundus, square yes); "
    "resize (40 × 40 → 20 × 20, aspect pad)",
    "Raw values up to the map’s maximum. Layer features.top: one cell covers 10 × 10 pixels of "
    "the original (1 × 1 mm). 33\u202f% of the map is evidence against; it is not drawn.",
    "the mask has no pixel inside the field",
    "optic disc (anatomy)",
    "Deletion AUC lower is better; 0 to 1 not known not known 0.344",
    "steps 3",
    "any number; lower is better",
    "2 keys were left out",
    "1\u202f234\u202f567",
    "To run it again: foveal run plan.toml",
    "pseudonyms; their key is kept apart",
    "system Linux, cores 2",
    "explain 1.5 0.75",
    "Grad-CAM 2 1 0.25",
    '"files": "<files>"',
    "1 mm",
]


@pytest.mark.parametrize("words", SAID)
def test_the_page_says(page, words):
    document, _ = page
    assert words in document.text


def test_a_number_without_chance_level_says_so(page):
    document, _ = page
    assert "no chance level known" in document.text


def test_missing_numbers_and_thresholds_never_appear(page):
    document, _ = page
    assert not re.search(r"\b(NaN|nan|inf|Infinity|None|True|False|Undefined)\b", document.text)
    assert "threshold" not in document.text


def test_a_map_is_drawn_over_the_picture_and_clear_where_the_model_saw_nothing(page):
    document, _ = page
    picture, colours = (_opened(a["href"] or "") for a in document.all("image"))
    assert picture.size == colours.size == (60, 40)
    pixels = np.asarray(colours.convert("RGBA"))
    assert not pixels[:, :10, 3].any()
    assert (pixels[:, 10:50, 3] == 255).all()
    hottest = pixels[15, 12, :3].astype(int)
    assert hottest[0] > 200, "cividis ends in yellow"
    assert hottest[2] < 100


def _opened(uri: str) -> PillowImage.Image:
    return PillowImage.open(BytesIO(b64decode(uri.partition("base64,")[2])))


def test_a_map_without_values_is_the_plain_picture_with_its_reason(
    make_run, make_case, make_view, make_map
):
    one = make_map(np.zeros((4, 4)), reason="zero_map")
    document, _ = page_of(make_run([make_case(views=(make_view(explained=(one,)),))]))
    assert len(document.all("image")) == 1
    assert "No map: the map has no positive value inside the field." in document.text
    assert "Maps with nothing to show 1" in document.text


def test_the_same_run_gives_the_same_bytes(make_run):
    run = make_run()
    first = write_page(run).read_bytes()
    assert write_page(run).read_bytes() == first


def test_a_long_run_shows_the_first_names_and_the_gallery_and_counts_all(
    make_run, make_case, monkeypatch
):
    monkeypatch.setattr(picks, "SHOWN", 1)
    names = ["I-3", "I-1", "I-4", "I-0", "I-2"]
    run = make_run([make_case(n) for n in names[:3]], [make_case(n) for n in names[3:]])
    gallery = {name for pick in proof_of(run).picks for name in pick.images}
    for first in ([], ["I-0", "I-1"]):
        document, _ = page_of(run, max_cases=len(first))
        shown = sorted({*gallery, *first})
        assert f"shows {len(shown)} of 5 explained images" in document.text
        assert re.findall(r"(I-\d) Fundus photograph, right", document.text) == shown
        assert "Images 5 of 5 explained" in document.text
    with pytest.raises(ValueError, match="max_cases must be 0 or more, but is -1"):
        write_page(run, max_cases=-1)


def test_one_case_is_in_memory_at_a_time(make_run, make_case, monkeypatch):
    known: list[weakref.ref[Case]] = []
    alive = []

    def cases(self):
        for number in range(4):
            alive.append(sum(case() is not None for case in known))
            case = make_case(f"I-{number}")
            known.append(weakref.ref(case))
            yield case
            del case

    monkeypatch.setattr(Run, "cases", cases)
    document, _ = page_of(make_run())
    assert "Images 4 of 4 explained" in document.text
    assert alive == [0, 0, 0, 0]


def test_a_run_that_is_not_finished_says_so(make_run, make_case):
    document, _ = page_of(make_run([make_case()], shards=3))
    assert "2 parts of the run still to be done" in document.text


def test_a_run_without_measures_plan_log_or_explained_images_is_still_a_page(tmp_path, make_run):
    run = make_run([Case(id="I-9", failure="dark")], measures=[], methods=[])
    for key in ("plan", "command", "level"):
        del run.header[key]
    (run.folder / "log.jsonl").unlink()
    document, _ = page_of(run)
    assert "No image could be explained." in document.text
    assert "No measure was run" in document.text
    assert "The model grader read 0 images" in document.text


def test_names_that_are_kept_are_text_and_never_markup(make_run, make_case):
    name = '<script>alert("x")</script>'
    document, text = page_of(make_run([make_case(name, labels={"a_b": "<b>"})], identity="keep"))
    assert name in document.text
    assert "A b <b>" in document.text
    assert "<script>alert" not in text
    assert "kept as they are" in document.text


def test_neither_files_nor_places_are_named(make_run, make_case):
    mask = np.eye(40, 60, dtype=bool)
    planted = "/data/Mueller_Hans/OD.png"
    run = make_run([make_case(regions=(Region(name="drusen", mask=mask, source=planted),))])
    text = write_page(run).read_text()
    assert "Mueller" not in text
    assert str(run.folder) not in text


def test_a_header_that_lacks_what_the_page_tells_is_named(make_run):
    run = make_run()
    run.header = {name: run.header[name] for name in ("format", "version", "name")}
    with pytest.raises(StoreError, match=r"lacks fingerprint, versions, models, methods, measures"):
        write_page(run)
    assert [path.name for path in run.folder.glob("*report.html*")] == []


def test_a_disk_that_cannot_be_written_leaves_the_old_page(make_run, monkeypatch):
    run = make_run()
    before = write_page(run).read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("foveal.report.page.TemporaryFile", full)
    with pytest.raises(StoreError, match="cannot write the report: No space left"):
        write_page(run)
    assert (run.folder / "report.html").read_bytes() == before
    assert not list(run.folder.glob(".report*"))


PREDICTIONS = [
    pytest.param(
        Prediction(label="62.5 letters", values={"acuity": 62.5}, unit="letters"),
        "Value in letters acuity 62.5",
        id="regression",
    ),
    pytest.param(
        Prediction(label="segmentation", values={"disc": 0.25}),
        "grader says: a class for each pixel Outputs of grader for I-0 Class Mean probability "
        "disc 0.250",
        id="segmentation",
    ),
    pytest.param(
        Prediction(label="drusen, scars", values={"drusen": 0.75, "scars": 1.0}),
        "Class Output drusen 0.750 scars 1.000",
        id="several labels",
    ),
]


@pytest.mark.parametrize(("prediction", "words"), PREDICTIONS)
def test_what_the_model_gave_is_named(make_case, make_view, prediction, words):
    document = Document(case_html(make_case(views=(make_view(prediction=prediction),))))
    assert words in document.text


def test_settings_of_a_method_are_said_in_words(make_run):
    settings = {"stride": None, "fuse": True, "window": [8, 9], "scale_layers": [], "fill": "blur"}
    methods = [{**make_run().header["methods"][0], "settings": settings}]
    document, _ = page_of(make_run(methods=methods))
    assert (
        "Settings stride by default, fuse yes, window 8 × 9, scale layers none, fill blur"
        in document.text
    )


def test_a_note_is_said_once_with_the_maps_it_belongs_to(make_case, make_view, make_map):
    maps = [
        make_map(notes=("seen by all", "seen by two")),
        make_map(key="layercam", notes=("seen by all", "seen by two")),
        make_map(key="saliency", notes=("seen by all",)),
    ]
    document = Document(case_html(make_case(views=(make_view(explained=tuple(maps)),))))
    assert document.text.count("seen by") == 2
    assert "Grad-CAM and LayerCAM: seen by two" in document.text


def test_what_is_not_known_of_an_image_is_left_out(make_case, make_view):
    losses = Loss(region="drusen", lesions=2, lesions_lost=2, area_kept=None)
    whole = Loss(region="scars", lesions=1, lesions_lost=0, area_kept=1.0)
    bare = make_case(
        patient=None, eye=None, sha256=None, labels={}, spacing_mm=None, regions=(),
        views=(make_view(losses=(losses, whole), field=np.ones((20, 20), bool), explained=()),),
    )  # fmt: skip
    document = Document(case_html(bare))
    assert "drusen: 2 of 2 areas lost " in document.text
    for words in ("scars", "Patient", "Eye", "SHA-256", "Outlines", "Why"):
        assert words not in document.text
    assert "Pixel spacing not known" in document.text


def test_several_models_and_targets_are_kept_apart(make_case, make_view, make_map, make_run):
    maps = make_map(), make_map(target="grade >= 2")
    views = make_view(explained=maps), make_view(model="other", explained=(make_map(),))
    document, _ = page_of(make_run([make_case(views=views)]))
    for words in (
        "Why Severe (predicted)? grader",
        "Why grade ≥ 2? grader",
        "Why Severe (predicted)? other",
        "Prepared for other",
        "Predicted by other Severe 1",
    ):
        assert words in document.text


def test_a_check_that_was_made_is_told_with_its_difference(make_run):
    model = {**make_run().header["models"][0], "check": "passed, largest difference 2e-6"}
    document, _ = page_of(make_run(models=[model]))
    said = "passed: the output differs from the expected one by at most 0.000002"
    assert document.text.count(f"Check at loading {said}") == 2


def test_answers_are_counted_in_the_order_of_the_classes(make_run, make_case, make_view):
    said = [("Severe", 1), ("No DR", 0), ("Severe", 1)]
    cases = [
        make_case(f"I-{n}", views=(make_view(prediction=Prediction(label=label, index=index)),))
        for n, (label, index) in enumerate(said)
    ]
    document, _ = page_of(make_run(cases))
    assert "Predicted No DR 1, Severe 2" in document.text


def test_answers_that_are_numbers_are_only_counted(make_run, make_case, make_view):
    cases = [
        make_case(f"I-{n}", views=(make_view(prediction=Prediction(label=f"{n} letters")),))
        for n in range(8)
    ]
    document, _ = page_of(make_run(cases))
    assert "Predicted 8 different answers" in document.text


def test_a_map_is_named_by_method_plan_and_layer_in_the_tables_too(
    make_run, make_case, make_view, make_map, make_score
):
    scores = [Measured(score=make_score(name="a_new_one", value=0.5, chance=0.25))]
    one = make_map(key="deep@top", method="gradcam", scores=scores)
    methods = [{**make_run().header["methods"][0], "key": "deep"}]
    run = make_run([make_case(views=(make_view(explained=(one,)),))], methods=methods)
    document, _ = page_of(run)
    assert "Method A new one deep (Grad-CAM) at top 1 of 1" in document.text
    assert "#measure-a_new_one" not in document.values("href"), "there is no such card"
    assert "Methods deep (Grad-CAM)" in document.text


def test_chance_levels_that_differ_stand_with_each_map(make_case, make_view, make_map, make_score):
    scores = [
        [Measured(score=make_score(name="masked_roi_drop", value=0.5, chance=c, ceiling=2 * c))]
        for c in (0.25, 0.375)
    ]
    maps = [make_map(key=f"gradcam@{n}", scores=own) for n, own in enumerate(scores)]
    third = make_map(key="gradcam@2")
    document = Document(
        case_html(make_case(views=(make_view(explained=(*maps, third)),), spacing_mm=None))
    )
    assert (
        "by map by map 0.5 chance 0.25 at most 0.5 0.5 chance 0.375 at most 0.75 not measured"
        in document.text
    )


def test_random_orders_are_shaded_and_named(make_case, make_view, make_map, make_score):
    curve = {"fractions": [0.0, 1.0], "scores": [1.0, 0.0]}
    texts = []
    for parts in (curve, {**curve, "null_scores": [[1.0, 0.5], [0.75, 0.0]]}):
        score = make_score(name="deletion_auc", value=0.5, parts=parts)
        one = make_map(scores=[Measured(score=score)])
        texts.append(case_html(make_case(views=(make_view(explained=(one,)),))))
    assert ["shaded: random orders" in text for text in texts] == [False, True]
    assert ['class="fv-band"' in text for text in texts] == [False, True]


def test_a_notebook_shows_a_case_with_its_own_style(make_case):
    text = case_html(make_case())
    document = Document(text)
    assert text.startswith('<div class="fv fv-fragment">')
    assert ".fv-panel {" in text
    assert "grader says: Severe" in document.text


def test_a_notebook_shows_why_a_case_failed():
    document = Document(case_html(Case(id="I-9", failure="the file ends in the middle")))
    assert document.text.endswith("I-9 could not be explained: the file ends in the middle")
