"""Files and folders appear complete or not at all; what cannot be read is named with the reason."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mist_bundle.errors import InputError
from mist_bundle.files import (
    adopt_file,
    as_json,
    check_can_write,
    new_folder,
    parse_json,
    read_json,
    read_text,
    real_path,
    refuse_existing,
    remove_leavings,
    write_bytes,
    write_json,
    write_text,
)


def test_json_comes_back(tmp_path: Path) -> None:
    value = {"b": [1, 2.5, None], "a": "Ünïcode"}
    write_json(tmp_path / "new/x.json", value)
    assert read_json(tmp_path / "new/x.json") == value
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new/x.json"]
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "new/x.json", float("nan"))
    assert read_json(tmp_path / "new/x.json") == value


def test_a_failed_write_leaves_the_former_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    write_bytes(path, b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_have_the_permissions_of_any_file_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("x")
    write_bytes(tmp_path / "written", b"x")
    (tmp_path / "temporary").touch(mode=0o600)
    adopt_file(tmp_path / "temporary", tmp_path / "adopted")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("usual", "written", "adopted")}
    assert len(modes) == 1
    assert not (tmp_path / "temporary").exists()


def _fail_half_way(target: Path) -> None:
    with new_folder(target) as folder:
        (folder / "x").write_text("half")
        raise RuntimeError


def test_a_folder_appears_when_its_block_ends_well(tmp_path: Path) -> None:
    target = tmp_path / "a/b"
    with pytest.raises(RuntimeError):
        _fail_half_way(target)
    assert list(tmp_path.iterdir()) == []
    with new_folder(target) as folder:
        (folder / "x").write_text("whole")
        assert not target.exists()
    assert (target / "x").read_text() == "whole"
    with pytest.raises(InputError, match="--overwrite"), new_folder(target):
        pass
    with new_folder(target, overwrite=True) as folder:
        (folder / "y").write_text("other")
    assert [path.name for path in target.iterdir()] == ["y"]
    assert list((tmp_path / "a").iterdir()) == [target]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not valid JSON: .* line 1, column 2"),
        (b"\xff", "is not UTF-8 text"),
        (b'{"a": 1, "a": 2}', "a: occurs more than once"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5000, "too long"),
        (b'"\\ud800"', "half a character"),
    ],
)
def test_what_is_no_json_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_json(tmp_path / "x.json")


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_text(tmp_path / "x") == "[1]"
    assert parse_json("[1]", "x") == json.loads("[1]")


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("pipe", "not a regular file"), (".", "is a folder"), ("gone", "cannot be read")):
        with pytest.raises(InputError, match=message):
            read_text(tmp_path / name)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    check_can_write(tmp_path / "a/b/c")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is not a folder"):
        check_can_write(tmp_path / "file/below")
    refuse_existing(tmp_path / "new", overwrite=False)
    refuse_existing(tmp_path / "file", overwrite=True)
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "dangling"):
        with pytest.raises(InputError, match="exists already"):
            refuse_existing(tmp_path / name, overwrite=False)


KILLED = """
import os, signal, sys
from pathlib import Path
import mist_bundle.files as files
step = sys.argv[2]
real = os.replace
def replace(source, target):
    real(source, target)
    if step == "replaced" and Path(target).parent.suffix == ".old":
        os.kill(os.getpid(), 9)
os.replace = replace
with files.new_folder(Path(sys.argv[1]), overwrite=True) as folder:
    (folder / "new").write_text("new")
    if step == "filled":
        os.kill(os.getpid(), 9)
    if step == "running":
        print("ready", flush=True)
        sys.stdin.readline()
"""


def _killed(target: Path, step: str) -> None:
    words = [sys.executable, "-c", KILLED, str(target), step]
    assert subprocess.run(words, check=False).returncode == -9
    assert len(list(target.parent.glob(".*"))) > 0


def test_what_a_killed_command_left_is_removed_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = tmp_path / "bundle"
    _killed(target, "filled")
    (tmp_path / ".bundle.other.partial").mkdir()  # of somebody else
    with new_folder(target) as folder:
        (folder / "x").write_text("whole")
    assert "a command that was killed had left it unfinished" in caplog.text
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", ".bundle.other.partial"}


def test_a_folder_that_was_being_replaced_comes_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "old").write_text("precious")
    _killed(target, "replaced")
    assert not target.exists()
    with pytest.raises(InputError, match="exists already"), new_folder(target):
        pass
    assert (target / "old").read_text() == "precious"
    assert "it is back" in caplog.text
    assert list(tmp_path.iterdir()) == [target]


def test_the_folder_of_a_running_command_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    words = [sys.executable, "-c", KILLED, str(target), "running"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        remove_leavings(target)
        other.communicate("go on\n")
    assert other.returncode == 0
    assert (target / "new").read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_read_is_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    source = tmp_path / "data" / "predictions"
    source.mkdir(parents=True)
    (source / "a.nii.gz").write_text("precious")
    for target in (source, source.parent):
        with (
            pytest.raises(InputError, match=r"would replace .*, which is read"),
            new_folder(target, overwrite=overwrite, inputs=[source]),
        ):
            pass
    with pytest.raises(InputError, match="lies within"), new_folder(source / "new", inputs=[source]):
        pass
    assert (source / "a.nii.gz").read_text() == "precious"
    with new_folder(source.parent / "new", inputs=[source]):
        pass


def test_the_working_directory_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here/inside").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here/inside")
    for target in (Path(), tmp_path / "here"):
        with pytest.raises(InputError, match="holds the working directory"), new_folder(target, overwrite=True):
            pass
    with new_folder(Path("new"), overwrite=True):
        pass


def test_a_device_is_not_replaced() -> None:
    with pytest.raises(InputError, match="is a device, pipe or socket"):
        refuse_existing(Path(os.devnull), overwrite=True)


def test_a_link_that_leads_to_itself_is_a_path_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert real_path(tmp_path / "loop") == tmp_path.resolve() / "loop"
    (tmp_path / "link").symlink_to(tmp_path)
    assert real_path(tmp_path / "link" / "x") == tmp_path.resolve() / "x"


def test_the_name_of_a_file_that_is_no_text_is_not_written(tmp_path: Path) -> None:
    name = os.fsdecode(b"scan\xff.nii.gz")
    with pytest.raises(InputError, match=r"scan\\udcff\.nii\.gz.* is not UTF-8"):
        write_text(tmp_path / "a.csv", f"id,image\na,{name}\n")
    assert list(tmp_path.iterdir()) == []


def test_only_what_bears_the_mark_is_replaced(tmp_path: Path) -> None:
    """With --overwrite, too: a folder of something else is the user's."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("own", "file"):
        replaced = new_folder(tmp_path / name, overwrite=True, mark="dataset.json")
        with pytest.raises(InputError, match=r"holds no dataset\.json"), replaced:
            pass
    assert (tmp_path / "own" / "notes.txt").read_text() == (tmp_path / "file").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    (tmp_path / "own" / "dataset.json").write_text("{}")
    for name in ("own", "empty", "new"):
        with new_folder(tmp_path / name, overwrite=True, mark="dataset.json") as folder:
            (folder / "dataset.json").write_text("[]")
        assert [path.name for path in (tmp_path / name).iterdir()] == ["dataset.json"]


def test_a_value_is_shown_as_json_has_it() -> None:
    assert as_json([None, True, "ü", 0.5]) == '[null, true, "ü", 0.5]'
    assert as_json("x" * 200) == '"' + "x" * 79 + " …"
