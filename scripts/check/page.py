#!/usr/bin/env python3
"""Uses the page of `detente serve` in headless Chromium as a reader would: with a mouse, and with a keyboard alone.

Command: scripts/check/page.py PROGRAM [--pictures DIR]
In:      PROGRAM, the built `detente`; the examples of this repository; Chromium on PATH (or named by CHROMIUM).
Out:     one line a view on stdout; exit code 1 with the reason when the page is not as it should be. With --pictures, a picture of
         the page for each view.

In light and dark colours on a wide screen and on a telephone. An article is pasted from the clipboard and labelled by keys alone; a file is
dropped; a paragraph shows its probabilities under the mouse and under the focus; both downloads hold what the command line says of the
same article; boilerplate is dimmed and can be hidden; every control has a name; nothing was asked for from outside; no script failed and
nothing broke the page's policy; the page is not wider than the screen; text can be read.
Needs nothing but the standard library.
"""

import base64
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from browser import EYES, PATIENCE_S, ROOT, VIEWS, Browser, Failure, find_chromium, judge_looks, squeeze
from server import Server

ARTICLE = ROOT / "examples" / "minsk-line.txt"
DROPPED = ROOT / "examples" / "waffenruhe.html"
MODEL = os.environ.get("DETENTE_MODEL")  # to try the page on another bundle than the one inside the program
VIEWS = [*VIEWS, ("telephone, dark", 390, 844, "dark")]

LOOK = r"""
  const named = (e) => e.labels?.length || e.textContent.trim() || e.getAttribute("aria-label");
  return {
    paragraphs: [...document.querySelectorAll(".para p")].filter(seen).map((p) => p.textContent),
    bars: [...document.querySelectorAll("#strip rect")].length,
    title: document.querySelector("#strip title").textContent,
    unnamed: [...document.querySelectorAll("button, input, textarea, a")].filter((e) => !named(e)).map((e) => e.outerHTML),
    dimmed: [...document.querySelectorAll(".para.boilerplate p")].map((p) => contrast(p)),
    full: [...document.querySelectorAll(".para:not(.boilerplate) p")].map((p) => contrast(p)),
    texts: [...document.querySelectorAll("h1, h2, header p, main p, .chip, label, button, .numbers dt, figcaption")]
      .filter((e) => seen(e) && e.textContent.trim()).map((e) => ({text: e.textContent, contrast: contrast(e)})),
    tints: new Set([...document.querySelectorAll(".para")].map((e) => getComputedStyle(e).borderInlineStartColor)).size,
    width: document.documentElement.scrollWidth, height: document.documentElement.scrollHeight,
    ground: luminance(background(document.documentElement)), outside: [],
  };
"""


