#!/usr/bin/env python3
"""Uses the page of `detente serve` in headless Chromium as a reader would: with a mouse, and with a keyboard alone.

Command: scripts/check/page.py PROGRAM [--pictures DIR]
In:      PROGRAM, the built `detente`; the examples of this repository; Chromium on PATH (or named by CHROMIUM).
Out:     one line a view on stdout; exit code 1 with the reason when the page is not as it should be. With --pictures, a picture of
         the page for each view.

In light and dark colours on a wide screen and on a telephone. An article is pasted from the clipboard and labelled by keys alone; a file is
dropped, a text into the box and beside it; of two texts at once the later one's labels stay; a paragraph shows its probabilities under the mouse and under the focus; "Why?", by key and by mouse, shows the words that moved each label, as
`--explain` of the command line says, in words and with lines under the text; both downloads hold what the command line says of the same article;
boilerplate is dimmed and can be hidden; every control has a name; nothing was asked for from outside; no script failed and
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
LEAST_WEIGHT = 0.01  # of the words that the page names
SHOWN_PARTS = 8
VIEWS = [*VIEWS, ("telephone, dark", 390, 844, "dark")]

LOOK = r"""
  const named = (e) => e.labels?.length || e.textContent.trim() || e.getAttribute("aria-label");
  return {
    paragraphs: [...document.querySelectorAll(".para > p")].filter(seen).map((p) => p.textContent),
    bars: [...document.querySelectorAll("#strip rect")].length,
    title: document.querySelector("#strip title").textContent,
    unnamed: [...document.querySelectorAll("button, input, textarea, summary, a")].filter((e) => !named(e)).map((e) => e.outerHTML),
    dimmed: [...document.querySelectorAll(".para.boilerplate > p")].map((p) => contrast(p)),
    full: [...document.querySelectorAll(".para:not(.boilerplate) > p")].map((p) => contrast(p)),
    texts: [...document.querySelectorAll("h1, h2, header p, main p, .chip, label, button, summary, .numbers dt, .reasons dt, .reasons dd, .word, .mark, figcaption")]
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


SHOWN = r"""
  const para = document.querySelectorAll(".para")[INDEX];
  return {
    reasons: [...para.querySelectorAll(".reasons dt")].map((dt) => [dt.textContent, dt.nextElementSibling.textContent]),
    words: [...para.querySelectorAll(".word")].map((e) => [e.classList.contains("up"), getComputedStyle(e).textDecorationStyle]),
    marks: [...para.querySelectorAll(":scope > p .mark")].map((e) => [e.textContent, e.classList.contains("up"), e.title]),
    text: para.querySelector(":scope > p").textContent, busy: para.querySelector(".why [role=status]").textContent,
  };
"""


def weights(record: dict) -> dict[str, list[tuple[str, float]]]:
    """For each label, the words that moved it, the strongest first, by the command line."""
    found = {}
    for part in record["explanation"]["parts"]:
        numbers = part["topic_probabilities"] | {"escalation": part["escalation_expected"], "boilerplate": part["boilerplate_probability"]}
        for name, weight in numbers.items():
            if abs(weight) >= LEAST_WEIGHT:
                found.setdefault(name, []).append((part["text"], weight))
    return {name: sorted(words, key=lambda pair: -abs(pair[1])) for name, words in found.items()}


def sentence(words: list[tuple[str, float]]) -> str:
    """What the page says of a label."""
    said = lambda weight: f"−{-weight:.2f}" if weight < 0 else f"+{weight:.2f}"  # noqa: E731
    groups = []
    for verb, sign in (("raised by", 1), ("lowered by", -1)):
        some = [f"{word} {said(weight)}" for word, weight in words[:SHOWN_PARTS] if weight * sign > 0]
        groups += [f"{verb} {', '.join(some)}"] if some else []
    return "; ".join(groups) or "moved by no single word"


def check_why(page: Page, record: dict) -> None:
    """What a paragraph shows after it was asked why."""
    index = record["paragraph"]
    page.wait(f"document.querySelectorAll('.para')[{index}].querySelector('.reasons')", f"the reasons of paragraph {index}")
    shown, expected = page.run(SHOWN.replace("INDEX", str(index))), weights(record)
    if shown["text"] != record["text"] or not shown["busy"].startswith(f"Read {record['explanation']['readings']} times"):
        raise Failure(f"paragraph {index} reads {shown['text']!r} and says {shown['busy']!r}")
    decided = ["boilerplate"] if record["boilerplate"] else [*record["topics"], "escalation"]
    reasons = dict(shown["reasons"])
    if list(reasons)[: len(decided)] != decided or set(reasons) != {*decided, *expected}:
        raise Failure(f"paragraph {index} shows the labels {list(reasons)}, decided are {decided}, moved {sorted(expected)}")
    for name, said in reasons.items():
        if squeeze(said) != squeeze(sentence(expected.get(name, []))):
            raise Failure(f"paragraph {index}, {name}: {said!r}, by the command line {sentence(expected.get(name, []))!r}")
    if any((style == "solid") != is_up for is_up, style in shown["words"]):
        raise Failure("what raises and what lowers a label can only be told by colour")
    strong = {word: weight for word, weight in expected.get(decided[-1], [])[:1] if abs(weight) > 0.2}
    for word, weight in strong.items():
        if [word, weight > 0] not in [mark[:2] for mark in shown["marks"]]:
            raise Failure(f"paragraph {index}: {word!r} is not underlined in the text, only {shown['marks']}")


def why(page: Page, article: list[dict]) -> None:
    """By keys on the paragraph that has the focus, then by the mouse on one of boilerplate."""
    page.run("document.getElementById('p1').focus()")
    page.press("Tab", 9)
    if not page.run("return document.activeElement.matches('#p1 summary')"):
        raise Failure("Tab does not lead from a paragraph to its Why?")
    page.press("Enter", 13, "\r")
    check_why(page, article[1])
    page.press("Enter", 13, "\r")
    if page.run("return document.querySelector('#p1 details').open"):
        raise Failure("Enter does not close what it opened")
    page.press("Enter", 13, "\r")
    place = next(record["paragraph"] for record in article if record["boilerplate"])
    page.run(f"document.getElementById('p{place}').scrollIntoView({{block: 'center'}})")
    box = page.run(f"const b = document.querySelector('#p{place} summary').getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]")
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)
    check_why(page, article[place])
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    page.run("document.activeElement.blur()")


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
    explained = 0
    for row, paragraph, record in zip(rows, paragraphs, records):
        expected = (record["start"], record["escalation"], record["escalation_expected"], record["topics"], record["tokens"])
        of_row = (int(row["start"]), int(row["escalation"]), float(row["escalation_expected"]), [topic for topic in row["topics"].split(";") if topic], int(row["tokens"]))
        topics = [topic["name"] for topic in paragraph["topics"] if topic["applies"]]
        if "explanation" in paragraph:
            explained += 1
            places = [(part["start"], part["end"], part["weights"]["escalation"]) for part in paragraph["explanation"]["parts"]]
            if places != [(part["start"], part["end"], part["escalation_expected"]) for part in record["explanation"]["parts"]]:
                raise Failure(f"paragraph {record['paragraph']}: the explanation in the JSON file is not that of the command line")
        of_json = (paragraph["start"], paragraph["scale"]["level"], paragraph["scale"]["expected"], topics, paragraph["tokens"])
        if not of_row == of_json == expected:
            raise Failure(f"paragraph {record['paragraph']}: {of_row} in CSV, {of_json} in JSON, {expected} by the command line")
    if explained != 2:
        raise Failure(f"{explained} paragraphs of the JSON file have an explanation, 2 were asked for")
    for path in downloads.iterdir():
        path.unlink()


