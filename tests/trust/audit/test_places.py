"""Where a bundle's folders and files are named: what the generator writes there, and nothing else."""

from __future__ import annotations

import ast

import pytest

from mist_bundle.bundle.expressions import EXPRESSIONS, PATH_PLACES, REFERENCES, fill
from mist_bundle.bundle.vendor import RUNTIME, runtime_files
from mist_bundle.trust.audit.places import is_expression_in_place, is_path_in_place, place_of

# text arguments of the runtime's classes that name neither a file nor a folder
_WORDS = """
    metric training_only_keys resume parts new_parts class_names description shape final_classes metrics options
    both_empty one_empty key reference_key enabled activation failures transform keys data device augmentation
    source_key label_key output_key pred_key mask_key mode window strategy image_key probabilities_key id_key suffix
    output_keys holder file_name reason settings plan overrides overlap
    channel_names training_ranges warnings_key overwrite load_dict map_location kept
    classes tracker run_name name tiling average engine restore mixed absent schemes axcodes mapped
"""
NO_PLACES = frozenset(_WORDS.split())


def test_every_text_argument_of_the_runtime_is_known() -> None:
    found = set()
    for file in runtime_files():
        for node in ast.parse((RUNTIME / file).read_text(encoding="utf-8")).body:
            for method in node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else ():
                if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                    for one in (*method.args.args, *method.args.kwonlyargs):
                        kind = ast.unparse(one.annotation) if one.annotation else ""
                        found |= {one.arg} if "str" in kind or "Path" in kind else set()
    closed = {place.removeprefix("*#") for place in PATH_PLACES if place.startswith("*#")}
    assert found - NO_PLACES - closed == set(), "may a bundle say where it reads or writes? See bundle/expressions.py"


@pytest.mark.parametrize(
    ("identity", "value", "fits"),
    [
        ("models_dir", "$os.path.join(@bundle_root, 'models')", True),
        ("models_dir", '$os.path.join( @bundle_root, "models" )', True),
        ("models_dir", "$os.path.join(@bundle_root, 'configs')", False),
        ("models_dir", "models", False),
        ("dataset_dir", "/any/where", True),
        ("dataset_dir", "$os.path.normpath(os.path.join(@bundle_root, '../data/train'))", True),
        ("dataset_dir", "@models_dir", False),
        ("x", "anything", True),
        ("train#cache#folder", "$os.path.join(@work_dir, 'cache')", True),
        ("train#cache#folder", "cache", False),
        ("checkpoints#best_paths#1", "$os.path.join(@models_dir, 'model.pt')", True),
        ("checkpoints#best_paths#1", "@dataset_dir", False),
        ("validate#handlers#3#output_path", "@dataset_dir", False),
        ("network_def#_requires_", "@scripts_path", True),
        ("network_def#_requires_", "@bundle_root", False),
    ],
)
def test_each_has_its_closed_set(identity: str, value: str, fits: bool) -> None:
    assert is_path_in_place(place_of(identity), value) is fits


def test_an_id_has_a_place() -> None:
    assert place_of("run#0") == "run"
    assert place_of("work_dir") == "work_dir"
    assert place_of("train#cache#folder") == "*#folder"
    assert place_of("train#handlers#2#paths#0") == "*#paths"


def test_every_known_value_is_in_its_own_place_and_no_path_in_another() -> None:
    for known in EXPRESSIONS:
        text = fill(known.text, "x_work") if "'<" in known.text else known.text
        for place in known.places:
            assert is_expression_in_place(place, text)
            assert is_path_in_place(place, text)
        assert not any(is_path_in_place(place, text) for place in PATH_PLACES - set(known.places))
    for place, references in REFERENCES.items():
        assert all(is_path_in_place(place, reference) for reference in references)
