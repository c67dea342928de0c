"""A wrong setting is refused when it is given, and the message says what to give instead."""

import math
import re

import jaxtyping
import pytest
import torch
from nets import Convolutional, images

from foveal.doors import attribute
from foveal.explainers import (
    LIME,
    LRP,
    RISE,
    TCAV,
    XRAI,
    AblationCAM,
    Attention,
    AttentionRollout,
    Captum,
    ConceptSet,
    ExpectedGradients,
    GradCAM,
    GradCAMPlusPlus,
    IntegratedGradients,
    KernelSHAP,
    LayerCAM,
    Occlusion,
    ScoreCAM,
    SmoothGrad,
    SmoothGradCAMPlusPlus,
    SquareGrad,
    VarGrad,
    VisitAttention,
)


@pytest.fixture(autouse=True)
def _no_type_checker():
    """Users run none: what is refused here is refused by the package itself."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


NAN, INF = math.nan, math.inf
NOISY = (SmoothGrad, SquareGrad, VarGrad, SmoothGradCAMPlusPlus)
CONCEPTS = {"bright": ConceptSet(torch.rand(12, 3, 8, 8), torch.rand(40, 3, 8, 8))}

COUNTS = [
    (IntegratedGradients, "steps"),
    (XRAI, "steps"),
    (RISE, "masks"),
    (RISE, "cells"),
    (Occlusion, "window"),
    (Occlusion, "stride"),
    (ScoreCAM, "top"),
    (AblationCAM, "top"),
    *((method, what) for method in (LIME, KernelSHAP) for what in ("samples", "superpixels")),
    *((method, "samples") for method in NOISY),
]
NUMBERS = [
    *((method, "noise") for method in NOISY),
    (RISE, "keep"),
    (LIME, "width"),
    (LIME, "ridge"),
    (LRP, "epsilon"),
    (LRP, "gamma"),
]
FLAGS = [(GradCAMPlusPlus, "normalised_alpha"), (LayerCAM, "fuse"), (AblationCAM, "normalise")]
CHOICES = [
    (ScoreCAM, "weighting", "algorithm1"),
    (AblationCAM, "fill", "mean"),
    (LIME, "score", "log-odds"),
    (KernelSHAP, "score", "log-odds"),
    (XRAI, "baselines", "image-extremes"),
    (XRAI, "channels", "max"),
    (LRP, "composite", "epsilon_plus"),
    (LRP, "start", "one"),
]
FILLS = [(IntegratedGradients, "baseline"), *((m, "fill") for m in (Occlusion, RISE, LIME))]


def named(table: list[tuple]) -> list:
    return [pytest.param(*row, id=f"{row[0].__name__} {row[1]}") for row in table]


@pytest.mark.parametrize(("method", "setting"), named(COUNTS))
def test_a_count_is_a_whole_number_from_one_on(method, setting):
    for wrong in ("4", 2.5, NAN, True, torch.ones(2)):
        with pytest.raises(TypeError, match=f"{setting} must be a whole number, but is"):
            method(**{setting: wrong})
    for wrong in (0, -3):
        with pytest.raises(ValueError, match=f"{setting} must be at least 1, but is {wrong}"):
            method(**{setting: wrong})


@pytest.mark.parametrize(("method", "setting"), named(NUMBERS))
def test_a_number_is_finite_and_no_tensor_text_or_truth_value(method, setting):
    for wrong in ("0.1", None, True, torch.ones(3)):
        with pytest.raises(TypeError, match=f"{setting} must be a number, but is"):
            method(**{setting: wrong})
    for wrong in (NAN, INF):
        with pytest.raises(ValueError, match=f"{setting} must be finite, but is {wrong}"):
            method(**{setting: wrong})
    with pytest.raises(ValueError, match=f"{setting} must (be|not be) .*, but is -0.5"):
        method(**{setting: -0.5})


@pytest.mark.parametrize(("method", "setting"), named(FLAGS))
def test_a_flag_is_true_or_false(method, setting):
    for wrong in ("no", 1, None, torch.ones(2)):
        with pytest.raises(TypeError, match=f"{setting} must be True or False, but is"):
            method(**{setting: wrong})


@pytest.mark.parametrize(("method", "setting", "right"), named(CHOICES))
def test_an_unknown_choice_is_told_what_there_is(method, setting, right):
    for wrong in ("nothing like it", None, 3):
        if (method, wrong) == (XRAI, None) and setting == "baselines":
            continue  # it stands for the default
        with pytest.raises((TypeError, ValueError), match=f"{setting} must be .*{right}"):
            method(**{setting: wrong})


@pytest.mark.parametrize(("method", "setting"), named(FILLS))
def test_a_reference_is_a_finite_number_a_tensor_or_a_known_name(method, setting):
    for wrong in ("blurr", None, True):
        with pytest.raises((TypeError, ValueError), match=f"{setting} must be .*'blur'.*not"):
            method(**{setting: wrong})
    for wrong in (NAN, INF, torch.full((3, 24, 24), NAN)):
        with pytest.raises(ValueError, match=f"{setting} must be finite"):
            method(**{setting: wrong})


@pytest.mark.parametrize(("method", "setting"), named(FILLS))
@pytest.mark.parametrize("shape", [(5,), (3, 24, 25), (3, 3, 24, 24), (24, 24, 3)], ids=str)
def test_a_reference_of_another_shape_names_both_shapes(method, setting, shape):
    explainer = method(**{setting: torch.zeros(shape)})
    with pytest.raises(ValueError, match=r"shape \(.*\) does not fit 2 images of shape \(3, 24"):
        attribute(Convolutional(), images(2), explainer, target=1)


REFUSED = [
    pytest.param(lambda: VarGrad(samples=1), ValueError, "at least 2 for a variance",
                 id="one sample has no variance"),
    pytest.param(lambda: LIME(groups=1), ValueError, "groups must be at least 2",
                 id="one group agrees with nothing"),
    pytest.param(lambda: KernelSHAP(superpixels=1), ValueError, "superpixels must be at least 2",
                 id="one superpixel"),
    pytest.param(lambda: LIME(samples=3, groups=4), ValueError, "4 groups were asked of 3 samples",
                 id="more groups than samples"),
    pytest.param(lambda: LIME(segments=3), TypeError, "segments must be a label image",
                 id="segments"),
    pytest.param(lambda: LIME(segments="disc"), TypeError, "segments must be a label image",
                 id="segments by name"),
    pytest.param(lambda: LIME(segments=[]), ValueError, "at least one mask", id="no segments"),
    pytest.param(lambda: KernelSHAP(tabular=3), TypeError, "one number for each feature",
                 id="tabular"),
    pytest.param(lambda: LayerCAM(fuse=True, scale_layers="top"), TypeError,
                 "scale_layers must be names of layers", id="scale_layers is one name"),
    pytest.param(lambda: LayerCAM(fuse=True, scale_layers=(1, 2)), TypeError,
                 "scale_layers must be names of layers", id="scale_layers are numbers"),
    pytest.param(lambda: LayerCAM(scale_layers=("top",)), ValueError, "add fuse=True",
                 id="scale_layers without fusion"),
    pytest.param(lambda: SmoothGrad(noise=0), ValueError, "for none use saliency", id="no noise"),
    pytest.param(lambda: RISE(keep=1), ValueError, r"keep must be in \(0, 1\)", id="keep"),
    pytest.param(lambda: LRP(low=0), ValueError, "use composite='epsilon_gamma_box'",
                 id="a side without a box"),
    pytest.param(lambda: LRP(composite="epsilon_gamma_box", low="x", high=1), TypeError,
                 "low must be a number, one a channel or a tensor", id="a side of a box"),
    pytest.param(lambda: ExpectedGradients(reference=None), TypeError, "reference must be",
                 id="no references"),
    pytest.param(lambda: ExpectedGradients(reference=torch.full((2, 3, 8, 8), NAN)), ValueError,
                 "finite", id="references that are not finite"),
    pytest.param(lambda: Attention(block="last"), TypeError, "block must be a whole number",
                 id="block"),
    pytest.param(lambda: AttentionRollout(discard=NAN), ValueError, r"in \[0, 1\)", id="discard"),
    pytest.param(lambda: TCAV(concepts={}), ValueError, "images by name", id="no concepts"),
    pytest.param(lambda: TCAV(concepts=CONCEPTS, random="x"), TypeError,
                 "random must be a tensor of images", id="random images"),
    pytest.param(lambda: TCAV(concepts=CONCEPTS, ridge=torch.ones(2)), TypeError,
                 "ridge must be a number", id="ridge of TCAV"),
    pytest.param(lambda: TCAV(concepts=CONCEPTS, ridge=INF), ValueError, "ridge must be finite",
                 id="infinite ridge"),
    pytest.param(lambda: TCAV(concepts=CONCEPTS, least_accuracy="0.7"), TypeError,
                 "least_accuracy must be a number", id="least accuracy"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "message"), REFUSED)
def test_what_does_not_go_together_is_refused_at_birth(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_more_cells_than_pixels_are_refused_before_anything_is_drawn():
    with pytest.raises(ValueError, match="25 cells a side do not fit the image's 24 pixels"):
        attribute(Convolutional(), images(1), RISE(masks=2, cells=25), target=1)


NAMES = [
    pytest.param("GradCAM", "gradcam", id="capitals"),
    pytest.param("grad-cam", "gradcam", id="hyphen"),
    pytest.param("Grad-CAM++", "gradcam++", id="as the paper writes it"),
    pytest.param("gradcampp", "gradcam++", id="pp"),
    pytest.param("GradCAMPlusPlus", "gradcam++", id="the class"),
    pytest.param("integrated_gradients", "integratedgradients", id="underscore"),
    pytest.param("attention rollout", "rollout", id="words"),
    pytest.param("Input \u00d7 gradient", "inputxgradient", id="times sign"),
    pytest.param("IG", "integratedgradients", id="initials"),
    pytest.param("shap", "kernelshap", id="a part of the name"),
]


@pytest.mark.parametrize(("asked", "meant"), NAMES)
def test_a_name_written_otherwise_is_told_the_right_one(asked, meant):
    told = re.escape(f"there is no method {asked!r}; did you mean {meant!r}?")
    with pytest.raises(ValueError, match=f"^{told}$"):
        attribute(Convolutional(), images(1), asked)


def test_a_name_that_is_nearly_right_is_offered_the_near_ones():
    with pytest.raises(ValueError, match="near names: gradcam,"):
        attribute(Convolutional(), images(1), "gradcan")


OBJECTS = [
    pytest.param("visits", VisitAttention, id="a series of scans"),
    pytest.param("captum", Captum, id="Captum"),
    pytest.param("captum-saliency", Captum, id="as Captum's maps are called"),
]


@pytest.mark.parametrize(("asked", "made"), OBJECTS)
def test_a_method_without_a_name_is_told_as_the_object(asked, made):
    told = rf"give the object, such as foveal\.explainers\.{made.__name__}\("
    with pytest.raises(ValueError, match=told):
        attribute(Convolutional(), images(1), asked)


def test_a_name_like_none_is_told_all():
    with pytest.raises(ValueError, match=r"there is no method 'zzz'; there are cam, .*tcav"):
        attribute(Convolutional(), images(1), "zzz")


CALLS = [
    pytest.param({"methods": GradCAM}, TypeError, r"GradCAM is a class; make one of it, GradCAM\(",
                 id="a class"),
    pytest.param({"methods": {3: "gradcam"}}, TypeError, "names of your own must be texts",
                 id="a number for a name"),
    pytest.param({"methods": {}}, ValueError, "at least one method", id="no method"),
    pytest.param({"seed": -1}, ValueError, "seed must be a whole number from 0", id="seed"),
    pytest.param({"seed": 2.5}, ValueError, "seed must be a whole number from 0", id="half a seed"),
    pytest.param({"seed": None}, ValueError, "seed must be a whole number from 0", id="no seed"),
    pytest.param({"max_batch": True}, ValueError, "max_batch must be", id="max_batch"),
    pytest.param({"progress": 3}, TypeError, "progress must be called", id="progress"),
    pytest.param({"target": 2.5}, TypeError, "target must be None, a class", id="half a class"),
    pytest.param({"target": True}, ValueError, "a class is a number from 0", id="a truth value"),
    pytest.param({"target": []}, ValueError, "got 0 targets for 1 images", id="no targets"),
    pytest.param({"layers": ["top", 3]}, TypeError, "a layer is a name or a module", id="layers"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "error", "message"), CALLS)
def test_a_wrong_argument_says_what_to_give(arguments, error, message):
    call = {"methods": "gradcam", "layers": "top", **arguments}
    with pytest.raises(error, match=message):
        attribute(Convolutional(), images(1), **call)


BATCHES = [
    pytest.param(None, TypeError, "batch must be a tensor of images.*NoneType", id="none"),
    pytest.param("eye.png", TypeError, "batch must be a tensor of images", id="a file"),
    pytest.param(torch.zeros(2, 3, 24, 24).numpy(), TypeError, "batch must be a tensor.*ndarray",
                 id="an array"),
    pytest.param(torch.zeros(1, 3, 0, 0), ValueError, r"its shape is \(1, 3, 0, 0\)", id="empty"),
    pytest.param(torch.zeros(1, 4, 24, 24), ValueError,
                 r"batch is \(1, 4, 24, 24\), but the model's first convolution takes 3 channels",
                 id="channels"),
]  # fmt: skip


@pytest.mark.parametrize(("batch", "error", "message"), BATCHES)
def test_a_batch_that_is_none_says_so(batch, error, message):
    with pytest.raises(error, match=message):
        attribute(Convolutional(), batch, "saliency")
