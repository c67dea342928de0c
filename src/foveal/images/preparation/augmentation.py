"""Augmentation is known by name, so that a card or plan that asks for it is told where it belongs.

It changes pictures by chance so that a network in training sees more of them. Explained is one
picture, and chance would make the explanation of it another one every time.
"""

import re

_PREFIXES = ("random", "rand")
"""Of the names in torchvision, torchio (RandomAffine) and MONAI (RandAffined)."""

_NAMES = frozenset(
    {
        "augmentation", "augment", "augmix", "autoaugment", "trivialaugment", "colorjitter",
        "jitter", "mixup", "cutmix", "cutout", "mosaic", "elastic", "elastictransform",
        "elasticdeformation", "horizontalflip", "verticalflip", "shear", "griddistortion",
        "coarsedropout", "gaussnoise", "gaussiannoise", "addnoise", "speckle",
        "speckleaugmentation", "testtimeaugmentation", "tta",
    }
)  # fmt: skip


def is_augmentation(name: str) -> bool:
    """Whether a step's name is that of a common augmentation, however it is written.

    Examples:
        >>> is_augmentation("RandFlipd"), is_augmentation("color-jitter"), is_augmentation("resize")
        (True, True, False)
    """
    bare = re.sub("[^a-z]", "", name.lower())
    return bare.startswith(_PREFIXES) or bare in _NAMES or bare.removesuffix("d") in _NAMES
