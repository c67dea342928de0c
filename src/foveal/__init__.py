"""foveal: see what an ocular AI model sees, and prove it."""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "Finding": "foveal.core",
    "FovealError": "foveal.core",
    "FovealWarning": "foveal.core",
    "ImageError": "foveal.core",
    "ModelError": "foveal.core",
    "PlanError": "foveal.core",
    "StoreError": "foveal.core",
    "Target": "foveal.core",
    "Image": "foveal.core",
    "Model": "foveal.models",
    "Region": "foveal.core",
    "Result": "foveal.doors",
    "Score": "foveal.core",
    "SeriesResult": "foveal.doors",
    "Volume": "foveal.core",
    "VolumeResult": "foveal.doors",
    "attribute": "foveal.doors",
    "deidentify": "foveal.images",
    "diagnose": "foveal.doors",
    "explain": "foveal.doors",
    "explain_series": "foveal.doors",
    "explain_volume": "foveal.doors",
    "load_model": "foveal.models",
    "measure": "foveal.doors",
    "methods": "foveal.explainers",
    "read": "foveal.images",
    "read_regions": "foveal.images",
    "read_volume": "foveal.images",
}
_NAMES = {"load_model": "load"}
"""Names that are shorter inside their room."""
_ROOMS = ("explainers", "measures", "synthetic")

__all__ = sorted([*_HOMES, *_ROOMS, "__version__"])  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    """Reach the doors and rooms when they are first used: importing foveal loads no torch."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), _NAMES.get(name, name))
    if name in _ROOMS:
        return import_module(f"foveal.{name}")
    raise AttributeError(f"module 'foveal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
