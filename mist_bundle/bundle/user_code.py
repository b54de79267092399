"""A user's own network or loss, named on the command line by a dotted path or a file, travelling in the bundle.

`my_package.my_module.MyNet` and `folder/my_net.py:MyNet` are both understood. What is installed like any package stays
where it is and is named by its dotted path; a user's own file or package is copied to the bundle's `scripts/user/`, so
that the bundle runs where the file is not. Nothing is executed here: the source is parsed, never imported.
"""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mist_bundle.errors import InputError, Problem
from mist_bundle.runtime.wording import nearest

USER_FOLDER = "user"
DIVISOR = "patch_divisor"
MAPS = "needs_distance_maps"


@dataclass(frozen=True, kw_only=True, slots=True)
class UserCode:
    """A user's class or function.

    Attributes:
        target: dotted path for `_target_`: `scripts.user.my_net.MyNet`, or the path itself if it is installed.
        files: path below scripts/user -> file to copy there; empty if the code is installed.
        patch_divisor: the number that a network's patch must be a multiple of, if its class declares it
            (`patch_divisor = 16`, or three numbers).
        needs_distance_maps: whether the class of a loss declares it (`needs_distance_maps = True`).
    """

    target: str
    files: tuple[tuple[str, Path], ...] = ()
    patch_divisor: tuple[int, int, int] | None = None
    needs_distance_maps: bool = False


def find_user_code(text: str, option: str, menu: Iterable[str] = ()) -> UserCode:
    """Find the code that a dotted path or `file.py:Name` refers to; relative paths start at the working directory.

    Args:
        text: the user's text.
        option: the option it belongs to, for messages: "--network".
        menu: names of the catalogue, for a hint after a misspelling.

    Raises:
        InputError: the code does not exist, is not Python, lacks the name, or would not run inside a bundle.
    """
    path, _, name = text.rpartition(":")
    if path or text.endswith(".py"):
        return _from_file(Path(path or text), name if path else "", option)
    module, _, name = text.rpartition(".")
    spec = _find_module(module)
    if spec is None or spec.origin is None:
        raise InputError(Problem(option, _not_found(text, module, menu)))
    origin = Path(spec.origin)
    if _is_installed(origin):
        return UserCode(target=text)
    top = module.partition(".")[0]
    top_spec = _find_module(top)
    folders = list(top_spec.submodule_search_locations or []) if top_spec else []
    if not folders:  # a module outside of any package
        return _checked(origin, name, option, target=f"{origin.stem}.{name}", files={f"{origin.stem}.py": origin})
    root = Path(folders[0])
    files: dict[str, Path] = {}
    for file in sorted(root.rglob("*.py")):
        files[f"{top}/{file.relative_to(root).as_posix()}"] = file
    return _checked(origin, name, option, target=text, files=files)


def copy_user_code(codes: Iterable[UserCode], scripts: Path) -> None:
    """Copy the files of all codes below `scripts`/user; creates no folder if there are none."""
    for code in codes:
        for relative, source in code.files:
            target = scripts / USER_FOLDER / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            (scripts / USER_FOLDER / "__init__.py").touch()
            shutil.copyfile(source, target)


def _from_file(path: Path, name: str, option: str) -> UserCode:
    if not path.is_file():
        raise InputError(Problem(option, f"names {path}, which does not exist (looked for in {Path.cwd()})."))
    module = re.sub(r"\W", "_", path.stem)
    if path.suffix != ".py" or not module.isidentifier():
        message = f"names {path}; expected a Python file like my_net.py, then a colon and the name of a class in it."
        raise InputError(Problem(option, message))
    return _checked(path.absolute(), name, option, target=f"{module}.{name}", files={f"{module}.py": path.absolute()})


def _checked(origin: Path, name: str, option: str, *, target: str, files: Mapping[str, Path]) -> UserCode:
    """Check source files that are to be copied.

    Args:
        origin: file that defines the class or function.
        name: its name.
        option: the option that it belongs to, for messages.
        target: its dotted path below scripts/user.
        files: path below scripts/user -> file.
    """
    problems: list[Problem] = []
    for relative, file in files.items():
        tree = _parse(file)
        if isinstance(tree, Problem):
            problems.append(tree)
            continue
        package = relative.partition("/")[0] if "/" in relative else ""
        problems += [Problem(str(file), finding) for finding in _foreign_imports(tree, file, package)]
    tree = _parse(origin)
    if isinstance(tree, ast.Module):
        problems += _name_problems(tree, name, origin, option)
    if problems or isinstance(tree, Problem):
        raise InputError(problems)
    divisor = _attribute(tree, name, DIVISOR)
    maps = _attribute(tree, name, MAPS)
    return UserCode(
        target=f"scripts.{USER_FOLDER}.{target}",
        files=tuple(files.items()),
        patch_divisor=None if divisor is None else _triple(divisor),
        needs_distance_maps=isinstance(maps, ast.Constant) and maps.value is True,
    )