def hide_boilerplate(page: Page, and_then: str = "") -> None:
    """The box hides boilerplate, also of what is shown after it was ticked."""
    count = page.run(f"document.getElementById('hide').click(); {and_then}; return [...document.querySelectorAll('.para.boilerplate')].filter((e) => !e.hidden).length")
    if count:
        raise Failure(f"{count} paragraphs of boilerplate are not hidden {and_then}")
    page.run("document.getElementById('hide').click()")


def let_go(page: Page, x: float, y: float, data: dict) -> None:
    """Drags something to a place on the screen and lets it go there."""
    for kind in ("dragEnter", "dragOver", "drop"):
        page.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)


def drop(page: Page, count: int) -> None:
    """A file falls onto the page."""
    page.run("scrollTo(0, 0)")
    data = {"items": [], "files": [str(DROPPED)], "dragOperationsMask": 1}
    let_go(page, 150, 200, data)
    page.wait(f"document.querySelectorAll('.para').length === {count}", "labels of the file that was dropped")


def overtake(page: Page) -> None:
    """The answer to an earlier text comes after that to a later one, whose labels stay."""
    left = page.run("""
      const real = window.fetch, box = document.getElementById("text");
      const texts = () => [...document.querySelectorAll(".para > p")].map((p) => p.textContent).join("|");
      let release;
      const gate = new Promise((open) => (release = open));
      window.fetch = async (path, { signal, ...options }) => { // a server's answer that is already under way
        const response = await real(path, options);
        if (options.body.includes("first")) await gate;
        return response;
      };
      box.value = "The first text.";
      const first = label();
      box.value = "The second text.";
      await label();
      const [before, busy] = [texts(), document.getElementById("go").disabled];
      release();
      await first;
      window.fetch = real;
      return { before, busy, after: texts(), answer: answer.paragraphs[0].text };
    """)
    if left != {"before": "The second text.", "busy": False, "after": "The second text.", "answer": "The second text."}:
        raise Failure(f"of two texts that were labelled at once the later one is not what is shown: {left}")


def drag_text(page: Page) -> None:
    """A text that is let go over the box is added to what is there; elsewhere it takes its place and is labelled."""
    page.run("const box = document.getElementById('text'); box.value = 'Here'; box.scrollIntoView({block: 'center'}); isHtml = true")
    box = page.run("const b = document.getElementById('text').getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]")
    dragged = {"items": [{"mimeType": "text/plain", "data": "and 1 < 2 there."}], "files": [], "dragOperationsMask": 1}
    let_go(page, *box, dragged)
    page.wait("document.getElementById('text').value !== 'Here'", "a text that was dropped into the box")
    value = page.run("return document.getElementById('text').value")
    if "Here" not in value or "there" not in value:
        raise Failure(f"a text dropped into the box took the place of what was there: {value!r}")
    page.run("isHtml = true; scrollTo(0, 0)")
    let_go(page, 10, 10, dragged)
    page.wait("document.querySelector('.para > p')?.textContent === 'and 1 < 2 there.'", "labels of the text that was dropped")


def records_of(program: str, path: Path, *flags: str) -> list[dict]:
    run = [program, "classify", "--quiet", "--format", "jsonl", *flags, str(path)]
    lines = subprocess.run(run, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    return [json.loads(line) for line in lines.splitlines()]


def use(page: Page, view: tuple, article: list[dict], dropped: list[dict], downloads: Path) -> tuple[dict, bytes]:
    paste_and_label_by_keys(page, ARTICLE.read_text("utf-8"), len(article))
    hover(page)
    why(page, article)
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
    hide_boilerplate(page, "show()")
    drop(page, len(dropped))
    drag_text(page)
    overtake(page)
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
    article, dropped = records_of(program, ARTICLE, "--explain"), records_of(program, DROPPED)
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
