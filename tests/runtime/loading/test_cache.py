"""Preprocessed cases on disk: what names them, who builds them, and what happens to damaged entries."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import time
from collections import Counter
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged

from mist_bundle.runtime.loading import cache as cache_module
from mist_bundle.runtime.loading import prepared, volumes
from mist_bundle.runtime.loading.cache import ArrayCache, CacheBuildError, CacheFolderError
from mist_bundle.runtime.loading.volumes import ENTRY_FILE
from mist_bundle.runtime.transforms.nifti_reader import NiftiReader

from .synthetic import (
    Item,
    LoadArrays,
    array_cache,
    array_items,
    as_meta,
    nifti_items,
    nifti_transform,
    random_case,
)


def items_of(folder: Path, count: int) -> list[Item]:
    return array_items(folder / "raw", {f"c{number}": random_case(number, (9, 8, 7)) for number in range(count)})


def test_making_a_cache_touches_nothing(tmp_path: Path) -> None:
    ArrayCache(tmp_path / "cache", LoadArrays())
    assert list(tmp_path.iterdir()) == []


def test_nifti_cases_are_stored_as_arrays(tmp_path: Path) -> None:
    items = nifti_items(tmp_path / "raw", 2)
    transform = nifti_transform()
    cache = ArrayCache(tmp_path / "cache", transform, progress=False)
    for item, entry in zip(items, cache.build(items), strict=True):
        expected = transform(item)
        np.testing.assert_array_equal(entry.array("image"), expected["image"].numpy())
        np.testing.assert_array_equal(entry.array("label"), expected["label"].numpy())
        assert entry.array("image").dtype == np.float32
        assert entry.array("label").dtype == np.uint8
        np.testing.assert_allclose(entry.affine, expected["image"].affine.numpy())
        assert entry.id == item["id"]
        assert (cache.folder / cache.key(item)) == entry.folder


@pytest.mark.parametrize("workers", [1, 3])
def test_a_case_is_preprocessed_once(tmp_path: Path, workers: int) -> None:
    items = items_of(tmp_path, 5)
    log = tmp_path / "log"
    cache = ArrayCache(tmp_path / "cache", LoadArrays(log=log), workers=workers, progress=False)
    assert not cache.contains(items[0])
    first = cache.build([*items, items[0]])  # a case may be listed twice
    again = ArrayCache(tmp_path / "cache", LoadArrays(log=log), progress=False).build(items)
    assert first[:5] == again
    assert first[5] == first[0]
    assert [entry.id for entry in again] == [item["id"] for item in items]
    assert Counter(log.read_text().split()) == Counter(item["id"] for item in items)
    assert cache.contains(items[0])
    assert sorted(path.name for path in cache.folder.iterdir()) == sorted(entry.folder.name for entry in again)


def test_changed_data_or_preprocessing_never_meets_an_old_entry(tmp_path: Path) -> None:
    (item,) = items_of(tmp_path, 1)
    folder = tmp_path / "cache"
    old = array_cache(folder).get(item).array("image").copy()
    doubled = ArrayCache(folder, LoadArrays(factor=2.0)).get(item)
    np.testing.assert_array_equal(doubled.array("image"), old * 2)
    status = Path(item["image"][0]).stat()
    np.save(item["image"][0], np.full((1, 9, 8, 7), 5, np.float32))  # as many bytes as before
    os.utime(item["image"][0], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert set(array_cache(folder).get(item).array("image").ravel()) == {5.0}
    assert array_cache(folder).key(item) != array_cache(folder, recipe={"more": 1}).key(item)


def test_failing_cases_are_all_named_and_the_others_done(tmp_path: Path) -> None:
    items = items_of(tmp_path, 5)
    Path(items[1]["image"][0]).unlink()
    np.save(items[3]["label"], np.zeros((1, 2, 2, 2), np.uint8))
    cache = array_cache(tmp_path / "cache", workers=2)
    with pytest.raises(CacheBuildError) as error:
        cache.build(items)
    assert [name for name, _ in error.value.failures] == ["c1", "c3"]
    lines = str(error.value).splitlines()
    assert lines[0] == "2 of 5 cases could not be preprocessed:"
    assert lines[1].startswith("  c1: FileNotFoundError: 'image' names ")
    assert "differ in shape: {'image': (9, 8, 7), 'label': (2, 2, 2)}" in lines[2]
    assert [cache.contains(items[number]) for number in (0, 2, 4)] == [True, True, True]
    assert not list(cache.folder.glob(".*"))
    travelled = pickle.loads(pickle.dumps(error.value))
    assert (str(travelled), travelled.failures) == (str(error.value), error.value.failures)


def test_the_transform_that_failed_is_named_without_its_address(tmp_path: Path) -> None:
    (item,) = nifti_items(tmp_path / "raw", 1)
    Path(item["image"][1]).write_bytes(b"no NIfTI file")
    with pytest.raises(CacheBuildError, match=r"case0: .*\(in LoadImaged\)") as error:
        ArrayCache(tmp_path / "cache", nifti_transform(), progress=False).get(item)
    assert "0x" not in str(error.value)


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        (np.full((1, 3, 3, 3), np.nan), np.zeros((1, 3, 3, 3)), "'image' holds NaN or infinite values"),
        (np.zeros((3, 3, 3)), np.zeros((1, 3, 3, 3)), r"'image' must be \(C, X, Y, Z\) .* shape \(3, 3, 3\)"),
        (np.zeros((1, 3, 3, 3)), np.full((1, 3, 3, 3), 0.5), "'label' holds values that are not integers"),
        (np.zeros((1, 3, 3, 3)), np.full((1, 3, 3, 3), -1), "'label' must hold class indices .* from -1 to -1"),
        (np.zeros((1, 3, 3, 3)), np.full((1, 3, 3, 3), 40_000), "from 40000 to 40000"),
        (np.zeros((1, 3, 3, 3)), np.zeros((2, 3, 3, 3)), "'label' must have a single channel .* has 2 channels"),
    ],
)
def test_arrays_that_training_could_not_use_are_refused(
    tmp_path: Path, image: np.ndarray, label: np.ndarray, message: str
) -> None:
    (item,) = array_items(tmp_path / "raw", {"a": {"image": image, "label": label}})
    with pytest.raises(CacheBuildError, match=message):
        array_cache(tmp_path / "cache").get(item)


def test_a_transform_that_gives_something_else_is_refused(tmp_path: Path) -> None:
    (item,) = items_of(tmp_path, 1)
    with pytest.raises(CacheBuildError, match="must return a dictionary for each case, but returned list"):
        ArrayCache(tmp_path / "cache", lambda item: [item]).get(item)
    with pytest.raises(CacheBuildError, match="the preprocessed case has no 'label'"):
        ArrayCache(tmp_path / "cache", lambda item: {"image": np.zeros((1, 2, 2, 2))}).get(item)


def test_many_classes_are_stored_as_int16(tmp_path: Path) -> None:
    label = np.arange(300, dtype=np.int64).reshape(1, 10, 6, 5)
    (item,) = array_items(tmp_path / "raw", {"a": {"image": np.zeros(label.shape), "label": label}})
    entry = array_cache(tmp_path / "cache").get(item)
    assert entry.array("label").dtype == np.int16
    np.testing.assert_array_equal(entry.array("label"), label)
    assert [stored.index for stored in entry.classes] == list(range(1, 300))


def test_voxels_of_large_classes_are_a_random_choice(tmp_path: Path) -> None:
    label = np.ones((1, 40, 30, 20), np.uint8)
    label[:, :20] = 2
    label[0, 0, 0, :3] = 7
    (item,) = array_items(tmp_path / "raw", {"a": {"image": np.zeros(label.shape), "label": label}})
    entry = array_cache(tmp_path / "cache").get(item)
    assert [(c.index, c.num_rows, c.num_voxels) for c in entry.classes] == [
        (1, 10_000, 12_000),
        (2, 10_000, 11_997),
        (7, 3, 3),
    ]
    for stored in entry.classes:
        voxels = {entry.voxel(stored, number) for number in range(stored.num_rows)}
        assert len(voxels) == stored.num_rows
        assert {int(label[(0, *voxel)]) for voxel in voxels} == {stored.index}
    # not the first 10 000 of them
    assert max(entry.voxel(entry.classes[0], number)[0] for number in range(10_000)) == 39


def test_cases_without_labels_and_with_distance_maps(tmp_path: Path) -> None:
    case = random_case(0, (6, 6, 6), dtm=True)
    (item,) = array_items(tmp_path / "raw", {"a": case})
    entry = array_cache(tmp_path / "cache", ("image", "label", "dtm")).get(item)
    np.testing.assert_array_equal(entry.array("dtm"), case["dtm"])
    bare = array_cache(tmp_path / "cache", ("image",)).get({"image": item["image"]})
    assert bare.id == "a_image.npy"
    assert bare.classes == ()
    assert not bare.path("label").exists()


def test_the_affine_is_that_of_the_preprocessed_image(tmp_path: Path) -> None:
    (item,) = items_of(tmp_path, 1)
    affine = np.array([[0, 0, 2.5, 1], [-1, 0, 0, 3], [0, 1.25, 0, -7], [0, 0, 0, 1]])

    def transform(item: Item) -> dict[str, Any]:
        arrays = LoadArrays()(item)
        return {"image": as_meta(arrays["image"], affine), "label": as_meta(arrays["label"], affine)}

    np.testing.assert_array_equal(ArrayCache(tmp_path / "cache", transform).get(item).affine, affine)


# --- several processes ------------------------------------------------------------------------------------------------


class SlowLoad(LoadArrays):
    def __call__(self, item: Any) -> dict[str, Any]:
        time.sleep(0.05)
        return super().__call__(item)


def _build(folder: Path, items: list[Item], log: Path, queue: Any) -> None:
    cache = ArrayCache(folder, SlowLoad(log=log), progress=False)
    queue.put([entry.folder.name for entry in cache.build(items)])


def test_processes_that_build_at_once_share_the_work(tmp_path: Path) -> None:
    items = items_of(tmp_path, 12)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    log = tmp_path / "log"
    arguments = (tmp_path / "cache", items, log, queue)
    processes = [context.Process(target=_build, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    results = [queue.get(timeout=30) for _ in processes]
    for process in processes:
        process.join()
    assert results[0] == results[1] == results[2]
    assert Counter(log.read_text().split()) == Counter(item["id"] for item in items)
    assert not list((tmp_path / "cache").glob(".*"))


def test_a_case_that_a_killed_process_had_in_hand_is_taken_over(tmp_path: Path) -> None:
    (item,) = items_of(tmp_path, 1)
    cache = array_cache(tmp_path / "cache")
    cache.folder.mkdir()
    context = multiprocessing.get_context("fork")
    holds = context.Event()

    def hold() -> None:
        with cache_module._claim(cache.folder / f".{cache.key(item)}.lock", wait=False):
            holds.set()
            time.sleep(60)

    process = context.Process(target=hold)
    process.start()
    assert holds.wait(10)
    (cache.folder / f".{cache.key(item)}.0.partial").mkdir()
    process.kill()
    process.join()
    assert cache.get(item).id == "c0"


def test_the_slower_of_two_writers_leaves_the_entry_of_the_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (item,) = items_of(tmp_path, 1)
    cache = array_cache(tmp_path / "cache")
    entry = cache.get(item)
    inode = (entry.folder / ENTRY_FILE).stat().st_ino
    cache._write(cache.key(item), item)  # as where there are no locks
    assert (entry.folder / ENTRY_FILE).stat().st_ino == inode
    assert [path.name for path in cache.folder.iterdir()] == [entry.folder.name]


def test_what_an_interrupted_write_left_is_no_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (item,) = items_of(tmp_path, 1)
    cache = array_cache(tmp_path / "cache")

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(cache_module, "_publish", stop)
        with pytest.raises(KeyboardInterrupt):
            cache.get(item)
    assert not cache.contains(item)
    assert list(cache.folder.iterdir()) == []
    assert cache.get(item).id == "c0"


def test_a_full_cache_is_read_where_nothing_may_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = items_of(tmp_path, 2)
    cache = array_cache(tmp_path / "cache")
    cache.build(items)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(cache_module, "_claim", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    assert len(cache.build(items)) == 2


def test_the_bar_counts_the_missing_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = items_of(tmp_path, 3)
    cache = array_cache(tmp_path / "cache")
    cache.get(items[0])
    cache.build(items, progress=True)
    assert "2/2" in capsys.readouterr().err
    cache.build(items, progress=True)
    assert capsys.readouterr().err == ""


def test_without_tqdm_the_cache_is_built_silently(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    array_cache(tmp_path / "cache").build(items_of(tmp_path, 2), progress=True)
    assert capsys.readouterr().err == ""


# --- damage -----------------------------------------------------------------------------------------------------------


def _truncate(folder: Path) -> None:
    content = (folder / "image.npy").read_bytes()
    (folder / "image.npy").write_bytes(content[: len(content) // 2])


def _flip_a_byte(folder: Path) -> None:
    content = bytearray((folder / "label.npy").read_bytes())
    content[-1] ^= 1
    (folder / "label.npy").write_bytes(content)


DAMAGES = {
    "truncated": _truncate,
    "one byte": _flip_a_byte,
    "no array": lambda folder: (folder / "image.npy").unlink(),
    "no positions": lambda folder: (folder / "voxels.npy").unlink(),
    "no JSON": lambda folder: (folder / ENTRY_FILE).write_text("{"),
    "other JSON": lambda folder: (folder / ENTRY_FILE).write_text("[]"),
    "no entry": lambda folder: (folder / ENTRY_FILE).unlink(),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_only_damaged_entries_are_prepared_again(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    items = items_of(tmp_path, 3)
    log = tmp_path / "log"
    whole = ArrayCache(tmp_path / "cache", LoadArrays(log=log), progress=False).build(items)
    expected = [entry.array("image").copy() for entry in whole]
    DAMAGES[damage](whole[1].folder)
    log.unlink()
    cache = ArrayCache(tmp_path / "cache", LoadArrays(log=log), progress=False)
    assert not cache.contains(items[1])
    mended = cache.build(items)
    assert log.read_text().split() == ["c1"]
    assert "c1: its prepared arrays were damaged (" in caplog.text
    volumes.open_array.cache_clear()
    for entry, image in zip(mended, expected, strict=True):
        np.testing.assert_array_equal(entry.array("image"), image)
    assert not list(cache.folder.glob(".*"))


def test_copied_entries_are_as_good_as_their_originals(tmp_path: Path) -> None:
    items = items_of(tmp_path, 2)
    log = tmp_path / "log"
    for entry in ArrayCache(tmp_path / "cache", LoadArrays(log=log), progress=False).build(items):
        os.utime(entry.path("image"))  # what a copy without times looks like
    log.unlink()
    ArrayCache(tmp_path / "cache", LoadArrays(log=log), progress=False).build(items)
    assert not log.exists()


def test_a_folder_that_cannot_be_written_fails_no_case_but_the_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    items = items_of(tmp_path, 2)
    for folder in (tmp_path / "file" / "cache", tmp_path / "file"):
        with pytest.raises(CacheFolderError, match=r"prepared arrays cannot be written there: .* another --work_dir"):
            array_cache(folder).build_usable(items)


def test_a_full_disk_fails_no_case_but_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, array: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(prepared, "save_array", full)
    cache = array_cache(tmp_path / "cache")
    with pytest.raises(CacheFolderError, match="No space left on device") as error:
        cache.build(items_of(tmp_path, 2))
    assert error.value.errno == errno.ENOSPC
    assert not list(cache.folder.iterdir())
    assert str(pickle.loads(pickle.dumps(error.value))).endswith("--work_dir.")


def test_threads_do_not_mix_up_channels(tmp_path: Path) -> None:
    items = []
    for case in range(24):
        files = []
        for channel in range(3):
            path = tmp_path / f"{case}_{channel}.nii.gz"
            nibabel.save(nibabel.Nifti1Image(np.full((6, 5, 4), 10 * case + channel, np.float32), np.eye(4)), path)
            files.append(str(path))
        items.append({"id": str(case), "image": files})
    transform = Compose([LoadImaged("image", reader=NiftiReader, image_only=True), EnsureChannelFirstd("image")])
    cache = ArrayCache(tmp_path / "cache", transform, keys=["image"], workers=8)
    cache.build(items)
    for case, item in enumerate(items):
        values = np.asarray(cache.get(item).array("image"))[:, 0, 0, 0].tolist()
        assert values == [10 * case, 10 * case + 1, 10 * case + 2]
