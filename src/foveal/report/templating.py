"""The templates of pages, and the words and pieces that all of them use."""

import json
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from foveal.report.cohort import beats_chance, missing_in_words
from foveal.report.inline import svg_path
from foveal.report.proof.say import (
    debiased_in_words,
    limits_in_words,
    methods_in_words,
    null_in_words,
    p_in_words,
    question,
    rule_in_words,
    sentence,
)
from foveal.report.summary import check_in_words
from foveal.report.words import (
    DIRECTIONS,
    counted,
    measure_name,
    number,
    range_in_words,
    settings_in_words,
    share,
    some,
    target_in_words,
)


@cache
def environment() -> Environment:
    """Templates, with words as filters; a name that is not there is an error."""
    made = Environment(
        loader=PackageLoader("foveal.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "beats_chance": beats_chance,
        "check_in_words": check_in_words,
        "counted": counted,
        "debiased": debiased_in_words,
        "direction": DIRECTIONS.__getitem__,
        "grouped": lambda count: f"{count:,}".replace(",", "\u202f"),
        "limits": limits_in_words,
        "measure_name": measure_name,
        "methods_in_words": methods_in_words,
        "missing_in_words": missing_in_words,
        "null_in_words": null_in_words,
        "number": number,
        "numbers": lambda values: ", ".join(map(number, values)),
        "p_in_words": p_in_words,
        "pretty": lambda value: json.dumps(value, indent=2, ensure_ascii=False),
        "question": question,
        "range_in_words": lambda bounds: range_in_words(*bounds),
        "rule": rule_in_words,
        "sentence": sentence,
        "settings_in_words": settings_in_words,
        "share": share,
        "some": some,
        "svg_path": lambda line: svg_path([line]),
        "target_in_words": target_in_words,
    }
    return made


@cache
def inline() -> Mapping[str, str]:
    """Style and script, and the script's hash: the page forbids every other one."""
    files = Path(__file__).with_name("templates")
    script = (files / "script.js").read_text(encoding="utf-8")
    digest = b64encode(sha256(script.encode()).digest()).decode()
    style = (files / "style.css").read_text(encoding="utf-8")
    return {"style": style, "script": script, "script_hash": f"sha256-{digest}"}
