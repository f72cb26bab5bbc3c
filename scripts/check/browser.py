#!/usr/bin/env python3
"""Opens the pages of `--format html` in headless Chromium and looks at them.

Command: scripts/check/browser.py PROGRAM
In:      PROGRAM, the built `detente`; the examples of this repository; Chromium on PATH (or named by CHROMIUM).
Out:     one line a page and view on stdout; exit code 1 with the reason when a page is not as it should be.

Every page is shown in light and dark colours on a wide screen and in light colours on a telephone. In each view: all paragraphs that the
program writes to JSON Lines are on the page, word for word, with one bar a paragraph in the strip chart; nothing was asked for from
outside; no script failed; the page is not wider than the screen; text can be told from its background; the picture is not blank.
Needs nothing but the standard library.
"""

import base64
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ["minsk-line.txt", "waffenruhe.html", "hudna.txt"]
VIEWS = [("wide, light", 1200, 900, "light"), ("wide, dark", 1200, 900, "dark"), ("telephone", 390, 844, "light")]
PATIENCE_S = 120  # a cold Chromium on a busy machine with two cores
CONTRAST = 3.0  # the least ratio for large text in WCAG 2.2, also asked of dimmed boilerplate
COLOURS = 8  # a page with text, tags and a strip chart has many more; a blank one has one


class Failure(Exception):
    """A page is not as it should be."""


class Browser:
    """Headless Chromium, spoken to over a pair of pipes (DevTools protocol, messages end in NUL)."""

    def __init__(self, program: str, profile: str):
        to_child, self.writer = os.pipe()
        self.reader, from_child = os.pipe()
        command = [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            "--force-device-scale-factor=1", f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank",
        ]  # fmt: skip
        shell = f'exec "$@" 3<&{to_child} 4>&{from_child}'
        self.process = subprocess.Popen(
            ["bash", "-c", shell, "browser", *command],
            pass_fds=(to_child, from_child),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_child)
        os.close(from_child)
        os.set_blocking(self.reader, False)
        self.rest, self.events, self.number = b"", [], 0

    def _message(self, deadline: float) -> dict:
        while b"\0" not in self.rest:
            try:
                piece = os.read(self.reader, 1 << 16)
                if not piece:
                    raise Failure("Chromium ended by itself")
                self.rest += piece
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Failure(f"Chromium did not answer within {PATIENCE_S} s") from None
                time.sleep(0.01)
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method: str, session: str | None = None, **parameters) -> dict:
        """Sends one command and waits for its answer; events that come in between are kept."""
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if session:
            request["sessionId"] = session
        os.write(self.writer, json.dumps(request).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            message = self._message(deadline)
            if message.get("id") == self.number:
                if "error" in message:
                    raise Failure(f"{method}: {message['error']['message']}")
                return message["result"]
            self.events.append(message)

    def wait_for(self, method: str) -> None:
        """Waits for an event."""
        deadline = time.monotonic() + PATIENCE_S
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self._message(deadline))

    def close(self) -> None:
        """Ends the browser that was started here."""
        try:
            self.call("Browser.close")
            self.process.wait(timeout=30)
        except (Failure, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.reader)
        os.close(self.writer)


# JavaScript to judge what a reader sees. Colours are computed against the nearest ancestor that has a background.
EYES = r"""
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] / 255 + under[i] * (1 - top[3] / 255));
  const luminance = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    if (!element) return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
    const colour = rgba(getComputedStyle(element).backgroundColor);
    return colour[3] === 0 ? background(element.parentElement) : over(colour, background(element.parentElement));
  };
  const opacity = (element) => element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1;
  const contrast = (element) => {
    const under = background(element), colour = rgba(getComputedStyle(element).color);
    colour[3] *= opacity(element);
    const [a, b] = [luminance(over(colour, under)), luminance(under)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const outside = () =>
    [...document.querySelectorAll("[src], link[href], [srcset]")].map((e) => e.outerHTML.slice(0, 120));
  const seen = (element) => { const box = element.getBoundingClientRect(); return box.width > 0 && box.height > 0; };
"""

# What a page of labelled documents shows.
LOOK = r"""
  const paragraphs = [...document.querySelectorAll("section.para p.text")];
  return {
    paragraphs: paragraphs.filter(seen).map((p) => ({text: p.textContent, contrast: contrast(p)})),
    bars: [...document.querySelectorAll("figure.strip svg a")].filter(seen).length,
    width: document.documentElement.scrollWidth, height: document.documentElement.scrollHeight,
    ground: luminance(background(document.body)),
    outside: outside(),
  };
"""


def distinct_colours(png: bytes) -> int:
    """Number of different pixels of an 8-bit RGB or RGBA picture."""
    place, data, header = 8, b"", b""
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        body = png[place + 8 : place + 8 + length]
        header, data = (body if kind == b"IHDR" else header), data + (body if kind == b"IDAT" else b"")
        place += 12 + length
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    size = {2: 3, 6: 4}[colour]
    if depth != 8:
        raise Failure(f"the screenshot has {depth} bits a channel, 8 were expected")
    raw, above, found = zlib.decompress(data), bytearray(width * size), set()
    for row in range(height):
        start = row * (width * size + 1)
        method, line = raw[start], bytearray(raw[start + 1 : start + 1 + width * size])
        for i in range(len(line)):
            left, up, corner = (line[i - size] if i >= size else 0), above[i], (above[i - size] if i >= size else 0)
            if method == 1:
                line[i] = (line[i] + left) & 255
            elif method == 2:
                line[i] = (line[i] + up) & 255
            elif method == 3:
                line[i] = (line[i] + (left + up) // 2) & 255
            elif method == 4:
                guess = left + up - corner
                near = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))
                line[i] = (line[i] + near[2]) & 255
        found.update(bytes(line[i : i + 3]) for i in range(0, len(line), size))
        above = line
    return len(found)


