"""A row of the menu: the dotted path of a class or function, its fixed arguments, its requirements and citation.

The dotted path becomes `_target_` in the bundle's JSON, so there is no other registry: a new loss, network or schedule
is a new row. Paths that begin with `scripts.` refer to `mist_bundle/runtime`, which travels in the bundle under that
name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A row of the menu.

    Attributes:
        target: dotted path of the class or function.
        kwargs: arguments that are part of the choice.
        about: a line for people.
        cite: source of the method.
        needs: requirements, for example {"distance_maps"}.
        extended: for losses whose target supports neither regions, nor ignored voxels, nor class weights: a target
            with this support.
        variants: for networks: an argument that the target does not take -> the class that takes it, too. Weights have
            the same names and shapes in both.
        base: for composite losses: name of the loss of the other term.
        sizing: for networks, the name of the rule in planning/sizing_rules.py.
        takes: for networks, the options of autoconfig that the network has.
        memory_gb: for networks designed for a certain memory of the GPU, which decides patch and batch instead of the
            recipe; 0 for others.
        defaults: for networks, default values of these options that replace the recipe's.
    """

    target: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    about: str
    cite: str = ""
    needs: frozenset[str] = frozenset()
    extended: str = ""
    variants: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
    sizing: str = ""
    memory_gb: int = 0
    takes: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def target_for(self, arguments: Collection[str]) -> str:
        """Return the class that takes these arguments: the target, or a variant of it."""
        for argument, target in self.variants.items():
            if argument in arguments:
                return target
        return self.target


def is_user_code(name: str) -> bool:
    """Return whether a name refers to the user's own code: a dotted path or a file, unlike names of the menu."""
    return "." in name or ":" in name


def find_choice(menu: Mapping[str, Choice], name: str) -> Choice:
    """Return the row of a name, or a new row for a dotted path of the user's own code.

    Raises:
        KeyError: the name is neither.
    """
    if is_user_code(name):
        return Choice(target=name, about="The user's own code.", sizing="user")
    return menu[name]
