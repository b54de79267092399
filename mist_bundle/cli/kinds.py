"""What the arguments of the verbs may be, for their annotations; those of the planner are declared with its options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from mist_bundle.runtime.settings import SETTINGS
from mist_bundle.runtime.values import JsonObject, Kind, Number, PathText, Several, Text, Whole, Word, read_json_text

ALL = "all"
MAX_WORKERS = 1024
_SCHEDULER = "tcp://"


@dataclass(frozen=True, kw_only=True)
class FoldNumbers(Several):
    """Numbers of folds, or all of them."""

    def read(self, text: str) -> Any:
        return ALL if text.strip() == ALL else super().read(text)

    def clean(self, value: Any) -> Any:
        return value if value == ALL else super().clean(value)

    def holds(self, value: Any) -> bool:
        return value == ALL or super().holds(value)

    @property
    def expected(self) -> str:
        return "the number of a fold (0, 1 …), several like 0,1, or all"


@dataclass(frozen=True, kw_only=True)
class WorkerCount(Whole):
    """A number of processes, or the address of a Dask scheduler."""

    def read(self, text: str) -> Any:
        return text if text.startswith(_SCHEDULER) else super().read(text)

    def holds(self, value: Any) -> bool:
        return (isinstance(value, str) and value.startswith(_SCHEDULER)) or super().holds(value)

    @property
    def expected(self) -> str:
        return f"a number of processes from 1 to {MAX_WORKERS}, or {_SCHEDULER}HOST:PORT of a Dask scheduler"


@dataclass(frozen=True, kw_only=True)
class JsonOrFile(JsonObject):
    """A JSON object, or the name of a file that holds one."""

    def read(self, text: str) -> Any:
        path = Path(text)
        if text.lstrip()[:1] not in ("{", "[") and path.is_file():
            return read_json_text(path.read_text(encoding="utf-8-sig"))
        return read_json_text(text)

    @property
    def expected(self) -> str:
        return f"{super().expected}, or a file of it"


@dataclass(frozen=True, kw_only=True)
class NumberByName(JsonOrFile):
    """Numbers of 0 or more by name."""

    of: Kind = Number(low=0)

    def holds(self, value: Any) -> bool:
        return super().holds(value) and all(self.of.holds(one) for one in value.values())

    @property
    def expected(self) -> str:
        return """a JSON object of numbers like '{"dice": 2, "hd95": 1}', or a file of it"""


@dataclass(frozen=True, kw_only=True)
class OptionsByName(JsonOrFile):
    """Options (numbers, words, true, false) by the name of what they belong to."""

    def holds(self, value: Any) -> bool:
        return super().holds(value) and all(
            JsonObject().holds(options) and all(isinstance(one, (int, float, str)) for one in options.values())
            for options in value.values()
        )

    @property
    def expected(self) -> str:
        return """options by metric like '{"surface_dice": {"tolerance_mm": 2}}', or a file of it"""


FileName = Annotated[str, PathText()]
Folds = Annotated[Any, FoldNumbers(of=Whole(low=0, high=9999), least=1, distinct=True)]
Workers = Annotated[Any, WorkerCount(low=1, high=MAX_WORKERS)]
Device = Annotated[str, SETTINGS["device"]]
Devices = Annotated[Any, Several(of=Whole(low=0, high=1023), least=1, distinct=True)]
Processes = Annotated[int, Whole(low=1, high=64)]
Seed = Annotated[int, SETTINGS["seed"]]
Count = Annotated[int, Whole(low=1, high=10**9)]
CountOrNone = Annotated[int, Whole(low=0, high=10**9)]
Fraction = Annotated[float, Number(low=0, high=1)]
Words = Annotated[Any, Several(of=Text(), least=1, distinct=True)]
Labels = Annotated[Any, Several(of=Whole(), least=1, distinct=True)]
MetricOptions = Annotated[Any, OptionsByName()]
Weights = Annotated[Any, NumberByName()]
Directions = Annotated[Any, JsonOrFile()]
BundleFormat = Annotated[str, Word(choices=("json", "yaml"), what="format")]
ReportFormat = Annotated[str, Word(choices=("text", "json"), what="format")]
