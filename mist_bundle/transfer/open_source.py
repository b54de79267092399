"""Open a bundle that weights are taken from: a folder, a zip file or a repository on Hugging Face.

Its configuration is read as data: no expression is evaluated, nothing of the bundle is imported or run. A bundle of
mist_bundle is known by its plan.json; of any other, the network (a class of MONAI's), its channels and classes, and
where possible spacing and patch are read from inference.json, train.json and metadata.json.
"""

from __future__ import annotations

import ast
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.bundle.folder import Bundle, is_bundle, not_a_bundle
from mist_bundle.bundle.publish import is_model_replaced
from mist_bundle.catalog.networks import NETWORKS
from mist_bundle.errors import InputError, Problem
from mist_bundle.files import METADATA_JSON, MODEL_PT, PLAN_JSON
from mist_bundle.planning.finetune import INPUT_ARGUMENTS, OUTPUT_ARGUMENTS, SourceModel
from mist_bundle.planning.plan import Plan
from mist_bundle.runtime.numerics.triples import Spacing, Triple
from mist_bundle.sharing.unpack import unpack_bundle
from mist_bundle.trust.audit import require_audited, targets
from mist_bundle.trust.audit.known_classes import KNOWN_CLASSES
from mist_bundle.trust.audit.targets import MONAI_NETWORKS

HUB_PREFIX = "hf:"
WEIGHT_FILES = ("models/model.safetensors", MODEL_PT)
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceBundle:
    """An opened source.

    Attributes:
        origin: what the user called it, for reports.
        folder: where it lies for now.
        model: what planning needs to know.
        weights: the file that holds its weights.
    """

    origin: str
    folder: Path
    model: SourceModel
    weights: Path


@contextmanager
def open_source(source: str, *, trust: bool = False) -> Iterator[SourceBundle]:
    """Give the bundle that `source` names; temporary copies vanish when the block ends.

    Args:
        source: a bundle's folder, a zip file that holds a bundle, or a Hugging Face repository (`hf:org/name`, or
            `org/name` where no such path exists; `@revision` may follow).
        trust: open a bundle that does not pass the audit.

    Raises:
        InputError: it is not there, is not a bundle, does not pass the audit, or has no weights or no network that
            weights can be carried over from; everything that is wrong at once.
    """
    with tempfile.TemporaryDirectory(prefix="mist_bundle_source_") as scratch:
        folder = _locate(source, Path(scratch), trust=trust)
        require_audited(folder, trust=trust)
        model, problems = _read_model(folder, source)
        weights = _weights(folder)
        if weights is None:
            message = f"has no weights: none of {', '.join(WEIGHT_FILES)} is there. Train it first."
            problems.append(Problem(source, message))
        if problems or model is None or weights is None:
            raise InputError(problems)
        yield SourceBundle(origin=source, folder=folder, model=model, weights=weights)


def _weights(folder: Path) -> Path | None:
    # the safetensors copy of a model.pt that was replaced since has the former weights
    for name in (MODEL_PT,) if is_model_replaced(folder) else WEIGHT_FILES:
        if (folder / name).is_file():
            return folder / name
    return None


def _locate(source: str, scratch: Path, *, trust: bool) -> Path:
    path = Path(source)
    if not source.startswith(HUB_PREFIX) and path.is_dir():
        return _bundle_root(path, source)
    if not source.startswith(HUB_PREFIX) and path.is_file():
        return unpack_bundle(path, scratch / "unpacked", trust=trust)
    repository = source.removeprefix(HUB_PREFIX)
    if _HUB_ID.fullmatch(repository):
        return _bundle_root(_download(repository, source, scratch), source)
    message = (
        "is not there. Expected a bundle's folder, a zip file, or a Hugging Face repository like hf:organisation/name."
    )
    raise InputError(Problem(source, message))


def _bundle_root(folder: Path, source: str) -> Path:
    below = [path for path in (folder, *sorted(folder.iterdir())) if is_bundle(path)]
    if below and (below[0] == folder or len(below) == 1):
        return below[0]
    raise not_a_bundle(source)


