"""What a row of the menu is: a dotted path, the arguments that never change, what it needs, and whom to cite.

The dotted path ends up as `_target_` in the bundle's JSON, so it is the only registry: a row is all that a new loss,
network or schedule costs. Paths that begin with `scripts.` name a module of `mist_bundle/runtime`, which travels in
the bundle under that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One row of the menu.

    Attributes:
        target: dotted path of the class or function.
        kwargs: arguments that are part of the choice.
        about: one line for people.
        cite: where it comes from.
        needs: what the choice asks of the rest, for example {"distance_maps"}.
        extended: for losses whose target knows neither regions, nor ignored voxels, nor class weights: the same loss
            with them.
        base: for losses that are one term of a composite: the name of the loss for the other term.
        sizing: for networks, the name of the rule in planning/sizing_rules.py.
        takes: for networks, the options of autoconfig that mean something to it.
        patch_voxels: for networks that are made for a certain memory: voxels of a patch in a batch of two, which decide
            the patch in place of the recipe's rule.
        defaults: for networks, the values of those options that are its own rather than the recipe's.
    """

    target: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    about: str
    cite: str = ""
    needs: frozenset[str] = frozenset()
    extended: str = ""
    base: str = ""
    sizing: str = ""
    patch_voxels: int = 0
    takes: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)


def is_user_code(name: str) -> bool:
    """Whether a name is the user's own code: a dotted path or a file. Names of the menu have neither dot nor colon."""
    return "." in name or ":" in name


def find_choice(menu: Mapping[str, Choice], name: str) -> Choice:
    """The row of a name, or a row made for a dotted path of the user's own code.

    Raises:
        KeyError: it is neither.
    """
    if is_user_code(name):
        return Choice(target=name, about="The user's own code.", sizing="user")
    return menu[name]
