"""Options of the command line. This module imports nothing heavy."""

from dataclasses import dataclass

STAGES = {  # name: what it makes, in the order of a run
    "train": "potentials, from calculations",
    "evaluate": "potentials, against held-out cells",
    "label": "configurations, relaxed with a potential",
    "fit": "the cluster expansion",
    "sample": "the Monte Carlo, saved in blocks",
    "analyse": "results.h5, from the samples",
    "report": "figures and report.html, from results.h5",
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
