"""Lists the licence of everything that installing foveal installs, and refuses the GPL.

The LGPL is refused in the base; it may only come with an extra that somebody asks for.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_GPL = re.compile(r"\bA?GPL|GNU (Affero )?General", re.IGNORECASE)
_LGPL = re.compile(r"\bLGPL|GNU (Lesser|Library)", re.IGNORECASE)
_EXTRAS = (
    *("timm", "torchvision", "monai", "keras", "onnx", "captum", "lrp", "stats"),
    *("dicom", "oct", "annotations"),
)


def main() -> None:
    """Print one line a package; exit 1 when one of them is refused or says nothing."""
    base = closure("foveal", "")
    extras = set().union(*(closure("foveal", extra) for extra in _EXTRAS)) - base
    problems = []
    for where, names in (("base", base), ("extra", extras)):
        for name in sorted(names):
            text = licence(name)
            print(f"{where:6} {name:24} {text}")
            refused = _GPL.search(text) or (where == "base" and _LGPL.search(text))
            if refused or text == "unknown":
                problems.append(f"{name}: {text}")
    if problems:
        sys.exit("not allowed: " + "; ".join(problems))


def closure(name: str, extra: str) -> set[str]:
    """The packages that installing this one with an extra brings; those that are installed."""
    found: set[str] = set()
    waiting = [(canonicalize_name(name), extra)]
    while waiting:
        package, wanted = waiting.pop()
        try:
            required = distribution(package).requires or []
        except PackageNotFoundError:  # not needed on this platform
            continue
        found.add(package)
        for requirement in map(Requirement, required):
            needed = requirement.marker is None or requirement.marker.evaluate({"extra": wanted})
            child = canonicalize_name(requirement.name)
            if needed and child not in found:
                waiting.append((child, ""))
    return found


def licence(name: str) -> str:
    """From the package's metadata: its expression, classifiers, field or the head of its file."""
    metadata = distribution(name).metadata
    if metadata.get("License-Expression"):
        return str(metadata["License-Expression"])
    classifiers = metadata.get_all("Classifier") or []
    named = [c.split(" :: ")[-1] for c in classifiers if c.startswith("License :: OSI Approved ::")]
    text = (metadata.get("License") or "").strip()
    return "; ".join(named) or text.split("\n")[0] or _head(name) or "unknown"


def _head(name: str) -> str:
    """The line of the package's licence file that names the licence."""
    found = [f for f in distribution(name).files or () if f.name in ("LICENSE", "LICENSE.txt")]
    lines = found[0].read_text().split("\n") if found else []
    return next((line.strip() for line in lines if "license" in line.lower()), "")


if __name__ == "__main__":
    main()
