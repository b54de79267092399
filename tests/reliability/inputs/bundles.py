"""Bundles that were changed or damaged, weights that are none, and images at prediction time."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from tests.reliability.inputs.judge import Answer, BrokenInput
from tests.reliability.inputs.site import Site, change_voxels, edit_json

FILES = "files of a bundle"
WEIGHTS = "weights and training states"
ZIPS = "zip files of bundles"
SCANS = "images and tables for predict"
Harm = Callable[[Site], object]


def _shorter(path: Path, part: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])


def _words(verb: str, site: Site) -> list[str]:
    words = {
        "train": ["train", str(site.bundle)],
        "resume": ["train", str(site.bundle), "--resume", "--epochs", "3", "--val_interval", "1"],
        "preprocess": ["preprocess", str(site.bundle)],
        "predict": ["predict", str(site.bundle), str(site.data / "test"), str(site.folder / "predicted")],
        "evaluate": ["evaluate", str(site.bundle)],
        "publish": ["publish", str(site.bundle)],
        "pack": ["pack", str(site.bundle), str(site.folder / "packed.zip")],
        "export": ["export", str(site.bundle), "--format", "state_dict", "--output", str(site.folder / "exported")],
        "finetune": ["finetune", str(site.bundle), str(site.description), "--output", str(site.folder / "tuned")],
        "report": ["report", str(site.bundle), "--output", str(site.folder / "report.html")],
    }
    return words[verb]


def _after(harm: Harm, verb: str) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        harm(site)
        return _words(verb, site)

    return command


def _config(site: Site, name: str = "train") -> Path:
    return site.bundle / "configs" / f"{name}.json"


# what is done, the verb that meets it, and what the refusal says
CHANGED: dict[str, tuple[Harm, str, tuple[str, ...]]] = {
    "train.json that ends too early": (lambda s: _shorter(_config(s)), "train", ("train.json",)),
    "no train.json": (lambda s: _config(s).unlink(), "train", ("train.json",)),
    "no plan.json": (lambda s: _config(s, "plan").unlink(), "train", ("plan.json",)),
    "no datalist.json": (lambda s: _config(s, "datalist").unlink(), "preprocess", ("datalist.json",)),
    "an expression of a stranger": (
        lambda s: edit_json(_config(s), epochs="$__import__('os').system('true')"),
        "train",
        ("train.json", "audit"),
    ),
    "a script that was changed": (
        lambda s: (s.bundle / "scripts/__init__.py").write_text("print('hello')\n"),
        "train",
        ("scripts/__init__.py", "audit"),
    ),
    "a script that was added": (
        lambda s: s.write(f"out/{s.bundle.name}/scripts/new.py", "x = 1\n"),
        "train",
        ("new.py",),
    ),
    "a manifest that is not JSON": (lambda s: (s.bundle / "MANIFEST.json").write_text("{"), "pack", ("MANIFEST.json",)),
    "an inference.json of a stranger": (
        lambda s: edit_json(_config(s, "inference"), network_def={"_target_": "os.system", "command": "true"}),
        "predict",
        ("inference.json", "os.system"),
    ),
    "a bundle that is an empty folder": (
        lambda s: (shutil.rmtree(s.bundle), s.bundle.mkdir()),
        "train",
        ("not a bundle",),
    ),
}
DAMAGED: dict[str, tuple[Harm, str, tuple[str, ...]]] = {
    "a truncated model.pt": (lambda s: _shorter(s.bundle / "models/model.pt"), "predict", ("model.pt",)),
    "an empty model.pt": (lambda s: (s.bundle / "models/model.pt").write_bytes(b""), "predict", ("model.pt",)),
    "text under the name of weights": (
        lambda s: (s.bundle / "models/model.pt").write_bytes(b"weights"),
        "predict",
        ("model.pt",),
    ),
    "a pickle that runs a program": (
        lambda s: (s.bundle / "models/model.pt").write_bytes(b"cos\nsystem\n(S'true'\ntR."),
        "predict",
        ("model.pt",),
    ),
    "weights that the manifest does not know": (
        lambda s: shutil.copy(s.work / "fold_1/last.pt", s.bundle / "models/fold_0.pt"),
        "predict",
        ("fold_0.pt",),
    ),
    "a truncated fold_0.pt": (lambda s: _shorter(s.bundle / "models/fold_0.pt"), "evaluate", ("fold_0.pt",)),
    "truncated weights for fine-tuning": (
        lambda s: _shorter(s.bundle / "models/model.pt"),
        "finetune",
        ("model.pt",),
    ),
    "truncated weights to export": (lambda s: _shorter(s.bundle / "models/model.pt"), "export", ("model.pt",)),
    "truncated weights to pack": (lambda s: _shorter(s.bundle / "models/model.pt"), "pack", ("model.pt",)),
    "best weights in the work folder that are not those of the training": (
        lambda s: [path.write_bytes(b"x") for path in (s.work / "fold_0").glob("best_*.pt")],
        "publish",
        ("best_", "status.json"),
    ),
}


def _zip(site: Site, change: Callable[[zipfile.ZipFile, str], object]) -> list[str]:
    path = site.folder / "made.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(site.bundle.rglob("*")):
            if file.is_file():
                archive.write(file, f"{site.bundle.name}/{file.relative_to(site.bundle)}")
        change(archive, site.bundle.name)
    return ["unpack", str(path), "--output", str(site.folder / "unpacked")]


def _shorter_zip(site: Site) -> list[str]:
    words = _zip(site, lambda archive, name: None)
    _shorter(site.folder / "made.zip")
    return words


REFUSED_ZIPS: dict[str, tuple[Callable[[Site], list[str]], tuple[str, ...]]] = {
    "a truncated zip": (_shorter_zip, ("made.zip",)),
    "a file that climbs out of its folder": (
        lambda s: _zip(s, lambda z, n: z.writestr("../evil.txt", "x")),
        ("evil.txt",),
    ),
    "a file with an absolute path": (lambda s: _zip(s, lambda z, n: z.writestr("/evil.txt", "x")), ("evil.txt",)),
    "two folders at the top": (lambda s: _zip(s, lambda z, n: z.writestr("other/file.txt", "x")), ("other",)),
    "a file that the manifest does not list": (
        lambda s: _zip(s, lambda z, n: z.writestr(f"{n}/scripts/new.py", "x = 1")),
        ("new.py",),
    ),
    "a zip that is empty": (lambda s: _empty_zip(s), ("made.zip",)),
}


def _empty_zip(site: Site) -> list[str]:
    zipfile.ZipFile(site.folder / "made.zip", "w").close()
    return ["unpack", str(site.folder / "made.zip"), "--output", str(site.folder / "unpacked")]


def _table(text: str, name: str = "cases.csv") -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        table = site.write(name, text)
        return ["predict", str(site.bundle), str(table), str(site.folder / "predicted")]

    return command


REFUSED_SCANS: dict[str, tuple[Callable[[Site], list[str]], tuple[str, ...]]] = {
    "a table without a channel": (_table("id,t1\na,data/test/mr2_007/t1.nii.gz\n"), ("t2",)),
    "a table without an id": (_table("t1,t2\na,b\n"), ("id",)),
    "a table without rows": (_table("id,t1,t2\n"), ("cases.csv",)),
    "an empty table": (_table(""), ("cases.csv",)),
    "a table of files that are not there": (_table("id,t1,t2\na,x.nii.gz,y.nii.gz\n"), ("x.nii.gz", "does not exist")),
    "a file for two channels": (
        _table("id,t1,t2\na,data/test/mr2_007/t1.nii.gz,data/test/mr2_007/t1.nii.gz\n"),
        ("two channels",),
    ),
    "JSON that is not a table": (_table('{"a": 1}', "cases.json"), ("cases.json",)),
    "JSON that ends too early": (_table("[", "cases.json"), ("cases.json",)),
    "an id that is a path": (
        _table("id,t1,t2\n../x,data/test/mr2_007/t1.nii.gz,data/test/mr2_007/t2.nii.gz\n"),
        ("../x",),
    ),
    "one image for a model of two channels": (
        lambda s: ["predict", str(s.bundle), str(s.image), str(s.folder / "predicted")],
        ("2 channels",),
    ),
    "a folder without images": (
        lambda s: (
            (s.folder / "empty").mkdir(),
            [*_words("predict", s)[:2], str(s.folder / "empty"), str(s.folder / "p")],
        )[1],
        ("empty",),
    ),
    "a label map of the user's in the way": (
        lambda s: (s.write("predicted/mr2_007.nii.gz", b"mine"), _words("predict", s))[1],
        ("mr2_007.nii.gz", "--overwrite"),
    ),
}


def _spoilt_scans(site: Site) -> list[str]:
    """Five cases that cannot be predicted beside a good one."""
    good = site.data / "test/mr2_007"
    for name in ("truncated", "nan", "grids", "missing", "series"):
        shutil.copytree(good, site.data / "test" / name)
    _shorter(site.data / "test/truncated/t1.nii.gz")
    change_voxels(site.data / "test/nan/t1.nii.gz", lambda a: np.full(a.shape, np.nan, np.float32))
    change_voxels(site.data / "test/grids/t2.nii.gz", lambda a: a[:-2])
    (site.data / "test/missing/t2.nii.gz").unlink()
    change_voxels(site.data / "test/series/t1.nii.gz", lambda a: np.stack([a, a], -1))
    return _words("predict", site)


def _predicted(site: Site) -> int:
    return len(list((site.folder / "predicted").glob("*.nii.gz")))


def _blank(site: Site) -> list[str]:
    change_voxels(site.data / "test/mr2_007/t1.nii.gz", np.zeros_like)
    return _words("predict", site)


def _far_spacing(site: Site) -> list[str]:
    for path in (site.data / "test/mr2_007").glob("t*.nii.gz"):
        image = nib.load(path)
        larger = nib.Nifti1Image(np.array(image.dataobj), image.affine @ np.diag([8, 8, 8, 1]))
        path.unlink()
        nib.save(larger, path)
    return _words("predict", site)


def inputs() -> list[BrokenInput]:
    """All of them."""
    found = []
    for name, (harm, verb, says) in CHANGED.items():
        state = "trained" if verb == "predict" else "configured"
        row = BrokenInput(
            kind=FILES, name=name, command=_after(harm, verb), answer=Answer.REFUSED, says=says, state=state
        )
        found.append(row)
    for name, (harm, verb, says) in DAMAGED.items():
        row = BrokenInput(
            kind=WEIGHTS, name=name, command=_after(harm, verb), answer=Answer.REFUSED, says=says, state="trained"
        )
        found.append(row)
    for kind, state, rows in ((ZIPS, "configured", REFUSED_ZIPS), (SCANS, "trained", REFUSED_SCANS)):
        for name, (command, says) in rows.items():
            found.append(
                BrokenInput(kind=kind, name=name, command=command, answer=Answer.REFUSED, says=says, state=state)
            )
    for case, says in (
        ("truncated", "cut short"),
        ("nan", "NaN"),
        ("grids", "shape"),
        ("missing", "t2"),
        ("series", "dimension"),
    ):
        row = BrokenInput(
            kind=SCANS,
            name=f"a case that is spoilt ({case}) beside a good one",
            command=_spoilt_scans,
            answer=Answer.CASE_NAMED,
            says=(case, says),
            state="trained",
            left=_predicted,
            num_left=1,
            starts=True,
        )
        found.append(row)
    for name, command in (("a blank image", _blank), ("voxels eight times as large", _far_spacing)):
        row = BrokenInput(
            kind=SCANS,
            name=name,
            command=command,
            answer=Answer.WARNED,
            says=("mr2_007",),
            state="trained",
            starts=True,
        )
        found.append(row)
    for name, harm, verb in (
        ("a truncated last.pt", lambda s: _shorter(s.work / "fold_0/last.pt"), "resume"),
        ("a truncated prepared array", lambda s: [_shorter(p) for p in s.work.glob("cache/*/image.npy")], "resume"),
        (
            "a prepared array with other numbers",
            lambda s: [_flip(p) for p in s.work.glob("cache/*/image.npy")],
            "resume",
        ),
    ):
        row = BrokenInput(
            kind=WEIGHTS,
            name=name,
            command=_after(harm, verb),
            answer=Answer.ACCEPTED,  # the state before is taken, the array made anew
            says=(),
            state="trained",
            starts=True,
        )
        found.append(row)
    return found


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(bytes(content))
