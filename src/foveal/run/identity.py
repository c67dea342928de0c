"""Pseudonyms: what a run says instead of names of patients, files and folders."""

import hashlib
import hmac
import json
import os
import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from foveal.core import ImageError, StoreError

_FORMAT = "foveal-key"


class Identity:
    """Names for the run and for its key file, which alone leads back.

    With `keep` everything stays as it is. Otherwise a name is turned into the first 40 bits of its
    HMAC-SHA256 under the run's secret key: the same name gives the same pseudonym in this run,
    and nobody without the key file can tell which.
    """

    def __init__(self, *, keep: bool, secret: bytes) -> None:
        self.keep = keep
        self.secret = secret
        self.known: dict[str, str] = {}
        """Pseudonyms and the names behind them."""

    def image(self, name: str) -> str:
        """What the run calls an image."""
        return self._name("I", name)

    def patient(self, name: str | None) -> str | None:
        """What the run calls a patient."""
        return None if name is None else self._name("P", name)

    def eye(self, name: str | None) -> str | None:
        """What the run calls an eye."""
        return None if name is None else self._name("E", name)

    def visit(self, name: str | None) -> str | None:
        """What the run calls a visit."""
        return None if name is None else self._name("V", name)

    def told(self, problem: ImageError, path: Path, name: str) -> str:
        """What was wrong with an image, without names of files; they stand in the error's cause."""
        cause = problem.__cause__
        if isinstance(cause, ImageError) and not self.keep:
            return str(cause)
        return self.clean(str(problem), path, name)

    def clean(self, text: str, path: Path, name: str) -> str:
        """A message without the image's path, file name or stem, which stands beside it anyway."""
        text = text.removeprefix(f"{path}: ")
        if self.keep:
            return text
        alias = self.image(name)
        for spelling in (str(path.resolve()), str(path), name, path.name, path.stem):
            text = re.sub(rf"(?<![^\W_]){re.escape(spelling)}(?![^\W_])", alias, text)
        for folder in (str(path.parent.resolve()), str(path.parent)):
            text = text.replace(f"{folder}/", "")
        return text

    def _name(self, kind: str, name: str) -> str:
        if self.keep:
            return name
        digest = hmac.new(self.secret, f"{kind}:{name}".encode(), hashlib.sha256).hexdigest()
        alias = f"{kind}-{digest[:10]}"
        if self.known.setdefault(alias, name) != name:
            raise StoreError(
                f"two names have the pseudonym {alias} by chance; remove the run and its key file "
                "and run the plan again, under another secret"
            )
        return alias


def key_beside(folder: Path) -> Path:
    """Where the key file of a run is, unless its plan says otherwise."""
    return folder.with_name(f"{folder.name}.key.json")


def numbered(names: Sequence[str]) -> list[str]:
    """Names that are all different: the second of a name gets `#2`, and so on."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return found


def open_identity(path: Path, *, keep: bool, new: bool) -> Identity:
    """The identity of a run with its key file, which is made for a new run.

    Raises:
        StoreError: The key file of a run that exists is missing or damaged, or cannot be written.
    """
    if keep:
        return Identity(keep=True, secret=b"")
    if path.exists():
        return Identity(keep=False, secret=_secret(path))
    if not new:
        raise StoreError(
            f"the key file {path} of this run is gone, so its images cannot be told apart any "
            "more; put it back, or choose a new folder for the output"
        )
    identity = Identity(keep=False, secret=secrets.token_bytes(32))
    save_identity(identity, path)
    return identity


def save_identity(identity: Identity, path: Path) -> None:
    """Write the key file, for its owner only.

    Raises:
        StoreError: It cannot be written.
    """
    if identity.keep:
        return
    content = {
        "format": _FORMAT,
        "what": "leads from the pseudonyms of one run back to files and patients: keep it apart",
        "secret": identity.secret.hex(),  # pyright: ignore[reportPrivateUsage]
        "names": dict(sorted({**known_names(path), **identity.known}.items())),
    }
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, ensure_ascii=False)
        hidden.replace(path)
    except OSError as problem:
        raise StoreError(
            f"cannot write the key file {path}: {problem.strerror or problem}"
        ) from problem


def known_names(path: Path) -> Mapping[str, str]:
    """Pseudonyms and the names behind them, as the key file has them.

    Raises:
        StoreError: A key file that is damaged.
    """
    return _content(path).get("names", {}) if path.exists() else {}  # type: ignore[return-value]


def _secret(path: Path) -> bytes:
    try:
        return bytes.fromhex(_content(path)["secret"])  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError) as problem:
        raise StoreError(f"the key file {path} is damaged: {problem}") from problem


def _content(path: Path) -> Mapping[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise StoreError(f"the key file {path} cannot be read: {problem}") from problem
    if content.get("format") != _FORMAT:
        raise StoreError(f"{path} is no key file of a foveal run")
    return content
