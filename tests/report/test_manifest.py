"""A manifest names what was changed, taken away or added, and who signed it."""

import hashlib
import hmac
import json

import pytest

from foveal.core import StoreError
from foveal.report import verify, write_manifest


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "run"
    (made / "shards" / "00000").mkdir(parents=True)
    (made / "run.json").write_bytes(b"{}")
    (made / "shards" / "00000" / "maps.parquet").write_bytes(b"maps")
    (made / ".lock").write_bytes(b"of a process at work")
    return made


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "signing.key"
    path.write_bytes(bytes(range(32)))
    return path


def test_every_file_stands_with_its_sha256_and_the_same_files_give_the_same_bytes(folder):
    path = write_manifest(folder)
    files = json.loads(path.read_text())["files"]
    assert [(f["path"], f["bytes"], f["sha256"]) for f in files] == [
        ("run.json", 2, hashlib.sha256(b"{}").hexdigest()),
        ("shards/00000/maps.parquet", 4, hashlib.sha256(b"maps").hexdigest()),
    ]
    first = path.read_bytes()
    assert write_manifest(folder).read_bytes() == first
    assert verify(folder).intact


def _change(folder):
    (folder / "run.json").write_bytes(b"[]")


def _take(folder):
    (folder / "run.json").unlink()


def _add(folder):
    (folder / "shards" / "new.txt").write_bytes(b"")


DAMAGE = [
    pytest.param(_change, "changed", ("run.json",), id="one byte changed, as long as before"),
    pytest.param(_take, "missing", ("run.json",), id="a file taken away"),
    pytest.param(_add, "added", ("shards/new.txt",), id="an empty file added"),
]


@pytest.mark.parametrize(("damage", "what", "names"), DAMAGE)
def test_what_was_done_to_a_folder_is_named(folder, damage, what, names):
    write_manifest(folder)
    damage(folder)
    found = verify(folder)
    assert not found.intact
    told = {kind: getattr(found, kind) for kind in ("changed", "missing", "added")}
    assert told == {"changed": (), "missing": (), "added": (), what: names}


def test_the_signature_is_the_hmac_of_everything_else(folder, key):
    content = json.loads(write_manifest(folder, key=key).read_text())
    signature = content.pop("signature")
    plain = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    assert signature["value"] == hmac.new(key.read_bytes(), plain, "sha256").hexdigest()
    assert verify(folder, key=key).signature == "right"
    assert verify(folder).signature == "not checked"


def test_a_manifest_written_anew_by_another_is_noticed(folder, key, tmp_path):
    content = json.loads(write_manifest(folder, key=key).read_text())
    _change(folder)
    forged = json.loads(write_manifest(folder).read_text())
    stripped = verify(folder, key=key)
    assert (stripped.changed, stripped.signature, stripped.intact) == ((), "missing", False)
    (folder / "manifest.json").write_text(json.dumps({**forged, "signature": content["signature"]}))
    found = verify(folder, key=key)
    assert (found.changed, found.signature, found.intact) == ((), "wrong", False)
    other = tmp_path / "other.key"
    other.write_bytes(bytes(32))
    assert verify(folder, key=other).signature == "of another key"


WRONG = [
    pytest.param("{", "is damaged", id="no JSON"),
    pytest.param("[]", "no manifest of foveal", id="something else"),
    pytest.param('{"format": "foveal-manifest", "version": 9}', "has version 9", id="a later one"),
    pytest.param(
        '{"format": "foveal-manifest", "version": 1, "files": [{"path": 1}]}',
        "not named by path, bytes and sha256",
        id="files without their facts",
    ),
]


@pytest.mark.parametrize(("text", "words"), WRONG)
def test_a_manifest_that_is_wrong_is_refused(folder, text, words):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(StoreError, match=words):
        verify(folder)


def test_a_key_that_does_not_keep_a_secret_is_refused(folder, tmp_path):
    short = tmp_path / "short.key"
    short.write_bytes(b"password")
    inside = folder / "signing.key"
    inside.write_bytes(bytes(32))
    for key, words in (
        (short, "has 8 bytes, but needs at least 32"),
        (inside, "lies inside"),
        (tmp_path / "gone.key", "cannot be read"),
    ):
        with pytest.raises(StoreError, match=words):
            write_manifest(folder, key=key)


def test_a_folder_without_a_manifest_and_no_folder_are_said(folder):
    with pytest.raises(StoreError, match="write one with foveal manifest"):
        verify(folder)
    with pytest.raises(StoreError, match="is no folder"):
        write_manifest(folder / "nowhere")
    (folder / "elsewhere").symlink_to(folder / "shards")
    with pytest.raises(StoreError, match="link to a folder"):
        write_manifest(folder)
    (folder / "elsewhere").unlink()
    (folder / "manifest.json").mkdir()
    with pytest.raises(StoreError, match="cannot write the manifest"):
        write_manifest(folder)
