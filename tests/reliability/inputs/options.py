"""Values of options that cannot be, of every verb: each is refused before anything starts."""

from __future__ import annotations

from collections.abc import Callable

from tests.reliability.inputs.judge import Answer, BrokenInput
from tests.reliability.inputs.site import Site

PLANNER = "options of autoconfig"
RUNS = "options of preprocess, train, evaluate and predict"
OTHERS = "options of the other verbs"
WORDS = "commands and words"

# what follows `autoconfig dataset.json`, and what the refusal says
PLANNED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("--folds 1", ("--folds", "2 or more")),
    ("--folds 0", ("--folds",)),
    ("--folds -2", ("--folds",)),
    ("--folds five", ("--folds", "five")),
    ("--folds 2.5", ("--folds", "2.5")),
    ("--folds 7", ("folds", "6 cases")),
    ("--epochs 0", ("--epochs",)),
    ("--epochs abc", ("--epochs", "abc")),
    ("--epochs -3", ("--epochs", "-3")),
    ("--epochs 1e9", ("--epochs",)),
    ("--epochs 3 --epochs 5", ("--epochs", "twice")),
    ("--epochs", ("--epochs", "no value")),
    ("--steps_per_epoch 0", ("--steps_per_epoch",)),
    ("--batch_size 0", ("--batch_size",)),
    ("--batch_size 1000000", ("--batch_size",)),
    ("--batch_size nan", ("--batch_size", "nan")),
    ("--patch_size 16,16", ("--patch_size",)),
    ("--patch_size 16,16,-16", ("--patch_size",)),
    ("--patch_size 0,0,0", ("--patch_size",)),
    ("--patch_size big", ("--patch_size", "big")),
    ("--patch_size 1.5,2,3", ("--patch_size",)),
    ("--patch_size 5000", ("--patch_size",)),
    ("--max_patch_size 0", ("--max_patch_size",)),
    ("--target_spacing 1,0,1", ("--target_spacing",)),
    ("--target_spacing 1,1", ("--target_spacing",)),
    ("--target_spacing inf", ("--target_spacing",)),
    ("--target_spacing 1e-9", ("target_spacing",)),
    ("--learning_rate -1", ("--learning_rate",)),
    ("--learning_rate 0", ("--learning_rate",)),
    ("--learning_rate nan", ("--learning_rate",)),
    ("--learning_rate fast", ("--learning_rate", "fast")),
    ("--weight_decay -1", ("--weight_decay",)),
    ("--warmup_steps -1", ("--warmup_steps",)),
    ("--grad_clip_norm -0.5", ("--grad_clip_norm",)),
    ("--ema_decay 1", ("--ema_decay",)),
    ("--early_stopping -1", ("--early_stopping",)),
    ("--val_fraction 1.5", ("--val_fraction",)),
    ("--val_fraction -0.1", ("--val_fraction",)),
    ("--seed -1", ("--seed",)),
    ("--seed 99999999999", ("--seed",)),
    ("--seed x", ("--seed",)),
    ("--workers 0", ("--workers",)),
    ("--workers -4", ("--workers",)),
    ("--workers tcp://", ("--workers",)),
    ("--network nnnet", ("--network", "Did you mean 'nnunet'")),
    ("--network nowhere.module.Net", ("--network", "nowhere")),
    ("--network no/file.py:Net", ("--network", "file.py")),
    ("--loss dise", ("--loss", "Did you mean")),
    ("--recipe papre", ("--recipe",)),
    ("--optimizer sdg", ("--optimizer",)),
    ("--schedule cosin", ("--schedule",)),
    ("--precision fp8", ("--precision",)),
    ("--augmentation much", ("--augmentation",)),
    ("--format toml", ("--format",)),
    ("--flip_axes 3", ("--flip_axes",)),
    ("--flip_axes 1,1", ("--flip_axes",)),
    ("--flip_axes left", ("--flip_axes",)),
    ("--class_weights 1,2", ("class_weights",)),
    ("--class_weights -1,1,1,1", ("--class_weights",)),
    ("--region_labels 4,3,4", ("--region_labels",)),
    ("--region_labels 9", ("region_labels",)),
    ("--ignore_label 9", ("ignore_label", "9")),
    ("--ignore_label 0", ("ignore_label", "background")),
    ("--kernel_size 4", ("--kernel_size",)),
    ("--deep_supervision_heads 99", ("--deep_supervision_heads",)),
    ("--network_arguments {bad", ("--network_arguments", "JSON")),
    ("--network_arguments [1]", ("--network_arguments",)),
    ('--network_arguments {"no_such_argument":1}', ("no_such_argument",)),
    ('--loss_arguments {"no_such_argument":1}', ("no_such_argument",)),
    ("--residual --noresidual", ("--residual", "twice")),
    ("--residual maybe", ("--residual", "maybe")),
    ("--skip_preprocessing --bias_correction", ("bias_correction",)),
    ("--skip_preprocessing --target_spacing 1", ("target_spacing",)),
    ("--epoch 3", ("--epoch", "Did you mean 'epochs'")),
    ("--qwertz 1", ("--qwertz", "not an option")),
    ("-e 3", ("-e", "two dashes")),
    ("third_word", ("third_word",)),
)
# what follows the verb and the bundle, and what the refusal says; {x} are places in the site
PREDICT = "predict {bundle} {data}/test {folder}/predicted"
SET_UP: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("configured", "preprocess {bundle} --workers 0", ("--workers",)),
    ("configured", "preprocess {bundle} --workers many", ("--workers",)),
    ("configured", "preprocess {bundle} --dataset_dir {folder}/nowhere", ("nowhere",)),
    ("configured", "preprocess {bundle} --qwertz 1", ("qwertz",)),
    ("configured", "preprocess {folder}/nowhere", ("nowhere",)),
    ("configured", "preprocess {data}", ("not a bundle",)),
    ("configured", "train {bundle} --fold 2", ("--fold", "0 to 1")),
    ("configured", "train {bundle} --fold -1", ("--fold",)),
    ("configured", "train {bundle} --fold x", ("--fold",)),
    ("configured", "train {bundle} --fold 0,0", ("--fold",)),
    ("configured", "train {bundle} --epochs 0", ("--epochs",)),
    ("configured", "train {bundle} --epochs abc", ("--epochs",)),
    ("configured", "train {bundle} --epoch 1", ("epoch", "epochs")),
    ("configured", "train {bundle} --learning_rate -1", ("--learning_rate",)),
    ("configured", "train {bundle} --batch_size 0", ("--batch_size",)),
    ("configured", "train {bundle} --batch_size 1 --batch_size 2", ("--batch_size", "twice")),
    ("configured", "train {bundle} --patch_size 16,16", ("--patch_size",)),
    ("configured", "train {bundle} --patch_size 17,17,17", ("patch_size",)),
    ("configured", "train {bundle} --device cuda", ("cuda",)),
    ("configured", "train {bundle} --device tpu", ("--device",)),
    ("configured", "train {bundle} --devices 0,1", ("--devices",)),
    ("configured", "train {bundle} --devices 0,0", ("--devices",)),
    ("configured", "train {bundle} --processes 0", ("--processes",)),
    ("configured", "train {bundle} --processes 3 --batch_size 2", ("batch_size",)),
    ("configured", "train {bundle} --parallel 0", ("--parallel",)),
    ("configured", "train {bundle} --nodes 2", ("--rendezvous",)),
    ("configured", "train {bundle} --node_rank 1", ("node",)),
    ("configured", "train {bundle} --max_restarts -1", ("--max_restarts",)),
    ("configured", "train {bundle} --amp fp8", ("amp",)),
    ("configured", "train {bundle} --seed -1", ("--seed",)),
    ("configured", "train {bundle} --loader fast", ("--loader",)),
    ("configured", "train {bundle} --val_interval 0", ("--val_interval",)),
    ("configured", "train {bundle} --work_dir {data}/dataset.json", ("dataset.json",)),
    ("configured", "train {bundle} --dataset_dir {folder}/nowhere", ("nowhere",)),
    ("configured", "publish {bundle}", ("no training",)),
    ("configured", "publish {bundle} --fold 1", ("fold 1", "no weights")),
    ("configured", "evaluate {bundle}", ("no trained fold",)),
    ("configured", "evaluate {bundle} --fold 0", ("fold 0", "no weights")),
    ("configured", "finalize {bundle}", ("Train",)),
    ("configured", PREDICT, ("model.pt",)),
    ("configured", "export {bundle}", ("model.pt",)),
    ("configured", "choose_postprocessing {bundle}", ("fold",)),
    ("configured", "average_weights {bundle} --output {folder}/mean.pt", ("at least two",)),
    ("trained", "train {bundle} --fold all", ("--resume", "--overwrite")),
    ("trained", "train {bundle} --fold all --resume --learning_rate 0.5", ("learning_rate", "other settings")),
    ("trained", "train {bundle} --fold all --resume --epochs 1", ("epochs",)),
    ("trained", "train {bundle} --fold 0 --resume --overwrite", ("--resume", "--overwrite")),
    ("trained", "autoconfig {data}/dataset.json --output {folder}/out --folds 2", ("exists already",)),
    ("trained", "autoconfig {data}/dataset.json --output {folder}/out --folds 2 --overwrite", ("--overwrite_weights",)),
    ("trained", "run_all {data}/dataset.json --output {folder}/out --folds 2", ("exists already",)),
    ("trained", "evaluate {bundle} --fold 5", ("--fold", "0 to 1")),
    ("trained", "evaluate {bundle} --metrics dise", ("dise",)),
    ("trained", "evaluate {bundle} --overlap 2", ("--overlap",)),
    ("trained", f"{PREDICT} --overlap 2", ("--overlap",)),
    ("trained", f"{PREDICT} --overlap 1", ("--overlap",)),
    ("trained", f"{PREDICT} --sw_batch_size 0", ("--sw_batch_size",)),
    ("trained", f"{PREDICT} --memory 0", ("--memory",)),
    ("trained", f"{PREDICT} --ensemble perhaps", ("--ensemble",)),
    ("trained", f"{PREDICT} --tta --notta", ("--tta",)),
    ("trained", f"{PREDICT} --device cuda:9", ("cuda",)),
    ("trained", f"{PREDICT} --qwertz 1", ("qwertz",)),
    ("trained", f"{PREDICT} --overlapp 0.5", ("overlap",)),
    ("trained", "predict {bundle} {data}/test", ("OUTPUT",)),
    ("trained", "predict {bundle} {folder}/nowhere {folder}/predicted", ("nowhere",)),
    ("trained", "predict {bundle} {data}/test {data}/test/predicted", ("--output", "outside")),
    ("trained", "predict {bundle} {data}/test {data}/dataset.json", ("dataset.json", "Choose")),
    ("trained", "predict {data} {data}/test {folder}/predicted", ("not a bundle",)),
)
ELSEWHERE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("data", "analyze {data}/dataset.json --output {folder}/page --pictures -1", ("--pictures",)),
    ("data", "analyze {folder}/no.json --output {folder}/page", ("no.json",)),
    ("data", "phantom {folder}/made --kind dog", ("--kind",)),
    ("data", "phantom {folder}/made --cases 0", ("--cases",)),
    ("data", "phantom {folder}/made --seed -1", ("--seed",)),
    ("data", "phantom {data}", ("exists already",)),
    ("data", "convert_msd {folder}/nowhere {folder}/made", ("nowhere",)),
    ("data", "convert_msd {data} {folder}/made", ("dataset.json",)),
    ("data", "convert_msd {data} {folder}/made --limit 0", ("--limit",)),
    ("data", "convert_nnunet {data} {folder}/made", ("dataset.json",)),
    ("data", "convert_nnunet {folder}/nowhere {folder}/made", ("nowhere",)),
    ("data", "convert_csv {folder}/no.csv {folder}/made", ("no.csv",)),
    ("data", "convert_csv {data}/dataset.json {folder}/made", ("dataset.json",)),
    ("data", "finetune {folder}/nowhere {data}/dataset.json --output {folder}/tuned", ("nowhere",)),
    ("data", "rank {folder}/a.csv {folder}/b.csv --output {folder}/ranking", ("a.csv",)),
    ("data", "rank", ("RESULTS",)),
    ("data", "compare {folder}/a.csv --output {folder}/comparison", ("a.csv",)),
    ("data", "ensemble {folder}/a {folder}/b --output {folder}/joined", ("is not a folder",)),
    ("data", "ensemble {folder}/a --output {folder}/joined", ("two",)),
    ("data", "ensemble {data}/train {data}/test --output {folder}/joined --method best", ("--method",)),
    ("data", "postprocess {folder}/a {folder}/no.json {folder}/better", ("no.json",)),
    ("data", "evaluate", ("--classes",)),
    (
        "data",
        "evaluate --paths {folder}/no.csv --classes {data}/dataset.json --output {folder}/results.csv",
        ("no.csv",),
    ),
    (
        "data",
        "evaluate --reference {data}/train --classes {data}/dataset.json --output {folder}/results.csv",
        ("--prediction",),
    ),
    ("data", "audit {folder}/nowhere", ("nowhere",)),
    ("data", "verify {folder}/nowhere", ("nowhere",)),
    ("data", "unpack {folder}/no.zip --output {folder}/unpacked", ("no.zip",)),
    ("data", "unpack {data}/dataset.json --output {folder}/unpacked", ("dataset.json",)),
    ("data", "make_key {data}/dataset.json", ("exists already",)),
    ("data", "average_weights {data}/dataset.json {data}/dataset.json --output {folder}/mean.pt", ("dataset.json",)),
    ("data", "average_weights {folder}/a.pt {folder}/b.pt --output {folder}/mean.pt", ("a.pt",)),
    ("trained", "finetune {bundle} {data}/dataset.json --output {folder}/out", ("source itself",)),
    ("trained", "finetune {bundle} {data}/dataset.json --output {folder}/tuned --freeze all", ("--freeze",)),
    ("trained", "finetune {bundle} {data}/dataset.json --output {folder}/tuned --layer_decay 0", ("--layer_decay",)),
    ("trained", "finetune {bundle} {data}/dataset.json --output {folder}/tuned --unfreeze_epoch 3", ("freeze",)),
    ("trained", "export {bundle} --format tensorflow", ("tensorflow",)),
    ("trained", "export {bundle} --output {data}/dataset.json", ("dataset.json",)),
    ("trained", "pack {bundle} {data}/dataset.json", (".zip",)),
    ("trained", "pack {bundle} {bundle}/own.zip", ("own.zip",)),
    ("trained", "pack {bundle} {folder}/b.zip --large_files_limit_mb 0", ("--large_files_limit_mb",)),
    ("trained", "pack {data} {folder}/b.zip", ("not a bundle",)),
    ("trained", "bump {bundle} changed --part huge", ("--part",)),
    ("trained", "bump {bundle}", ("MESSAGE",)),
    ("trained", "sign {bundle} {data}/dataset.json", ("dataset.json",)),
    ("trained", "sign {bundle} {folder}/no.key", ("no.key",)),
    ("trained", "report {bundle} --output {data}/dataset.json", ("ends in .html",)),
    ("trained", "report {bundle} --pictures x", ("--pictures",)),
    ("trained", "choose_postprocessing {bundle} --min_gain x", ("--min_gain",)),
    ("trained", 'choose_postprocessing {bundle} --weights {"dise":1}', ("dise",)),
    ("trained", "push {bundle} no-organisation", ("organisation/name",)),
    (
        "trained",
        "ensemble {data}/train {data}/test --output {folder}/joined --labels 0,1 --bundle {bundle}",
        ("--labels",),
    ),
)
MISSPELT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("autoconfg", ("Did you mean 'autoconfig'",)),
    ("qwertz", ("Unknown command",)),
    ("autoconfig", ("DATASET_JSON",)),
    ("train", ("BUNDLE",)),
    ("predict", ("BUNDLE",)),
    ("pack", ("BUNDLE",)),
    ("publish {bundle} --overwrite", ("--overwrite", "not an option")),
    ("audit {bundle} --format xml", ("--format",)),
    ("train {bundle} 0 true cpu 0 1 1 1 0 a 1 b c d e f", ("left over",)),
)


