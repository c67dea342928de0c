"""What the codes and names in mask files mean."""

from collections.abc import Mapping
from typing import Literal

Kind = Literal["lesion", "anatomy", "field", "unknown"]

_CODES = {
    "ma": "microaneurysms",
    "he": "haemorrhages",
    "hemorrhages": "haemorrhages",
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
}
"""Endings of mask files, as IDRiD, DDR and the OCT challenges use them."""

_KINDS: dict[str, Kind] = {
    "microaneurysms": "lesion",
    "haemorrhages": "lesion",
    "hard exudates": "lesion",
    "soft exudates": "lesion",
    "neovascularisation": "lesion",
    "preretinal haemorrhage": "lesion",
    "intraretinal microvascular abnormalities": "lesion",
    "intraretinal fluid": "lesion",
    "subretinal fluid": "lesion",
    "pigment epithelial detachment": "lesion",
    "drusen": "lesion",
    "optic disc": "anatomy",
    "optic cup": "anatomy",
    "disc": "anatomy",
    "cup": "anatomy",
    "vessels": "anatomy",
    "macula": "anatomy",
    "fovea": "anatomy",
    "foveal avascular zone": "anatomy",
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
