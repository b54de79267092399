"""A stock bundle is told in a few sentences: what is MONAI itself, and what is not."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import monai.transforms
import pytest

from mist_bundle.cli import main
from mist_bundle.errors import InputError
from mist_bundle.trust.audit.gate import require_audited
from mist_bundle.trust.audit.overview import does_only_standard_things, is_standard_class, overview_of
from mist_bundle.trust.audit.run import audit_bundle
from tests.bundle.stock import write_stock_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_stock_bundle(tmp_path)


def test_a_stock_bundle_runs_monai_only(bundle: Path) -> None:
    overview = overview_of(bundle, audit_bundle(bundle))
    assert overview is not None
    assert (overview.other, overview.others, overview.code) == ([], [], [])
    sentences = overview.sentences()
    assert len(sentences) <= 8
    assert sentences[-1] == "So it runs MONAI's own code only, on files that its configurations and you name."
    assert "/data/spleen" in "\n".join(sentences)


def test_what_is_not_monai_is_shown(tmp_path: Path) -> None:
    bundle = write_stock_bundle(
        tmp_path, secret="$__import__('os').system('touch here')", tool={"_target_": "subprocess.run", "args": "ls"}
    )
    (bundle / "scripts").mkdir()
    (bundle / "scripts/extra.py").write_text("print('hello')\n")
    overview = overview_of(bundle, audit_bundle(bundle))
    assert overview is not None
    assert [problem.path for problem in overview.others] == ["configs/inference.json secret"]
    assert [problem.path for problem in overview.other] == ["configs/inference.json tool#_target_"]
    assert overview.code == ["scripts/extra.py"]
    assert "MONAI's own code only" not in overview.sentences()[-1]


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"load": {"_target_": "LoadImaged", "keys": "image", "reader": "evil.package.Reader"}}, "evil.package.Reader"),
        ({"macro": "%../other.json::id"}, "a part of another file"),
        ({"part": {"_target_": "Compose", "_mode_": "debug"}}, "_mode_"),
    ],
)
def test_what_hides_behind_a_class_of_monai_is_shown(tmp_path: Path, extra: dict[str, Any], words: str) -> None:
    bundle = write_stock_bundle(tmp_path, **extra)
    with pytest.raises(InputError) as refusal:
        require_audited(bundle)
    assert words in str(refusal.value)
    assert "MONAI's own code only" not in str(refusal.value)


def test_a_pickle_is_never_passed_over(bundle: Path) -> None:
    (bundle / "models/model.pt").write_bytes(b"cos\nsystem\n(S'ls'\ntR.")
    with pytest.raises(InputError, match="pickle") as refusal:
        require_audited(bundle)
    assert "MONAI's own code only" not in str(refusal.value)


def test_generated_bundles_are_audited_rule_by_rule(fresh_bundle: Path) -> None:
    assert overview_of(fresh_bundle, audit_bundle(fresh_bundle)) is None


def test_the_gate_refuses_with_the_overview(bundle: Path) -> None:
    with pytest.raises(InputError, match="classes of MONAI") as refusal:
        require_audited(bundle)
    assert len(refusal.value.problems) == 1
    require_audited(bundle, trust=True)


def test_the_command_line(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(bundle)]) == 1
    short = capsys.readouterr().out
    assert main(["audit", str(bundle), "--details"]) == 1
    assert len(short.splitlines()) < 10 < len(capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    "expression",
    [
        "import glob, os",
        "import torch.distributed as dist",
        "sorted(glob.glob(@dataset_dir + '/imagesTr/*.nii.gz'))",
        "[{'image': i, 'label': l} for i, l in zip(@images[:-9], @labels[:-9])]",
        "torch.device('cuda:' + os.environ['LOCAL_RANK'])",
        "monai.handlers.from_engine(['pred', 'label'])",
        "@train#trainer.logger.setLevel(logging.WARNING if dist.get_rank() > 0 else logging.INFO)",
        "dist.is_initialized() or dist.init_process_group(backend='nccl')",
        "setattr(torch.backends.cudnn, 'benchmark', True)",
        "@network_def.to(@device)",
    ],
)
def test_common_expressions_of_the_zoo(expression: str) -> None:
    assert does_only_standard_things(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "import subprocess",
        "__import__('os').system('ls')",
        "os.system('ls')",
        "glob.os.system('ls')",
        "open(@path, 'w').write('x')",
        "torch.load(@path)",
        "torch.hub.load('a/b', 'c')",
        "np.load(@path, allow_pickle=True)",
        "eval(@text)",
        "getattr(os, 'sys' + 'tem')('ls')",
        "(lambda: 1)()",
        "().__class__.__bases__",
        "setattr(os, 'getcwd', None)",
        "monai.bundle.run()",
        "not Python at all (",
    ],
)
def test_whatever_may_do_more(expression: str) -> None:
    assert not does_only_standard_things(expression)


def test_every_class_that_monai_exports_is_known() -> None:
    names = []
    for name, value in vars(monai.transforms).items():
        if inspect.isclass(value) and value.__module__.startswith("monai.transforms") and "Lambda" not in name:
            names.append(name)
    unknown = [name for name in names if not is_standard_class(name)]
    assert len(names) > 300
    assert unknown == []


@pytest.mark.parametrize("target", ["Lambdad", "os.system", "monai.bundle.run", "scripts.Net", "torch.load", "Nothing"])
def test_not_a_standard_class(target: str) -> None:
    assert not is_standard_class(target)