class Page:
    """The page in one tab."""

    def __init__(self, browser: Browser, base: str, view: tuple, downloads: Path):
        self.browser, self.base = browser, base
        _, width, height, colours = view
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": colours}])
        browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        browser.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
        browser.events.clear()
        self.call("Page.navigate", url=base + "/")
        browser.wait_for("Page.loadEventFired")

    def call(self, method: str, **parameters) -> dict:
        return self.browser.call(method, self.session, **parameters)

    def run(self, script: str):
        """What a script returns, which may wait."""
        answer = self.call(
            "Runtime.evaluate", expression=f"(async () => {{{script}}})()", returnByValue=True, awaitPromise=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise Failure(f"a script of the check failed: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, condition: str, what: str) -> None:
        """Waits until a condition of the page holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.run(f"return Boolean({condition})"):
            if time.monotonic() > deadline:
                raise Failure(f"{what}: not within {PATIENCE_S} s; the page says {self.run('return status.textContent')!r}")
            time.sleep(0.05)

    def press(self, key: str, code: int, text: str = "", **more) -> None:
        event = {"key": key, "code": key, "windowsVirtualKeyCode": code, **more}
        self.call("Input.dispatchKeyEvent", type="keyDown", **event, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **{key: value for key, value in event.items() if key != "commands"})

    def tab_to(self, selector: str) -> None:
        """Presses Tab until an element has the focus."""
        for _ in range(60):
            if self.run(f"return document.activeElement?.matches({json.dumps(selector)})"):
                return
            self.press("Tab", 9)
        raise Failure(f"Tab does not lead to {selector}")

    def shows_numbers(self, index: int) -> bool:
        return self.run(f"return getComputedStyle(document.querySelectorAll('.para')[{index}].querySelector('.numbers')).display !== 'none'")

    def complaints(self) -> None:
        """Raises a Failure for what the browser said of the page since it was opened."""
        for event in self.browser.events:
            what = event.get("params", {})
            if event.get("method") == "Network.requestWillBeSent":
                url = what["request"]["url"]
                if not url.startswith((self.base, "data:", "blob:")):
                    raise Failure(f"the page asks for {url}")
            if event.get("method") == "Runtime.exceptionThrown":
                raise Failure(f"a script failed: {what['exceptionDetails']}")
            if event.get("method") == "Log.entryAdded" and what["entry"]["level"] == "error":
                raise Failure(f"the browser complains: {what['entry']['text']}")

    def close(self) -> None:
        self.browser.call("Target.closeTarget", targetId=self.target)


def paste_and_label_by_keys(page: Page, text: str, count: int) -> None:
    """From an empty page to labels, without a mouse."""
    page.tab_to("#text")
    page.run(f"await navigator.clipboard.writeText({json.dumps(text)})")
    page.press("v", 86, modifiers=2, commands=["paste"])
    if squeeze(page.run("return document.getElementById('text').value")) != squeeze(text):
        raise Failure("the text that was pasted is not in the box")
    page.tab_to("#go")
    page.press("Enter", 13, "\r")
    page.wait(f"document.querySelectorAll('.para').length === {count}", "labels of the text that was pasted")
    if not page.run("return document.activeElement.id === 'result'"):
        raise Failure("the focus does not move to the labels")
    page.tab_to(".para")
    if not page.shows_numbers(0):
        raise Failure("a paragraph under the focus does not show its probabilities")
    page.press("ArrowDown", 40)
    if not page.run("return document.activeElement.id === 'p1'") or page.shows_numbers(0) or not page.shows_numbers(1):
        raise Failure("the arrow keys do not lead from paragraph to paragraph")


def hover(page: Page) -> None:
    """The mouse alone."""
    page.run("document.activeElement.blur(); document.querySelectorAll('.para')[4].scrollIntoView({block: 'center'})")
    box = page.run("const b = document.querySelectorAll('.para')[4].getBoundingClientRect(); return [b.x + b.width / 2, b.y + 8]")
    if page.shows_numbers(4):
        raise Failure("probabilities are shown without a mouse or focus")
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])
    page.wait("getComputedStyle(document.querySelectorAll('.para')[4].querySelector('.numbers')).display !== 'none'", "probabilities under the mouse")
    if not page.run("return document.querySelector('#strip rect.here') !== null"):
        raise Failure("the strip chart does not mark the paragraph under the mouse")
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)


def download(page: Page, downloads: Path, records: list[dict]) -> None:
    """Both files hold the numbers of the command line."""
    for name in ("csv", "json"):
        page.run(f"document.getElementById('{name}').click()")
        deadline = time.monotonic() + PATIENCE_S
        path = downloads / f"labels.{name}"
        while not path.exists() or path.stat().st_size == 0:
            if time.monotonic() > deadline:
                raise Failure(f"labels.{name} does not come")
            time.sleep(0.05)
    with open(downloads / "labels.csv", encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    paragraphs = json.loads((downloads / "labels.json").read_text("utf-8"))["paragraphs"]
    if not len(rows) == len(paragraphs) == len(records):
        raise Failure(f"{len(rows)} rows and {len(paragraphs)} paragraphs for {len(records)} records")
    for row, paragraph, record in zip(rows, paragraphs, records):
        expected = (record["start"], record["escalation"], record["escalation_expected"], record["topics"], record["tokens"])
        of_row = (int(row["start"]), int(row["escalation"]), float(row["escalation_expected"]), row["topics"].split(), int(row["tokens"]))
        topics = [topic["name"] for topic in paragraph["topics"] if topic["applies"]]
        of_json = (paragraph["start"], paragraph["scale"]["level"], paragraph["scale"]["expected"], topics, paragraph["tokens"])
        if not of_row == of_json == expected:
            raise Failure(f"paragraph {record['paragraph']}: {of_row} in CSV, {of_json} in JSON, {expected} by the command line")
    for path in downloads.iterdir():
        path.unlink()


def hide_boilerplate(page: Page) -> None:
    count = page.run("document.getElementById('hide').click(); return [...document.querySelectorAll('.para.boilerplate')].filter((e) => !e.hidden).length")
    if count:
        raise Failure(f"{count} paragraphs of boilerplate are not hidden")
    page.run("document.getElementById('hide').click()")


def drop(page: Page, count: int) -> None:
    """A file falls onto the page."""
    page.run("scrollTo(0, 0)")
    data = {"items": [], "files": [str(DROPPED)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.call("Input.dispatchDragEvent", type=kind, x=150, y=200, data=data)
    page.wait(f"document.querySelectorAll('.para').length === {count}", "labels of the file that was dropped")


def records_of(program: str, path: Path) -> list[dict]:
    run = [program, "classify", "--quiet", "--format", "jsonl", str(path)]
    lines = subprocess.run(run, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    return [json.loads(line) for line in lines.splitlines()]


def use(page: Page, view: tuple, article: list[dict], dropped: list[dict], downloads: Path) -> tuple[dict, bytes]:
    paste_and_label_by_keys(page, ARTICLE.read_text("utf-8"), len(article))
    hover(page)
    download(page, downloads, article)
    hide_boilerplate(page)
    page.run("scrollTo(0, 0)")
    seen = page.run(EYES + LOOK)
    size = {"x": 0, "y": 0, "width": view[1], "height": min(seen["height"], 2400), "scale": 1}
    picture = base64.b64decode(page.call("Page.captureScreenshot", format="png", clip=size, captureBeyondViewport=True)["data"])
    shown = [squeeze(text) for text in seen["paragraphs"]]
    if shown != [squeeze(record["text"]) for record in article]:
        raise Failure("the paragraphs on the page are not those of the command line")
    if seen["bars"] != len(article) or not seen["title"].startswith("Strip chart: "):
        raise Failure(f"the strip chart has {seen['bars']} bars and the title {seen['title']!r}")
    if seen["unnamed"]:
        raise Failure(f"a control has no name: {seen['unnamed'][0]}")
    if not seen["dimmed"] or max(seen["dimmed"]) >= min(seen["full"]):
        raise Failure("boilerplate is not dimmer than the rest")
    if seen["tints"] < 3:
        raise Failure(f"the paragraphs have {seen['tints']} colours")
    judge_looks(seen, [*seen["texts"], *({"text": "boilerplate", "contrast": value} for value in seen["dimmed"])], picture, view)
    drop(page, len(dropped))
    page.complaints()
    return seen, picture


def main() -> int:
    """Runs the check."""
    arguments = sys.argv[1:]
    pictures = None
    if len(arguments) == 3 and arguments[1] == "--pictures":
        pictures = Path(arguments[2])
        pictures.mkdir(parents=True, exist_ok=True)
    elif len(arguments) != 1:
        raise SystemExit(__doc__)
    program = str(Path(arguments[0]).resolve())
    article, dropped = records_of(program, ARTICLE), records_of(program, DROPPED)
    failures = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, Server(program, model=MODEL) as server:
        downloads = Path(folder) / "downloads"
        downloads.mkdir()
        browser = Browser(find_chromium(), folder + "/profile")
        try:
            for view in VIEWS:
                page = Page(browser, server.base, view, downloads)
                try:
                    seen, picture = use(page, view, article, dropped, downloads)
                    print(f"ok      {view[0]}: {len(article)} paragraphs, {seen['height']} px high")
                    if pictures:
                        (pictures / f"page-{view[0].replace(', ', '-')}.png").write_bytes(picture)
                except Failure as failure:
                    failures += 1
                    print(f"failed  {view[0]}: {failure}")
                page.close()
        finally:
            browser.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