def look(browser: Browser, page: Path, view: tuple, script: str) -> tuple[dict, bytes]:
    """Shows a page and returns what `script` says of it, which may use EYES, and a picture."""
    _, width, height, colours = view
    browser.events.clear()
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Network", "Runtime", "Log"):
        browser.call(f"{domain}.enable", session)
    browser.call(
        "Emulation.setDeviceMetricsOverride", session, width=width, height=height, deviceScaleFactor=1, mobile=width < 600
    )
    browser.call(
        "Emulation.setEmulatedMedia", session, features=[{"name": "prefers-color-scheme", "value": colours}]
    )
    browser.events.clear()
    browser.call("Page.navigate", session, url=page.as_uri())
    browser.wait_for("Page.loadEventFired")
    answer = browser.call("Runtime.evaluate", session, expression=f"(() => {{{EYES}{script}}})()", returnByValue=True)
    if "exceptionDetails" in answer:
        raise Failure(f"the look at the page failed: {answer['exceptionDetails']}")
    picture = browser.call("Page.captureScreenshot", session, format="png")["data"]
    for event in browser.events:
        what = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            url = what["request"]["url"]
            if url != page.as_uri() and not url.startswith("data:"):
                raise Failure(f"the page asks for {url}")
        if event.get("method") == "Runtime.exceptionThrown":
            raise Failure(f"a script failed: {what['exceptionDetails'].get('text')}")
        if event.get("method") == "Log.entryAdded" and what["entry"]["level"] == "error":
            raise Failure(f"the browser complains: {what['entry']['text']}")
    browser.call("Target.closeTarget", targetId=target)
    return answer["result"]["value"], base64.b64decode(picture)


def squeeze(text: str) -> str:
    """The text with every run of white space as one space, as a browser shows it."""
    return " ".join(text.split())


def judge(seen: dict, picture: bytes, texts: list[str], view: tuple) -> None:
    """Raises a Failure when the page is not as it should be."""
    shown = [squeeze(paragraph["text"]) for paragraph in seen["paragraphs"]]
    if shown != texts:
        odd = next((pair for pair in zip(shown + [""], texts + [""]) if pair[0] != pair[1]), ("", ""))
        raise Failure(f"{len(shown)} paragraphs shown, {len(texts)} expected; first difference: {odd[0]!r}, expected {odd[1]!r}")
    if seen["bars"] != len(texts):
        raise Failure(f"the strip chart has {seen['bars']} bars for {len(texts)} paragraphs")
    judge_looks(seen, seen["paragraphs"], picture, view)


def judge_looks(seen: dict, texts: list[dict], picture: bytes, view: tuple) -> None:
    """Raises a Failure when the page does not fit the screen, refers to others, or cannot be read."""
    if seen["width"] > view[1]:
        raise Failure(f"the page is {seen['width']} px wide on a screen of {view[1]} px")
    if seen["outside"]:
        raise Failure(f"the page refers to other files: {seen['outside'][0]}")
    faint = min(texts, key=lambda text: text["contrast"])
    if faint["contrast"] < CONTRAST:
        raise Failure(f"contrast {faint['contrast']:.1f} is under {CONTRAST}: {faint['text'][:60]!r}")
    if (seen["ground"] < 0.5) != (view[3] == "dark"):
        raise Failure(f"the background has luminance {seen['ground']:.2f} where {view[3]} colours are wanted")
    colours = distinct_colours(picture)
    if colours < COLOURS:
        raise Failure(f"the picture has only {colours} colours")


def find_chromium() -> str:
    """The browser to use."""
    for name in (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if name and shutil.which(name):
            return name
    raise SystemExit("browser.py: no Chromium found; install it (apt-get install chromium) or name it with CHROMIUM=/path")


def main() -> int:
    """Runs the check."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    program = Path(sys.argv[1]).resolve()
    failures = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(find_chromium(), folder + "/profile")
        try:
            for name in EXAMPLES:
                page = Path(folder) / f"{name}.html"
                run = [str(program), "classify", "--quiet", str(ROOT / "examples" / name)]
                subprocess.run([*run, "--format", "html", "--output", str(page)], check=True, stdin=subprocess.DEVNULL)
                lines = subprocess.run([*run, "--format", "jsonl"], check=True, capture_output=True, text=True).stdout
                texts = [squeeze(json.loads(line)["text"]) for line in lines.splitlines()]
                for view in VIEWS:
                    try:
                        seen, picture = look(browser, page, view, LOOK)
                        judge(seen, picture, texts, view)
                        print(f"ok      {name}, {view[0]}: {len(texts)} paragraphs, {seen['height']} px high")
                    except Failure as failure:
                        failures += 1
                        print(f"failed  {name}, {view[0]}: {failure}")
        finally:
            browser.close()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
