"""The secret that everything new is derived from: same key, same outputs, in every process."""

import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import unicodedata
from base64 import b32encode
from dataclasses import dataclass, field
from pathlib import Path

from foveal.core import StoreError

_FORMAT = "foveal-deidentification-key"
_BYTES = 32
"""As many as the hash gives, the least that RFC 2104 does not discourage."""

_STANDARD = re.compile(r"1\.2\.840\.10008(\.\d{1,4}){0,10}")
"""UIDs under the root of DICOM name classes and encodings, not objects of a patient. A longer
number, such as a date, is none of the standard: some devices use its root as if it were theirs."""

_YEAR_OF_WEEKS = 364


@dataclass(frozen=True, kw_only=True)
class SecretKey:
    """Derives pseudonyms, UIDs and date shifts by HMAC-SHA256 (RFC 2104).

    Raises:
        ValueError: A secret of fewer than 32 bytes.
    """

    secret: bytes = field(repr=False)
    kept: bool
    """Whether a key file has it. A key that is not kept dies with the run: nobody can link later
    files to these."""

    def __post_init__(self) -> None:
        if len(self.secret) < _BYTES:
            raise ValueError(
                f"a secret needs at least {_BYTES} bytes, but has {len(self.secret)}; "
                "let a new key file be made"
            )

    @property
    def fingerprint(self) -> str:
        """Tells keys apart and says nothing about them."""
        return self._digest("fingerprint").hex()[:16]

    def uid(self, uid: str) -> str:
        """2.25 and the first 128 bits of the HMAC (PS3.5 B.2); standard UIDs stay as they are."""
        if not uid or _STANDARD.fullmatch(uid):
            return uid
        return f"2.25.{int.from_bytes(self._hmac(uid)[:16])}"

    def alias(self, name: str) -> str:
        """What a patient, a file or a folder of this name is called: 80 bits, 16 characters.

        One name has one alias, so the folder of patient 17 and her PatientID stay together.
        """
        plain = unicodedata.normalize("NFC", name.strip())
        return b32encode(self._digest("name", plain)[:10]).decode()

    def days(self, patient: str) -> int:
        """By how many days, 1 to 364, all dates of a patient move to the past."""
        digest = self._digest("days", unicodedata.normalize("NFC", patient.strip()))
        return 1 + int.from_bytes(digest) % _YEAR_OF_WEEKS

    def token(self, path: Path) -> str:
        """Recognises a file's content without saying which it is, as its plain hash would."""
        with path.open("rb") as file:
            return self._digest("file", hashlib.file_digest(file, "sha256").hexdigest()).hex()[:32]

    def _digest(self, purpose: str, text: str = "") -> bytes:
        return self._hmac(f"{purpose}:{text}")

    def _hmac(self, text: str) -> bytes:
        return hmac.new(self.secret, text.encode("utf-8", "surrogateescape"), "sha256").digest()


def open_key(path: Path | None, *, apart_from: tuple[Path, ...] = ()) -> SecretKey:
    """The key in a file, which is made, for its owner only, if it is not there.

    Args:
        path: The key file; `None` makes a random key that is not kept.
        apart_from: Folders in which a key must not lie: the data and the output.

    Raises:
        StoreError: A key inside one of the folders, readable by others, damaged, or a file that
            cannot be read or written.
    """
    if path is None:
        return SecretKey(secret=secrets.token_bytes(_BYTES), kept=False)
    refuse_inside(path, apart_from, what="the key file")
    try:
        return _read(path) if path.exists() else _made(path)
    except OSError as problem:
        raise StoreError(f"the key file {path}: {problem.strerror or problem}") from problem


def refuse_inside(path: Path, folders: tuple[Path, ...], *, what: str) -> None:
    """What leads back to patients must not travel with the data.

    Raises:
        StoreError: The file lies inside one of the folders, or is one of them.
    """
    for folder in folders:
        if path.resolve().is_relative_to(folder.resolve()):
            raise StoreError(
                f"{what} {path} lies inside {folder}, so it would travel with the data; "
                "keep it in another folder"
            )


def _read(path: Path) -> SecretKey:
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        raise StoreError(
            f"the key file {path} can be read by others (mode {mode:04o}); run chmod 600 on it, "
            "and make a new key if somebody may have read it"
        )
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != _FORMAT:
            raise ValueError("it is of another format")
        return SecretKey(secret=bytes.fromhex(content["secret"]), kept=True)
    except (ValueError, TypeError, KeyError) as problem:
        raise StoreError(
            f"{path} is no key file of foveal deidentify, or damaged ({problem}); put the right "
            "one in its place, or name a file that is not there to make a new key"
        ) from problem


def _made(path: Path) -> SecretKey:
    secret = secrets.token_bytes(_BYTES)
    content = {
        "format": _FORMAT,
        "what": "leads from pseudonyms back to patients: keep it apart from the data",
        "secret": secret.hex(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    return SecretKey(secret=secret, kept=True)
