"""Every `$` expression and every macro of a generated bundle, and where each may stand.

MONAI evaluates whatever begins with `$`. The generator writes the constants below and nothing else, and the audit
accepts exactly this file: to let a bundle hold a new expression, add a constant here, where a reviewer sees it.

A place is a top-level id ("work_dir"), or "*#" and an argument's name for that argument of any component ("*#folder").
The entries of a list stand at the place of the list. Places matter because an expression may be harmless as a value of
some arguments only: the path of the weights is fine as `load_path`, but not as a folder that modules are imported from.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ARGUMENT = "*#"
SYNTAX = "@#%"  # MONAI's references, nesting and macros, wherever they stand in a text


@dataclass(frozen=True, kw_only=True, slots=True)
class Expression:
    """A known expression.

    Attributes:
        text: the expression with its `$`; it may hold a placeholder of SLOTS.
        places: where it may stand.
        names_path: whether it names what is read or written; its places hold nothing but such expressions and the
            references of REFERENCES.
    """

    text: str
    places: tuple[str, ...]
    names_path: bool = False


def is_file_name(text: str) -> bool:
    """Return whether a text names a file in a folder, on every system, and nothing else.

    MONAI would replace a reference in it by code before it evaluates the text, which would end the enclosing string.
    """
    plain = not set(text) & set("/\\:\0") and text.isprintable() and "__reference" not in text
    return bool(text) and text not in (".", "..") and plain


def is_relative_path(text: str) -> bool:
    """Return whether a text is a relative path, with any number of steps up."""
    return is_file_name(text.replace("/", "_")) and not text.startswith(("/", "~"))


FILE_NAME = "<file name>"
RELATIVE_PATH = "<relative path>"
# strings that differ from bundle to bundle -> what may stand in their place
SLOTS: Mapping[str, Callable[[str], bool]] = {FILE_NAME: is_file_name, RELATIVE_PATH: is_relative_path}

_known: list[Expression] = []


def _expression(text: str, *places: str) -> str:
    _known.append(Expression(text=f"${text}", places=places))
    return f"${text}"


def _path(text: str, *places: str) -> str:
    _known.append(Expression(text=f"${text}", places=places, names_path=True))
    return f"${text}"


def _is_off(switch: str) -> str:
    """Whether a switch is off, also where the command line of monai.bundle passes it as a word."""
    return f"str(@{switch}).lower() in ('false', 'no', 'off', '0')"


# --- modules ------------------------------------------------------------------------------------------------------

IMPORTS = [
    _expression("import inspect", "imports"),
    _expression("import os", "imports"),
    _expression("import pathlib", "imports"),
    _expression("import sys", "imports"),
    _expression("import monai", "imports"),
    _expression("import torch", "imports"),
    _expression("import torch.distributed as dist", "imports"),
]

# --- where things lie ---------------------------------------------------------------------------------------------

# monai.bundle puts the bundle's folder on sys.path when it starts to run, so sys.path leads to it whatever the working
# directory and wherever the bundle was moved. `monai.bundle.load` and programs that only build parts never run; for
# them the workflow up the stack that is reading this configuration knows the folder. The id distinguishes the bundle
# from others on the path.
BUNDLE_ROOT = _path(
    "os.path.abspath(next((p for p in sys.path + [str(pathlib.Path(w.config_root_path).parent) "
    "for w in [f.frame.f_locals.get('self') for f in inspect.stack(0)] if isinstance(w, monai.bundle.ConfigWorkflow)] "
    "if pathlib.Path(p, 'configs/plan.json').is_file() "
    "and @bundle_id in pathlib.Path(p, 'configs/plan.json').read_text(encoding='utf-8')), '.'))",
    "bundle_root",
)
# `scripts` is the same module name for all bundles of a process. Modules that another bundle imported under it are
# dropped, so that the next import loads this bundle's own files; components of the other bundle keep their classes. No
# compiled files are written to the folder, because they could not be distinguished from a stranger's.
SCRIPTS_PATH = _path(
    "[setattr(sys, 'dont_write_bytecode', True), sys.path.insert(1, @bundle_root)] + "
    "[sys.modules.pop(m) for m in list(sys.modules) if m.split('.')[0] == 'scripts' and "
    "not str(getattr(sys.modules[m], '__file__', None)).startswith(os.path.join(@bundle_root, ''))]",
    "scripts_path",
)
# the cases are only read, so their folder may also be any literal path
DATASET_DIR = _expression(f"os.path.normpath(os.path.join(@bundle_root, '{RELATIVE_PATH}'))", "dataset_dir")
WORK_DIR = _path(f"os.path.normpath(os.path.join(@bundle_root, '..', '{FILE_NAME}'))", "work_dir")
DATALIST = _path("os.path.join(@bundle_root, 'configs', 'datalist.json')", "datalist")
CONFIDENCE = _path("os.path.join(@bundle_root, 'configs', 'confidence.json')", "confidence_path")
POSTPROCESSING = _path("os.path.join(@bundle_root, 'configs', 'postprocessing.json')", "postprocessing_path")
INITIAL_WEIGHTS = _path("os.path.join(@bundle_root, 'transfer', 'initial.safetensors')", "*#path")
MODELS_DIR = _path("os.path.join(@bundle_root, 'models')", "models_dir")
MODEL = _path("os.path.join(@models_dir, 'model.pt')", "ckpt_path", "*#best_paths")
FOLD_MODEL = _path("os.path.join(@models_dir, 'fold_' + str(@fold) + '.pt')", "*#best_paths")
ALL_MODELS = _path("[@ckpt_path] + @ensemble_paths", "*#weight_files")
CACHE_DIR = _path("os.path.join(@work_dir, 'cache')", "*#folder")
FOLD_DIR = _path("os.path.join(@work_dir, 'fold_' + str(@fold))", "fold_dir")
FOLD_PREDICTIONS = _path("os.path.join(@fold_dir, 'predictions')", "output_dir")
FOLD_RESULTS = _path("os.path.join(@fold_dir, 'results.csv')", "*#output_path")
LAST_CHECKPOINT = _path("os.path.join(@fold_dir, 'last.pt')", "*#last")
PREDICTIONS = _path("os.path.join(@work_dir, 'predictions')", "output_dir")

# references to the paths above, where a component reads or writes
REFERENCES: Mapping[str, frozenset[str]] = {
    "*#load_path": frozenset({"@ckpt_path"}),
    "*#scored_weights": frozenset({"@ckpt_path"}),
    "*#fold_dir": frozenset({"@fold_dir"}),
    "*#log_dir": frozenset({"@fold_dir"}),
    "*#models_dir": frozenset({"@models_dir"}),
    "*#others": frozenset({"@ensemble_paths"}),
    "*#checkpoints": frozenset({"@ensemble_paths"}),
    "*#fold_paths": frozenset({"@fold_paths"}),
    "*#ckpt_path": frozenset({"@ckpt_path"}),
    "ckpt_path": frozenset({"@fold_path"}),
    "*#folder": frozenset({"@output_dir"}),
    "*#weight_files": frozenset({"@ckpt_path"}),
    "*#setting_files": frozenset({"@postprocessing_path", "@confidence_path"}),
    "*#calibration_path": frozenset({"@confidence_path"}),
    "*#datalist_path": frozenset({"@datalist"}),
    "*#dataset_dir": frozenset({"@dataset_dir"}),
    "*#strategy_path": frozenset({"@postprocessing_path"}),
    "*#output_dir": frozenset({"@output_dir"}),
    "*#bundle_root": frozenset({"@bundle_root"}),
    "*#_requires_": frozenset({"@scripts_path"}),
}

# --- devices and processes ----------------------------------------------------------------------------------------

DEVICE = _expression("torch.device('cuda' if torch.cuda.is_available() else 'cpu')", "device")
OWN_DEVICE = _expression(
    "torch.device('cuda', int(os.environ['LOCAL_RANK'])) if torch.cuda.is_available() else torch.device('cpu')",
    "device",
)
DEVICE_IDS = _expression("[@device.index] if @device.type == 'cuda' else None", "*#device_ids")
RANK = _expression("dist.get_rank() if dist.is_initialized() else 0", "rank")
WORLD_SIZE = _expression("dist.get_world_size() if dist.is_initialized() else 1", "world_size")
JOIN_PROCESSES = _expression("dist.init_process_group(backend='nccl' if torch.cuda.is_available() else 'gloo')", "run")
USE_OWN_DEVICE = _expression("torch.cuda.set_device(@device) if torch.cuda.is_available() else None", "run")
LEAVE_PROCESSES = _expression("dist.destroy_process_group() if dist.is_initialized() else None", "finalize")

# --- initialize: seeding and speed, and nothing that touches the bundle's folder, its scripts or its data ----------

# without `use_deterministic_algorithms`: telling torch what it does by itself takes a second, for torch._inductor
SEED = _expression("monai.utils.set_determinism(seed=@seed)", "initialize")
FASTEST_CONVOLUTIONS = _expression("setattr(torch.backends.cudnn, 'benchmark', True)", "initialize")
ANY_CONVOLUTIONS = _expression("setattr(torch.backends.cudnn, 'deterministic', False)", "initialize")
TF32 = _expression("torch.set_float32_matmul_precision('high')", "initialize")

# --- network and training -----------------------------------------------------------------------------------------

NETWORK_ON_DEVICE = _expression("@network_def.to(@device)", "network", "*#module")
PARAMETERS = _expression("@network.parameters()", "*#params")
EVALUATED_NETWORK = _expression("@average.ema_model if @ema_decay > 0 else @network", "evaluated_network")
AVERAGED_NETWORK = _expression("@evaluated_network if @ema_decay > 0 else None", "*#averaged_network")
AVERAGE_MOMENTUM = _expression("1 - @ema_decay", "*#momentum")
TOTAL_STEPS = _expression("@train#trainer#max_epochs * @steps_per_epoch", "*#total_steps")
WARMUP_STEPS = _expression("@warmup_fraction * @train#trainer#max_epochs * @steps_per_epoch", "warmup_steps")
PASSES_PER_STEP = _expression("@train#dataloader.passes", "*#accumulation_steps")
NEEDS_SCALER = _expression("@train#inferer.needs_scaler(@device)", "*#amp")
COMPILE = _expression(f"not {_is_off('compile')}", "*#compile")
METRIC_INPUTS = _expression("monai.handlers.from_engine(['pred', 'label'])", "*#output_transform")
FOLD_TITLE = _expression("'fold ' + str(@fold)", "*#description")

# --- when a component is left out ---------------------------------------------------------------------------------

NO_AVERAGE = _expression("@ema_decay == 0", "*#_disabled_")
NO_VALIDATION_CASES = _expression("not @validate#dataset#data", "*#_disabled_")
NO_POSTPROCESSING = _expression(_is_off("postprocess"), "*#_disabled_")
NO_MAPS = _expression(f"{_is_off('save_probabilities')} and {_is_off('save_uncertainty')}", "*#_disabled_")

# --- what is run --------------------------------------------------------------------------------------------------

ATTACH_CHECKPOINTS = _expression(
    "@checkpoints.attach(@train#trainer, @validate#evaluator if @validate#dataset#data else None)", "run"
)
LOAD_INITIAL_WEIGHTS = _expression("@initial_weights.attach(@train#trainer)", "run")
RUN_TRAINER = _expression("@train#trainer.run()", "run")
RUN_FOLD_EVALUATOR = _expression("@validate#evaluator.run()", "run")
RUN_EVALUATOR = _expression("@evaluator.run()", "run")
BEGIN_FOLD_PREDICTIONS = _expression("@predictions.begin(@validate#dataset#data)", "run")
BEGIN_PREDICTIONS = _expression("@predictions.begin(@dataset#data)", "run")
END_PREDICTIONS = _expression("@case_by_case.finish()", "run")
BUILD_CACHE = _expression("@train#cache.build(@train#data)", "run")

# the id by which a workflow is also known: `python -m monai.bundle run training`
RUN_LIST = "%run"
MACROS = frozenset({RUN_LIST})

EXPRESSIONS: tuple[Expression, ...] = tuple(_known)
# places that say where something is read or written, each with a closed set of values
PATH_PLACES: frozenset[str] = frozenset(REFERENCES).union(
    *(expression.places for expression in EXPRESSIONS if expression.names_path)
)


def fill(expression: str, value: str) -> str:
    """Put a string into the slot of an expression.

    Args:
        expression: a constant of this module with a placeholder.
        value: any text.
    """
    before, after = _around_slot(expression)
    return f"{before}{literal(value)}{after}"


def literal(value: object) -> str:
    """Return a Python literal without MONAI's own syntax, which it would interpret within strings too."""
    text = repr(value)
    for letter in SYNTAX:
        text = text.replace(letter, f"\\x{ord(letter):02x}")
    return text


def slot_value(expression: str, text: str) -> str | None:
    """Return the string in the slot of an expression; None if `text` is not that expression as `fill` writes it."""
    before, after = _around_slot(expression)
    if not (text.startswith(before) and text.endswith(after)):
        return None
    try:
        value = ast.literal_eval(text[len(before) : len(text) - len(after)])
    except (ValueError, SyntaxError):
        return None
    return value if isinstance(value, str) else None


def _around_slot(expression: str) -> tuple[str, str]:
    placeholder = next(name for name in SLOTS if name in expression)
    before, after = expression.split(f"'{placeholder}'")
    return before, after
