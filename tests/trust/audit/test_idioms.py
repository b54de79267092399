"""The closed set of expressions: all that the generator writes, for every row of the catalogue, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.analysis.fingerprint import Fingerprint, analyze
from mist_bundle.artifacts import DATALIST_JSON, METADATA_JSON
from mist_bundle.bundle.configs.parts import IMPORTS
from mist_bundle.bundle.generate import BundleInput, bundle_texts
from mist_bundle.catalog.losses import LOSSES
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.folds import assign_folds
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.planning.finetune import SourceModel, adapt_plan
from mist_bundle.planning.options import PlanOptions, TransferOptions
from mist_bundle.planning.plan import Plan, make_plan
from mist_bundle.planning.recipes import RECIPES
from mist_bundle.transfer.stages import with_stages
from mist_bundle.trust.audit import idioms
from mist_bundle.trust.audit.configs import check_config, check_datalist, check_metadata
from mist_bundle.trust.audit.run import PROSE
from tests.conftest import TINY

VARIANTS = [
    *(replace(TINY, recipe=recipe) for recipe in RECIPES),
    *(replace(TINY, network=network) for network in NETWORKS),
    *(replace(TINY, loss=loss) for loss in LOSSES),
    replace(TINY, distance_maps=True),
    replace(TINY, bias_correction=True),
    replace(TINY, skip_preprocessing=True),
    replace(TINY, flip_axes=()),
]
# bundles whose training begins from another bundle's weights
TRANSFERS = [TransferOptions(), TransferOptions(freeze="encoder", unfreeze_epoch=2, layer_decay=0.5)]


@pytest.fixture(scope="module")
def measured(phantom_json: Path) -> tuple[DatasetSpec, list[Any], Fingerprint]:
    spec = DatasetSpec.from_json(phantom_json)
    cases = list(find_cases(spec, "train").cases)
    return spec, cases, analyze(spec, cases)


def _configs(
    measured: tuple[DatasetSpec, list[Any], Fingerprint], options: PlanOptions, transfer: TransferOptions | None = None
) -> dict[str, Any]:
    spec, cases, fingerprint = measured
    plan = make_plan(spec, fingerprint, options)
    if transfer is not None:
        plan = _tuned(plan, transfer)
    given = BundleInput(
        spec=spec,
        plan=plan,
        cases=cases,
        test_cases=(),
        folds=assign_folds([case.id for case in cases], 2, 0),
        excluded=(),
    )
    texts = bundle_texts(given, "phantom_segmentation", Path("/somewhere/phantom_segmentation"))
    return {name: json.loads(text) for name, text in texts.items() if name.endswith(".json")}


def _tuned(plan: Plan, transfer: TransferOptions) -> Plan:
    """The plan of a bundle that starts from a bundle with this very plan."""
    network = plan.network.value
    source = SourceModel(
        name="source",
        target=NETWORKS[network].target,
        arguments=plan.network_arguments,
        channel_names=plan.channel_names,
        class_names=plan.output_names,
        network=network,
        plan=plan,
        spacing_mm=plan.target_spacing_mm.value,
        patch_size=plan.patch_size.value,
    )
    return with_stages(adapt_plan(plan, source, transfer), source.target)


def _expressions(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        for value in config.values():
            yield from _expressions(value)
    elif isinstance(config, list):
        for value in config:
            yield from _expressions(value)
    elif isinstance(config, str) and config.startswith("$"):
        yield config[1:]


def _check(configs: dict[str, Any]) -> None:
    checked: Counter[str] = Counter()
    found = [*check_metadata(METADATA_JSON, configs[METADATA_JSON])]
    found += check_datalist(DATALIST_JSON, configs[DATALIST_JSON])
    for file, config in configs.items():
        paths = file.startswith("configs/") and file not in PROSE
        found += check_config(file, config, checked, paths=paths)
    assert not found, "add it to the audit's lists:\n" + "\n".join(map(str, found))
    assert checked["expressions"] > 60
    assert checked["targets"] > 60


@pytest.mark.parametrize("options", VARIANTS, ids=lambda options: f"{options.recipe}-{options.network}-{options.loss}")
def test_every_generated_configuration_passes(
    options: PlanOptions, measured: tuple[DatasetSpec, list[Any], Fingerprint]
) -> None:
    _check(_configs(measured, options))


@pytest.mark.parametrize("transfer", TRANSFERS, ids=lambda transfer: transfer.freeze)
def test_every_configuration_that_starts_from_another_bundle_passes(
    transfer: TransferOptions, measured: tuple[DatasetSpec, list[Any], Fingerprint]
) -> None:
    _check(_configs(measured, TINY, transfer))


def test_nothing_is_accepted_that_no_bundle_holds(measured: tuple[DatasetSpec, list[Any], Fingerprint]) -> None:
    made = [_configs(measured, options) for options in VARIANTS]
    made += [_configs(measured, TINY, transfer) for transfer in TRANSFERS]
    written = {expression for configs in made for config in configs.values() for expression in _expressions(config)}
    used = {idioms.matched_idiom(expression) for expression in written}
    assert set(idioms.IDIOMS) - used == set(), "no generated bundle needs these any more"
    assert set(idioms.IMPORTS) == {text[1:] for text in IMPORTS}


def test_every_idiom_parses_and_is_listed_once() -> None:
    assert len(idioms._trees()) == len(idioms.IDIOMS)
    assert len(set(idioms.IDIOMS)) == len(idioms.IDIOMS)


@pytest.mark.parametrize(
    "expression",
    [
        "os.path.join(@bundle_root, 'models')",
        'os.path.join( @bundle_root , "models" )',
        "@train::trainer.run()",
        "os.path.normpath(os.path.join(@bundle_root, '../../../data of mine/train'))",
    ],
)
def test_spelling_does_not_matter(expression: str) -> None:
    assert idioms.accepted(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "os.path.join(@bundle_root, 'models', 'x')",
        "os.path.join(@dataset_dir, 'models')",
        "os.path.join(@bundle_root, '/models')",
        "os.path.normpath(os.path.join(@bundle_root, '/etc'))",
        "os.path.normpath(os.path.join(@bundle_root, '~/x'))",
        "os.path.normpath(os.path.join(@bundle_root, '..', '../x'))",
        "os.path.normpath(os.path.join(@bundle_root, '..', '..'))",
        "os.path.normpath(os.path.join(@bundle_root, '..', 'a\\\\b'))",
        "setattr(torch.backends.cudnn, 'benchmark', 1)",
        "setattr(torch, 'benchmark', True)",
        "sys.path.insert(0, @bundle_root)",
        "os.path.normpath(os.path.join(@bundle_root, '@x'))",
        "os.path.normpath(os.path.join(@bundle_root, 'a#b'))",
        "os.path.normpath(os.path.join(@bundle_root, '..', 'a@x'))",
        "sys.path.insert(1, @dataset_dir)",
        "@evaluator.run",
        "@evaluator.run(@network)",
        "@network.run()",
        "(@evaluator.run(), print())",
        "__reference__40_65",
        "torch.device('cuda', int(os.environ['HOME'])) if torch.cuda.is_available() else torch.device('cpu')",
        "not os.path.exists(@ckpt_path) or 1",
        "lambda: 1",
        "min(@val_interval, *@epochs)",
        "min(@val_interval, @epochs, key=print)",
        "(" * 500 + "1" + ")" * 500,
        "1" + "+1" * 5000,
        "x\0y",
        "import os, subprocess",
        "import sys as os",
    ],
)
def test_what_is_nearly_known_is_not_accepted(expression: str) -> None:
    assert not idioms.accepted(expression)
