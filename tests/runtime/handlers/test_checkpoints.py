"""Whenever a training is interrupted, what it left continues to the same weights, and the bundle stays whole."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events

from mist_bundle.runtime.folds import files as files_module
from mist_bundle.runtime.folds.files import sha256_of
from mist_bundle.runtime.folds.manifest import file_hashes, read_manifest, write_manifest_content
from mist_bundle.runtime.folds.publication import PublicationError
from mist_bundle.runtime.folds.publish_weights import RESULTS_END, RESULTS_START, publish_fold
from mist_bundle.runtime.handlers import checkpoints, training_state
from mist_bundle.runtime.handlers.checkpoints import CheckpointKeeper, TrainingRefusedError

EPOCHS, STEPS = 4, 3
# of each epoch's validation: the second is best, the fourth as good
SCORES = {1: 0.3, 2: 0.9, 3: 0.5, 4: 0.9, 5: 0.95, 6: 0.1}


class Killed(BaseException):
    """Ends a run as a kill would: nothing after it is done."""


class Loader:
    """Batches that follow from the epoch, as those of the real loaders do."""

    def __init__(self) -> None:
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch = state["epoch"]

    def __iter__(self) -> Iterator[torch.Tensor]:
        for step in range(STEPS):
            yield torch.full((2, 3), float(self.epoch * STEPS + step))

    def __len__(self) -> int:
        return STEPS


class Training:
    """A small training with everything that has a state."""

    def __init__(self, bundle: Path, epochs: int = EPOCHS, validated: bool = True, **settings: Any) -> None:
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        self.network = torch.nn.Linear(3, 2)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=0.1)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.9)
        self.loader = Loader()
        self.fold_dir = bundle.parent / "toy_work/fold_0"
        self.keeper = CheckpointKeeper(
            network=self.network,
            optimizer=self.optimizer,
            lr_scheduler=self.schedule,
            loader=self.loader,
            fold_dir=str(self.fold_dir),
            best_paths=[str(bundle / "models/fold_0.pt")],
            metric="score",
            **{"settings": {"learning_rate": 0.1}, "plan": "plan", **settings},
        )
        self.trainer = Engine(self._step)
        self.trainer.state.max_epochs = epochs
        self.evaluator = Engine(lambda *_: None)
        self.trainer.add_event_handler(Events.EPOCH_COMPLETED, self._validate)
        self.validated = validated

    def _step(self, engine: Engine, batch: torch.Tensor) -> None:
        del engine
        noise = torch.rand(2) + random.random() + float(np.random.rand())
        self.optimizer.zero_grad()
        ((self.network(batch) - noise) ** 2).mean().backward()
        self.optimizer.step()

    def _validate(self, engine: Engine) -> None:
        self.schedule.step()
        self.evaluator.state.metrics = {"score": SCORES[engine.state.epoch]}
        if self.validated:
            self.evaluator.fire_event(Events.COMPLETED)

    def run(self) -> None:
        try:
            self.keeper.attach(self.trainer, self.evaluator if self.validated else None)
            self.trainer.run(self.loader, max_epochs=self.trainer.state.max_epochs)
        finally:  # as the end of the process does
            self.keeper._lock.release()
            if self.keeper._interruption is not None:
                self.keeper._interruption.end()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    root = tmp_path / "toy"
    for name in ("models", "configs", "docs"):
        (root / name).mkdir(parents=True)
    (root / "configs/metadata.json").write_text('{"eval_metrics": {"a_dice": 0.5}}')
    (root / "docs/README.md").write_text(f"# Toy\n{RESULTS_START}\nNot trained yet.\n{RESULTS_END}\nend\n")
    write_manifest_content(root, file_hashes(root), None)
    return root


def _is_whole(bundle: Path) -> bool:
    manifest = read_manifest(bundle)
    return manifest is not None and manifest["files"] == file_hashes(bundle)


def _end(bundle: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Everything that a finished run leaves and that a repeated one must leave again."""
    fold = bundle.parent / "toy_work/fold_0"
    status = json.loads((fold / "status.json").read_text())
    last = torch.load(fold / "last.pt", weights_only=True)
    last["random"] = last["random"]["torch"].tolist()
    plain = json.loads(json.dumps(last, default=lambda value: value.tolist()))
    return file_hashes(bundle), {"status": status, "last": plain, "best": sha256_of(fold / status["best"]["file"])}


