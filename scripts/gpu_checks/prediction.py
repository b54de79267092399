"""Seconds and peak memory of a prediction: the bundle's own inference of a phantom, from file to file."""

from __future__ import annotations

import time
from functools import partial

from bench import Bench, Figures
from phantom_bundles import bundle_of, parser, phantom, random_weights

from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.files import write_json
from mist_bundle.runtime.predictions.records import volume_path

NETWORKS = ("nnunet", "nnunet-pocket")
TIMES = ("first", "again")  # the first time, cuDNN tries its algorithms


def check(bench: Bench) -> None:
    """Report each network, twice."""
    for network in NETWORKS:
        for which in TIMES:
            bench.attempt(f"{network}, {which}", partial(predict, bench, network, which), 5.0 if bench.on_gpu else 0.0)


def predict(bench: Bench, network: str, which: str) -> Figures:
    """Seconds of a case, and the peak of memory."""
    bundle = bundle_of(bench, network)
    random_weights(bench, bundle)
    case = find_cases(DatasetSpec.from_json(phantom(bench))).cases[0]
    datalist = bench.folder / "datalist.json"
    output = bench.folder / f"{network} {which}"  # what lies in a folder is not predicted again
    images = list(map(str, case.images.values()))
    write_json(datalist, {"training": [], "testing": [{"id": case.id, "image": images}]})
    settings = parser(
        bench,
        bundle,
        "inference",
        datalist=str(datalist),
        dataset_dir=str(bench.folder),
        output_dir=str(output),
    )
    bench.synchronize()
    bench.reset_peak()
    begun = time.perf_counter()
    settings.get_parsed_content("run")
    bench.synchronize()
    seconds = time.perf_counter() - begun
    if not volume_path(output, case.id).is_file():
        raise FileNotFoundError(volume_path(output, case.id))
    return {"seconds": round(seconds, 2), "peak GB": bench.peak_gb()}
