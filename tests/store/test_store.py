"""What is written comes back equal, whole or not at all, and byte for byte the same."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow.parquet as pq
import pytest

from foveal.core import Attribution, Prediction, Region, Score, StoreError
from foveal.store import Case, Explained, Loss, Measured, Run, View
from foveal.store.columns import columns
from foveal.store.shard import read_shard, write_shard

RANDOM = np.random.default_rng(0)


def score(**changes: object) -> Score:
    settings = {"name": "iou", "value": 0.25, "direction": "higher", "range": (0.0, 1.0)}
    return Score(**{**settings, **changes})  # type: ignore[arg-type]


def attribution(shape: tuple[int, ...], **changes: object) -> Attribution:
    settings = {
        "method": "gradcam",
        "settings": {"steps": 3},
        "layer": "top",
        "target": "Severe",
        "target_index": 3,
        "score": 1.5,
        "seed": 7,
        "notes": ("a note",),
        "cost": {"forward": 1},
        "parts": {"completeness_error": 0.5},
        "fingerprint": "abc",
        "model": "grader",
    }
    values = RANDOM.normal(size=shape).astype(np.float32)
    return Attribution(map=values, **{**settings, **changes})  # type: ignore[arg-type]


def view(**changes: object) -> View:
    scores = (
        Measured(
            score=score(chance=0.1, ceiling=0.9, null=(0.0, 0.5), params={"q": 1}), region="MA"
        ),
        Measured(score=score(value=None, reason="empty_mask"), region="HE"),
        Measured(score=score(name="auc", range=(-np.inf, np.inf), parts={"curve": [1.0, 0.5]})),
    )
    settings = {
        "model": "grader",
        "steps": ({"step": "resize", "source": [20, 30], "target": [8, 8]},),
        "pixels": RANDOM.random((3, 8, 8)).astype(np.float32),
        "field": RANDOM.random((8, 8)) > 0.5,
        "prediction": Prediction(label="Severe", index=3, values={"No DR": 0.25, "Severe": 0.75}),
        "regions": (Region(name="MA", mask=RANDOM.random((8, 8)) > 0.9, kind="lesion"),),
        "losses": (Loss(region="MA", lesions=4, lesions_lost=1, area_kept=0.5),),
        "explained": (
            Explained(key="gradcam", attribution=attribution((2, 2)), scores=scores),
            Explained(key="occlusion", attribution=attribution((70, 80), layer=None)),
            Explained(key="saliency", attribution=attribution((3, 8, 8), reason="zero_map")),
        ),
    }
    return View(**{**settings, **changes})  # type: ignore[arg-type]


def case(number: int = 0, **changes: object) -> Case:
    settings = {
        "id": f"I-{number}",
        "patient": "P-1",
        "eye": "P-1/right",
        "laterality": "right",
        "modality": "fundus",
        "grid": (20, 30),
        "spacing_mm": (0.01, 0.02),
        "sha256": "ff",
        "facts": {"format": "PNG", "bit_depth": 8},
        "labels": {"grade": "3"},
        "picture": np.full((20, 30, 3), 99, np.uint8),
        "regions": (Region(name="MA", mask=np.eye(20, 30, dtype=bool), kind="lesion"),),
        "views": (view(), view(model="other", regions=(), losses=(), explained=())),
    }
    return Case(**{**settings, **changes})  # type: ignore[arg-type]


def assert_same(one: object, other: object) -> None:
    """Equal all the way down, arrays by value."""
    if isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype  # type: ignore[attr-defined]
    elif isinstance(one, tuple | list):
        assert len(one) == len(other)  # type: ignore[arg-type]
        for a, b in zip(one, other, strict=True):  # type: ignore[call-overload]
            assert_same(a, b)
    elif hasattr(one, "__dataclass_fields__"):
        assert type(one) is type(other)
        for name in one.__dataclass_fields__:
            assert_same(getattr(one, name), getattr(other, name))
    else:
        assert one == other


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def test_cases_come_back_as_they_were_written(tmp_path):
    run = Run.create(tmp_path / "run", {"name": "trial", "fingerprint": "f"})
    failed = Case(id="I-9", failure="no field of view")
    run.write(0, [case(0), case(1, patient=None, spacing_mm=None, facts={})])
    run.write(1, [failed])
    written = list(Run.open(tmp_path / "run").cases())
    assert [c.id for c in written] == ["I-0", "I-1", "I-9"]
    assert_same(written[2], failed)
    again = Run.create(tmp_path / "again", {"name": "trial", "fingerprint": "f"})
    again.write(0, written[:2])
    for one, other in zip(again.cases(), written, strict=False):
        assert_same(one, other)


def test_everything_of_a_case_survives(tmp_path):
    original = case()
    run = Run.create(tmp_path, {"fingerprint": "f"})
    run.write(0, [original])
    (back,) = run.cases()
    assert_same(back, original)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_pictures_after_each_step_come_back_in_their_order_and_size(tmp_path, channels):
    stages = (
        np.full((30, 40, channels), 250, np.uint8),
        np.full((16, 16, channels), 20, np.uint8),
        np.full((24, 8, channels), 120, np.uint8),
    )
    write_shard(tmp_path / "0", [case(views=(view(stages=stages),))])
    (back,) = read_shard(tmp_path / "0")
    assert [one.shape for one in back.views[0].stages] == [one.shape for one in stages]
    for one, expected in zip(back.views[0].stages, stages, strict=True):
        inner = one[1:-1, 1:-1].astype(int)  # JPEG rings at the edges
        assert np.abs(inner - int(expected[0, 0, 0])).max() <= 6


def test_a_grey_picture_comes_back_with_its_one_channel(tmp_path):
    run = Run.create(tmp_path, {"fingerprint": "f"})
    run.write(0, [case(picture=np.full((20, 30, 1), 5, np.uint8))])
    (back,) = run.cases()
    assert back.picture.shape == (20, 30, 1)


def test_the_same_cases_give_the_same_bytes(tmp_path):
    same = [case(0), case(1)]
    for name in ("one", "two"):
        Run.create(tmp_path / name, {"name": "trial", "fingerprint": "f"}).write(0, same)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_names_of_images_never_become_names_of_files(tmp_path):
    run = Run.create(tmp_path, {"fingerprint": "f"})
    run.write(0, [case(id="../Müller, Hans/OD.jpg")])
    assert not any("ller" in path for path in tree(tmp_path / "shards"))
    assert [c.id for c in run.cases()] == ["../Müller, Hans/OD.jpg"]


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        pytest.param([case(0), case(0)], "two images are called 'I-0'", id="images"),
        pytest.param([case(views=(view(), view()))], "two models of I-0", id="models"),
        pytest.param(
            [case(views=(view(explained=view().explained[:1] * 2),))], "two maps of I-0", id="maps"
        ),
    ],
)
def test_names_that_would_share_maps_and_scores_are_refused(tmp_path, cases, message):
    run = Run.create(tmp_path, {"fingerprint": "f"})
    with pytest.raises(ValueError, match=message):
        run.write(0, cases)
    assert not run.done(0)


def test_a_number_that_is_not_finite_never_reaches_a_table(tmp_path):
    run = Run.create(tmp_path, {"fingerprint": "f"})
    parts = {"curve": np.array([0.5, np.nan]), "ends": {"at": [float("inf")]}}
    made = Explained(key="x", attribution=attribution((2, 2), parts=parts))
    run.write(1, [case(views=(view(explained=(made,)),))])
    (kept,) = run.cases_of(1)
    assert kept.views[0].explained[0].attribution.parts == {
        "curve": [0.5, None],
        "ends": {"at": [None]},
    }
    nowhere = Prediction(label="Severe", index=3, values={"Severe": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.write(0, [case(views=(view(prediction=nowhere),))])
    assert not run.done(0)


def test_a_shard_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    run = Run.create(tmp_path, {"fingerprint": "f"})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("foveal.store.shard.pq.write_table", full)
    with pytest.raises(StoreError, match=r"No space left.*finished shards stay"):
        run.write(0, [case()])
    assert not run.done(0)
    assert list((tmp_path / "shards").iterdir()) == []


def test_a_shard_that_cannot_be_replaced_stays_as_it_was(tmp_path, monkeypatch):
    run = Run.create(tmp_path, {"fingerprint": "f"})
    run.write(0, [case(id="first")])
    move = Path.rename

    def full(self, target):
        if self.name.startswith(".00000") and not self.name.endswith(".old"):
            raise OSError(28, "No space left on device")
        return move(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(StoreError, match="No space left"):
        run.write(0, [case(id="second")], again=True)
    assert [kept.id for kept in run.cases()] == ["first"]
    assert [folder.name for folder in (tmp_path / "shards").iterdir()] == ["00000"]


def test_header_and_log_that_cannot_be_written_are_named(tmp_path, monkeypatch):
    run = Run.create(tmp_path, {"fingerprint": "f"})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(StoreError, match=r"cannot write the run into .*No space left"):
        run.write_header({"fingerprint": "f"})
    with pytest.raises(StoreError, match=r"cannot write the log .*No space left"):
        run.log("started")


def test_only_a_run_without_finished_shards_is_discarded(tmp_path):
    run = Run.create(tmp_path / "run", {"fingerprint": "f"})
    run.log("started")
    run.write(0, [case()])
    run.discard()
    assert run.done(0)
    shutil.rmtree(run.shard(0))
    (run.folder / "notes.txt").write_text("mine")
    run.discard()
    assert tree(run.folder).keys() == {"notes.txt"}
    (run.folder / "notes.txt").unlink()
    Run.create(run.folder, {"fingerprint": "g"}).discard()
    assert not run.folder.exists()


def test_the_same_run_is_taken_up_again_and_another_is_refused(tmp_path):
    run = Run.create(tmp_path / "run", {"name": "first", "fingerprint": "f"})
    run.write(0, [case()])
    again = Run.create(tmp_path / "run", {"name": "first", "fingerprint": "f"})
    assert again.done(0)
    with pytest.raises(StoreError, match="holds another run"):
        Run.create(tmp_path / "run", {"name": "second", "fingerprint": "g"})


def _foreign(folder: Path) -> None:
    (folder / "thesis.docx").write_text("mine")


def _damaged(folder: Path) -> None:
    (folder / "run.json").write_text("{")


def _other_format(folder: Path) -> None:
    (folder / "run.json").write_text(json.dumps({"format": "something"}))


def _newer(folder: Path) -> None:
    (folder / "run.json").write_text(json.dumps({"format": "foveal-run", "version": 99}))


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        pytest.param(_foreign, "not empty and holds no run", id="other files"),
        pytest.param(_damaged, "damaged", id="damaged header"),
        pytest.param(_other_format, "not of a foveal run", id="another format"),
        pytest.param(_newer, "version 99", id="newer version"),
    ],
)
def test_a_folder_that_is_no_such_run_is_refused(tmp_path, prepare, message):
    prepare(tmp_path)
    with pytest.raises(StoreError, match=message):
        Run.create(tmp_path, {"fingerprint": "f"})


def test_a_folder_that_is_not_there_or_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StoreError, match="holds no run"):
        Run.open(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write the run"):
        Run.create(tmp_path / "file" / "run", {"fingerprint": "f"})


def test_a_damaged_shard_is_named_with_the_way_out(tmp_path):
    run = Run.create(tmp_path, {"fingerprint": "f"})
    run.write(0, [case()])
    (run.shard(0) / "maps.parquet").write_bytes(b"PAR1 no longer")
    with pytest.raises(StoreError, match=r"shard 00000 .* damaged .* run the same plan again"):
        list(run.cases())


@pytest.mark.parametrize("how", ["cut", "empty", "zeros", "text"])
def test_whatever_is_wrong_with_a_file_the_shard_is_named_or_read(tmp_path, how):
    run = Run.create(tmp_path, {"fingerprint": "f"})
    run.write(0, [case()])
    told = []
    for file in sorted(p for p in run.shard(0).rglob("*") if p.is_file()):
        whole = file.read_bytes()
        wrong = {"cut": whole[: len(whole) // 2], "empty": b"", "zeros": bytes(len(whole))}
        file.write_bytes(wrong.get(how, b"\xff no such thing {"))
        try:
            list(run.cases())
        except StoreError as problem:
            told.append(str(problem))
        file.write_bytes(whole)
    assert len(told) >= 8
    assert all("shard 00000 of the run is damaged" in text for text in told)
    assert len(list(run.cases())) == 1


def test_a_shard_without_its_arrays_is_damaged(tmp_path):
    run = Run.create(tmp_path, {"fingerprint": "f"})
    run.write(0, [case()])
    shutil.rmtree(run.shard(0) / "arrays.zarr")
    with pytest.raises(StoreError, match="damaged"):
        list(run.cases())


def test_mappings_of_any_kind_are_kept(tmp_path):
    run = Run.create(tmp_path, {"fingerprint": "f"})
    facts = {"window": MappingProxyType({"center": np.float32(0.5)})}
    run.write(0, [replace(case(), facts=facts)])
    (kept,) = run.cases()
    assert kept.facts == {"window": {"center": 0.5}}


def test_the_log_is_kept_apart_and_survives_a_torn_line(tmp_path):
    run = Run.create(tmp_path, {"fingerprint": "f"})
    run.log("shard", number=3, seconds={"read": 0.5})
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"event": "cut of')
    (event,) = run.events()
    assert event["event"] == "shard"
    assert event["seconds"] == {"read": 0.5}


def test_values_that_are_not_plain_are_refused(tmp_path):
    run = Run.create(tmp_path, {"fingerprint": "f"})
    with pytest.raises(TypeError, match="object cannot be kept"):
        run.write(0, [replace(case(), facts={"what": object()})])
    assert not run.done(0)


def test_a_column_that_an_older_run_lacks_is_read_as_missing(tmp_path):
    run = Run.create(tmp_path / "run", {"fingerprint": "f"})
    run.write(0, [case(0), case(1)])
    path = run.shard(0) / "views.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["calibrated"]), path)
    (table,) = columns(run, "views", ("image", "calibrated"))
    assert table["calibrated"].null_count == len(table) > 0
    assert len(set(table["image"].to_pylist())) == 2
