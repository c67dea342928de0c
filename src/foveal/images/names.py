"""What the codes and names in mask files mean."""

from collections.abc import Mapping
from typing import Literal

Kind = Literal["lesion", "anatomy", "field", "unknown"]

_CODES = {
    "ma": "microaneurysms",
    "he": "haemorrhages",
    "ex": "hard exudates",
    "se": "soft exudates",
    "cotton wool spots": "soft exudates",
    "nv": "neovascularisation",
    "irma": "intraretinal microvascular abnormalities",
    "irf": "intraretinal fluid",
    "srf": "subretinal fluid",
    "ped": "pigment epithelial detachment",
    "od": "optic disc",
    "oc": "optic cup",
    "bv": "vessels",
    "faz": "foveal avascular zone",
    "fov": "field of view",
    "hemorrhages": "haemorrhages",
    "preretinal hemorrhage": "preretinal haemorrhage",
    "vitreous hemorrhage": "vitreous haemorrhage",
    "disc hemorrhage": "disc haemorrhage",
    "neovascularization": "neovascularisation",
    "choroidal neovascularization": "choroidal neovascularisation",
    "corneal neovascularization": "corneal neovascularisation",
    "nerve fiber layer defect": "nerve fibre layer defect",
    "retinal nerve fiber layer": "retinal nerve fibre layer",
    "ga": "geographic atrophy",
    "cnv": "choroidal neovascularisation",
    "rnfl": "retinal nerve fibre layer",
    "inl": "inner nuclear layer",
    "opl": "outer plexiform layer",
    "onl": "outer nuclear layer",
    "ez": "ellipsoid zone",
    "rpe": "retinal pigment epithelium",
}
"""Endings of mask files, as IDRiD, DDR and the OCT challenges use them, usual short names, and
other spellings."""

_LESIONS = (
    "microaneurysms", "haemorrhages", "hard exudates", "soft exudates", "neovascularisation",
    "preretinal haemorrhage", "vitreous haemorrhage", "disc haemorrhage", "venous beading",
    "intraretinal microvascular abnormalities", "fibrous proliferation", "retinal thickening",
    "intraretinal fluid", "subretinal fluid", "pigment epithelial detachment", "drusen",
    "pigmentary abnormalities", "geographic atrophy", "choroidal neovascularisation",
    "rim notch", "nerve fibre layer defect",
    "lens opacity", "nuclear opacity", "cortical opacity", "posterior subcapsular opacity",
    "corneal ulcer", "corneal infiltrate", "ring infiltrate", "corneal scar", "corneal opacity",
    "corneal deposits", "corneal neovascularisation", "dendrite", "epithelial defect", "hypopyon",
    "pterygium",
)  # fmt: skip
_ANATOMY = (
    "optic disc", "optic cup", "disc", "cup", "neuroretinal rim", "vessels", "macula", "fovea",
    "foveal avascular zone", "retinal nerve fibre layer", "inner nuclear layer",
    "outer plexiform layer", "outer nuclear layer", "ellipsoid zone",
    "retinal pigment epithelium", "retina", "choroid", "vitreous",
    "lens", "lens nucleus", "lens cortex", "posterior capsule", "pupil", "cornea", "limbus",
    "conjunctiva", "iris", "sclera", "eyelids", "lashes", "palpebral fissure",
)  # fmt: skip
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(_LESIONS, "lesion"),
    **dict.fromkeys(_ANATOMY, "anatomy"),
    "field of view": "field",
    "field": "field",
}


def region_name(code: str, names: Mapping[str, str]) -> tuple[str, Kind]:
    """The readable name and the kind of what a file's ending says; unknown endings stay as is."""
    plain = _plain(code)
    name = names.get(code) or _CODES.get(plain) or (plain if plain in _KINDS else code)
    return name, _KINDS.get(_plain(name), "unknown")


def split_stem(stem: str) -> tuple[str, str]:
    """The photograph and the region in the name of a mask: "eye_7_hard_exudates" is of "eye_7".

    A known code or name at the end is taken whole; otherwise the region follows the last
    underscore. Without one, the whole name is the region.
    """
    spaced = f" {_plain(stem)}"
    for known in sorted((*_CODES, *_KINDS), key=len, reverse=True):
        if spaced.endswith(f" {known}"):
            return stem[: -len(known)][:-1], stem[-len(known) :]
    photograph, _, region = stem.rpartition("_")
    return photograph, region


def _plain(name: str) -> str:
    return name.lower().replace("_", " ").replace("-", " ")
