"""The closed set of `$` expressions that generated bundles hold: what is not here does not pass.

Each line is an expression as the generator writes it. References are part of it; only the strings `<file name>` and
`<relative path>` stand for any plain file name and any relative path. Whoever lets the generator write a new
expression adds it here, where a reviewer sees it: a test generates bundles of every row of the catalogue and compares
both ways.
"""

from __future__ import annotations

import ast
import re
from functools import cache

FILE_NAME = "<file name>"
RELATIVE_PATH = "<relative path>"
MAX_LENGTH = 2000
PURE_MACROS = frozenset({"%run"})

IMPORTS = (
    "import os",
    "import pathlib",
    "import sys",
    "import monai",
    "import torch",
    "import torch.distributed as dist",
)

IDIOMS = (
    # where things lie
    "os.path.abspath(next((p for p in sys.path if pathlib.Path(p, 'configs/plan.json').is_file() and @bundle_id in "
    "pathlib.Path(p, 'configs/plan.json').read_text(encoding='utf-8')), '.'))",
    "[setattr(sys, 'dont_write_bytecode', True), sys.path.insert(1, @bundle_root)] + "
    "[sys.modules.pop(m) for m in list(sys.modules) if m.split('.')[0] == 'scripts' and "
    "not str(getattr(sys.modules[m], '__file__', None)).startswith(os.path.join(@bundle_root, ''))]",
    "os.path.normpath(os.path.join(@bundle_root, '<relative path>'))",
    "os.path.normpath(os.path.join(@bundle_root, '..', '<file name>'))",
    "os.path.join(@bundle_root, 'configs', 'datalist.json')",
    "os.path.join(@bundle_root, 'configs', 'postprocessing.json')",
    "os.path.join(@bundle_root, 'models')",
    "os.path.join(@work_dir, 'cache')",
    "os.path.join(@work_dir, 'predictions')",
    "os.path.join(@work_dir, 'fold_' + str(@fold))",
    "os.path.join(@fold_dir, 'predictions')",
    "os.path.join(@fold_dir, 'results.csv')",
    "os.path.join(@fold_dir, 'last.pt')",
    "os.path.join(@output_dir, 'probabilities')",
    "os.path.join(@output_dir, 'uncertainty')",
    "os.path.join(@bundle_root, 'transfer', 'initial.safetensors')",
    "os.path.join(@models_dir, 'model.pt')",
    "os.path.join(@models_dir, 'fold_' + str(@fold) + '.pt')",
    "[@ckpt_path] + @fold_paths",
    "@fold_paths if @ensemble else []",
    "not os.path.exists(@ckpt_path)",
    # devices and processes
    "torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
    "torch.device('cuda', int(os.environ['LOCAL_RANK'])) if torch.cuda.is_available() else torch.device('cpu')",
    "torch.cuda.set_device(@device) if torch.cuda.is_available() else None",
    "[@device.index] if @device.type == 'cuda' else None",
    "dist.get_rank() if dist.is_initialized() else 0",
    "dist.get_world_size() if dist.is_initialized() else 1",
    "dist.init_process_group(backend='nccl' if torch.cuda.is_available() else 'gloo')",
    "dist.destroy_process_group() if dist.is_initialized() else None",
    "monai.utils.set_determinism(seed=@seed, use_deterministic_algorithms=False)",
    "setattr(torch.backends.cudnn, 'benchmark', True)",
    "setattr(torch.backends.cudnn, 'deterministic', False)",
    "torch.set_float32_matmul_precision('high')",
    # network and training
    "@network_def.to(@device)",
    "@network.parameters()",
    "@average.ema_model if @ema_decay > 0 else @network",
    "@evaluated_network if @ema_decay > 0 else None",
    "@ema_decay == 0",
    "1 - @ema_decay",
    "@train#trainer#max_epochs * @steps_per_epoch",
    "@warmup_fraction * @train#trainer#max_epochs * @steps_per_epoch",
    "@train#dataloader.passes",
    "@train#inferer.needs_scaler(@device)",
    "@compile in (True, 'true')",
    "monai.handlers.from_engine(['pred', 'label'])",
    "not @validate#dataset#data",
    "not @postprocess",
    "not @save_probabilities",
    "not @save_uncertainty",
    "'probabilities' if @save_probabilities else None",
    "'fold ' + str(@fold)",
    # what is run
    "@checkpoints.attach(@train#trainer, @validate#evaluator if @validate#dataset#data else None)",
    "@initial_weights.attach(@train#trainer)",
    "@train#trainer.run()",
    "@validate#evaluator.run()",
    "@evaluator.run()",
    "@train#cache.build(@train#data)",
)

