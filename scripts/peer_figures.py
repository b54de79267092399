"""The figures of scripts/benchmark peers: kept in docs/benchmarks.json, shown as a table and a picture."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark_prediction import ROOT

FIGURES = ROOT / "docs/benchmarks.json"
PAGE = ROOT / "docs/benchmarks.md"
PICTURE = ROOT / "docs/images/benchmarks.png"
BEGIN, END = "<!-- peers: begin (written by scripts/benchmark peers) -->", "<!-- peers: end -->"
PEER_COLOURS = {
    "mist-medical": "#2a6f97",
    "nnU-Net": "#e07a5f",
    "surface-distance": "#81b29a",
    "MONAI": "#b5b682",
}
# of the picture's labels
SHORTER = {
    " x ": "×",
    " where the processor has it": "",
    ", setting compile": ", compiled",
    "each tool's own default augmentation, ours: mist": "own augmentations",
}


@dataclass
class Figure:
    """One comparison: seconds of the processor (milliseconds where the unit says so), and of the clock if known."""

    phase: str
    what: str
    peer: str
    ours: float
    theirs: float
    goal: float | None = None
    unit: str = "s"
    our_clock: float | None = None
    their_clock: float | None = None

    @property
    def ratio(self) -> float:
        """Ours by theirs: below 1 is faster."""
        return self.ours / self.theirs


def processor_name() -> str:
    """As the system calls it."""
    with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return platform.machine()


def keep(phase: str, figures: list[Figure], order: list[str]) -> None:
    """Replace the figures of a phase in the file, whose phases stand in that order."""
    kept = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.is_file() else {}
    kept[phase] = {"machine": processor_name(), "figures": [asdict(figure) for figure in figures]}
    in_order = {name: kept[name] for name in order if name in kept}
    FIGURES.write_text(json.dumps(in_order, indent=1) + "\n", encoding="utf-8")


def kept_figures() -> list[Figure]:
    """All of them, phase by phase."""
    figures = []
    for part in json.loads(FIGURES.read_text(encoding="utf-8")).values():
        for row in part["figures"]:
            figures.append(Figure(**row))
    return figures


def table(figures: list[Figure]) -> str:
    """The rows for the page."""
    lines = ["| phase | what | mist_bundle | peer | ratio | goal |", "|---|---|---|---|---|---|"]
    for figure in figures:
        digits = 1 if figure.ours >= 10 else 2
        ours, theirs = f"{figure.ours:.{digits}f} {figure.unit}", f"{figure.theirs:.{digits}f} {figure.unit}"
        if figure.our_clock is not None and figure.their_clock is not None:
            ours += f" ({figure.our_clock:.1f})"
            theirs += f" ({figure.their_clock:.1f})"
        goal = "" if figure.goal is None else f"{figure.goal:g}"
        if figure.goal is not None and figure.ratio > figure.goal:
            goal += ", missed"
        row = f"{figure.phase} | {figure.what} | {ours} | {figure.peer}: {theirs} | **{figure.ratio:.2f}** | {goal}"
        lines.append(f"| {row} |")
    return "\n".join(lines)


def write_page(figures: list[Figure]) -> None:
    """Rewrite the table between its two marks."""
    text = PAGE.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{PAGE} lacks the marks {BEGIN} and {END}; the table was not written:\n{table(figures)}")
    marked = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    PAGE.write_text(marked.sub(lambda _: f"{BEGIN}\n{table(figures)}\n{END}", text), encoding="utf-8")


def draw(figures: list[Figure], path: Path) -> None:
    """Ratios as bars, on a logarithmic axis, with the goals as marks."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shown = figures[::-1]
    plot, axes = plt.subplots(figsize=(9, 0.33 * len(shown) + 1.6))
    for row, figure in enumerate(shown):
        axes.barh(row, figure.ratio, color=PEER_COLOURS[peer_name(figure)], height=0.7)
        furthest = max(figure.ratio, figure.goal or 0)
        axes.text(furthest * 1.06, row, f"{figure.ratio:.2f}", va="center", fontsize=8, backgroundcolor="white")
        if figure.goal is not None:
            axes.plot([figure.goal] * 2, [row - 0.45, row + 0.45], color="black", linewidth=1.5)
    axes.set_yticks(range(len(shown)), [label(figure) for figure in shown], fontsize=7)
    axes.set_ylim(-0.7, len(shown) - 0.3)
    axes.set_xscale("log")
    axes.set_xlim(0.01, 1.6)
    axes.set_xticks([0.02, 0.05, 0.1, 0.25, 0.5, 1], ["0.02", "0.05", "0.1", "0.25", "0.5", "1"])
    axes.minorticks_off()
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_xlabel("processor time of mist_bundle / that of the peer")
    axes.spines[["top", "right"]].set_visible(False)
    marks = [Patch(color=colour, label=name) for name, colour in PEER_COLOURS.items()]
    marks.append(Line2D([], [], color="black", linewidth=1.5, label="goal"))
    axes.legend(
        handles=marks, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=len(marks), fontsize=8, frameon=False
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(plot)


def peer_name(figure: Figure) -> str:
    """The peer without its version, as in `PEER_COLOURS`."""
    return figure.peer.split()[0]


def label(figure: Figure) -> str:
    """What was measured, as short as a picture needs it."""
    what = figure.what.replace("`", "")
    for words, short in SHORTER.items():
        what = what.replace(words, short)
    return f"{figure.phase}: {what}"
