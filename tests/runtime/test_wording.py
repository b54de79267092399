"""How counts, lists of names, sizes, times and columns of numbers are written."""

from __future__ import annotations

import math

import pytest

from mist_bundle.runtime.wording import (
    as_clock,
    as_gb,
    as_time,
    counted,
    did_you_mean,
    even_decimals,
    format_bytes,
    join_with_and,
    list_names,
    nearest,
    nearest_hint,
)


def test_numbers_of_things() -> None:
    assert [counted(number, "label map") for number in (0, 1, 2)] == ["0 label maps", "1 label map", "2 label maps"]
    assert [counted(number, "hash", "hashes") for number in (1, 2)] == ["1 hash", "2 hashes"]


def test_long_lists_are_shortened() -> None:
    assert list_names(["a", "b"]) == "a, b"
    assert list_names(["a", "b", "c", "d"], most=3) == "a, b, c and 1 more"
    assert list_names([f"c{number}" for number in range(20)]).endswith("c7 and 12 more")


@pytest.mark.parametrize(
    ("words", "sentence"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_whole_lists_in_a_sentence(words: list[str], sentence: str) -> None:
    assert join_with_and(words) == join_with_and(iter(words)) == sentence


def test_the_nearest_word() -> None:
    assert nearest("Deep_Supervison", ["deep-supervision", "depth"]) == "deep-supervision"
    assert nearest("zzz", ["epochs"]) is None
    assert did_you_mean("trian", ["train", "rank"]) == "Did you mean 'train'? Known: train, rank."
    assert did_you_mean("zzz", ["train"]) == "Known: train."


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("train_data", 'Did you mean "train-data"?'),
        ("Labels", 'Did you mean "labels"?'),
        ("final-classes", 'Did you mean "final_classes"?'),
        ("zzz", ""),
    ],
)
def test_hints_to_the_nearest_key(word: str, hint: str) -> None:
    assert nearest_hint(word, ["train-data", "labels", "final_classes"]) == hint


@pytest.mark.parametrize(
    ("size", "text"),
    [(999, "999 bytes"), (999_400, "999 kB"), (999_600, "1 MB"), (3.21e9, "3.21 GB"), (5.3e15, "5.3 PB")],
)
def test_sizes_of_files(size: float, text: str) -> None:
    assert format_bytes(size) == text


@pytest.mark.parametrize(("size", "text"), [(2**20 * 80, "80 MB"), (2**30 * 3.21, "3.2 GB"), (2**30 * 24.4, "24 GB")])
def test_sizes_of_memory(size: float, text: str) -> None:
    assert as_gb(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0213, "0.021 s"),
        (75, "75 s"),
        (225, "3.8 min"),
        (600, "10 min"),
        (9990, "2.8 h"),
        (86400 * 31, "31 days"),
        (3e8, "9.5 years"),
    ],
)
def test_times_in_the_fitting_unit(seconds: float, text: str) -> None:
    assert as_time(seconds) == text


def test_times_of_a_clock() -> None:
    assert [as_clock(seconds) for seconds in (0.4, 61, 3723)] == ["0:00:00", "0:01:01", "1:02:03"]


def test_decimals_of_a_column() -> None:
    assert even_decimals([]) == even_decimals([3.0, 5.0, 0.0]) == 0
    assert even_decimals([0.88, 0.8584, math.nan]) == 3
    assert even_decimals([18.0, 77.62, 147.0]) == 1
    assert even_decimals([0.00002]) == 6
    assert even_decimals([3.0, 0.004, 1.502]) == 2
    assert even_decimals([3.0, 0.004, 1.502], show_smallest=True) == 3
