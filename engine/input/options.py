"""What is asked of a run on the command line; light to load."""

from dataclasses import dataclass

STAGES = ("train", "evaluate", "label", "fit", "sample", "analyse", "report")


@dataclass(frozen=True)
class Options:
    check: bool = False
    only: str | None = None
    until: str | None = None
    fresh: bool = False

    def includes(self, stage: str) -> bool:
        if self.only:
            return stage == self.only
        return self.until is None or STAGES.index(stage) <= STAGES.index(self.until)

    @property
    def only_looks(self) -> bool:
        """Whether nothing is made but results and report of what is there."""
        return self.only in ("analyse", "report") and not self.fresh

    @property
    def needs_cells(self) -> bool:
        """Whether anything is sampled, or samples are analysed."""
        return self.includes("sample") or self.includes("analyse")

    @property
    def stops_before_fit(self) -> bool:
        """Whether potentials and labels are all that is wanted."""
        return (self.only or self.until) in STAGES[: STAGES.index("fit")]
