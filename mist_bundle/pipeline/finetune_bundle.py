"""A bundle that begins from the weights of another; the mean of several weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mist_bundle.bundle.generate import bundle_name
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.errors import Collecting, InputError, Problem
from mist_bundle.files import refuse_existing, refuse_to_replace
from mist_bundle.pipeline.configure import Configured, autoconfig
from mist_bundle.planning.checks import check_options
from mist_bundle.planning.finetune import adapt_plan, check_transfer_options, source_options
from mist_bundle.planning.options import PlanOptions, TransferOptions
from mist_bundle.planning.plan import Plan


def finetune(
    source: str,
    dataset_json: Path,
    output: Path,
    options: PlanOptions,
    transfer: TransferOptions,
    *,
    chosen: frozenset[str] = frozenset(),
    trust: bool = False,
    **how: Any,
) -> Configured:
    """A new bundle for new data whose training begins from another bundle's weights; the source is only read.

    Args:
        source: a bundle's folder, a zip file, or a Hugging Face repository (see `open_source`).
        dataset_json: the new data's description.
        output: folder in which the new bundle is created.
        options: as for `autoconfig`; the recipe is the source's unless "recipe" is among `chosen`.
        transfer: how weights are carried over and trained on.
        chosen: names of plan options that the user chose explicitly: these win over the source's.
        trust: use a source that does not pass the audit.
        how: fold_rules, config_format, workers, overwrite of `autoconfig`.

    Raises:
        InputError: everything that is wrong, before anything is written.
    """
    from mist_bundle.transfer.account import initial_files
    from mist_bundle.transfer.match import transfer_weights
    from mist_bundle.transfer.open_source import open_source
    from mist_bundle.transfer.stages import with_stages

    problems: list[Problem] = []
    with Collecting(problems):
        check_transfer_options(transfer)
    with Collecting(problems):
        check_options(options)
    if problems:
        raise InputError(problems)
    target = output / bundle_name(DatasetSpec.from_json(dataset_json))
    if Path(source).is_dir() and target.exists() and target.samefile(source):
        message = "is the source itself, which is never changed. Choose another --output."
        raise InputError(Problem(str(target), message))
    refuse_existing(target, overwrite=bool(how.get("overwrite")))
    with open_source(source, trust=trust) as opened:
        options = source_options(options, opened.model, transfer, chosen)

        def adapt(plan: Plan) -> tuple[Plan, Mapping[str, bytes]]:
            plan = with_stages(adapt_plan(plan, opened.model, transfer, chosen), opened.model.target)
            carried = transfer_weights(opened, plan, transfer.channels)
            return plan, initial_files(carried, opened, transfer.channels)

        return autoconfig(dataset_json, output, options, adapt=adapt, **how)


def average_weights(sources: Sequence[Path], output: Path, *, overwrite: bool = False) -> tuple[Path, ...]:
    """Write the mean of several weight files, or of a bundle's fold_*.pt.

    Args:
        sources: a bundle's folder, or two files or more.
        output: file to write: .pt for a torch state dict, .safetensors otherwise.
        overwrite: replace an existing file.

    Returns:
        The files that were averaged.

    Raises:
        InputError: fewer than two files, or files of different networks.
    """
    from mist_bundle.bundle.manifest import fold_files
    from mist_bundle.transfer import tensors as weights

    refuse_existing(output, overwrite=overwrite)
    if output.suffix not in (".pt", weights.SAFETENSORS):
        raise InputError(Problem("--output", f"is {output}; expected a file ending in .pt or {weights.SAFETENSORS}."))
    files: list[Path] = []
    for source in sources:
        files += fold_files(source) if source.is_dir() else [source]
    missing = []
    for file in files:
        if not file.is_file():
            missing.append(Problem(str(file), "is not there."))
    if missing:
        raise InputError(missing)
    refuse_to_replace(output, files)
    weights.write_weights(output, weights.average_weights(files), overwrite=overwrite)
    return tuple(files)
