"""The tables of expected focus and of proof: what is shipped is right, what is wrong is said."""

from pathlib import Path

import pytest

from foveal.core import PlanError
from foveal.images.names import region_name
from foveal.run import open_job, read_plan
from foveal.run.header import header
from foveal.run.knowledge import focus_facts, proof_facts, read_focus, read_proof, scale_for
from foveal.run.knowledge.focus import scale_chosen

pytestmark = pytest.mark.filterwarnings("ignore:the card of:foveal.core.FovealWarning")

ICDR = ["No DR", "Mild", "Moderate", "Severe", "Proliferative"]
MODELS = [
    pytest.param(ICDR, "icdr", id="grades of retinopathy"),
    pytest.param(["no_dr", "MILD", "moderate", "severe", "PDR"], "icdr", id="other spelling"),
    pytest.param(["No AMD", "Early AMD", "Intermediate AMD", "Late AMD"], "amd", id="AMD"),
    pytest.param(["Normal", "Glaucoma"], "glaucoma", id="glaucoma"),
    pytest.param(["No DME", "DME"], "macular-oedema", id="oedema"),
    pytest.param(["CNV", "DME", "DRUSEN", "NORMAL"], "oct-four", id="sections"),
    pytest.param(["Normal", "Nuclear", "Cortical", "PSC"], "cataract", id="cataract"),
    pytest.param(["Normal", "Keratitis", "Corneal scar"], "cornea", id="cornea"),
    pytest.param(["Healthy", "Keratitis", "Cataract"], "anterior-three", id="front of the eye"),
    pytest.param(["Healthy", "Keratitis"], "cornea", id="not all classes of the front"),
    pytest.param(["Normal", "Cataract"], "cataract", id="nor of the front"),
    pytest.param(["Normal", "Drusen", "Fluid"], "oct-three", id="drusen and fluid"),
    pytest.param(["Normal", "Drusen"], "oct-four", id="not all classes of the sections"),
    pytest.param(["Normal", "Unknown disease"], None, id="a class that nobody knows"),
    pytest.param(["Normal"], None, id="several scales"),
    pytest.param([], None, id="no class"),
]


@pytest.mark.parametrize(("classes", "scale"), MODELS)
def test_a_scale_is_found_by_the_names_of_the_classes(classes, scale):
    found = scale_for(classes)
    assert (found and found.id) == scale


def test_every_scale_says_who_says_so_and_has_a_healthy_class():
    for scale in read_focus().scales:
        assert any(char.isdigit() for char in scale.reference), scale.id
        nothing = [one for one in scale.classes if not one.lesions and not one.structures]
        assert len(nothing) == 1, scale.id


def test_what_a_class_rests_on_is_known_as_a_lesion_or_a_structure_by_the_name_of_its_mask():
    for one in (one for scale in read_focus().scales for one in scale.classes):
        assert {region_name(name, {}) for name in one.lesions} == {
            (n, "lesion") for n in one.lesions
        }
        structures = {region_name(name, {}) for name in one.structures}
        assert structures == {(name, "anatomy") for name in one.structures}


def test_mild_retinopathy_rests_on_microaneurysms_alone():
    scale = scale_for(ICDR)
    assert scale is not None
    told = focus_facts(scale, [*ICDR, "Ungradable"])["classes"]
    assert told["Mild"]["lesions"] == ["microaneurysms"]
    assert told["No DR"] == {"lesions": [], "structures": [], "note": None}
    assert told["Ungradable"] is None


OWN = """
[[scales]]
id = "own"
title = "Ours"
reference = "our readers, 2026"

[[scales.classes]]
names = ["Good"]

[[scales.classes]]
names = ["Bad"]
lesions = ["scar"]
"""


def test_a_plan_names_a_scale_or_a_file_of_its_own(tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    assert scale_chosen("own.toml", ["bad", "good"], tmp_path).id == "own"
    assert scale_chosen("glaucoma", ["Yes", "No"], tmp_path).id == "glaucoma"


WRONG = [
    pytest.param('names = ["Bad"]', 'names = ["good"]', "'good' is named twice", id="twice"),
    pytest.param("lesions", "lesion", "did you mean 'lesions'", id="key"),
    pytest.param('lesions = ["scar"]', 'lesions = ["scar"]\nstructures = ["scar"]',
                 "both a lesion and a structure", id="both"),
    pytest.param('names = ["Good"]', "names = []", "at least 1", id="no name"),
    pytest.param('reference = "our readers, 2026"', "", "missing key", id="no reference"),
    pytest.param('["Good"]', '["Fine"]', "hold one scale that knows", id="another class"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), WRONG)
def test_a_table_that_is_wrong_is_refused_with_what_is_wrong(tmp_path, old, new, message):
    (tmp_path / "own.toml").write_text(OWN.replace(old, new))
    with pytest.raises(PlanError, match=message):
        scale_chosen("own.toml", ["Good", "Bad"], tmp_path)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [("icrd", "use one of icdr, amd"), ("nowhere.toml", "cannot read")],
)
def test_a_table_that_is_not_there_is_said(chosen, message):
    with pytest.raises(PlanError, match=message):
        scale_chosen(chosen, ICDR, Path())


def test_two_scales_of_one_name_are_refused(tmp_path):
    (tmp_path / "two.toml").write_text(OWN + OWN)
    with pytest.raises(PlanError, match="two scales are called 'own'"):
        read_focus(tmp_path / "two.toml")


def test_the_plan_reaches_the_header_and_hides_the_path(cohort_folder):
    (cohort_folder / "Muster.toml").write_text(
        OWN.replace('"Good"', '"No DR", "Mild"').replace('"Bad"', '"Severe"')
    )
    plan = cohort_folder / "plan.toml"
    plan.write_text(
        plan.read_text().replace(
            'card = "model.toml"', 'card = "model.toml"\nexpected_focus = "Muster.toml"'
        )
    )
    job = open_job(read_plan(plan), cohort_folder, trust=True)
    told = header(job.plan, job.entries, job.models, threads=1, command="x", scales=job.scales)
    assert told["expected_focus"]["tiny"]["scale"] == "own"
    assert told["expected_focus"]["tiny"]["classes"]["Severe"]["lesions"] == ["scar"]
    assert "Muster" not in str(told["plan"])
    assert {need["modality"] for need in told["proof"]} == {"fundus", "oct", "slit-lamp"}


def test_a_task_has_one_need_on_each_kind_of_image():
    for task in ("multiclass", "binary", "multilabel", "ordinal", "regression", "segmentation"):
        kinds = [need["modality"] for need in proof_facts([task])]
        assert sorted(kinds) == ["fundus", "oct", "slit-lamp"], task


def test_a_proof_is_either_measured_or_a_fact(tmp_path):
    text = (
        '[[needs]]\nmodality = "oct"\ntasks = ["binary"]\ntitle = "t"\ndemand = "high"\nwhy = "w"\n'
        '[[needs.proofs]]\nasks = "a"\nget = "g"\n'
    )
    (tmp_path / "proof.toml").write_text(text)
    with pytest.raises(PlanError, match="either measures or fact"):
        read_proof(tmp_path / "proof.toml")