def _moved(verb: str) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        site.data.rename(site.folder / "moved")
        return [verb, str(site.bundle)]

    return command


def _words(line: str) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        places = {"{bundle}": site.bundle, "{data}": site.data, "{folder}": site.folder}
        words = line.split()
        for name, place in places.items():
            words = [word.replace(name, str(place)) for word in words]
        return words

    return command


def _planned(line: str) -> Callable[[Site], list[str]]:
    return lambda site: site.autoconfig(*line.split())


def inputs() -> list[BrokenInput]:
    """All of them."""
    found = []
    for line, says in PLANNED:
        row = BrokenInput(
            kind=PLANNER,
            name=line,
            command=_planned(line),
            answer=Answer.REFUSED,
            says=says,
            starts="no_such_argument" in line,  # which is found out by trying
        )
        found.append(row)
    for kind, rows in ((RUNS, SET_UP), (OTHERS, ELSEWHERE)):
        for state, line, says in rows:
            name = line.replace("{folder}/", "").replace("{bundle}", "BUNDLE").replace("{data}", "DATA")
            row = BrokenInput(kind=kind, name=name, command=_words(line), answer=Answer.REFUSED, says=says, state=state)
            found.append(row)
    for verb, state in (("preprocess", "configured"), ("train", "configured"), ("evaluate", "trained")):
        row = BrokenInput(
            kind=RUNS,
            name=f"{verb} BUNDLE, whose cases were moved",
            command=_moved(verb),
            answer=Answer.REFUSED,
            says=("data/train", "--dataset_dir"),
            state=state,
        )
        found.append(row)
    for line, says in MISSPELT:
        name = line.replace("{bundle}", "BUNDLE")
        row = BrokenInput(
            kind=WORDS, name=name, command=_words(line), answer=Answer.REFUSED, says=says, state="configured"
        )
        found.append(row)
    return found
