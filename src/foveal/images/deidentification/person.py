"""Whose dataset it is, and whether a short text speaks of that person."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

_NUMBERED = ("PatientID", "OtherPatientIDs", "AccessionNumber")

_PIECE = re.compile(r"[^\W\d_]+|\d+")
"""Letters or digits that stand together: "for77-4711" has three pieces."""

_LEAST = 3
"""Letters or digits below which a part of a name is found in ordinary words."""
_LEAST_WHOLE = 4
"""The same of a whole number or name."""
_LEAST_INSIDE = 5
"""Letters from which a name is looked for inside of other words too."""
_LEAST_IDEOGRAPHS = 2
_IDEOGRAPHS = 0x2E80
"""From here on Unicode has Chinese, Japanese and Korean, which need no space between words."""
_NEIGHBOURS = 4
"""Most pieces that make one name or number."""

_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})
_SPELLED = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
"""How these letters are written where there is no key for them."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Whose dataset it is, as far as it says so."""

    number: str
    """PatientID with its issuer; without one the name and birth date, or the study."""
    words: frozenset[str]
    """Parts of names and numbers that must not stand anywhere, in plain letters."""

    def is_in(self, text: str, *, inside_words: bool = True) -> bool:
        """Whether a part of a name or a number stands in a text, however it is spelled.

        Args:
            text: Any.
            inside_words: Look for longer names inside of other words too: "forLindqvist".
        """
        pieces = _pieces(text)
        if not self.words.isdisjoint(_joined(pieces)):
            return True
        solid = "".join(pieces)
        return inside_words and any(_is_long(word) and word in solid for word in self.words)


def person_of(dataset: Dataset) -> Person:
    """The patient of a dataset."""
    number, issuer, name, birth, study = (
        str(dataset.get(keyword) or "").strip()
        for keyword in (
            *("PatientID", "IssuerOfPatientID"),
            *("PatientName", "PatientBirthDate", "StudyInstanceUID"),
        )
    )
    known = (f"{number}^^^{issuer}" if issuer else number) or f"{name}{birth}" or study
    return Person(number=known, words=frozenset(_words(dataset)))


def text_of(element: DataElement) -> str:
    """All values of an attribute as one text."""
    value = element.value
    return " ".join(map(str, value)) if isinstance(value, MultiValue) else str(value or "")


def _words(dataset: Dataset) -> Iterator[str]:
    """Of names, also of physicians and in other scripts, of numbers and of the birth date."""
    for element in dataset.iterall():
        text = text_of(element)
        if element.VR == "PN":
            for name in text.split("="):
                yield from _of_name(_pieces(name))
                yield from _of_name(_pieces(_spelled(name)))
        elif element.keyword in _NUMBERED:
            pieces = _pieces(text)
            yield from (word for word in _joined(pieces) if len(word) >= _LEAST_WHOLE)
            yield "".join(pieces) or text
        elif element.keyword == "PatientBirthDate" and len(text) >= 8:
            digits = "".join(_pieces(text))
            yield from (digits, digits[6:] + digits[4:6] + digits[:4])


def _of_name(pieces: Sequence[str]) -> Iterator[str]:
    """Each part, and all together as they are written and the other way round."""
    for word in pieces:
        if len(word) >= (_LEAST_IDEOGRAPHS if _is_ideographic(word) else _LEAST):
            yield word
    for whole in ("".join(pieces), "".join(reversed(pieces))):
        if len(whole) >= (_LEAST_IDEOGRAPHS if _is_ideographic(whole) else _LEAST_WHOLE):
            yield whole


def _pieces(text: str) -> list[str]:
    """Runs of letters and of digits, without case, accents and differences of encoding."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in apart if unicodedata.category(letter) != "Mn")
    return _PIECE.findall(unicodedata.normalize("NFC", bare).translate(_PLAIN))


def _spelled(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold()).translate(_SPELLED)


def _joined(pieces: Sequence[str]) -> set[str]:
    """Every few neighbours as one: a number is written with and without what parts it."""
    return {
        "".join(pieces[start:end])
        for start in range(len(pieces))
        for end in range(start + 1, min(start + _NEIGHBOURS, len(pieces)) + 1)
    }


def _is_long(word: str) -> bool:
    return _is_ideographic(word) or (len(word) >= _LEAST_INSIDE and not word.isdecimal())


def _is_ideographic(word: str) -> bool:
    return bool(word) and all(ord(letter) >= _IDEOGRAPHS for letter in word)
