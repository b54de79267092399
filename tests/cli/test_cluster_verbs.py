"""Every verb that works on many cases, on a Dask cluster of two workers one of which is killed while it works."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mist_bundle import cli
from mist_bundle.bundle.folder import Bundle
from mist_bundle.errors import EXIT_OK
from mist_bundle.files import work_dir_of
from mist_bundle.runtime.folds.files import sha256_of
from tests.dask_cluster import DaskCluster, dask_cluster

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow
KILL_SECONDS = 1.5  # after the start of a verb


class Losing:
    """Runs verbs on a cluster, and kills a worker in each of them; another one is there before the next."""

    def __init__(self, cluster: DaskCluster) -> None:
        self.cluster = cluster
        self.workers: list[subprocess.Popen[bytes]] = cluster.processes[1:]

    def run(self, *words: str) -> None:
        """Run a verb with the cluster as its workers."""
        victim = self.workers.pop(0)
        killer = threading.Timer(KILL_SECONDS, victim.kill)
        killer.start()
        code = cli.main([*words, "--workers", self.cluster.address])
        killer.join()
        assert code == EXIT_OK
        assert victim.wait() != 0
        self.workers.append(self.cluster.add_worker())


@pytest.fixture
def losing(tmp_path: Path) -> Iterator[Callable[..., None]]:
    with dask_cluster(tmp_path / "dask") as cluster:
        yield Losing(cluster).run


def _labels(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in sorted(folder.glob("*.nii.gz"))}


def test_analyze_and_autoconfig(losing: Callable[..., None], phantom_json: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    words = ["--recipe", "quick", "--folds", "2"]
    assert cli.main(["analyze", str(phantom_json), "--output", str(here), "--pictures", "0"]) == EXIT_OK
    assert cli.main(["autoconfig", str(phantom_json), "--output", str(here), *words]) == EXIT_OK
    losing("analyze", str(phantom_json), "--output", str(there), "--pictures", "0")
    losing("autoconfig", str(phantom_json), "--output", str(there), *words)
    names = ["fingerprint.json", "data_report.json", "phantom_mr2_segmentation/configs/plan.json"]
    for name in names:
        assert json.loads((there / name).read_text()) == json.loads((here / name).read_text()), name


def test_preprocess_and_predict(losing: Callable[..., None], trained_bundle: Path, tmp_path: Path) -> None:
    bundle = tmp_path / trained_bundle.name
    shutil.copytree(trained_bundle, bundle, symlinks=True)
    data = str(_dataset_dir(trained_bundle))
    losing("preprocess", str(bundle), "--dataset_dir", data)
    entries = list((Bundle(bundle).work_dir / "cache").glob("*/entry.json"))
    assert len(entries) == len(Bundle(bundle).datalist.training)
    here, there = tmp_path / "here", tmp_path / "there"
    assert cli.main(["predict", str(bundle), data, str(here), "--device", "cpu"]) == EXIT_OK
    losing("predict", str(bundle), data, str(there), "--device", "cpu")
    assert len(_labels(here)) == len(entries)
    assert _labels(there) == _labels(here)


def test_evaluate_a_bundle(losing: Callable[..., None], trained_bundle: Path, tmp_path: Path) -> None:
    bundle = tmp_path / trained_bundle.name
    shutil.copytree(trained_bundle, bundle, symlinks=True)
    shutil.copytree(work_dir_of(trained_bundle), work_dir_of(bundle), ignore=shutil.ignore_patterns("cache"))
    fold = work_dir_of(bundle) / "fold_0"
    scores = {name: (fold / name).read_text() for name in ("results.csv", "results.json")}
    label_maps = _labels(fold / "predictions")
    shutil.rmtree(fold / "predictions")
    losing("evaluate", str(bundle), "--fold", "0", "--dataset_dir", str(_dataset_dir(trained_bundle)))
    assert {name: (fold / name).read_text() for name in scores} == scores
    assert _labels(fold / "predictions") == label_maps
    assert len(label_maps) == json.loads(scores["results.json"])["num_cases"] > 1


def _dataset_dir(bundle: Path) -> Path:
    from mist_bundle.bundle.launch import configured_dataset_dir

    return configured_dataset_dir(bundle)


def test_evaluate_postprocess_and_ensemble(losing: Callable[..., None], phantom_json: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for case in sorted((phantom_json.parent / "train").iterdir()):
        shutil.copy(next(case.glob("*mask*.nii.gz")), masks / f"{case.name}.nii.gz")
    strategy = tmp_path / "strategy.json"
    step = {"transform": "keep_top_k_components", "apply_to_labels": [1], "per_label": True, "kwargs": {"top_k": 1}}
    strategy.write_text(json.dumps({"strategy": [step]}))
    copies = tmp_path / "copies"
    shutil.copytree(masks, copies)
    for name, run in (("here", lambda *words: cli.main(list(words))), ("there", losing)):
        output = tmp_path / name
        reference = ["--reference", str(phantom_json), "--prediction", str(masks)]
        run("evaluate", *reference, "--output", str(output / "results.csv"))
        run("postprocess", str(masks), str(strategy), "--output", str(output / "post"))
        run("ensemble", str(masks), str(copies), "--output", str(output / "both"), "--labels", "0,1,2,4")
    for name in ("post/predictions", "both"):
        assert _labels(tmp_path / "there" / name) == _labels(tmp_path / "here" / name)
        assert _labels(tmp_path / "here" / name)
    tables = [(tmp_path / name / "results.csv").read_text() for name in ("here", "there")]
    assert tables[0] == tables[1]
