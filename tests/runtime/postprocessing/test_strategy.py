"""Strategies as data: what is refused, MIST's spelling, the order of steps, groups."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mist_bundle.catalog.postprocessing import POSTPROCESSING
from mist_bundle.runtime.postprocessing.strategy import OPERATIONS, Step, apply_strategy, parse_strategy, read_strategy

from .scenes import UNIT, boxes


def test_menu_and_code_agree() -> None:
    assert list(POSTPROCESSING) == list(OPERATIONS)
    for name, row in POSTPROCESSING.items():
        function = OPERATIONS[name].function
        assert row.target == f"scripts.{function.__module__.removeprefix('mist_bundle.runtime.')}.{function.__name__}"


def test_mists_spelling_means_the_same() -> None:
    theirs = [
        {
            "transform": "get_top_k_connected_components",
            "apply_to_labels": [-1],
            "per_label": True,
            "kwargs": {"top_k_connected_components": 2},
        },
        {
            "transform": "replace_small_objects_with_label",
            "apply_to_labels": [3],
            "per_label": True,
            "kwargs": {"small_object_threshold": 10, "replacement_label": 2},
        },
        {"transform": "fill_holes_with_label", "apply_to_labels": [1], "kwargs": {"fill_holes_label": 4}},
    ]
    assert parse_strategy(theirs) == (
        Step(transform="keep_top_k_components", options={"k": 2}),
        Step(transform="replace_small_objects_with_label", labels=(3,), options={"min_size": 10, "replacement": 2}),
        Step(transform="fill_holes_with_label", labels=(1,), options={"fill_label": 4}),
    )


@pytest.mark.parametrize(
    ("kwargs", "detach"),
    [
        ({"apply_morphological_cleaning": True, "morphological_cleaning_iterations": 3}, 3),
        ({"apply_morphological_cleaning": True}, 2),  # MIST's default number of iterations
        ({"apply_morphological_cleaning": False, "morphological_cleaning_iterations": 3}, 0),
        ({"morphological_cleaning_iterations": 3}, 0),  # MIST cleans only when told to
    ],
)
def test_mists_morphological_cleaning_is_detach(kwargs: dict, detach: int) -> None:
    entry = {"transform": "get_top_k_connected_components", "apply_to_labels": [1], "kwargs": kwargs}
    (step,) = parse_strategy([entry])
    assert step.options == {"detach": detach}


def test_wrong_cleaning_is_named_by_the_names_that_were_written() -> None:
    step = {"transform": "get_top_k_connected_components", "kwargs": {"apply_morphological_cleaning": "yes"}}
    with pytest.raises(ValueError, match="apply_morphological_cleaning is 'yes'; expected true or false"):
        parse_strategy([step])
    step = {"transform": "remove_small_objects", "kwargs": {"apply_morphological_cleaning": True}}
    with pytest.raises(ValueError, match="remove_small_objects has no option 'apply_morphological_cleaning'"):
        parse_strategy([step])
    step = {"transform": "keep_top_k_components", "kwargs": {"apply_morphological_cleaning": True, "detach": 1}}
    with pytest.raises(ValueError, match="say the same; leave either out"):
        parse_strategy([step])


def test_all_labels_per_label_is_no_empty_promise() -> None:
    # in MIST 2.3.0 [-1] with per_label does nothing
    label = boxes(
        (1, (1, 1, 1), (4, 4, 4)), (1, (10, 1, 1), (2, 2, 2)), (2, (1, 10, 1), (4, 4, 4)), (2, (10, 10, 1), (2, 2, 2))
    )
    (step,) = parse_strategy([{"transform": "keep_top_k_components", "apply_to_labels": [-1], "per_label": True}])
    np.testing.assert_array_equal(
        apply_strategy(label, UNIT, [step]), boxes((1, (1, 1, 1), (4, 4, 4)), (2, (1, 10, 1), (4, 4, 4)))
    )


def test_per_label_and_as_a_group() -> None:
    label = boxes((1, (1, 1, 1), (4, 4, 4)), (2, (5, 1, 1), (2, 2, 2)), (2, (12, 12, 1), (3, 3, 3)))
    each = Step(transform="keep_top_k_components", labels=(1, 2))
    together = Step(transform="keep_top_k_components", labels=(1, 2), per_label=False)
    # alone the far part of label 2 is its largest; together with label 1 the near one belongs to the largest object
    np.testing.assert_array_equal(
        apply_strategy(label, UNIT, [each]), boxes((1, (1, 1, 1), (4, 4, 4)), (2, (12, 12, 1), (3, 3, 3)))
    )
    np.testing.assert_array_equal(
        apply_strategy(label, UNIT, [together]), boxes((1, (1, 1, 1), (4, 4, 4)), (2, (5, 1, 1), (2, 2, 2)))
    )


def test_steps_are_applied_in_order() -> None:
    label = boxes((3, (1, 1, 1), (2, 2, 2)), (2, (3, 1, 1), (4, 4, 4)))
    replace = Step(
        transform="replace_small_objects_with_label", labels=(3,), options={"replacement": 2, "min_size": 20}
    )
    remove = Step(transform="remove_small_objects", labels=(3,), options={"min_size": 20})
    assert (apply_strategy(label, UNIT, [replace, remove]) == 2).sum() == 8 + 64
    assert (apply_strategy(label, UNIT, [remove, replace]) == 2).sum() == 64


def test_nothing_to_do_gives_the_same_array() -> None:
    label = boxes((1, (1, 1, 1), (8, 8, 8)))
    assert apply_strategy(label, UNIT, []) is label
    assert apply_strategy(label, UNIT, [Step(transform="remove_small_objects", labels=(9,))]) is label


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_every_operation_runs_from_json_and_comes_back_as_json(name: str) -> None:
    options = {"replacement": 2} if OPERATIONS[name].required else {}
    entry = {"transform": name, "apply_to_labels": "all", "per_label": False, "kwargs": options}
    (step,) = parse_strategy({"strategy": [entry]})
    assert step.to_json() == entry
    label = boxes((1, (1, 1, 1), (8, 8, 8)), (0, (3, 3, 3), (2, 2, 2)), (1, (14, 14, 10), (1, 1, 1)))
    assert (apply_strategy(label, UNIT, [step]) != label).any()


def test_everything_that_is_wrong_is_named(tmp_path: Path) -> None:
    entries = [
        {"transform": "remove_smal_objects"},
        {"transform": "remove_small_objects", "apply_to_labels": [0], "kwargs": {"min_size": -1, "unit": "cm3"}},
        {"transform": "keep_top_k_components", "kwargs": {"k": 0, "top": 3}, "per_label": "yes"},
        {"transform": "replace_small_objects_with_label", "label": 3},
        {"transform": "morphological_closing", "kwargs": [1]},
        "opening",
    ]
    path = tmp_path / "strategy.json"
    path.write_text(json.dumps(entries))
    with pytest.raises(ValueError, match="Step 1") as caught:
        read_strategy(path)
    for said in (
        """Step 1: "transform" is 'remove_smal_objects'; known: remove_small_objects""",
        'Step 2: "apply_to_labels" is [0]; expected labels above 0',
        "min_size is -1; expected a number of at least 0",
        """unit is 'cm3'; expected "voxels" or "mm3\"""",
        """Step 3: "per_label" is 'yes'""",
        "k is 0; expected a whole number of at least 1",
        "has no option 'top'; known: k, detach, connectivity",
        "Step 4: 'label' is not a key of a step",
        "needs 'replacement'",
        'Step 5: "kwargs" is [1]; expected an object',
        "Step 6: 'opening' is not a step",
    ):
        assert said in str(caught.value)
    for content in ("3", '{"steps": []}', '"remove"'):
        path.write_text(content)
        with pytest.raises(ValueError, match="A strategy is a list of steps"):
            read_strategy(path)
