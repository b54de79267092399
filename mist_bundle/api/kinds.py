"""The kinds of values that arguments of the API take, for their annotations, and tables of options they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Annotated, Any

from mist_bundle.planning.options import Option
from mist_bundle.runtime.settings import SETTINGS
from mist_bundle.runtime.values import (
    JsonObject,
    Kind,
    Number,
    PathText,
    Several,
    Switch,
    Text,
    Whole,
    Word,
    read_json_text,
)

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
        return super().holds(value) and all(map(self.of.holds, value.values()))

    @property
    def expected(self) -> str:
        return """a JSON object of numbers like '{"dice": 2, "hd95": 1}', or a file of it"""


@dataclass(frozen=True, kw_only=True)
class OptionsByName(JsonOrFile):
    """Options (numbers, words, true, false) by the name of what they belong to."""

    def holds(self, value: Any) -> bool:
        return super().holds(value) and all(map(self._are_options, value.values()))

    def _are_options(self, options: Any) -> bool:
        if not JsonObject().holds(options):
            return False
        return all(isinstance(option, (int, float, str)) for option in options.values())

    @property
    def expected(self) -> str:
        return """options by metric like '{"surface_dice": {"tolerance_mm": 2}}', or a file of it"""


@dataclass(frozen=True, kw_only=True)
class ClassesKind(PathText):
    """The name of a file of classes, or class -> its labels."""

    def holds(self, value: Any) -> bool:
        return isinstance(value, Mapping) or super().holds(value)

    @property
    def expected(self) -> str:
        return "a file, or the labels of each class by its name"


AnyPath = str | PathLike[str]
FileName = Annotated[AnyPath, PathText()]
Folds = Annotated[int | Sequence[int] | str, FoldNumbers(of=Whole(low=0, high=9999), least=1, distinct=True)]
Workers = Annotated[int | str, WorkerCount(low=1, high=MAX_WORKERS)]
Device = Annotated[str, SETTINGS["device"]]
Devices = Annotated[Sequence[int] | str, Several(of=Whole(low=0, high=1023), least=1, distinct=True)]
Processes = Annotated[int, Whole(low=1, high=64)]
Seed = Annotated[int, SETTINGS["seed"]]
Count = Annotated[int, Whole(low=1, high=10**9)]
CountOrNone = Annotated[int, Whole(low=0, high=10**9)]
Fraction = Annotated[float, Number(low=0, high=1)]
Words = Annotated[Sequence[str], Several(of=Text(), least=1, distinct=True)]
ClassesOrFile = Annotated[Mapping[str, Sequence[int]] | AnyPath, ClassesKind()]
Labels = Annotated[Sequence[int], Several(of=Whole(), least=1, distinct=True)]
MetricOptions = Annotated[Mapping[str, Mapping[str, Any]], OptionsByName()]
Weights = Annotated[Mapping[str, float], NumberByName()]
Directions = Annotated[Mapping[str, str], JsonOrFile()]
OutputFormat = Annotated[str, Word(choices=("nii.gz", "nrrd", "mha", "same", "dicom_seg"), what="format")]
SegmentCodes = Annotated[Mapping[str, Any], JsonOrFile()]
BundleFormat = Annotated[str, Word(choices=("json", "yaml"), what="format")]
ReportFormat = Annotated[str, Word(choices=("text", "json"), what="format")]


def chosen_folds(fold: Any) -> list[int] | None:
    """The numbers that a checked argument of the kind `Folds` names; None for all."""
    return None if fold == ALL else list(fold)


def _table(*rows: tuple[str, Kind, Any, str]) -> dict[str, Option]:
    table = {}
    for name, kind, default, about in rows:
        table[name] = Option(
            name=name, kind=kind, about=about, default=default, by_recipe=False, of_network=False, public=True
        )
    return table


METRICS = _table(
    (
        "metrics",
        Several(of=Text(), least=1, distinct=True),
        ("dice", "hd95"),
        "names separated by commas; `mist-bundle metrics` lists them.",
    ),
    (
        "metric_options",
        OptionsByName(),
        None,
        'options of the metrics as JSON, or a JSON file, such as {"surface_dice": {"tolerance_mm": 2}}.',
    ),
)
SCORING = {
    **METRICS,
    **_table(
        ("both_empty", SETTINGS["both_empty"], "best", "score of a class that is in neither label map: best or nan."),
        ("one_empty", SETTINGS["one_empty"], "worst", "score of a class that is in only one of them: worst or nan."),
        (
            "empty_distance_mm",
            SETTINGS["empty_distance_mm"],
            None,
            "worst distance, in millimetres; by default the diagonal of each image.",
        ),
    ),
}
FOLDING = _table(
    ("fold_by", Text(), None, "column of cases.csv, such as patient; cases with the same value share a fold."),
    (
        "group_pattern",
        Text(),
        None,
        "regular expression for the group in an id, such as '(.*)_visit'; cases of a group share a fold.",
    ),
    ("leave_out", Text(), None, "column of cases.csv, such as site; each of its values becomes a fold."),
    (
        "stratify",
        Several(of=Text(), least=1, distinct=True),
        None,
        "properties that every fold gets its share of: classes, volume, and columns of cases.csv.",
    ),
    ("fold_file", PathText(), None, "CSV or JSON with the columns id and fold (0, 1 … or test)."),
    (
        "test_set",
        Text(),
        None,
        "COLUMN=VALUE of cases.csv: labelled cases that are never trained on, such as split=test.",
    ),
)
MODALITIES = ("ct", "mr", "other")
# of all conversions: how they write
WRITING = _table(
    ("copy", Switch(), False, "copy the images instead of linking them."),
    ("overwrite", Switch(), False, "replace an existing folder."),
    ("dry_run", Switch(), False, "read and check everything, show what was understood, and write nothing."),
)
# of layouts that say little about their images; masks of single structures take more
CONVERSION = {
    **_table(
        (
            "channels",
            Several(of=Text(), least=1, distinct=True),
            None,
            "names of all channels in their order, for 4D images; by default those of the columns or files, numbered.",
        ),
        (
            "modality",
            Word(choices=MODALITIES, what="modality"),
            None,
            "ct, mr or other; by default it is guessed from names and intensities, with a warning.",
        ),
    ),
    **WRITING,
}
MASKS = _table(
    (
        "overlaps",
        Word(choices=("last", "regions"), what="way to treat overlaps"),
        "last",
        "class of voxels that lie in several masks: last (the later of --labels) or regions (all of them).",
    ),
    (
        "missing",
        Word(choices=("absent", "unannotated", "refuse"), what="way to treat missing masks"),
        "absent",
        "meaning of a missing mask file: absent (from the case), unannotated (it may be there), or refuse the case.",
    ),
)
HARDWARE = _table(
    (
        "devices",
        Several(of=Whole(low=0, high=1023), least=1, distinct=True),
        None,
        "numbers of the GPUs to use, like 0,2; by default every visible GPU that the batch can use.",
    ),
    ("processes", Whole(low=1, high=64), None, "number of GPUs (or CPU processes) that train together."),
    (
        "nodes",
        Whole(low=1, high=64),
        1,
        "number of machines that train together; run the command on each, with its own --node_rank.",
    ),
    ("node_rank", Whole(low=0, high=10**9), None, "number of this machine, from 0."),
    ("rendezvous", Text(), None, "HOST:PORT of the machine with --node_rank 0."),
    (
        "max_restarts",
        Whole(low=0, high=10**9),
        0,
        "how often a training continues from its last epoch after one of its processes died.",
    ),
)
