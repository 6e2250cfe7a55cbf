"""Options of the command line. This module imports nothing heavy."""

from dataclasses import dataclass
from typing import NamedTuple


class Stage(NamedTuple):
    """What a stage makes, in words, and where in the output folder: files and folders, which --fresh deletes."""

    makes: str
    output: tuple[str, ...]


STAGES = {  # in the order of a run
    "train": Stage("potentials, from calculations", ("potentials", "refused_frames.txt")),
    "evaluate": Stage("potentials, against held-out cells", ("evaluation.json", "evaluation.html", "moments", "held_out")),
    "label": Stage(
        "configurations, relaxed with a potential",
        ("label.mark", "label.json", "labelled.extxyz", "learning.json", "relaxations", "rounds"),
    ),
    "fit": Stage("the cluster expansion", ("fit.json", "cluster_expansion.ce", "dataset.csv", "mapped_cells.json")),
    "sample": Stage("the Monte Carlo, saved in blocks", ("correction",)),
    "analyse": Stage("results.h5, from the samples", ("results.h5", "phases", "ground_states")),
    "report": Stage("figures and report.html, from results.h5", ("report.html", "figures", "exports")),
}
ORDER = tuple(STAGES)


@dataclass(frozen=True)
class Options:
    """Options of a run, as on the command line."""

    only: str | None = None
    until: str | None = None
    fresh: bool = False

    def includes(self, stage: str) -> bool:
        """Whether --only and --until include this stage."""
        if self.only:
            return stage == self.only
        return self.until is None or ORDER.index(stage) <= ORDER.index(self.until)

    @property
    def only_looks(self) -> bool:
        """Whether only results and report are made, from existing samples."""
        return self.only in ("analyse", "report") and not self.fresh

    @property
    def needs_cells(self) -> bool:
        """Whether anything is sampled, or samples are analysed."""
        return self.includes("sample") or self.includes("analyse")

    @property
    def stops_before_fit(self) -> bool:
        """Whether the command ends with potentials or labels."""
        return (self.only or self.until) in ORDER[: ORDER.index("fit")]