@pytest.fixture
def undisturbed(tmp_path: Path, bundle: Path) -> Any:
    other = tmp_path / "undisturbed/toy"
    shutil.copytree(bundle, other)
    Training(other).run()
    return _end(other)


def test_the_bundle_changes_once_at_the_end(bundle: Path) -> None:
    before = file_hashes(bundle)
    training = Training(bundle)
    seen: list[bool] = []
    training.trainer.add_event_handler(Events.EPOCH_STARTED, lambda: seen.append(file_hashes(bundle) == before))
    training.run()
    assert seen == [True] * EPOCHS
    assert _is_whole(bundle)
    names = sorted(path.name for path in (bundle / "models").iterdir())
    assert names == ["fold_0.pt", "model.pt", "model.safetensors"]
    status = json.loads((training.fold_dir / "status.json").read_text())
    assert (status["best_epoch"], status["best"]["file"]) == (2, "best_2.pt")
    assert sha256_of(bundle / "models/fold_0.pt") == status["best"]["sha256"]
    assert sorted(path.name for path in training.fold_dir.glob("*.pt")) == ["best_2.pt", "last.pt", "previous.pt"]
    assert "Trained: fold 0." in (bundle / "docs/README.md").read_text()
    assert json.loads((bundle / "configs/metadata.json").read_text())["eval_metrics"] == {}


def _killed_after(monkeypatch: pytest.MonkeyPatch, count: int) -> Callable[[], int]:
    """Let the process be killed before its `count`-th step on a file; returns how many there were."""
    done = [0]

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            done[0] += 1
            if done[0] > count:
                raise Killed
            return function(*arguments, **more)

        return call

    monkeypatch.setattr(os, "replace", counted(os.replace))
    monkeypatch.setattr(os, "fsync", counted(os.fsync))
    monkeypatch.setattr(files_module, "write_whole", counted(files_module.write_whole))
    monkeypatch.setattr(checkpoints, "write_whole", counted(checkpoints.write_whole))
    monkeypatch.setattr(training_state, "write_whole", counted(training_state.write_whole))
    return lambda: done[0]


def test_killed_at_any_step_it_ends_as_if_it_had_not_been(
    bundle: Path, tmp_path: Path, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    survived = False
    for step in range(200):
        copy = tmp_path / f"step_{step}/toy"
        shutil.copytree(bundle, copy)
        with monkeypatch.context() as patched:
            _killed_after(patched, step)
            try:
                Training(copy).run()
                survived = True
            except Killed:
                pass
        _go_on(copy)
        assert _is_whole(copy), f"step {step}"
        assert _end(copy) == undisturbed, f"killed before step {step}"
        shutil.rmtree(copy.parent)
        if survived:
            break
    assert survived
    assert step > 20


def _go_on(bundle: Path) -> None:
    """What `train --resume` does, for which a training that is complete is nothing to do."""
    try:
        Training(bundle, resume=True).run()
    except SystemExit as end:
        if end.code != 0:
            raise
    except TrainingRefusedError as error:
        if "is complete" not in str(error):
            raise
        publish_fold(bundle.parent / "toy_work/fold_0", bundle / "models/fold_0.pt")


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "gone"])
def test_a_damaged_last_state_falls_back_to_the_epoch_before(bundle: Path, undisturbed: Any, damage: str) -> None:
    training = Training(bundle)
    training.trainer.add_event_handler(Events.EPOCH_STARTED(once=4), _kill)
    with pytest.raises(Killed):
        training.run()
    last = training.fold_dir / "last.pt"
    content = last.read_bytes()
    damaged = {"truncated": content[: len(content) // 2], "empty": b"", "text": b"no state"}
    last.write_bytes(damaged[damage]) if damage in damaged else last.unlink()
    again = Training(bundle, resume=True)
    started: list[int] = []
    again.trainer.add_event_handler(Events.EPOCH_STARTED, lambda engine: started.append(engine.state.epoch))
    again.run()
    assert started == [3, 4]
    assert _end(bundle) == undisturbed


def _kill() -> None:
    raise Killed


def test_without_a_whole_state_it_is_refused(bundle: Path) -> None:
    training = Training(bundle)
    training.run()
    for name in ("last.pt", "previous.pt"):
        (training.fold_dir / name).write_bytes(b"damaged")
    with pytest.raises(TrainingRefusedError, match=r"last\.pt is damaged, and there is no state of the epoch before"):
        Training(bundle, resume=True).run()


def test_best_weights_that_were_replaced_do_not_belong_to_a_state(bundle: Path) -> None:
    training = Training(bundle)
    training.run()
    (training.fold_dir / "best_2.pt").write_bytes(b"others")
    with pytest.raises(TrainingRefusedError, match="there is no state"):
        Training(bundle, epochs=5, resume=True).run()
    with pytest.raises(PublicationError, match=r"best_2\.pt is not the file that status\.json beside it names"):
        publish_fold(training.fold_dir, bundle / "models/fold_0.pt")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"settings": {"learning_rate": 0.2}}, "learning_rate was 0.1 and is 0.2 now"),
        ({"settings": {"learning_rate": 0.1}, "plan": "another"}, "plan was plan and is another now"),
        ({"settings": {"components": {"loss#a": "2"}}}, "loss#a was 1 and is 2 now"),
        ({"settings": {"components": {}}}, "loss#a was 1 and is not there now"),
        ({"epochs": 2}, "epochs was 4 and is 2 now"),
    ],
)
def test_other_settings_are_refused_and_named(bundle: Path, changed: dict[str, Any], said: str) -> None:
    training = Training(bundle, settings={"learning_rate": 0.1, "components": {"loss#a": "1"}})
    training.trainer.add_event_handler(Events.EPOCH_STARTED(once=3), _kill)
    with pytest.raises(Killed):
        training.run()
    before = sha256_of(training.fold_dir / "last.pt")
    with pytest.raises(TrainingRefusedError) as caught:
        Training(bundle, **{"resume": True, **changed}).run()
    assert said in str(caught.value)
    assert sha256_of(training.fold_dir / "last.pt") == before
    Training(bundle, resume="true", settings={"learning_rate": 0.1, "known_since_later": 1}).run()


