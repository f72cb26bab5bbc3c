#!/usr/bin/env python3
"""Opens the page of `detente eval --format html` in headless Chromium and looks for the plots and the errors.

Command: scripts/check/report.py PROGRAM [--pictures DIR]
In:      PROGRAM, the built `detente`; eval/sets and eval/behaviour; Chromium on PATH (or named by CHROMIUM).
Out:     one line a view on stdout; exit code 1 with the reason when the page is not as it should be. With --pictures, a picture of
         the whole page for each view.

In light and dark colours on a wide screen and on a telephone: every plot is there, drawn, with a title and a description; the tables of levels
have all their cells; the list of errors holds every error of the file, also before the script runs, sorted by confidence, and the filters
leave the right ones; nothing was asked for from outside; no script failed; the page is not wider than the screen; text can be read.
Needs nothing but the standard library.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from browser import ROOT, VIEWS, Browser, Failure, find_chromium, judge_looks, look

GOLD = "eval/sets/authored-test.jsonl"
PLOTS = {"reliability-": 5, "risk-": 5, "by-lang-": 4, "behaviour-pass": 1, "behaviour-lang-": 5}  # topics, scale, boilerplate: 5
LEVELS = 5
VIEWS = [*VIEWS, ("telephone, dark", 390, 844, "dark")]

LOOK = r"""
  document.querySelectorAll("details").forEach((details) => { details.open = false; });
  const plots = [...document.querySelectorAll("svg.chart")].map((svg) => ({
    id: svg.id, seen: seen(svg), marks: [...svg.querySelectorAll("rect.bar, polyline.curve:not(.ideal)")].length,
    words: ["title", "desc"].every((name) => svg.querySelector(`:scope > ${name}`)?.textContent.length > 3),
    small: Math.min(...[...svg.querySelectorAll("text")].map((text) => text.getBoundingClientRect().height)),
  }));
  const list = document.getElementById("error-list"), form = document.getElementById("error-filter");
  const shown = () => [...list.children].filter((entry) => !entry.hidden);
  const set = (name, value) => {
    form.elements[name].value = value; form.dispatchEvent(new Event("input", {bubbles: true}));
  };
  const all = shown().length, filters = {};
  const last = (name) => [...form.elements[name].options].at(-1).value;
  const label = last("label"), language = last("language");
  set("label", label);
  filters.label = [shown().length, shown().every((entry) => entry.dataset.label.split("\n").includes(label))];
  set("language", language);
  filters.both = [shown().length, shown().every((entry) => entry.dataset.language === language)];
  set("label", ""); set("language", "");
  const word = list.children[0].querySelector(".text").textContent.trim().split(/\s+/)[0];
  set("text", word.toUpperCase());
  filters.text = [shown().length, shown().every((entry) => entry.textContent.toLowerCase().includes(word.toLowerCase()))];
  set("text", "no such text anywhere");
  filters.none = [shown().length, document.getElementById("error-count").textContent.startsWith("0 of")];
  set("text", "");
  const readable = "section > p, .errors .text, .errors .labels dd, .errors .what span, .heat .cell, .heat .cell small, td, th, footer p";
  return {
    plots, all, filters, formShown: seen(form),
    confidences: [...list.querySelectorAll("[data-confidence]")].map((entry) => Number(entry.dataset.confidence)),
    cells: [...document.querySelectorAll("table.heat")].map((table) => table.querySelectorAll("td.cell").length),
    headers: [...document.querySelectorAll("table")].filter((table) => !table.querySelector("thead th[scope=col]")).length,
    texts: [...document.querySelectorAll(readable)].filter((e) => seen(e) && e.textContent.trim()).slice(0, 3000)
      .map((e) => ({text: e.textContent, contrast: contrast(e)})),
    width: document.documentElement.scrollWidth, height: document.documentElement.scrollHeight,
    ground: luminance(background(document.body)), outside: outside(),
  };
"""


def judge(seen: dict, picture: bytes, listed: int, view: tuple) -> None:
    """Raises a Failure when the page is not as it should be."""
    for prefix, count in PLOTS.items():
        found = [plot for plot in seen["plots"] if plot["id"].startswith(prefix)]
        if len(found) != count:
            raise Failure(f"{len(found)} plots {prefix}, {count} expected: {[plot['id'] for plot in seen['plots']]}")
    for plot in seen["plots"]:
        if not (plot["seen"] and plot["marks"] and plot["words"]):
            raise Failure(f"the plot {plot['id']} is empty, or has no title or description: {plot}")
        if plot["small"] < 8:
            raise Failure(f"text on the plot {plot['id']} is only {plot['small']:.1f} px high")
    if not seen["cells"] or any(cells != LEVELS * LEVELS for cells in seen["cells"]):
        raise Failure(f"the tables of levels have {seen['cells']} cells, {LEVELS * LEVELS} each were expected")
    if seen["headers"]:
        raise Failure(f"{seen['headers']} tables have no column headers")
    if not 0 < seen["all"] == listed:
        raise Failure(f"{seen['all']} errors are shown, the file has {listed}")
    if seen["confidences"] != sorted(seen["confidences"], reverse=True) or len(seen["confidences"]) != listed:
        raise Failure("the errors are not sorted by confidence")
    if not seen["formShown"]:
        raise Failure("the filters are not shown")
    filters = seen["filters"]
    for name, (count, right) in filters.items():
        if not right or (count == 0) != (name == "none") and name != "both" or count >= listed:
            raise Failure(f"the filter {name} shows {count} of {listed} errors, the right ones: {right}")
    judge_looks(seen, seen["texts"], picture, view)


def whole(browser: Browser, page: Path, view: tuple) -> bytes:
    """A picture of the whole page up to the first errors."""
    tall = (view[0], view[1], 9000, view[3])
    return look(browser, page, tall, "return {}")[1]


def main() -> int:
    """Runs the check."""
    if len(sys.argv) not in (2, 4) or sys.argv[2:3] not in ([], ["--pictures"]):
        raise SystemExit(__doc__)
    program, pictures = Path(sys.argv[1]).resolve(), Path(sys.argv[3]) if len(sys.argv) == 4 else None
    failures = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page = Path(folder) / "report.html"
        pairs = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "eval/behaviour").glob("*.jsonl"))
        subprocess.run(
            [str(program), "eval", "--gold", GOLD, "--behaviour", *pairs, "--by", "lang", "--baseline", "lexicon",
             "--replicates", "200", "--format", "html", "--output", str(page)],
            check=True, stdin=subprocess.DEVNULL, cwd=ROOT,
        )  # fmt: skip
        listed = len(re.findall(r"<li data-confidence=", page.read_text(encoding="utf-8")))
        browser = Browser(find_chromium(), folder + "/profile")
        try:
            for view in VIEWS:
                try:
                    if pictures:
                        pictures.mkdir(parents=True, exist_ok=True)
                        (pictures / f"{view[0].replace(', ', '-')}.png").write_bytes(whole(browser, page, view))
                    seen, picture = look(browser, page, view, LOOK)
                    judge(seen, picture, listed, view)
                    print(f"ok      {view[0]}: {len(seen['plots'])} plots, {listed} errors, {seen['height']} px high")
                except Failure as failure:
                    failures += 1
                    print(f"failed  {view[0]}: {failure}")
        finally:
            browser.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
