"""report.html: one self-contained page, made from results.h5 and fit.json alone."""

import json
import logging
from pathlib import Path

from ..runtime.results import read_results
from .citing import citations
from .convergence import convergence_table
from .exports.write import write_exports
from .facts import facts
from .figures import draw_all
from .limitations import limitations, summary
from .page import Content, write_page
from .tables import result_tables

log = logging.getLogger("redoxmc")
PAGE = 3  # version of the page; a page of another version is written again


def write_report(results_path: Path, fit_path: Path, folder: Path) -> None:
    """Write figures, exports and report.html, unless they were made from these results already."""
    results = read_results(results_path)
    page = folder / "report.html"
    mark = f"{results.attributes.fingerprint}-{PAGE}"
    if page.exists() and f'content="{mark}"' in page.read_text(encoding="utf-8"):
        log.info("report: nothing has changed")
        return
    fit = json.loads(fit_path.read_text()) if fit_path.exists() else None
    captions = draw_all(results, fit, folder / "figures")
    exports = write_exports(results, folder / "exports")
    content = Content(
        title=results.attributes.title or "RedoxMC run",
        summary=summary(results),
        limitations=limitations(results, fit),
        no_limitations="None were found: closure error, R-hat, sample sizes and exchange are all within their limits.",
        convergence=convergence_table(results),
        tables=result_tables(results, fit),
        facts=[*facts(results, folder), ("exports/", exports)],
        input=results.attributes.input or "",
        numbers="results.h5",
        citations=citations(results),
    )
    write_page(page, captions, mark, content)
