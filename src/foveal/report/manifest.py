"""A manifest of a folder: the SHA-256 of every file, and a signature by whoever holds the key.

Without a key a manifest tells damage and mistakes; who changes a file on purpose can write a new
manifest as well. With a key, HMAC-SHA256 (RFC 2104) tells that too, to everyone who has the key.
"""

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from foveal.core import StoreError
from foveal.store.lock import LOCK

FILE = "manifest.json"
FORMAT = "foveal-manifest"
VERSION = 1
_METHOD = "HMAC-SHA256"
_LEAST = 32
"""Bytes of a key: as many as the hash gives, the least that RFC 2104 does not discourage."""

Signature = Literal["unsigned", "not checked", "right", "wrong", "of another key", "missing"]
"""`missing` where a key was given to check a manifest that is not signed."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What a folder's files are beside its manifest."""

    files: int
    """Files that the manifest names."""
    changed: tuple[str, ...]
    missing: tuple[str, ...]
    added: tuple[str, ...]
    signature: Signature

    @property
    def intact(self) -> bool:
        """Whether every file is as it was, none is missing or added, and the key, if any, fits."""
        files_differ = self.changed or self.missing or self.added
        return not files_differ and self.signature in ("unsigned", "not checked", "right")


def write_manifest(folder: Path, *, key: Path | None = None) -> Path:
    """Write `manifest.json` into a folder: path, size and SHA-256 of every file below it.

    The manifest itself and the lock of a process at work are left out. The same files give the
    same bytes.

    Args:
        folder: A run's folder, or any other.
        key: A file of at least 32 random bytes, outside the folder, to sign the manifest with.

    Raises:
        StoreError: A folder that is not there or cannot be written, a key that cannot be read, is
            too short or lies inside the folder.
    """
    secret = None if key is None else _secret(key, folder)
    content: dict[str, object] = {"format": FORMAT, "version": VERSION, "files": _found(folder)}
    if secret is not None:
        content["signature"] = {
            "method": _METHOD,
            "key": _name(secret),
            "value": _signed(content, secret),
        }
    path = folder / FILE
    hidden = path.with_name(f".{FILE}.{os.getpid()}")
    try:
        hidden.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        hidden.replace(path)
    except OSError as problem:
        raise StoreError(f"cannot write the manifest: {problem.strerror or problem}") from problem
    finally:
        hidden.unlink(missing_ok=True)
    return path


def verify(folder: Path, *, key: Path | None = None) -> Verification:
    """Compare a folder with its manifest, and the manifest with its signature.

    Raises:
        StoreError: No manifest, one that is damaged or of another version, a file that cannot be
            read, or a key that does not fit the purpose.
    """
    secret = None if key is None else _secret(key, folder)
    content = _content(folder)
    named = {file["path"]: (file["bytes"], file["sha256"]) for file in content["files"]}
    there = {str(file["path"]): (file["bytes"], file["sha256"]) for file in _found(folder)}
    return Verification(
        files=len(named),
        changed=tuple(p for p in sorted(named) if p in there and there[p] != named[p]),
        missing=tuple(sorted(named.keys() - there.keys())),
        added=tuple(sorted(there.keys() - named.keys())),
        signature=_judged(content, secret),
    )


def _found(folder: Path) -> list[dict[str, object]]:
    """Every file below a folder, in the order of their paths; a link to one counts as the file."""
    if not folder.is_dir():
        raise StoreError(f"{folder} is no folder")
    try:
        paths = sorted((p.relative_to(folder).as_posix(), p) for p in folder.rglob("*"))
        return [
            {"path": name, "bytes": path.stat().st_size, "sha256": _digest(path)}
            for name, path in paths
            if name not in (FILE, LOCK) and not _is_folder(path)
        ]
    except OSError as problem:
        raise StoreError(
            f"cannot read {problem.filename or folder}: {problem.strerror or problem}"
        ) from problem


def _is_folder(path: Path) -> bool:
    if path.is_symlink() and path.is_dir():
        raise StoreError(f"{path} is a link to a folder, which a manifest cannot name; take it out")
    return path.is_dir()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content(folder: Path) -> Mapping[str, Any]:
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise StoreError(
            f"{folder} has no {FILE} that can be read; write one with foveal manifest"
        ) from problem
    except ValueError as problem:
        raise StoreError(f"{path} is damaged: {problem}") from problem
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise StoreError(f"{path} is no manifest of foveal")
    if content.get("version") != VERSION:
        raise StoreError(
            f"{path} has version {content.get('version')}, but this foveal reads {VERSION}"
        )
    if not _whole(content.get("files")):
        raise StoreError(f"{path} is damaged: its files are not named by path, bytes and sha256")
    return content


def _whole(files: object) -> bool:
    keys = {"path", "bytes", "sha256"}
    return isinstance(files, list) and all(isinstance(f, dict) and f.keys() == keys for f in files)


def _judged(content: Mapping[str, Any], secret: bytes | None) -> Signature:
    signature = content.get("signature")
    if not isinstance(signature, dict):
        return "unsigned" if secret is None else "missing"
    if secret is None:
        return "not checked"
    if signature.get("key") != _name(secret):
        return "of another key"
    right = hmac.compare_digest(str(signature.get("value")), _signed(content, secret))
    return "right" if right else "wrong"


def _signed(content: Mapping[str, Any], secret: bytes) -> str:
    """Of everything but the signature, in one fixed spelling."""
    unsigned = {name: part for name, part in content.items() if name != "signature"}
    plain = json.dumps(unsigned, sort_keys=True, separators=(",", ":")).encode()
    return hmac.new(secret, plain, hashlib.sha256).hexdigest()


def _name(secret: bytes) -> str:
    """Tells keys apart without showing them."""
    return hmac.new(secret, b"foveal manifest key", hashlib.sha256).hexdigest()[:16]


def _secret(key: Path, folder: Path) -> bytes:
    if key.resolve().is_relative_to(folder.resolve()):
        raise StoreError(
            f"the key {key} lies inside {folder}, so whoever has the folder can sign; move it out"
        )
    try:
        secret = key.read_bytes()
    except OSError as problem:
        raise StoreError(f"the key {key} cannot be read: {problem.strerror}") from problem
    if len(secret) < _LEAST:
        raise StoreError(
            f"the key {key} has {len(secret)} bytes, but needs at least {_LEAST}; make one with "
            f"head -c {_LEAST} /dev/urandom > {key.name}"
        )
    return secret