def test_a_longer_run_is_an_extension(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    Training(bundle).run()
    caplog.set_level("INFO")
    training = Training(bundle, epochs=6, resume=True)
    training.run()
    assert "Extended from 4 to 6 epochs" in caplog.text
    status = json.loads((training.fold_dir / "status.json").read_text())
    assert (status["epoch"], status["best_epoch"]) == (6, 5)
    assert sha256_of(bundle / "models/fold_0.pt") == sha256_of(training.fold_dir / "best_5.pt")


def test_a_new_training_keeps_the_one_before(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    training = Training(bundle)
    training.run()
    before = sha256_of(training.fold_dir / "last.pt")
    Training(bundle, epochs=2).run()
    assert sha256_of(training.fold_dir / "earlier_training/last.pt") == before
    assert "the earlier one is in" in caplog.text
    assert json.loads((training.fold_dir / "status.json").read_text())["epoch"] == 2


def test_a_complete_training_that_was_not_published_is_published(bundle: Path) -> None:
    training = Training(bundle)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(checkpoints, "publish_fold", lambda *_: _kill())
        with pytest.raises(Killed):
            training.run()
    assert not (bundle / "models/fold_0.pt").exists()
    with pytest.raises(SystemExit) as end:
        Training(bundle, resume=True).run()
    assert end.value.code == 0
    assert (bundle / "models/fold_0.pt").is_file()
    with pytest.raises(TrainingRefusedError, match="is complete: epoch 4 of 4"):
        Training(bundle, resume=True).run()


def test_without_validation_the_last_weights_are_published(bundle: Path) -> None:
    training = Training(bundle, validated=False)
    training.run()
    weights = torch.load(bundle / "models/fold_0.pt", weights_only=True)
    assert all(torch.equal(value, weights[name]) for name, value in training.network.state_dict().items())


def test_another_process_that_trains_the_fold_is_named(bundle: Path) -> None:
    fold = bundle.parent / "toy_work/fold_0"
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom mist_bundle.runtime.folds.locks import Lock\n"
        "Lock(Path(sys.argv[1])).acquire(); print('held', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", code, str(fold / "training.lock")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TrainingRefusedError, match=f"fold_0 is being trained by process {holder.pid} on "):
            Training(bundle).run()
        holder.kill()
    Training(bundle, epochs=1).run()


def test_model_is_the_fold_with_the_best_score_whatever_the_order(bundle: Path, tmp_path: Path) -> None:
    def train(fold: int, score: float) -> None:
        training = Training(bundle, epochs=1)
        training.keeper.fold_dir = bundle.parent / f"toy_work/fold_{fold}"
        training.keeper.weights_path = bundle / f"models/fold_{fold}.pt"
        with torch.no_grad():
            training.network.bias.fill_(float(fold))
        with pytest.MonkeyPatch.context() as patched:
            patched.setitem(SCORES, 1, score)
            training.run()

    train(1, 0.4)
    assert sha256_of(bundle / "models/model.pt") == sha256_of(bundle / "models/fold_1.pt")
    train(0, 0.6)
    assert sha256_of(bundle / "models/model.pt") == sha256_of(bundle / "models/fold_0.pt")
    train(2, 0.5)
    assert sha256_of(bundle / "models/model.pt") == sha256_of(bundle / "models/fold_0.pt")
    assert "Trained: fold 0, 1, 2." in (bundle / "docs/README.md").read_text()
    assert _is_whole(bundle)


def test_what_was_chosen_for_former_weights_is_taken_back(bundle: Path, caplog: pytest.LogCaptureFixture) -> None:
    Training(bundle).run()
    digest = sha256_of(bundle / "models/fold_0.pt")
    chosen = {"strategy": [{"transform": "fill_holes"}], "derived_from": {"0": digest}}
    (bundle / "configs/postprocessing.json").write_text(json.dumps(chosen))
    publish_fold(bundle.parent / "toy_work/fold_0", bundle / "models/fold_0.pt")
    assert json.loads((bundle / "configs/postprocessing.json").read_text()) == chosen, "the same weights"
    Training(bundle, epochs=1).run()
    assert json.loads((bundle / "configs/postprocessing.json").read_text())["strategy"] == []
    assert "The post-processing was chosen for other weights" in caplog.text


def test_weights_that_became_nan_are_never_saved(bundle: Path) -> None:
    training = Training(bundle)

    def spoil(engine: Engine) -> None:
        if engine.state.epoch == 2:
            with torch.no_grad():
                training.network.weight[0, 0] = float("nan")

    training.trainer.add_event_handler(Events.EPOCH_STARTED, spoil)
    with pytest.raises(FloatingPointError, match=r"after epoch 2 holds NaN .* after epoch 1 is intact"):
        training.run()
    state = torch.load(training.fold_dir / "last.pt", weights_only=True)
    assert state["epoch"] == 1
    assert not (bundle / "models/fold_0.pt").exists()


def test_a_program_goes_on_after_a_training_that_failed(bundle: Path) -> None:
    """With its own handling of signals, and free to train the fold again."""
    original = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        training = Training(bundle)
        training.trainer.add_event_handler(Events.EPOCH_STARTED(once=3), _out_of_memory)
        training.keeper.attach(training.trainer, training.evaluator)
        with pytest.raises(RuntimeError, match="out of memory"):
            training.trainer.run(training.loader, max_epochs=EPOCHS)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        again = Training(bundle, resume=True)
        again.keeper.attach(again.trainer, again.evaluator)
        again.trainer.run(again.loader, max_epochs=EPOCHS)
    finally:
        signal.signal(signal.SIGINT, original)
    assert json.loads((training.fold_dir / "status.json").read_text())["epoch"] == EPOCHS


def _out_of_memory() -> None:
    raise RuntimeError("out of memory")


def test_best_weights_with_nan_are_not_published(bundle: Path, tmp_path: Path) -> None:
    fold = tmp_path / "toy_work/fold_0"
    fold.mkdir(parents=True)
    torch.save({"weight": torch.tensor([float("nan")])}, fold / "best_1.pt")
    digest = sha256_of(fold / "best_1.pt")
    (fold / "status.json").write_text(json.dumps({"best": {"file": "best_1.pt", "sha256": digest}}))
    before = file_hashes(bundle)
    with pytest.raises(PublicationError, match=r"best_1\.pt holds NaN .* lower --learning_rate"):
        publish_fold(fold, bundle / "models/fold_0.pt")
    assert file_hashes(bundle) == before
