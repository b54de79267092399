"""The command line, a function for each verb: it calls the Python API and prints the result; nothing else prints.

Exit codes: 0 success, 1 some cases failed (each is named), 2 the input was refused and nothing was written.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mist_bundle import __version__
from mist_bundle.bundle import child
from mist_bundle.cli.arguments import call
from mist_bundle.cli.clusters import kubernetes, slurm
from mist_bundle.cli.comparison import compare, ensemble, rank
from mist_bundle.cli.configure import analyze, autoconfig, run_all
from mist_bundle.cli.data import (
    convert_bids,
    convert_csv,
    convert_dicom,
    convert_labels,
    convert_msd,
    convert_nnunet,
    merge_datasets,
    phantom,
)
from mist_bundle.cli.estimate import estimate
from mist_bundle.cli.evaluation import calibrate, choose_postprocessing, evaluate, postprocess
from mist_bundle.cli.finetune import average_weights, finetune
from mist_bundle.cli.help import PROGRAM, help_text, overview
from mist_bundle.cli.imports import import_mist, import_nnunet
from mist_bundle.cli.menu import (
    augmentations,
    losses,
    metrics,
    networks,
    optimizers,
    postprocessing,
    recipes,
    schedules,
)
from mist_bundle.cli.merge import merge_fingerprints
from mist_bundle.cli.report import report
from mist_bundle.cli.sharing import bump, export, pack, push, unpack
from mist_bundle.cli.studies import study
from mist_bundle.cli.trust import audit, make_key, sign, verify
from mist_bundle.cli.workflows import finalize, predict, preprocess, publish, train
from mist_bundle.errors import (
    EXIT_INPUT_REFUSED,
    EXIT_OK,
    EXIT_SOME_CASES_FAILED,
    InputError,
    InstallationError,
    Interrupted,
    MistBundleError,
)
from mist_bundle.runtime.wording import nearest

# in the order of the overview: first steps first
GROUPS: dict[str, tuple[Callable[..., None], ...]] = {
    "Data": (
        phantom,
        convert_msd,
        convert_nnunet,
        convert_csv,
        convert_labels,
        convert_bids,
        convert_dicom,
        merge_datasets,
        analyze,
        merge_fingerprints,
    ),
    "Imported models": (import_nnunet, import_mist),
    "Training a bundle": (
        run_all,
        autoconfig,
        estimate,
        preprocess,
        train,
        publish,
        evaluate,
        finalize,
        report,
        study,
    ),
    "On a cluster": (slurm, kubernetes),
    "Using a bundle": (predict, finetune, average_weights, export),
    "Results": (choose_postprocessing, calibrate, postprocess, rank, compare, ensemble),
    "Trust": (audit, verify, sign, make_key),
    "Sharing": (pack, unpack, bump, push),
    "Menus": (
        networks,
        losses,
        optimizers,
        schedules,
        augmentations,
        recipes,
        metrics,
        postprocessing,
    ),
}
_RESUMED = ("run_all", "train")  # the others do what is missing when they are run again
VERBS: dict[str, Callable[..., None]] = {verb.__name__: verb for verb in itertools.chain.from_iterable(GROUPS.values())}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        print(f"mist-bundle {__version__}")
        return EXIT_OK
    if words[:1] == ["help"] and len(words) > 1:
        return run_verb(words[1], ["--help"])
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview(GROUPS))
        return EXIT_OK if words else EXIT_INPUT_REFUSED
    return run_verb(words[0], words[1:])


def _unknown(name: str) -> str:
    meant = nearest(name, VERBS)
    hint = f"Did you mean {meant!r}?" if meant else f"`{PROGRAM} --help` lists the commands."
    return f"Unknown command {name!r}. {hint}"


def run_verb(name: str, words: list[str]) -> int:
    """Run one verb with its words; problems go to stderr, the exit code says how it went."""
    try:
        verb = VERBS.get(name)
        if verb is None:
            print(_unknown(name), file=sys.stderr)
            return EXIT_INPUT_REFUSED
        if {"-h", "--help"} & set(words):
            print(help_text(verb))
            return EXIT_OK
        with _signals_as_errors():
            call(verb, words)
    except InputError as error:
        print(f"Refused, nothing was written:\n{error}", file=sys.stderr)
        if not words:
            print(f"`{PROGRAM} help {name}` explains its arguments.", file=sys.stderr)
        return EXIT_INPUT_REFUSED
    except BrokenPipeError:  # the reader of the output has seen enough; nothing may be flushed into the pipe at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except (Interrupted, KeyboardInterrupt) as error:
        interruption = error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT, "Interrupted.")
        print(f"\n{_with_next_command(interruption, name, words)}", file=sys.stderr)
        return interruption.exit_code
    except OSError as error:
        return _report_os_error(error)
    except MistBundleError as error:  # some cases failed, or files of this package are missing
        print(str(error), file=sys.stderr)
        return EXIT_INPUT_REFUSED if isinstance(error, InstallationError) else EXIT_SOME_CASES_FAILED
    return EXIT_OK


@contextmanager
def _signals_as_errors() -> Iterator[None]:
    """While the block runs, a signal that asks this process to end raises Interrupted: what is half-done is removed."""
    try:
        with child.signals_raise():
            yield
    except child.Interrupted as interruption:
        message = f"Interrupted by {signal.Signals(interruption.number).name}."
        raise Interrupted(interruption.number, message) from None


def _with_next_command(interruption: Interrupted, name: str, words: Sequence[str]) -> Interrupted:
    """An interruption with the command that continues; where it names none, the command that was interrupted."""
    if interruption.command:
        return interruption
    resumed = ["--resume"] if name in _RESUMED and "--resume" not in words else []
    return Interrupted(interruption.number, interruption.kept, [PROGRAM, name, *words, *resumed])


def _report_os_error(error: OSError) -> int:
    """Print which file could not be read or written; an error without a file is a fault of ours, with its traceback."""
    if error.errno is None or not isinstance(error.filename, str):
        raise error
    print(f"{error.filename}: {error.strerror}. What was finished before is intact.", file=sys.stderr)
    return EXIT_SOME_CASES_FAILED
