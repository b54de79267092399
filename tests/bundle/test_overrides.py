"""What a user sets in place of a bundle's configuration: refused with the nearest id, or handed over as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fire
import pytest
from hypothesis import given
from hypothesis import strategies as st
from monai.bundle import ConfigParser

from mist_bundle.bundle.overrides import checked_overrides, load_configs, override_word
from mist_bundle.errors import InputError

CONFIG = {
    "epochs": 3,
    "device": "cpu",
    "dataset_dir": ".",
    "ensemble": True,
    "patch_size": [32, 32, 32],
    "patch_divisor": [16, 16, 16],
    "train": {"trainer": {"max_epochs": "@epochs"}, "handlers": [{"max_norm": 1.0}]},
}


def test_known_ids_pass_at_any_depth() -> None:
    given = {"epochs": 5, "train#trainer#max_epochs": 2, "train::handlers::0::max_norm": 2}
    assert checked_overrides(CONFIG, given) == given


def test_all_unknown_ids_and_wrong_values_are_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        checked_overrides(
            CONFIG, {"epoch": 5, "train#trainer#max_epoch": 2, "train#handlers#7": 1, "epochs": 0, "device": "gpu0"}
        )
    text = str(caught.value)
    assert len(caught.value.problems) == 5
    assert "Did you mean --epochs" in text
    assert "--train#trainer#max_epochs" in text
    assert "--epochs: is 0; expected a whole number, 1 or more" in text
    assert "--device: is 'gpu0'; expected cpu, cuda or cuda:1." in text


def test_texts_become_the_values_that_they_stand_for() -> None:
    given = {"epochs": "5", "ensemble": "no", "patch_size": "32", "dataset_dir": Path("a"), "device": None}
    expected = {"epochs": 5, "ensemble": False, "patch_size": (32, 32, 32), "dataset_dir": "a"}
    assert checked_overrides(CONFIG, given) == expected
    assert checked_overrides(CONFIG, {"epochs": "$2 * 3"}) == {"epochs": "$2 * 3"}


def test_a_patch_that_the_network_cannot_take() -> None:
    with pytest.raises(InputError, match="--patch_size"):
        checked_overrides(CONFIG, {"patch_size": (24, 24, 24)})


def test_overlays_replace_nested_ids(fresh_bundle: Path) -> None:
    files = [fresh_bundle / "configs" / name for name in ("train.json", "evaluate.json")]
    config = load_configs(files)
    assert config["validate"]["dataset"]["_target_"] == "Dataset"
    assert config["validate"]["evaluator"]["_target_"] == "SupervisedEvaluator", "untouched by the overlay"
    assert checked_overrides(config, {"ckpt_path": "x", "metrics": ["dice"]})


def _arrives(value: Any) -> Any:
    """What MONAI's configuration holds of a value that was typed on the command line of `monai.bundle run`."""
    seen: dict[str, Any] = {}

    def run(**override: Any) -> None:
        parser = ConfigParser({"output_dir": "x", "name": "@output_dir"})
        parser.update(override)
        seen["value"] = parser.get_parsed_content("name")

    fire.Fire(run, command=["--output_dir", override_word(value)])
    return seen["value"]


@pytest.mark.parametrize(
    "value",
    [
        *("/data/run #2", "/x@y/@output_dir", "/a::b", "/100%/%x", '/it\'s "quoted"', "/back\\slash", "/new\nline"),
        *("123", "None", "1,2", "true", "/ünïcode ✓", "#", "'@name'", "/$HOME/x"),
        *(5, 1e-3, True, False, [1, 2, 3], ["a", "b"], ["/x#1", "/y@z"], {"a": {"b": False}}, {"a": "#1"}),
    ],
)
def test_any_value_arrives_as_it_is(value: Any) -> None:
    assert _arrives(value) == value


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
def test_any_path_arrives_as_it_is(name: str) -> None:
    assert _arrives(f"/{name}") == f"/{name}"


def test_expressions_stay_expressions() -> None:
    assert _arrives("$[1, 2][1] * 3") == 6


def test_a_later_file_changes_an_entry_of_a_list(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    first.write_text('{"handlers": [{"interval": 1}, {"interval": 2}]}')
    second.write_text('{"handlers#1#interval": 3, "handlers::0": 4}')
    assert load_configs([first, second]) == {"handlers": [4, {"interval": 3}]}
    second.write_text('{"handlers#7#interval": 3}')
    with pytest.raises(InputError, match="handlers#7#interval: leads nowhere"):
        load_configs([first, second])