# how MONAI finds references in the text of an expression (any `#` is `::` by then)
_REFERENCE = re.compile(r"@\w*(?:::\w*)*")


def is_import(expression: str) -> bool:
    """Whether MONAI would take it for an import statement: a look at its first statement only."""
    tree = parse(expression, mode="exec")
    return isinstance(tree, ast.Module) and bool(tree.body) and isinstance(tree.body[0], (ast.Import, ast.ImportFrom))


def accepted(expression: str) -> bool:
    """Whether an expression (without its `$`) is one of the closed set."""
    if expression in IMPORTS:
        return True
    tree = parse(expression)
    return tree is not None and any(_same(tree, idiom) for idiom in _trees())


def equal(value: str, known: str) -> bool:
    """Whether a text of a configuration is a known one: the same, or spelt in another way."""
    if not (value.startswith("$") and known.startswith("$")):
        return value == known
    found, idiom = parse(value[1:]), parse(known[1:])
    return found is not None and idiom is not None and _same(found, idiom)


def matched_idiom(expression: str) -> str | None:
    """The idiom that an expression is, for tests that want every idiom used."""
    tree = parse(expression)
    return None if tree is None else next((IDIOMS[i] for i, idiom in enumerate(_trees()) if _same(tree, idiom)), None)


def parse(expression: str, mode: str = "eval") -> ast.AST | None:
    """The syntax tree with references replaced by names, or None when it is no expression of sane size."""
    if len(expression) > MAX_LENGTH or "__reference" in expression:
        return None
    text = _REFERENCE.sub(lambda match: _name(match.group()), expression.replace("#", "::"))
    try:
        return ast.parse(text, mode=mode)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _name(reference: str) -> str:
    # letters outside ASCII would be folded by Python's parser into others
    return "__reference_" + "".join(f"_{ord(letter):x}" for letter in reference)


@cache
def _trees() -> tuple[ast.AST, ...]:
    trees = [parse(idiom) for idiom in IDIOMS]
    return tuple(tree for tree in trees if tree is not None)


def _same(found: object, idiom: object) -> bool:
    """Structural equality, where the two placeholders stand for strings of their kind."""
    if isinstance(idiom, ast.Constant) and idiom.value in (FILE_NAME, RELATIVE_PATH):
        plain = is_file_name if idiom.value == FILE_NAME else is_relative_path
        return isinstance(found, ast.Constant) and isinstance(found.value, str) and plain(found.value)
    if isinstance(idiom, ast.AST):
        return type(found) is type(idiom) and all(
            _same(getattr(found, name, None), getattr(idiom, name, None)) for name in idiom._fields if name != "kind"
        )
    if isinstance(idiom, list):
        return isinstance(found, list) and len(found) == len(idiom) and all(map(_same, found, idiom))
    return type(found) is type(idiom) and found == idiom


def is_file_name(text: str) -> bool:
    """Whether it names a file in a folder, on every system, and nothing else.

    A reference in it would be replaced by code before the text is evaluated, and end the string that it stands in.
    """
    plain = not set(text) & set("/\\:\0") and text.isprintable() and "__reference" not in text
    return bool(text) and text not in (".", "..") and plain


def is_relative_path(text: str) -> bool:
    """Whether it is a path from a folder to somewhere, with any number of steps up."""
    return is_file_name(text.replace("/", "_")) and not text.startswith(("/", "~"))


def summary(expression: str) -> str:
    """What an expression calls and looks up, for its reader."""
    tree = parse(expression)
    if tree is None:
        return "it is no expression that Python parses, or is longer than any that is needed"
    words = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            words.append(f"calls {_words(node.func)}")
        elif isinstance(node, ast.Lambda):
            words.append("makes a function")
        elif isinstance(node, ast.Attribute) and node.attr.startswith("__"):
            words.append(f"reaches for {node.attr}")
    return "it " + ", ".join(dict.fromkeys(words)) if words else "it is not one of the known expressions"


def _words(node: ast.AST) -> str:
    return re.sub(r"__reference_(\w+)", lambda match: _reference(match.group(1)), ast.unparse(node))[:80]


def _reference(codes: str) -> str:
    return "".join(chr(int(code, 16)) for code in codes.split("_") if code)
