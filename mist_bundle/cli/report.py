"""The verb that makes pages to look at."""

from __future__ import annotations

from mist_bundle.cli.kinds import CountOrNone, FileName, Workers
from mist_bundle.cli.words import bundle_folder, fail_for, optional_path


def report(
    bundle: FileName,
    output: FileName | None = None,
    dataset_dir: FileName | None = None,
    pictures: CountOrNone = 6,
    viewer: bool = True,
    viewer_cases: CountOrNone = 3,
    workers: Workers | None = None,
    overwrite: bool = False,
) -> None:
    """Write one HTML page about a bundle: data, plan, training, results, pictures of cases, and how to do it again.

    Args:
        bundle: the bundle's folder; what is not there yet is named with the command that makes it.
        output: the HTML file; report.html in the bundle's work folder by default.
        dataset_dir: folder of the cases, where it is not the one the bundle was made from.
        pictures: how many cases are shown in the part about the data.
        viewer: also write an interactive viewer beside the page (--noviewer for none).
        viewer_cases: how many cases the viewer holds.
        workers: processes, by default as many as are worth their start; or tcp://HOST:PORT of a Dask cluster.
        overwrite: replace a page that is there already.
    """
    from mist_bundle import pipeline

    made = pipeline.report(
        bundle_folder(bundle),
        optional_path(output),
        dataset_dir=optional_path(dataset_dir),
        pictures=pictures,
        viewer_cases=viewer_cases if viewer else 0,
        workers=workers,
        overwrite=overwrite,
    )
    print(f"Report: {made.page}")
    if made.viewer is not None:
        print(f"Viewer: {made.viewer}")
    elif viewer:
        print(f"Viewer: none ({made.no_viewer})")
    fail_for(made.problems, made.num_cases, "not readable")
