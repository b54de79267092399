"""Known expressions are recognised however they are spelt, and nothing else is."""

from __future__ import annotations

import pytest

from mist_bundle.bundle.expressions import IMPORTS
from mist_bundle.trust.audit.syntax import is_import, recognise, summary


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
    assert recognise(expression) is not None


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
    assert recognise(expression) is None


def test_imports_are_recognised_letter_by_letter() -> None:
    for text in IMPORTS:
        assert recognise(text[1:]) is not None
        assert recognise(f"{text[1:]} ") is None
        assert is_import(text[1:])
    assert is_import("from os import system")
    assert not is_import("os.system('import x')")


def test_the_summary_says_what_an_expression_calls() -> None:
    assert summary("__import__('os').system(@cmd)") == "it calls __import__('os').system, calls __import__"
    assert summary("().__class__") == "it reaches for __class__"
    assert "Python parses" in summary("(")
