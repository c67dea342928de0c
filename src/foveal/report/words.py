"""The report's words: what a reader sees instead of codes, keys and bare floats."""

from collections.abc import Mapping, Sequence
from math import floor, isfinite, log10

from foveal.core import REASONS, Attribution, Direction, Laterality, Modality
from foveal.store import Case

SIDES: Mapping[Laterality, str] = {
    "right": "right eye (OD)",
    "left": "left eye (OS)",
    "both": "both eyes (OU)",
    "unknown": "side unknown",
}
PICTURES: Mapping[Modality, str] = {
    "fundus": "Fundus photograph",
    "oct": "OCT section",
    "slit-lamp": "Slit-lamp photograph",
    "unknown": "Image",
}
DIRECTIONS: Mapping[Direction, str] = {
    "higher": "higher is better",
    "lower": "lower is better",
    "context": "neither way is better by itself",
}
SEGMENTATION = "segmentation"
"""What a segmentation's prediction is labelled with: it has an answer for each pixel."""
ELSEWHERE = "made elsewhere"
"""What a run calls the method of maps that other tools or people made."""
_METHODS = {
    "cam": "CAM",
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "smoothgradcam++": "Smooth Grad-CAM++",
    "xgradcam": "XGrad-CAM",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "eigencam": "Eigen-CAM",
    "eigengradcam": "EigenGrad-CAM",
    "scorecam": "Score-CAM",
    "ablationcam": "Ablation-CAM",
    "fullgrad": "FullGrad",
    "saliency": "Saliency",
    "inputxgradient": "Input × gradient",
    "smoothgrad": "SmoothGrad",
    "squaregrad": "SquareGrad",
    "vargrad": "VarGrad",
    "integratedgradients": "Integrated gradients",
    "expectedgradients": "Expected gradients",
    "guidedbackprop": "Guided backpropagation",
    "deconvolution": "Deconvolution",
    "guidedgradcam": "Guided Grad-CAM",
    "guidedgradcam++": "Guided Grad-CAM++",
    "lrp": "LRP",
    "occlusion": "Occlusion",
    "rise": "RISE",
    "lime": "LIME",
    "kernelshap": "KernelSHAP",
    "xrai": "XRAI",
    "attention": "Attention",
    "rollout": "Attention rollout",
    "chefer": "Chefer relevance",
    "tcav": "TCAV",
}
_ACRONYMS = {
    "aopc": "AOPC", "ap": "AP", "auc": "AUC", "cc": "correlation", "cnr": "CNR", "ebc": "EBC",
    "fov": "field of view", "iou": "IoU", "irp": "IRP", "lerf": "LeRF", "logodds": "log-odds",
    "morf": "MoRF", "pap": "PAP", "pct": "percent", "road": "ROAD", "roar": "ROAR", "roi": "ROI",
    "snr": "SNR", "srg": "SRG",
}  # fmt: skip
_MEASURES = {
    "avg_sensitivity": "Avg-sensitivity (to noise)",
    "ebc": "Energy-based concentration (EBC)",
    "first_layer_grad_rms": "First-layer gradient",
    "fmce": "Feature-map contribution entropy",
    "fmce_weighted": "Feature-map contribution entropy, weighted",
    "grad_sparsity": "Gradient sparsity",
    "gsi": "Gradient saturation index",
    "gss": "Gradient signal strength",
    "hfpr": "High-frequency power ratio",
    "hoyer": "Hoyer sparsity",
    "intensity_cv": "Coefficient of variation of the intensity",
    "map_pearson": "Pearson correlation of noisy maps",
    "map_spearman": "Spearman correlation of noisy maps",
    "map_ssim": "SSIM of noisy maps",
    "max_sensitivity": "Max-sensitivity (to noise)",
    "mprt": "Random weights (MPRT)",
    "out_of_fov_mass": "Mass outside the field",
    "pap": "Percentage of activated pixels (PAP)",
    "sensitivity_n": "Sensitivity-n",
    "srg": "Symmetric relevance gain (SRG)",
    "topk_iou": "Top-k IoU of noisy maps",
}
"""Measures whose spaced name would be no name."""
_MINUS, _THIN = "−", "\u202f"
"""A true minus sign, and a space that keeps a number in one line."""


