"""How busy the device is in a real training: the bundle's own trainer, loader and loss, for some steps."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from bench import Bench, Figures
from ignite.engine import Engine, Events
from phantom_bundles import bundle_of, parser
from torch.profiler import ProfilerActivity, profile

NETWORK = "nnunet"


class Enough(Exception):
    """All steps were seen."""


class Watch:
    """Profiles the steps of a trainer after a warm-up, and times how long it waits for the loader."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        activity = ProfilerActivity.CUDA if bench.on_gpu else ProfilerActivity.CPU
        self.profile = profile(activities=[activity])
        self.seconds = self.waited = 0.0
        self.warnings = warnings.catch_warnings(record=True, action="always")
        self.warned: list[Any] = []
        self._begun = self._asked = 0.0

    def attach(self, trainer: Engine) -> None:
        """Register with a trainer."""
        trainer.add_event_handler(Events.GET_BATCH_STARTED, self.ask)
        trainer.add_event_handler(Events.GET_BATCH_COMPLETED, self.receive)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self.step)

    def ask(self) -> None:
        """Note that the trainer asks for a batch."""
        self._asked = time.perf_counter()

    def receive(self) -> None:
        """Add the time until the batch came."""
        if self._begun:
            self.waited += time.perf_counter() - self._asked

    def step(self, trainer: Engine) -> None:
        """Begin after the warm-up, and end after the last step."""
        scale = self.bench.scale
        if trainer.state.iteration == scale.warm_up:
            self.bench.synchronize()
            if self.bench.on_gpu:
                self.warned = self.warnings.__enter__()
                torch.cuda.set_sync_debug_mode("warn")
            self.profile.start()
            self._begun = time.perf_counter()
        if trainer.state.iteration == scale.warm_up + scale.steps:
            if self.bench.on_gpu:
                torch.cuda.set_sync_debug_mode("default")
                self.warnings.__exit__(None, None, None)
            self.bench.synchronize()
            self.seconds = time.perf_counter() - self._begun
            self.profile.stop()
            raise Enough

    def waits(self) -> int:
        """How often the processor waited for a value of the device; on a CPU, how often it read one.

        The optimizer's reads do not count on a CPU: its kernel for CPUs reads the number of each weight's steps.
        """
        if self.bench.on_gpu:
            return sum("synchroniz" in str(warning.message) for warning in self.warned)
        count = 0
        for event in self.profile.events() or ():
            if event.name == "aten::_local_scalar_dense" and not is_in_optimizer(event):
                count += 1
        return count

    def busy_seconds(self) -> float:
        """Time in which at least one kernel was running; on a CPU, one operation."""
        kind = torch.autograd.DeviceType.CUDA if self.bench.on_gpu else torch.autograd.DeviceType.CPU
        spans = []
        for event in self.profile.events() or ():
            if event.device_type == kind:
                spans.append((event.time_range.start, event.time_range.end))
        return covered(spans) / 1e6


def check(bench: Bench) -> None:
    """Report the training."""
    bench.attempt(f"{NETWORK}, {bench.scale.steps} steps", partial(train, bench))


def train(bench: Bench) -> Figures:
    """Milliseconds of a step, and shares of it in which the device computes and in which the loader is waited for."""
    bundle = bundle_of(bench, NETWORK)
    steps = bench.scale.warm_up + bench.scale.steps
    settings = parser(bench, bundle, "train", steps_per_epoch=steps + 1, epochs=1)
    trainer: Any = settings.get_parsed_content("train#trainer")
    loader = settings.get_parsed_content("train#dataloader")
    watch = Watch(bench)
    watch.attach(trainer)
    trainer.logger.setLevel(logging.CRITICAL)  # it would report the end of the check as an error
    bench.reset_peak()
    try:
        trainer.run()
    except Enough:
        loader.close()
    busy = watch.busy_seconds()
    return {
        "loader": type(loader).__name__,
        "ms a step": round(1000 * watch.seconds / bench.scale.steps, 1),
        "patches/s": round(bench.scale.steps * bench.scale.batch / watch.seconds, 2),
        "device busy": f"{busy / watch.seconds:.0%}" if busy else "not seen by the profiler",
        "waiting for patches": f"{watch.waited / watch.seconds:.0%}",
        "waits a step": round(watch.waits() / bench.scale.steps, 2),
        "peak GB": bench.peak_gb(),
    }


def is_in_optimizer(event: Any) -> bool:
    """Whether an operation is part of a step of the optimizer."""
    while event is not None:
        if event.name.startswith("Optimizer.step"):
            return True
        event = event.cpu_parent
    return False


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length of the union of intervals."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
