"""What the report does not say, in plain words. Page and audit file tell the same."""

from typing import NamedTuple


class Limit(NamedTuple):
    """One thing to keep in mind."""

    title: str
    text: str


LIMITS = (
    Limit(
        "Not a medical device",
        "This report serves research and the validation of models. It must not be used to "
        "diagnose or to treat.",
    ),
    Limit(
        "A map is not a cause",
        "A map shows where, by the rules of one method, a model's number comes from. A bright "
        "place does not prove disease there, nor that the model sees disease there; a dark place "
        "does not prove health.",
    ),
    Limit(
        "The right place is not yet the right reason",
        "Agreement with an expert's outlines says that a map is plausible. Whether the model "
        "depends on the place is asked by the drops and curves, and these do not prove it either.",
    ),
    Limit(
        "Better than chance is little",
        "Every number stands beside what a map without information would reach, where that is "
        "known. To be better than that is the least to ask for, and no sign of quality.",
    ),
    Limit(
        "Coarse maps look smooth",
        "Grad-CAM and its relatives have one value for each cell of a layer, and the drawing "
        "blends from cell to cell. Nothing smaller than a cell can be told apart; below each such "
        "map stands how much of the eye one cell covers.",
    ),
    Limit(
        "Colours belong to one map",
        "Each map is coloured on its own scale, whose ends are written below it in the map's raw "
        "units. The same colour in two maps does not mean the same amount.",
    ),
    Limit(
        "Altered images",
        "Drops and curves show the model images with parts taken away, which it has never "
        "seen in training. Some of the change may come from that alone.",
    ),
    Limit(
        "Small lesions get lost",
        "The model sees a smaller image than the expert outlined. What is lost on the way is "
        "counted for each image, and numbers speak only of what is left.",
    ),
    Limit(
        "A missing number is not zero",
        "Where a number cannot be given, the reason stands in its place, and means leave it out "
        "and say how many they left out.",
    ),
)
