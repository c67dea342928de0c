"""Files made wrong in the ways in which files go wrong, the same ones for the same seed."""

import re
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

Option = TypeVar("Option")
Random = np.random.Generator

_PNG = b"\x89PNG\r\n\x1a\n"
_TOKEN = re.compile(
    rb'-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|"[^"\n]{0,200}"|\btrue\b|\bfalse\b|\bnull\b'
)
_NUMBER = re.compile(rb"\d+")
_ODD_WORDS = (
    *(b"0", b"-1", b"1", b"2147483648", b"99999999999999999999", b"1e400", b"nan", b"-inf"),
    *(
        b"0.0000000001",
        b'""',
        b'"a"',
        b"null",
        b"true",
        b"[]",
        b"{}",
        b"[[]]",
        b'"../../canary.png"',
    ),
    *(b'"/etc/passwd"', b'"\\ud800"', b"[1, 2]", b'{"a": 1}', b"1" * 5000),
)
_ODD_NUMBERS = (
    *(0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE),
    *(0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF),
)


def mutant(data: bytes, number: int, seed: Sequence[int], others: Sequence[bytes]) -> bytes:
    """One wrong file.

    Args:
        data: The right one.
        number: Which of its mutants; the first is empty, most have one thing wrong, some several.
        seed: Of the corpus and of the file.
        others: Files of other kinds, whose headers and blocks stray into this one.
    """
    if number == 0:
        return b""
    random = np.random.default_rng([*seed, number])
    for _ in range(1 + random.integers(0, 3) * random.integers(0, 2)):
        data = _pick(random, _MUTATIONS)(data, random, others) if data else data
    return sealed(data) if random.integers(2) else data


def _flip_bits(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    wrong = bytearray(data)
    for _ in range(random.integers(1, 9)):
        wrong[_place(data, random)] ^= 1 << int(random.integers(8))
    return bytes(wrong)


def _set_bytes(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    wrong = bytearray(data)
    for _ in range(random.integers(1, 9)):
        wrong[_place(data, random)] = int(random.integers(256))
    return bytes(wrong)


def _cut(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    return data[: random.integers(len(data))]


def _put_length(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """A length, count or offset that is not true, in either byte order."""
    size = int(random.choice([1, 2, 4, 8]))
    place = _place(data, random)
    old = int.from_bytes(data[place : place + size], "little")
    near = (old + 1, old - 1, old * 2, len(data), len(data) - place)
    value = int(_pick(random, (*_ODD_NUMBERS, *near))) % 256**size
    order = "little" if random.integers(2) else "big"
    return data[:place] + value.to_bytes(size, order) + data[place + size :]


def _put_word(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Another kind of value, too large a number or a path to elsewhere, in files of text."""
    found = list(_TOKEN.finditer(data[:100_000]))
    if not found:
        return _put_length(data, random, others)
    token = _pick(random, found)
    word = token[0] if random.integers(4) else _pick(random, found)[0]
    new = _pick(random, _ODD_WORDS) if word == token[0] else word
    return data[: token.start()] + new + data[token.end() :]


def _put_digits(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Another number of as many digits, so that nothing behind it moves."""
    found = list(_NUMBER.finditer(data[:100_000]))
    if not found:
        return _flip_bits(data, random, others)
    token = _pick(random, found)
    digits = bytes(random.integers(ord("0"), ord("9") + 1, len(token[0]), np.uint8))
    new = _pick(random, (b"9" * len(digits), b"0" * len(digits), digits))
    return data[: token.start()] + new + data[token.end() :]


def _splice(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """A block of another place, or of another file, over what is there or between it."""
    source = data if random.integers(2) else _pick(random, (*others, data))
    block = _block(source, random)
    place = _place(data, random)
    return data[:place] + block + data[place + len(block) * int(random.integers(2)) :]


def _repeat(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    block = _block(data, random)
    place = data.find(block) + len(block)
    return data[:place] + block * int(random.integers(1, 20)) + data[place:]


def _drop(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    start = _place(data, random)
    return data[:start] + data[start + len(_block(data, random)) :]


def _swap_header(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    size = int(random.choice([2, 4, 8, 16, 132, 512]))
    return _pick(random, (*others, data[::-1]))[:size] + data[size:]


_MUTATIONS: tuple[Callable[[bytes, Random, Sequence[bytes]], bytes], ...] = (
    *(_flip_bits, _set_bytes, _cut, _put_length, _put_length, _put_word, _put_word, _put_digits),
    *(_splice, _repeat, _drop, _swap_header),
)


def sealed(data: bytes) -> bytes:
    """With true check sums where a reader would look at nothing else before them."""
    if not data.startswith(_PNG):
        return data
    sealed, place = bytearray(data), len(_PNG)
    while place + 12 <= len(sealed):
        (length,) = struct.unpack_from(">I", sealed, place)
        end = place + 8 + length
        if end + 4 > len(sealed):
            break
        struct.pack_into(">I", sealed, end, zlib.crc32(sealed[place + 4 : end]))
        place = end + 4
    return bytes(sealed)


def _place(data: bytes, random: Random) -> int:
    """Headers matter more than pixels: half of the places are in the first kilobyte."""
    return int(random.integers(min(len(data), 1024) if random.integers(2) else len(data)))


def _block(data: bytes, random: Random) -> bytes:
    start = _place(data, random)
    return data[start : start + int(2 ** random.uniform(0, 12))]


def _pick(random: Random, options: Sequence[Option]) -> Option:
    return options[int(random.integers(len(options)))]