def _download(repository: str, source: str, scratch: Path) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError
    except ImportError as error:
        message = "is not a path here, and Hugging Face needs a package: pip install huggingface_hub"
        raise InputError(Problem(source, message)) from error
    name, _, revision = repository.partition("@")
    target = scratch / name.partition("/")[2]
    try:
        snapshot_download(name, revision=revision or None, local_dir=target)
    except (OSError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        message = f"is neither a path here nor a repository that Hugging Face would give ({reason})."
        raise InputError(Problem(source, message)) from error
    shutil.rmtree(target / ".cache", ignore_errors=True)
    return target


def _read_model(folder: Path, source: str) -> tuple[SourceModel | None, list[Problem]]:
    bundle = Bundle(folder)
    return _from_plan(folder, bundle.plan) if bundle.has_plan else _from_configs(bundle, source)


def _from_plan(folder: Path, plan: Plan) -> tuple[SourceModel | None, list[Problem]]:
    network = plan.network.value
    target = NETWORKS[network].target_for(plan.network_arguments) if network in NETWORKS else network
    problems = _unfit(network, plan.network_arguments, str(folder / PLAN_JSON))
    model = SourceModel(
        name=folder.name,
        target=target,
        arguments=plan.network_arguments,
        channel_names=plan.channel_names,
        class_names=plan.output_names,
        network=network,
        plan=plan,
        spacing_mm=plan.target_spacing_mm.value,
        patch_size=plan.patch_size.value,
    )
    return model, problems


def _unfit(network: str, arguments: Mapping[str, Any], place: str) -> list[Problem]:
    """Why a network is not built here, whatever the audit said and whoever vouches for the bundle."""
    problems = []
    if not targets.is_network(network):
        message = (
            f"its network is {network!r}; a bundle's own code is not run. Expected a network of the menu, or a class "
            f"of {MONAI_NETWORKS}*: {', '.join(_networks())}."
        )
        problems.append(Problem(place, message))
    for name, wrong in targets.bad_arguments(arguments):
        problems.append(Problem(place, f"its network's argument {name} is {arguments[name]!r}: {wrong}."))
    return problems


def _networks() -> list[str]:
    names = []
    for name in KNOWN_CLASSES:
        if name.startswith(MONAI_NETWORKS):
            names.append(name.removeprefix(MONAI_NETWORKS))
    return sorted(names)


def _from_configs(bundle: Bundle, source: str) -> tuple[SourceModel | None, list[Problem]]:
    configs = []
    for stem in ("inference", "train"):
        if bundle.config_file(stem) is not None:
            configs.append(bundle.config(stem))
    network, config = _network(configs)
    if network is None:
        message = (
            f"no network is described in configs/inference.json or train.json. Expected network_def with a _target_ in "
            f"{MONAI_NETWORKS}* and plain values."
        )
        return None, [Problem(source, message)]
    target, arguments, problems = _plain_network(network, config, source)
    problems += _unfit(target, arguments, source)
    inputs = _first_argument(arguments, INPUT_ARGUMENTS)
    outputs = _first_argument(arguments, OUTPUT_ARGUMENTS)
    dimensions = arguments.get("spatial_dims", arguments.get("dimensions", 3))
    if dimensions != 3:
        problems.append(Problem(source, f"its network has {dimensions} spatial dimensions; expected 3."))
    if not isinstance(inputs, int) or not isinstance(outputs, int):
        message = f"its network {target} does not say its channels as {INPUT_ARGUMENTS[0]} and {OUTPUT_ARGUMENTS[0]}."
        return None, [*problems, Problem(source, message)]
    data_format = _data_format(bundle)
    model = SourceModel(
        name=bundle.root.name,
        target=target,
        arguments=arguments,
        channel_names=_definitions(data_format, "inputs", "image", inputs, "channel"),
        class_names=_definitions(data_format, "outputs", "pred", outputs, "output"),
        plan=None,
        spacing_mm=_spacing(configs),
        patch_size=_patch(configs, data_format),
    )
    return model, problems


def _first_argument(arguments: Mapping[str, Any], names: Sequence[str]) -> Any:
    for name in names:
        if name in arguments:
            return arguments[name]
    return None


def _network(configs: Sequence[dict[str, Any]]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    for config in configs:
        for name in ("network_def", "network"):
            node = config.get(name)
            if isinstance(node, dict) and "_target_" in node:
                return node, config
    return None, {}


def _plain_network(
    network: Mapping[str, Any], config: Mapping[str, Any], source: str
) -> tuple[str, dict[str, Any], list[Problem]]:
    target = str(network["_target_"])
    if "." not in target or target.startswith(MONAI_NETWORKS):  # by its short name, or with the name of its file
        target = MONAI_NETWORKS + target.rpartition(".")[2]
    problems = []
    arguments = {}
    for name, value in network.items():
        if name.startswith("_"):
            continue
        plain, readable = _plain(value, config)
        arguments[name] = plain
        if not readable:
            message = f"network_def#{name} is {value!r}, which would have to be evaluated; expected a plain value."
            problems.append(Problem(source, message))
    return target, arguments, problems


def _plain(value: Any, config: Mapping[str, Any]) -> tuple[Any, bool]:
    """A value without references, and whether it could be read without evaluating anything."""
    if isinstance(value, str) and value.startswith("@"):
        node: Any = config
        for part in value[1:].replace("::", "#").split("#"):
            if not isinstance(node, Mapping) or part not in node:
                return value, False
            node = node[part]
        return (value, False) if node == value else _plain(node, config)
    if isinstance(value, str) and value.startswith("$"):
        try:
            return ast.literal_eval(value[1:].strip()), True
        except (ValueError, SyntaxError):
            return value, False
    if isinstance(value, list):
        entries, readable = _plain_entries(dict(enumerate(value)), config)
        return list(entries.values()), readable
    if isinstance(value, dict):
        return _plain_entries(value, config)
    return value, True


def _plain_entries(entries: Mapping[Any, Any], config: Mapping[str, Any]) -> tuple[dict[Any, Any], bool]:
    plain, all_readable = {}, True
    for key, value in entries.items():
        plain[key], readable = _plain(value, config)
        all_readable = all_readable and readable
    return plain, all_readable


def _data_format(bundle: Bundle) -> Mapping[str, Any]:
    content = bundle.metadata if (bundle.root / METADATA_JSON).is_file() else {}
    described = content.get("network_data_format", {})
    return described if isinstance(described, dict) else {}


def _definitions(data_format: Mapping[str, Any], side: str, key: str, count: int, otherwise: str) -> tuple[str, ...]:
    """Names of channels from a channel_def of metadata.json; what it does not name is numbered."""
    entry = data_format.get(side, {}).get(key, {})
    named = entry.get("channel_def") or {}
    names = []
    for index in range(count):
        names.append(str(named.get(str(index), f"{otherwise} {index}")))
    return tuple(names)


def _spacing(configs: Sequence[dict[str, Any]]) -> Spacing | None:
    for config in configs:
        for entry in _dictionaries(config):
            name = str(entry.get("_target_", "")).rpartition(".")[2]
            if name in ("Spacingd", "Spacing"):
                value, readable = _plain(entry.get("pixdim"), config)
                if readable and _is_positive(value):
                    return _lengths(value)
    return None


def _patch(configs: Sequence[dict[str, Any]], data_format: Mapping[str, Any]) -> Triple | None:
    for config in configs:
        for name in ("inferer", "validate#inferer"):
            holder: Any = config
            for part in name.split("#"):
                holder = holder.get(part, {}) if isinstance(holder, dict) else {}
            value, readable = _plain(holder.get("roi_size") if isinstance(holder, dict) else None, config)
            if readable and _is_positive(value):
                return _sizes(value)
    shape = data_format.get("inputs", {}).get("image", {}).get("spatial_shape")
    return _sizes(shape) if isinstance(shape, list) and _is_positive(shape) else None


def _dictionaries(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _dictionaries(part)


def _is_positive(value: Any) -> bool:
    """Whether a value is three numbers above 0."""
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        return False
    for part in value:
        if isinstance(part, bool) or not isinstance(part, (int, float)) or part <= 0:
            return False
    return True


def _sizes(values: Sequence[Any]) -> Triple:
    first, second, third = values
    return (int(first), int(second), int(third))


def _lengths(values: Sequence[Any]) -> Spacing:
    first, second, third = values
    return (float(first), float(second), float(third))