def method_name(method: str) -> str:
    """As the paper writes it."""
    return _METHODS.get(method, method)


def map_name(key: str, attribution: Attribution) -> str:
    """The method as the paper writes it, and the plan's own name for it where that differs."""
    stem, _, layer = key.partition("@")
    name = method_name(attribution.method)
    own = name if stem == attribution.method else f"{stem} ({name})"
    return f"{own} at {layer}" if layer else own


def target_in_words(target: str) -> str:
    """`Severe (predicted)` instead of `predicted: Severe`, for the middle of a sentence."""
    chosen, colon, name = target.partition(": ")
    words = f"{name} (predicted)" if colon and chosen == "predicted" else target
    return words.replace(">=", "≥")


def answer_in_words(label: str) -> str:
    """What a model said."""
    return "a class for each pixel" if label == SEGMENTATION else label


def measure_name(name: str) -> str:
    """The measure's own name, or its code with spaces and acronyms as people write them."""
    if name in _MEASURES:
        return _MEASURES[name]
    words = " ".join(_ACRONYMS.get(word, word) for word in name.split("_"))
    return words[0].upper() + words[1:]


def region_in_words(region: str | None) -> str:
    """What a number was measured on."""
    return region or "whole field"


def no_map(attribution: Attribution) -> str:
    """Why there is no map to draw."""
    if attribution.reason == "empty_mask":
        return "no pixel is predicted as this class, so there is nothing to explain"
    if attribution.reason is not None:
        return REASONS.get(attribution.reason, attribution.reason)
    return "the map has no positive value, so nothing in it speaks for the score"


def title(case: Case) -> str:
    """The image in one line: what it is and of which eye."""
    return f"{PICTURES[case.modality]}, {SIDES[case.laterality]}"


def number(value: float) -> str:
    """Three significant digits, in plain or scientific notation, with a true minus sign."""
    if value == 0:
        return "0"
    power = floor(log10(abs(float(f"{value:.2e}"))))
    if -4 <= power < 6:
        digits = max(0, 2 - power)
        text = f"{value:,.{digits}f}".replace(",", _THIN)
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = (
            f"{value / 10.0**power:.2f}".rstrip("0").rstrip(".")
            + f"{_THIN}×{_THIN}10{_raised(power)}"
        )
    return text.replace("-", _MINUS)


def percent(share: float) -> str:
    """A share in percent, whole numbers; small ones and near-certain ones stay visible."""
    if 0 < share < 0.005:
        return f"<{_THIN}1{_THIN}%"
    if 0.995 < share < 1:
        return f">{_THIN}99{_THIN}%"
    return f"{100 * share:.0f}{_THIN}%"


def share(value: float) -> str:
    """A probability with three decimals; the smallest and the largest stay visible."""
    if 0 < value < 0.0005:
        return f"<{_THIN}0.001"
    return f">{_THIN}0.999" if 0.9995 < value < 1 else f"{value:.3f}"


def range_in_words(low: float | None, high: float | None) -> str:
    """Which values can occur; `None` is no bound."""
    bounded = [bound is not None and isfinite(bound) for bound in (low, high)]
    if all(bounded):
        return f"{number(low or 0)} to {number(high or 0)}"
    if bounded[0]:
        return f"{number(low or 0)} or more"
    return f"{number(high or 0)} or less" if bounded[1] else "any number"


def settings_in_words(settings: Mapping[str, object]) -> str:
    """Settings by name, in one line."""
    said = [f"{name.replace('_', ' ')} {_plain(value)}" for name, value in settings.items()]
    return ", ".join(said) or "none"


def _plain(value: object) -> str:
    if value is None:
        return "by default"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(part)}" for name, part in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " × ".join(map(str, value)) or "none"
    return str(value)


def value_in_words(part: object) -> str | None:
    """A number, a few words, or a truth; `None` for what is no single value."""
    if isinstance(part, bool):
        return _plain(part)
    if isinstance(part, int | float):
        return number(part)
    return part if isinstance(part, str) else None


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 eye`, `2 eyes`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}".replace(",", _THIN)


def listed(items: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def some(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return listed([*names[:most], *([f"{more} more"] if more > 0 else [])])


def _raised(power: int) -> str:
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
