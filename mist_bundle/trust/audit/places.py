"""Where a bundle's own folders and files may be named, and how: each such id and argument has its closed set of values.

Whatever a bundle reads, imports or writes lies where these say. That an expression is harmless does not make it
harmless everywhere: the path of the weights is one thing as `load_path`, and another as a folder that modules are
imported from or a file that results are written to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mist_bundle.trust.audit import idioms

_FIND_ROOT, _FIND_SCRIPTS, _NEAR, _BESIDE = idioms.IDIOMS[:4]
_JOIN = "os.path.join"

# top-level ids
PLACE_IDS: Mapping[str, frozenset[str]] = {
    "bundle_root": frozenset({f"${_FIND_ROOT}"}),
    "scripts_path": frozenset({f"${_FIND_SCRIPTS}"}),
    "work_dir": frozenset({f"${_BESIDE}"}),
    "models_dir": frozenset({f"${_JOIN}(@bundle_root, 'models')"}),
    "fold_dir": frozenset({f"${_JOIN}(@work_dir, 'fold_' + str(@fold))"}),
    "output_dir": frozenset({f"${_JOIN}(@fold_dir, 'predictions')", f"${_JOIN}(@work_dir, 'predictions')"}),
    "ckpt_path": frozenset(
        {f"${_JOIN}(@models_dir, 'model.pt')", f"${_JOIN}(@models_dir, 'fold_' + str(@fold) + '.pt')"}
    ),
    "datalist": frozenset({f"${_JOIN}(@bundle_root, 'configs', 'datalist.json')"}),
    "postprocessing_path": frozenset({f"${_JOIN}(@bundle_root, 'configs', 'postprocessing.json')"}),
}
# the folder of the cases is only read; a bundle may name any
DATASET_DIR = "dataset_dir"
_DATASET_IDIOM = f"${_NEAR}"

# arguments of components, wherever they stand
PLACE_ARGUMENTS: Mapping[str, frozenset[str]] = {
    "load_path": frozenset({"@ckpt_path"}),
    "fold_dir": frozenset({"@fold_dir"}),
    "log_dir": frozenset({"@fold_dir"}),
    "best_paths": PLACE_IDS["ckpt_path"],
    "path": frozenset({f"${_JOIN}(@bundle_root, 'transfer', 'initial.safetensors')"}),
    "last": frozenset({f"${_JOIN}(@fold_dir, 'last.pt')"}),
    "output_path": frozenset({f"${_JOIN}(@fold_dir, 'results.csv')"}),
    "models_dir": frozenset({"@models_dir"}),
    "paths": frozenset({"@ckpt_path", "$[@ckpt_path] + @fold_paths"}),
    "checkpoints": frozenset({"$@fold_paths if @ensemble else []"}),
    "folder": frozenset({f"${_JOIN}(@work_dir, 'cache')"}),
    "datalist_path": frozenset({"@datalist"}),
    "dataset_dir": frozenset({"@dataset_dir"}),
    "strategy_path": frozenset({"@postprocessing_path"}),
    "output_dir": frozenset(
        {"@output_dir", f"${_JOIN}(@output_dir, 'probabilities')", f"${_JOIN}(@output_dir, 'uncertainty')"}
    ),
    "_requires_": frozenset({"@scripts_path"}),
}


def argument_of(identity: Sequence[str]) -> str:
    """The argument that a value belongs to; the entries of a list stand for what the list is."""
    return next((part for part in reversed(identity) if not part.isdigit()), "")


def is_in_place(identity: tuple[str, ...], value: str) -> bool:
    """Whether a text may stand at an id.

    Args:
        identity: the parts of the id: ("train", "cache", "folder").
        value: the text.
    """
    if len(identity) == 1:
        if identity[0] == DATASET_DIR:
            return idioms.equal(value, _DATASET_IDIOM) if value[:1] in ("$", "@", "%") else True
        allowed = PLACE_IDS.get(identity[0])
    else:
        allowed = PLACE_ARGUMENTS.get(argument_of(identity))
    return allowed is None or any(idioms.equal(value, one) for one in allowed)
