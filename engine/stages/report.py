"""The report stage: figures, exports and report.html, from results.h5 and fit.json."""

from .shared.run import Run


def run(run: Run) -> None:
    """Write the report, unless it was made from the same results. Rank 0 only."""
    if run.options.includes("report"):
        from ..report.write import write_report  # matplotlib and pymatgen are slow to import

        write_report(run.output.results, run.output.fit, run.output.folder)
