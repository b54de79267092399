"""The learning-rate schedules on the menu, all stepped once an optimizer step."""

from __future__ import annotations

from mist_bundle.catalog.choice import Choice

_TARGET = "scripts.handlers.schedule.WarmupSchedule"

SCHEDULES: dict[str, Choice] = {
    "constant": Choice(target=_TARGET, kwargs={"shape": "constant"}, about="The same rate throughout (default)."),
    "cosine": Choice(
        target=_TARGET,
        kwargs={"shape": "cosine"},
        about="Half a cosine down to zero.",
        cite="Loshchilov and Hutter, arXiv 1608.03983",
    ),
    "polynomial": Choice(
        target=_TARGET,
        kwargs={"shape": "polynomial", "power": 0.9},
        about="(1 - t)^0.9, as nnU-Net does.",
        cite="Isensee et al., 2021",
    ),
}
