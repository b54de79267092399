"""Rows of the menu, and how the names of a user's own code are told from them."""

from __future__ import annotations

import pytest

from mist_bundle.catalog.choice import Choice, find_choice, is_user_code

MENU = {"dice": Choice(target="a.Dice", about="x"), "dice_ce": Choice(target="a.DiceCE", about="y")}


def test_a_name_gives_its_row_and_a_path_a_row_of_its_own() -> None:
    assert find_choice(MENU, "dice") is MENU["dice"]
    own = find_choice(MENU, "my_package.losses.Mine")
    assert (own.target, own.sizing) == ("my_package.losses.Mine", "user")
    with pytest.raises(KeyError):
        find_choice(MENU, "dise")


def test_user_code_has_a_dot_or_a_colon() -> None:
    assert is_user_code("a.b")
    assert is_user_code("file.py:Net")
    assert not is_user_code("dice_ce")
