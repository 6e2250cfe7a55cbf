"""The page: complete, escaped, accessible, and readable in a real browser on a phone and on a desk."""

import copy
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from redoxmc.engine.report.citing import FILE, SCOPES, citations
from redoxmc.engine.report.convergence import COLUMNS, convergence_table
from redoxmc.engine.report.write import write_report
from redoxmc.engine.runtime.results import read_results

from ..helpers.browser import CHROMIUM, Browser
from ..helpers.command import run
from ..helpers.paths import ROOT
from ..helpers.reported import TITLE, reported
from ..helpers.shared import made_once

pytestmark = pytest.mark.runs

NO_BROWSER = "no chromium here; on Debian: apt-get install chromium"


@pytest.fixture(scope="module")
def out(common: Path) -> Path:
    return made_once(common, "reported", reported) / "out"


class Page(HTMLParser):
    """Elements in order: (tag, attributes, text up to the next tag)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))

    def handle_data(self, data: str) -> None:
        if self.elements:
            self.elements[-1][2].append(data)

    def all(self, *tags: str) -> list[tuple[str, dict[str, str | None], str]]:
        return [(tag, attributes, "".join(text).strip()) for tag, attributes, text in self.elements if tag in tags]


@pytest.fixture(scope="module")
def page(out: Path) -> Page:
    return Page((out / "report.html").read_text(encoding="utf-8"))


def test_the_page_needs_nothing_beside_it(page: Page) -> None:
    links = [str(value) for _, attributes, _ in page.elements for key, value in attributes.items() if key in ("src", "href")]
    assert links and all(link.startswith(("data:image/png;base64,", "#")) for link in links)
    assert not page.all("script", "link", "iframe", "object")
    policy = next(a["content"] for _, a, _ in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'")


def test_what_it_shows_is_escaped(page: Page, out: Path) -> None:
    assert page.all("title")[0][2] == f"{TITLE} – RedoxMC" and page.all("h1")[0][2] == TITLE
    assert not any(key.startswith("on") for _, attributes, _ in page.elements for key in attributes)
    shown = next(text for _, _, text in page.all("pre") if "sublattices" in text)
    assert shown == (out.parent / "input.yaml").read_text().strip() and "onerror" in shown  # the input, verbatim
    assert any("Miller, $5 <b>" in text for _, _, text in page.all("th"))


def test_it_is_accessible(page: Page) -> None:
    assert page.all("html")[0][1]["lang"] == "en"
    levels = [int(tag[1]) for tag, _, _ in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:]))
    images = page.all("img")
    assert len(images) == len(page.all("figcaption")) > 10 and len({a["alt"] for _, a, _ in images}) == len(images)
    assert all(a["alt"] and a["width"] and a["height"] for _, a, _ in images)
    assert len(page.all("caption")) + 1 == len(page.all("table"))  # the facts have their heading
    assert all(a.get("scope") in ("row", "col") for _, a, _ in page.all("th"))
    ids = [a["id"] for _, a, _ in page.elements if "id" in a]
    assert len(ids) == len(set(ids)) and {a["href"] for _, a, _ in page.all("a")} == {f"#{name}" for name in ids}


def test_every_temperature_has_its_lights(out: Path) -> None:
    results = read_results(out / "results.h5")
    temperatures = results.canonical.temperature_K
    sound = convergence_table(results)
    assert [row[0] for row in sound.rows] == [f"{t:.4g}" for t in temperatures]
    assert all(len(row) == len(COLUMNS) == len(sound.columns) for row in sound.rows)
    bad = read_results(out / "results.h5")
    bad.vcsgc.r_hat[0] = bad.semigrand.r_hat[0] = 1.0  # whatever so short a run has
    bad.vcsgc.r_hat[0, 0] = 2.0
    bad.vcsgc.ess[0] = bad.semigrand.ess[0] = 3.0
    bad.canonical.closure_eV[0], bad.canonical.closure_eV_error[0] = 2e-3, 5e-4
    bad.canonical.trusted[0] = bad.canonical.criteria.walkers_agree[0] = False
    changed = dict(zip(COLUMNS, convergence_table(bad).rows[0]))
    found = {name: changed[name].verdict for name in ("overall", "R-hat, worst", "ESS, least", "closure (meV/fu)", "trusted")}
    assert found == {
        "overall": "bad",
        "R-hat, worst": "doubtful",
        "ESS, least": "bad",
        "closure (meV/fu)": "doubtful",
        "trusted": "bad",
    }
    assert changed["closure (meV/fu)"].text.startswith("+2.00 ±") and changed["R-hat, worst"].text == "2.00"
    assert "walkers from both ends differ: raise sweeps.equilibrate and walkers (100%)" in changed[COLUMNS[-1]]
    exchange = results.exchange
    first = np.median(
        exchange.acceptance[(exchange.pair_temperature_K[:, 0] == temperatures[0]) & (exchange.axis == "composition")]
    )
    assert dict(zip(COLUMNS, sound.rows[0]))["exchange in x"].text == f"{first:.0%}"


def test_exchange_does_not_sink_a_row_that_is_trusted(out: Path) -> None:
    results = read_results(out / "results.h5")
    for group in (results.vcsgc, results.semigrand):
        group.r_hat[:], group.ess[:] = 1.0, 1e3
    results.canonical.trusted[:] = True
    results.exchange.acceptance[:] = 0.0
    rows = [dict(zip(COLUMNS, row)) for row in convergence_table(results).rows]
    assert all(row["exchange in T"].verdict == "bad" and row["overall"].verdict == "good" for row in rows)
    assert all(row[COLUMNS[-1]] == "–" for row in rows)
    results.vcsgc.r_hat[0, 0] = results.vcsgc.ess[0, 0] = np.nan
    assert dict(zip(COLUMNS, convergence_table(results).rows[0]))["overall"].verdict == "good", (
        "it is not used where F is trusted"
    )
    results.canonical.trusted[0] = False
    changed = dict(zip(COLUMNS, convergence_table(results).rows[0]))
    assert changed["overall"].verdict != "good" and changed[COLUMNS[-1]].startswith("no move accepted: raise the lowest temp")


def test_what_to_cite_is_what_was_used(out: Path) -> None:
    references = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text())["references"]
    assert FILE.read_text() == (ROOT / "CITATION.cff").read_text() and {r["scope"] for r in references} == set(SCOPES)
    results = read_results(out / "results.h5")
    found = citations(results)
    assert {"electronic entropy", "sampling across gaps", "R-hat"} <= {use for use, _ in found.works}
    assert not {"cluster expansion", "potential mace", "vibrations", "ground states"} & {use for use, _ in found.works}
    assert sum("J. Tests" in sentence for sentence in found.others) == 2
    entries = re.findall(r"^@(\w+)\{(\w+),$", found.bibtex, re.M)
    assert entries[0] == ("software", "RedoxMC") and ("article", "Zhou2006") in entries and len(entries) == len(found.works)
    assert found.bibtex.count("{") == found.bibtex.count("}") and "Zhou, F. and Maxisch, T. and Ceder, G." in found.bibtex
    config = copy.deepcopy(results.attributes.config)
    assert config is not None
    config["potential"], config["energy"]["cluster_expansion"] = {"model": "mace"}, {"cutoffs_A": [5.0]}
    results = replace(results, attributes=replace(results.attributes, config=config))
    assert {"cluster expansion", "potential mace"} <= {use for use, _ in citations(results).works}


def test_it_says_what_was_run_and_what_was_measured(page: Page) -> None:
    cells = [text for _, _, text in page.all("td")]
    assert "one phase" in cells and "not sampled" in cells  # Jones's points within and above the temperatures of the run
    facts = {text for _, _, text in page.all("th")}
    assert {"RedoxMC", "seed", "packages", "sampling began", "last samples", "analysed"} <= facts


def test_a_page_of_other_results_is_made_anew(out: Path) -> None:
    before = (out / "report.html").stat().st_mtime_ns
    write_report(out / "results.h5", out / "fit.json", out)
    assert (out / "report.html").stat().st_mtime_ns == before


def test_other_points_redo_the_analysis_alone(out: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(out.parent, tmp_path / "copy")) / "out"
    samples = {path: path.stat().st_mtime_ns for path in (out / "samples").rglob("*.h5")}
    points = out.parent / "points.csv"
    text = points.read_text()
    points.write_text(text.replace("0.1,350", "0.2,360"))
    done = run(out.parent / "input.yaml", 1, "--until", "analyse")
    assert done.returncode == 0 and samples == {path: path.stat().st_mtime_ns for path in (out / "samples").rglob("*.h5")}
    assert read_results(out / "results.h5").experiment.x.tolist() == [0.2, 0.5, 0.5]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


OVERFLOW = "document.documentElement.scrollWidth <= innerWidth"
IMAGES = "document.images.length > 10 && [...document.images].every(i => i.complete && i.naturalWidth > 0)"
CUT_OFF = """[...document.querySelectorAll('body *')].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width > 0 && box.right > innerWidth + 1 && !e.closest('.scroll') && !e.closest('pre');
}).map(e => e.outerHTML.slice(0, 80))"""
FAINT = """(() => {
  const parts = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => { const [r, g, b] = parts(c).map(v => linear(v / 255)); return .2126 * r + .7152 * g + .0722 * b; };
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor, p = parts(c);
      if (p.length < 4 || p[3] > 0) return c;
    }
    return 'rgb(255, 255, 255)';
  };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x), ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) found.push([e.tagName, e.className, ratio, e.textContent.slice(0, 40)]);
  }
  return found;
})()"""


@pytest.mark.skipif(CHROMIUM is None, reason=NO_BROWSER)
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
def test_in_a_browser(browser: Browser, out: Path, width: int, dark: bool) -> None:
    """From file://, as a phone and a desk show it, light and dark: nothing beyond the edge, nothing asked for, no complaint."""
    path = out / "report.html"
    browser.open(path, width, dark)
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.evaluate("innerWidth") == width and browser.evaluate(OVERFLOW) and browser.evaluate(IMAGES)
    assert browser.evaluate(CUT_OFF) == []
    assert browser.evaluate(FAINT) == []  # contrast of all text, WCAG AA
    assert browser.errors == [] and [r for r in browser.requests if not r.startswith("data:")] == [path.resolve().as_uri()]
    dark_page = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark_page != "rgb(255, 255, 255)") == dark
    assert browser.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 16
