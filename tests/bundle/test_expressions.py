"""The closed set of expressions: all that the generator writes, for every row of the catalogue, and nothing else."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mist_bundle.analysis.fingerprint import Fingerprint, analyze
from mist_bundle.bundle import configs as generator
from mist_bundle.bundle.expressions import (
    DATASET_DIR,
    EXPRESSIONS,
    MACROS,
    PATH_PLACES,
    REFERENCES,
    SLOTS,
    WORK_DIR,
    fill,
    slot_value,
)
from mist_bundle.bundle.generate import BundleInput, bundle_texts
from mist_bundle.catalog.losses import LOSSES
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.dataset.cases import find_cases
from mist_bundle.dataset.folds import assign_folds
from mist_bundle.dataset.spec import DatasetSpec
from mist_bundle.files import DATALIST_JSON, METADATA_JSON
from mist_bundle.planning.finetune import SourceModel, adapt_plan
from mist_bundle.planning.options import PlanOptions, TransferOptions
from mist_bundle.planning.plan import Plan, make_plan
from mist_bundle.planning.recipes import RECIPES
from mist_bundle.transfer.stages import with_stages
from mist_bundle.trust.audit.configs import check_config, check_datalist, check_metadata
from mist_bundle.trust.audit.places import place_of
from mist_bundle.trust.audit.run import PROSE
from mist_bundle.trust.audit.syntax import recognise
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


def _texts(config: Any, identity: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a configuration, with its place."""
    if isinstance(config, dict):
        for key, value in config.items():
            yield from _texts(value, f"{identity}#{key}" if identity else key)
    elif isinstance(config, list):
        for index, value in enumerate(config):
            yield from _texts(value, f"{identity}#{index}")
    elif isinstance(config, str):
        yield place_of(identity), config


def _check(configs: dict[str, Any]) -> None:
    checked: Counter[str] = Counter()
    found = [*check_metadata(METADATA_JSON, configs[METADATA_JSON])]
    found += check_datalist(DATALIST_JSON, configs[DATALIST_JSON])
    for file, config in configs.items():
        paths = file.startswith("configs/") and file not in PROSE
        found += check_config(file, config, checked, paths=paths)
    assert not found, "write `$` expressions as constants in bundle/expressions.py, with their places:\n" + "\n".join(
        map(str, found)
    )
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


def test_every_constant_is_used_at_each_of_its_places(measured: tuple[DatasetSpec, list[Any], Fingerprint]) -> None:
    made = [_configs(measured, options) for options in VARIANTS]
    made += [_configs(measured, TINY, transfer) for transfer in TRANSFERS]
    written = {
        (place, text)
        for configs in made
        for file, config in configs.items()
        if file.startswith("configs/") and file not in PROSE
        for place, text in _texts(config)
    }
    used = set()
    for place, text in written:
        known = recognise(text[1:]) if text.startswith("$") else None
        used |= {(known.text, place)} if known is not None else set()
    declared = {(known.text, place) for known in EXPRESSIONS for place in known.places}
    assert declared - used == set(), "no generated bundle needs these any more"
    references = {(reference, place) for place, allowed in REFERENCES.items() for reference in allowed}
    assert references - {(text, place) for place, text in written} == set()
    assert {text for _, text in written if text.startswith("%")} == MACROS


def test_the_generator_holds_no_expression_of_its_own() -> None:
    (folder,) = generator.__path__
    for file in sorted(Path(folder).glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            text = node.value if isinstance(node, ast.Constant) else None
            is_evaluated = isinstance(text, str) and text.startswith(("$", "%"))
            assert not is_evaluated, f"{file.name}: {text} should be a constant in bundle/expressions.py"


def test_every_expression_is_listed_once_and_reads_as_python() -> None:
    texts = [known.text for known in EXPRESSIONS]
    assert len(set(texts)) == len(texts)
    assert all(known.places for known in EXPRESSIONS)
    for text in texts:
        assert text.startswith("$")
        assert text.startswith("$import ") or recognise(
            text[1:].replace("<file name>", "a").replace("<relative path>", "a")
        )
    assert {place for known in EXPRESSIONS if known.names_path for place in known.places} <= PATH_PLACES


@pytest.mark.parametrize("value", ["../data/train", "it's", 'a "b"', "a@b#c%d", "Ünïcode", "..", ""])
def test_a_slot_gives_back_what_was_filled_in(value: str) -> None:
    text = fill(DATASET_DIR, value)
    assert slot_value(DATASET_DIR, text) == value
    assert slot_value(WORK_DIR, text) is None
    # MONAI finds no reference in what was filled in
    assert text.count("@") == 1
    assert "#" not in text


@pytest.mark.parametrize(
    "text",
    [
        "/data",
        "",
        "$os.path.normpath(os.path.join(@bundle_root, 'a' + 'b'))",
        "$os.path.normpath(os.path.join(@bundle_root, 3))",
        "$os.path.normpath(os.path.join(@bundle_root, open('x')))",
        "$os.path.normpath(os.path.join(@bundle_root, 'a')) + '))'",
    ],
)
def test_another_text_has_no_slot(text: str) -> None:
    assert slot_value(DATASET_DIR, text) is None


def test_slots_are_strings_of_the_expressions() -> None:
    for placeholder in SLOTS:
        assert any(f"'{placeholder}'" in known.text for known in EXPRESSIONS)