def _name_problems(tree: ast.Module, name: str, origin: Path, option: str) -> list[Problem]:
    """What is wrong with the name of a class or function, or with the attributes that the class declares."""
    names = sorted(_top_level_names(tree))
    if name in names:
        return list(_attribute_problems(tree, name, origin))
    message = f"names {name or 'nothing'!r} in {origin}, which defines {', '.join(names) or 'nothing'}."
    close = nearest(name, names)
    if close:
        message += f" Did you mean {close!r}?"
    return [Problem(option, message)]


def _parse(file: Path) -> ast.Module | Problem:
    try:
        return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    except SyntaxError as error:
        return Problem(str(file), f"is not valid Python: {error.msg} in line {error.lineno}.")
    except UnicodeDecodeError as error:
        return Problem(str(file), f"is not UTF-8 text ({error.reason} at byte {error.start}).")


def _find_module(name: str) -> importlib.machinery.ModuleSpec | None:
    """The specification of a module, without running any of its parents."""
    if not name or not all(part.isidentifier() for part in name.split(".")):
        return None
    path, *rest = name.split(".")
    finder = importlib.machinery.PathFinder
    spec = finder.find_spec(path, [str(Path.cwd())]) or importlib.util.find_spec(path)
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        path += f".{part}"
        spec = finder.find_spec(path, spec.submodule_search_locations)
    return spec


def _not_found(text: str, module: str, menu: Iterable[str]) -> str:
    known = ", ".join(sorted(menu))
    on_menu = f" On the menu: {known}." if known else ""
    return (
        f"is {text!r}, but there is no Python module {module!r} here or among the installed packages. For your own "
        f"code write my_package.my_module.MyClass or path/to/file.py:MyClass.{on_menu}"
    )


def _is_installed(origin: Path) -> bool:
    """Whether a module is where packages are installed, in this environment or in the environment below it."""
    paths = sysconfig.get_paths()
    places = [paths["purelib"], paths["platlib"], paths["stdlib"], paths["platstdlib"]]
    for entry in sys.path:
        # virtual environments that see the system's packages have two such folders or more
        if Path(entry).name in ("site-packages", "dist-packages"):
            places.append(entry)
    return any(origin.is_relative_to(place) for place in places)


def _foreign_imports(tree: ast.Module, file: Path, package: str) -> Iterator[str]:
    """Imports that would fail, or import something else, after the file has been copied."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            if not package and not (node.level == 2 and node.module):
                yield (
                    f"imports its neighbour in line {node.lineno}, which would not travel with it. Put both into a "
                    "package (a folder with __init__.py) and name it by its dotted path."
                )
            continue
        if isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            finding = _foreign_module(module.partition(".")[0], file, package)
            if finding:
                yield f"imports {module} in line {node.lineno}, {finding}"


def _foreign_module(top: str, file: Path, package: str) -> str:
    if top == "mist_bundle":
        return "but a bundle runs where mist_bundle is not installed. Take what you need along, or use MONAI's."
    if top == package:
        return (
            "its own package, by the full name, which is another in a bundle: import it relatively (from . import …)."
        )
    if top in sys.stdlib_module_names:
        return ""
    beside = file.parent / f"{top}.py"
    spec = None if beside.is_file() or (file.parent / top).is_dir() else importlib.util.find_spec(top)
    if spec is not None and (spec.origin is None or _is_installed(Path(spec.origin))):
        return ""
    return (
        "which is not an installed package and would not travel with it. Put both into a package "
        "(a folder with __init__.py), import it relatively, and name the class by its dotted path."
    )


def _top_level_names(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield node.name
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name


def _attribute(tree: ast.Module, class_name: str, attribute: str) -> ast.expr | None:
    """The value that a class of the module assigns to a class attribute."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            for line in node.body:
                if isinstance(line, (ast.Assign, ast.AnnAssign)) and attribute in _assigned_names(line):
                    return line.value
    return None


def _assigned_names(line: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    for target in line.targets if isinstance(line, ast.Assign) else [line.target]:
        if isinstance(target, ast.Name):
            yield target.id


def _attribute_problems(tree: ast.Module, name: str, file: Path) -> Iterator[Problem]:
    divisor, maps = _attribute(tree, name, DIVISOR), _attribute(tree, name, MAPS)
    if divisor is not None and _triple(divisor) is None:
        message = f"{name}.{DIVISOR} is {ast.unparse(divisor)}; expected a whole number above 0, or three."
        yield Problem(str(file), message)
    if maps is not None and not (isinstance(maps, ast.Constant) and isinstance(maps.value, bool)):
        yield Problem(str(file), f"{name}.{MAPS} is {ast.unparse(maps)}; expected True or False.")


def _triple(value: ast.expr) -> tuple[int, int, int] | None:
    try:
        literal: Any = ast.literal_eval(value)
    except ValueError:
        return None
    numbers = [literal] * 3 if isinstance(literal, int) else literal
    if not isinstance(numbers, (list, tuple)) or len(numbers) != 3:
        return None
    for number in numbers:
        if type(number) is not int or number < 1:
            return None
    return (numbers[0], numbers[1], numbers[2])
