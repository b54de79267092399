"""The class Bundle: a bundle's folder, with everything that can be done with it as a method."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mist_bundle.api.arguments import checked, takes
from mist_bundle.api.kinds import (
    ALL,
    HARDWARE,
    METRICS,
    SCORING,
    AnyPath,
    Count,
    CountOrNone,
    Device,
    Devices,
    FileName,
    Folds,
    Fraction,
    OutputFormat,
    Processes,
    SegmentCodes,
    Weights,
    Words,
    Workers,
    chosen_folds,
)
from mist_bundle.api.paths import absolute_text, optional_path
from mist_bundle.api.scoring import named_scoring, scoring_of
from mist_bundle.api.warn import warn
from mist_bundle.bundle import folder
from mist_bundle.errors import Problem
from mist_bundle.planning.devices import DEVICES
from mist_bundle.runtime.values import Number, Text, Word

if TYPE_CHECKING:
    from mist_bundle.evaluation.calibrate import Calibration
    from mist_bundle.evaluation.change import Change
    from mist_bundle.evaluation.choose_postprocessing import Choice
    from mist_bundle.planning.estimates import Estimate
    from mist_bundle.report.bundle_report import Reported
    from mist_bundle.sharing.container import Recipe
    from mist_bundle.sharing.data_only import DataOnly
    from mist_bundle.sharing.export import ExportReport
    from mist_bundle.sharing.pack import Packed
    from mist_bundle.sharing.triton import TritonModel
    from mist_bundle.trust.audit.finding import Report
    from mist_bundle.verify.report import Verification

Scores = dict[str, dict[str, float]]
Announce = Callable[[str], None]

# Heavy imports stand inside the methods, so that the command line answers --help at once.


class Bundle(folder.Bundle):
    """A bundle's folder: its content, and methods to train, evaluate, use, check and share it.

    Args:
        root: the folder.

    Raises:
        InputError: the folder is not a bundle.
    """

    def __init__(self, root: AnyPath) -> None:
        super().__init__(Path(root))

    def __repr__(self) -> str:
        return f"Bundle({str(self.root)!r})"

    @checked
    def estimate(
        self,
        device: Annotated[str, Word(choices=tuple(DEVICES), what="device")] | None = None,
        *,
        steps: CountOrNone = 3,
        trust: bool = False,
    ) -> Estimate:
        """Estimate what training all folds will take: memory, time and disk.

        Args:
            device: a GPU to model, like a100-80, h100, rtx4090 or t4; by default this machine, where steps are timed.
            steps: steps that are timed; 0 to model this machine too.
            trust: run a bundle that does not pass `audit`.
        """
        from mist_bundle import pipeline
        from mist_bundle.planning.estimates import estimate_warnings

        found = pipeline.estimate(self.root, device, steps=steps, trust=trust)
        if device is not None or steps:
            warn(estimate_warnings(self.plan, found))
        return found

    @checked
    def slurm(
        self,
        output: FileName | None = None,
        *,
        partition: str | None = None,
        account: str | None = None,
        time: str = "24:00:00",
        gpus: CountOrNone = 1,
        cpus: Count = 8,
        memory_gb: Count = 32,
        tasks: Count = 4,
        setup: str | None = None,
        trust: bool = False,
        overwrite: bool = False,
    ) -> Path:
        """Write the batch files of a cross-validation on a Slurm cluster, and the script that submits them.

        Args:
            output: folder of the files and logs; slurm/ in the work folder by default.
            partition: partition of the jobs; by default that of the cluster.
            account: account that is billed; by default that of the user.
            time: limit of each job, like 24:00:00 or 2-00; longer trainings are requeued and continue.
            gpus: GPUs of each fold; 0 to train on CPUs.
            cpus: CPU cores of each job.
            memory_gb: gigabytes of main memory of each job.
            tasks: jobs that share the preparation of the cases.
            setup: a line of shell before each job, like 'module load python; source venv/bin/activate'.
            trust: run a bundle that does not pass `audit`.
            overwrite: replace existing files.

        Returns:
            The script that submits the jobs.
        """
        from mist_bundle.pipeline.slurm import SlurmJob, write_slurm

        job = SlurmJob(
            partition=partition or "",
            account=account or "",
            time=time,
            gpus=gpus,
            cpus=cpus,
            memory_gb=memory_gb,
            tasks=tasks,
            setup=setup or "",
        )
        folder = self.work_dir / "slurm" if output is None else Path(output)
        return write_slurm(self.root, folder, job, trust=trust, overwrite=overwrite)

    @checked
    def kubernetes(
        self,
        output: FileName | None = None,
        *,
        image: str,
        claim: str,
        mount: str = "/workspace",
        path: str | None = None,
        gpus: CountOrNone = 1,
        cpus: Count = 8,
        memory_gb: Count = 32,
        trust: bool = False,
        overwrite: bool = False,
    ) -> Path:
        """Write the Job manifests of a cross-validation on a Kubernetes cluster, and the script that applies them.

        Args:
            output: folder of the files; kubernetes/ in the work folder by default.
            image: container image with mist-bundle in it.
            claim: PersistentVolumeClaim that holds the bundle and its data.
            mount: where the claim appears in the container.
            path: path of the bundle in the container; by default its name under the mount.
            gpus: GPUs of each fold; 0 to train on CPUs.
            cpus: CPU cores of each container.
            memory_gb: gigabytes of main memory of each container.
            trust: run a bundle that does not pass `audit`.
            overwrite: replace existing files.

        Returns:
            The script that applies the manifests.
        """
        from mist_bundle.pipeline.kubernetes import KubernetesJob, write_kubernetes

        job = KubernetesJob(image=image, claim=claim, mount=mount, path=path, gpus=gpus, cpus=cpus, memory_gb=memory_gb)
        folder = self.work_dir / "kubernetes" if output is None else Path(output)
        return write_kubernetes(self.root, folder, job, trust=trust, overwrite=overwrite)

    @checked
    def preprocess(
        self,
        *,
        dataset_dir: FileName | None = None,
        workers: Workers | None = None,
        trust: bool = False,
        **overrides: Any,
    ) -> Path:
        """Prepare all training arrays ahead of time; training would do it on first use.

        Args:
            dataset_dir: folder of the cases, if they have moved since the bundle was configured.
            workers: cases prepared at the same time, by default as many as cores and memory allow (at most 8); or
                tcp://HOST:PORT of a Dask cluster.
            trust: run a bundle that does not pass `audit`.
            **overrides: any other id of preprocess.json.

        Returns:
            The folder of the prepared arrays.
        """
        from mist_bundle import pipeline

        settings = {"dataset_dir": absolute_text(dataset_dir), **overrides}
        pipeline.preprocess(self.root, settings, workers=workers, trust=trust)
        return self.work_dir / "cache"

    @checked
    @takes(HARDWARE, any_other=True)
    def train(
        self,
        fold: Folds = ALL,
        *,
        resume: bool = False,
        device: Device | None = None,
        parallel: Processes = 1,
        dataset_dir: FileName | None = None,
        overwrite: bool = False,
        trust: bool = False,
        announce: Announce | None = None,
        **overrides: Any,
    ) -> Bundle:
        """Train a bundle. The best weights of a fold are published, into models/, when its training ends.

        Args:
            fold: a fold, several (0,1), or all.
            resume: continue after the last finished epoch, with the settings that the fold was started with; more
                epochs extend it. Folds that are complete are skipped.
            device: cpu, cuda or cuda:1.
            parallel: folds that are trained side by side; they share the GPUs or cores.
            dataset_dir: folder of the cases, if they have moved since the bundle was configured.
            overwrite: train again folds that were trained before; their earlier training is lost.
            trust: run a bundle that does not pass `audit`.
            announce: a function that is called with a heading before each fold, such as `print`.
            **overrides: any id of train.json: epochs, steps_per_epoch, batch_size, patch_size, learning_rate …

        Raises:
            InputError: a fold, id or value is impossible, or a fold was trained before; nothing was started.
            Interrupted: a signal stopped the training; its state is kept.
        """
        from mist_bundle import pipeline

        hardware = {name: overrides.pop(name) for name in HARDWARE if name in overrides}
        settings = {"resume": resume or None, "device": device, "dataset_dir": absolute_text(dataset_dir), **overrides}
        folds = chosen_folds(fold)
        if folds is None:
            folds = list(range(self.datalist.num_folds))
        warn(pipeline.data_warnings(self.root))
        pipeline.train(
            self.root,
            folds,
            settings,
            pipeline.Hardware(**hardware),
            parallel=parallel,
            overwrite=overwrite,
            trust=trust,
            announce=announce or pipeline.silent,
        )
        return self

    @checked
    def publish(
        self, fold: Folds = ALL, *, work_dir: FileName | None = None, trust: bool = False
    ) -> dict[int, list[str]]:
        """Put the best weights of a training into the bundle, even if it was interrupted or is still running.

        A training does so by itself when it ends. Weights, their safetensors copy, card and manifest change together or
        not at all.

        Args:
            fold: a fold, several (0,1), or all that have weights.
            work_dir: folder of their training, if that is not the folder beside the bundle.
            trust: publish into a bundle that does not pass `audit`.

        Returns:
            Fold -> files of the bundle that changed; empty if the weights were published before.
        """
        from mist_bundle import pipeline

        folds = chosen_folds(fold)
        return pipeline.publish(self.root, folds, work_dir=optional_path(work_dir), trust=trust)

    @checked
    @takes(SCORING, any_other=True)
    def evaluate(
        self,
        fold: Folds = ALL,
        *,
        device: Device | None = None,
        devices: Devices | None = None,
        workers: Workers | None = None,
        dataset_dir: FileName | None = None,
        each_absent: bool = False,
        trust: bool = False,
        announce: Announce | None = None,
        **overrides: Any,
    ) -> Scores:
        """Predict and score the held-out cases of trained folds.

        Args:
            fold: a fold, several, or all that were trained.
            device: cpu, cuda or cuda:1.
            devices: numbers of the GPUs that share the cases, like 0,2; by default every visible GPU.
            workers: processes that share the cases, or tcp://HOST:PORT of a Dask cluster; by default one for each GPU,
                or a single process, which uses all cores.
            dataset_dir: folder of the cases, if they have moved since the bundle was configured.
            each_absent: also score without each channel that may be missing; the report shows the differences.
            trust: run a bundle that does not pass `audit`.
            announce: a function that is called with a heading before each fold, such as `print`.
            **overrides: any id of evaluate.json or train.json.

        Returns:
            Column ("tumor_dice") -> statistic ("Mean", "Median" …) -> value over all scored cases.
        """
        from mist_bundle import pipeline

        folds = chosen_folds(fold)
        settings = {"device": device, "dataset_dir": absolute_text(dataset_dir), **named_scoring(overrides)}
        announce = announce or pipeline.silent
        if folds is None:
            warn(self._untrained())
        evaluated = pipeline.evaluate_folds(
            self.root, folds, settings, workers=workers, devices=devices, trust=trust, announce=announce
        )
        if each_absent:
            pipeline.measure_absent_channels(self.root, evaluated, settings, trust=trust, announce=announce)
        return self.scores(evaluated)

    def scores(self, folds: Iterable[int] | None = None) -> Scores:
        """Statistics over the scores of the held-out cases, of all folds that were evaluated.

        Args:
            folds: only these.

        Returns:
            Column ("tumor_dice") -> statistic ("Mean", "Median" …) -> value.
        """
        from mist_bundle.runtime.metrics.table import summarize

        return summarize(self.scores_by_case(folds))

    def scores_by_case(self, folds: Iterable[int] | None = None) -> list[dict[str, Any]]:
        """The scores of each held-out case, of all folds that were evaluated.

        Args:
            folds: only these.

        Returns:
            A row for each case: its "id", and a value for each column ("tumor_dice").
        """
        from mist_bundle.evaluation.gather import gather_folds

        chosen = range(self.datalist.num_folds) if folds is None else folds
        tables = [self.fold(number).results for number in chosen]
        return list(map(dict, gather_folds(list(filter(Path.is_file, tables)))))

    def finalize(self) -> Path:
        """Gather the folds of a trained and evaluated bundle: results.csv, model card, model.pt, manifest.

        Returns:
            The table of results.
        """
        from mist_bundle import pipeline

        return pipeline.finalize(self.root)

    @checked
    def predict(
        self,
        source: FileName,
        output: FileName,
        *,
        tta: bool | None = None,
        probabilities: bool = False,
        uncertainty: bool = False,
        device: Device | None = None,
        devices: Devices | None = None,
        workers: Workers | None = None,
        output_format: OutputFormat = "nii.gz",
        segment_codes: SegmentCodes | None = None,
        resample: bool = False,
        overwrite: bool = False,
        trust: bool = False,
        **overrides: Any,
    ) -> list[Path]:
        """Write a label map for each case, on its own grid.

        Cases that fail are named, and the others are predicted. The same call again predicts only the missing cases.

        Args:
            source: an image with all channels (4D if there are several), a folder of such images or of cases, or CSV or
                JSON with an id and each channel by name.
            output: folder for <id>.nii.gz, or a file like out.nii.gz or out.nrrd for a single case.
            tta: average over flips; the bundle decides by default.
            probabilities: write the probability of each class too.
            uncertainty: write maps of entropy and of disagreement between folds and flips too (output/uncertainty).
            device: cpu, cuda or cuda:1.
            devices: numbers of the GPUs that share the cases, like 0,2; by default every visible GPU.
            workers: processes that share the cases, or tcp://HOST:PORT of a Dask cluster; by default one for each GPU,
                or a single process, which uses all cores.
            output_format: nii.gz, nrrd, mha, same (as the image of each case), or dicom_seg: a DICOM segmentation
                <id>.dcm for each series of a DICOM folder too.
            segment_codes: JSON or a file of it, for dicom_seg: {"liver": {"type": ["10200004", "SCT", "Liver"]}}.
            resample: make slices of DICOM series even where they are uneven, missing or tilted; these are refused
                otherwise.
            overwrite: replace label maps of other weights or settings, and files of another origin.
            trust: run a bundle that does not pass `audit`.
            **overrides: any id of inference.json: overlap, sw_batch_size, ensemble …

        Returns:
            The label maps, or the DICOM segmentations.

        Raises:
            CaseFailure: some cases failed, each named; the others were written.
        """
        from mist_bundle import pipeline

        written, warnings = pipeline.predict(
            self.root,
            Path(source),
            Path(output),
            tta=tta,
            probabilities=probabilities,
            uncertainty=uncertainty,
            device=device,
            devices=devices,
            workers=workers,
            output_format=output_format,
            segment_codes=segment_codes,
            resample=resample,
            overwrite=overwrite,
            overrides=overrides,
            trust=trust,
        )
        warn(warnings)
        return written

    @checked
    def calibrate(
        self, *, workers: Workers | None = None, dataset_dir: FileName | None = None
    ) -> tuple[Calibration, Path]:
        """Measure how far probabilities can be trusted, on held-out cases, and write a temperature into the bundle.

        Evaluate the folds with save_probabilities first. Predictions then record the Dice that they expect of
        themselves, name the cases that a person should look at, and save calibrated probabilities.

        Args:
            workers: number of processes, chosen automatically by default; or tcp://HOST:PORT of a Dask cluster.
            dataset_dir: folder of the cases, if they have moved since the bundle was configured.

        Returns:
            The calibration, and the file with the account of it.
        """
        from mist_bundle import pipeline

        return pipeline.calibrate(self.root, workers=workers, dataset_dir=optional_path(dataset_dir))

    @checked
    @takes(METRICS)
    def choose_postprocessing(
        self,
        *,
        candidates: FileName | None = None,
        weights: Weights | None = None,
        min_gain: Fraction = 0.001,
        workers: Workers | None = None,
        dataset_dir: FileName | None = None,
        **scoring: Any,
    ) -> tuple[Choice, Change, Path]:
        """Choose the post-processing that helps in every fold of a cross-validation, and write it into the bundle.

        Args:
            candidates: JSON file of steps to try, instead of the default grid.
            weights: JSON: metric to weight, such as {"dice": 2, "hd95": 1}; equal by default.
            min_gain: the quality (worst 0, best 1) that a step must add, on average over all cases.
            workers: number of processes, chosen automatically by default; or tcp://HOST:PORT of a Dask cluster.
            dataset_dir: folder of the cases, if they have moved since the bundle was configured.
            **scoring: metrics and metric_options.

        Returns:
            The choice, the change that it makes, and the folder with the account of all candidates.
        """
        from mist_bundle import pipeline
        from mist_bundle.evaluation.postprocess import load_strategy
        from mist_bundle.evaluation.score import settings_from

        how = scoring_of(scoring)
        return pipeline.choose_postprocessing(
            self.root,
            settings_from(pipeline.scored_classes(self.root), *how),
            weights=weights,
            candidates=None if candidates is None else load_strategy(Path(candidates)),
            min_gain=min_gain,
            workers=workers,
            dataset_dir=optional_path(dataset_dir),
        )

    @checked
    def report(
        self,
        output: FileName | None = None,
        *,
        dataset_dir: FileName | None = None,
        pictures: CountOrNone = 6,
        viewer: bool = True,
        viewer_cases: CountOrNone = 3,
        workers: Workers | None = None,
        overwrite: bool = False,
    ) -> Reported:
        """Write one HTML page about a bundle: data, plan, training, results, pictures, and how to reproduce it.

        Args:
            output: the HTML file; report.html in the bundle's work folder by default.
            dataset_dir: folder of the cases, if they have moved since the bundle was configured.
            pictures: how many cases are shown in the part about the data.
            viewer: also write an interactive viewer beside the page (--noviewer for none).
            viewer_cases: how many cases the viewer holds.
            workers: number of processes, chosen automatically by default; or tcp://HOST:PORT of a Dask cluster.
            overwrite: replace an existing page.
        """
        from mist_bundle import pipeline

        return pipeline.report(
            self.root,
            optional_path(output),
            dataset_dir=optional_path(dataset_dir),
            pictures=pictures,
            viewer_cases=viewer_cases if viewer else 0,
            workers=workers,
            overwrite=overwrite,
        )

    @checked
    def export(
        self,
        formats: Words = ("all",),
        output: FileName | None = None,
        *,
        trust: bool = False,
        overwrite: bool = False,
    ) -> ExportReport:
        """Write the network in the formats of other programs, each compared with the original on two inputs.

        Args:
            formats: torchscript, torch_export, onnx, state_dict, safetensors, several of them, or all.
            output: folder for the files; the bundle's models/ by default.
            trust: export a bundle that does not pass the audit; its configuration is evaluated.
            overwrite: replace existing files.
        """
        from mist_bundle.sharing.export import export_bundle

        return export_bundle(self.root, list(formats), optional_path(output), trust=trust, overwrite=overwrite)

    @checked
    def export_data_only(self, output: FileName, *, trust: bool = False) -> DataOnly:
        """Write a bundle of MONAI's own classes without any Python file, for programs that allow none.

        Args:
            output: the new bundle's folder.
            trust: export a bundle that does not pass the audit; both are run on a synthetic case.
        """
        from mist_bundle.sharing.data_only import export_data_only

        return export_data_only(self.root, Path(output), trust=trust)

    @checked
    def export_triton(self, output: FileName, *, trust: bool = False) -> TritonModel:
        """Write the network as ONNX with its settings for NVIDIA Triton Inference Server.

        Args:
            output: the model repository, in which a folder named like the bundle is created.
            trust: export a bundle that does not pass the audit; its network is built from its configuration.
        """
        from mist_bundle.sharing.triton import export_triton

        return export_triton(self.root, Path(output), trust=trust)

    @checked
    def export_container(self, output: FileName, *, trust: bool = False) -> Recipe:
        """Write a folder from which `docker build` makes an image that predicts with the bundle.

        Args:
            output: the new folder.
            trust: export a bundle that does not pass the audit.
        """
        from mist_bundle.sharing.container import export_container

        return export_container(self.root, Path(output), trust=trust)

    @checked
    def pack(
        self,
        output: FileName,
        *,
        large_files_url: Annotated[str, Text()] | None = None,
        large_files_limit_mb: Annotated[float, Number(low=0, open_low=True)] = 25.0,
        overwrite: bool = False,
    ) -> Packed:
        """Write a bundle as a single zip file; the same files always give the same bytes.

        Args:
            output: the zip file.
            large_files_url: leave out files above the limit, and list them in large_files.yml below this address.
            large_files_limit_mb: megabytes above which a file is large.
            overwrite: replace an existing file.
        """
        from mist_bundle.sharing.pack import pack_bundle

        return pack_bundle(
            self.root,
            Path(output),
            large_files_url=large_files_url,
            large_files_limit_mb=large_files_limit_mb,
            overwrite=overwrite,
        )

    @checked
    def push(self, repo: str, *, public: bool = False) -> str:
        """Upload a bundle to Hugging Face and tag it with its version (log in with `hf auth login`, or set HF_TOKEN).

        Args:
            repo: organisation/name; created if it does not exist.
            public: a newly created repository is visible to everyone.

        Returns:
            The address of the upload.
        """
        from mist_bundle.sharing.push import push_bundle

        return push_bundle(self.root, repo, private=not public)

    @checked
    def bump_version(
        self,
        message: str,
        part: Annotated[str, Word(choices=("major", "minor", "patch"), what="part")] = "patch",
    ) -> str:
        """Raise the bundle's version and add an entry to its changelog.

        Args:
            message: the change, in a sentence.
            part: major, minor or patch.

        Returns:
            The new version.
        """
        from mist_bundle.sharing.version import bump_version

        return bump_version(self.root, message, part)

    @checked
    def sign(self, key: FileName) -> str:
        """Sign every file of a bundle: whoever has your public key can tell that the bundle is yours and unchanged.

        Args:
            key: your private key, a file written by make_key.

        Returns:
            The fingerprint of the key.
        """
        from mist_bundle.trust.signature import sign_bundle

        return sign_bundle(self.root, Path(key))

    def audit(self, public_key: AnyPath | None = None) -> Report:
        """Read the bundle without running anything in it; see `mist_bundle.audit_bundle`."""
        from mist_bundle.trust.audit.run import audit_bundle

        return audit_bundle(self.root, optional_path(public_key))

    def verify(self, *, quick: bool = False, schema: AnyPath | None = None, trust: bool = False) -> Verification:
        """Check that the bundle works, and which programs can use it; see `mist_bundle.verify_bundle`."""
        from mist_bundle.verify.run import verify_bundle

        return verify_bundle(self.root, quick=quick, schema=optional_path(schema), trust=trust)

    def finetune(self, dataset_json: AnyPath, output: AnyPath = ".", **options: Any) -> Bundle:
        """Configure a bundle for new data whose training begins from these weights; see `mist_bundle.finetune`."""
        import mist_bundle

        return mist_bundle.finetune(self.root, dataset_json, output, **options)

    def _untrained(self) -> list[Problem]:
        """The folds that cannot be evaluated, of a bundle with others that can."""
        trained = self.trained_folds()
        problems = []
        for fold in self.folds():
            if trained and fold.number not in trained:
                command = f"mist-bundle train {shlex.quote(str(self.root))} --fold {fold.number}"
                problems.append(Problem(f"fold {fold.number}", f"has no weights yet; train it: {command}"))
        return problems
