"use strict";

// Why a paragraph got its labels: asked of /v1/classify when somebody wants to know, for that paragraph alone.

const LEAST_WEIGHT = 0.01; // what moves a number by less is not shown, as on the command line
const SHOWN_PARTS = 8; // of each label
const FAINT = 0.2; // a label whose strongest word moves it by less has thin lines
const MARKS = 3; // widths of lines

const weighed = (weight) => (weight < 0 ? `−${(-weight).toFixed(2)}` : `+${weight.toFixed(2)}`);

/** The control under a paragraph, and where the answer appears. `text` is the element with the paragraph's text. */
function why(paragraph, text) {
  const summary = make("summary", { textContent: "Why?" });
  summary.setAttribute("aria-label", `Why? Paragraph ${paragraph.index + 1}`);
  const status = make("p", { className: "quiet" });
  status.setAttribute("role", "status");
  const details = make("details", { className: "why" }, summary, status);
  let asking = null;
  details.addEventListener("toggle", async () => {
    if (!details.open) {
      asking?.abort(); // the server then stops reading, too
      return;
    }
    if (details.querySelector(".reasons")) return;
    asking = new AbortController();
    const { signal } = asking;
    status.textContent = "Reading it again without each of its words …";
    try {
      paragraph.explanation ??= await explanation(paragraph, signal);
      status.textContent = heard(paragraph);
      details.append(reasons(paragraph));
      mark(paragraph, text);
    } catch (error) {
      status.textContent = signal.aborted ? "" : error.message;
    }
  });
  return details;
}

/** What the server says of the paragraph alone, with places counted as in the document. */
async function explanation(paragraph, signal) {
  const { bundle } = answer;
  const found = await ask("/v1/classify", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ texts: [paragraph.text], options: { explain: true } }),
    signal,
  });
  if (found.bundle !== bundle) throw new Error("The server has another bundle since then; label the text again.");
  const { readings, parts } = found.paragraphs[0].explanation;
  const moved = ({ start, end, ...part }) => ({ start: paragraph.start + start, end: paragraph.start + end, ...part });
  return { readings, parts: parts.map(moved) };
}

const heard = ({ explanation: { readings, parts } }) =>
  parts.length ? `Read ${readings} times more, each time without one part: what that changed.` : "There are no words in it.";

/** Names of the labels, those that were decided on first. */
function targets(paragraph) {
  const all = paragraph.topics.map((topic) => topic.name);
  if (paragraph.scale) all.push(paragraph.scale.name);
  if (paragraph.boilerplate) all.push("boilerplate");
  const applying = paragraph.topics.filter((topic) => topic.applies).map((topic) => topic.name);
  const decided = isBoilerplate(paragraph) ? ["boilerplate"] : [...applying, ...(paragraph.scale ? [paragraph.scale.name] : [])];
  return { decided, others: all.filter((name) => !decided.includes(name)) };
}

/** The parts that move a label, the strongest first. */
function strongest({ explanation: { parts } }, name) {
  const weight = (part) => Math.abs(part.weights[name]);
  return parts.filter((part) => weight(part) >= LEAST_WEIGHT).sort((a, b) => weight(b) - weight(a));
}

function reasons(paragraph) {
  const { decided, others } = targets(paragraph);
  const moved = others.filter((name) => strongest(paragraph, name).length);
  const list = (names) => {
    const element = make("dl", { className: "reasons" });
    for (const name of names) element.append(make("dt", { textContent: name }), make("dd", {}, ...sentences(paragraph, name)));
    return element;
  };
  const found = make("div", {}, list(decided));
  if (moved.length) found.append(make("p", { className: "quiet", textContent: "Labels that it did not get:" }), list(moved));
  return found;
}

/** "raised by …; lowered by …" */
function sentences(paragraph, name) {
  const shown = strongest(paragraph, name).slice(0, SHOWN_PARTS);
  if (!shown.length) return ["moved by no single word"];
  const nodes = [];
  for (const [direction, verb, is] of [["up", "raised by ", (weight) => weight > 0], ["down", "lowered by ", (weight) => weight < 0]]) {
    const parts = shown.filter((part) => is(part.weights[name]));
    if (!parts.length) continue;
    nodes.push(nodes.length ? `; ${verb}` : verb);
    parts.forEach((part, place) => {
      const words = make("bdi", { textContent: part.text, lang: paragraph.language === "und" ? "" : paragraph.language });
      const word = make("span", { className: `word ${direction}` }, words, ` ${weighed(part.weights[name])}`);
      nodes.push(...(place ? [", "] : []), word);
    });
  }
  return nodes;
}

/** Underlines the words that moved what the paragraph's colour shows: the level, or else the first label that was decided on. */
function mark(paragraph, element) {
  const { decided } = targets(paragraph);
  const name = decided.includes(paragraph.scale?.name) ? paragraph.scale.name : decided[0];
  if (!name) return;
  const parts = strongest(paragraph, name);
  const largest = Math.max(FAINT, ...parts.map((part) => Math.abs(part.weights[name])));
  const bytes = new TextEncoder().encode(paragraph.text);
  const slice = (start, end) => new TextDecoder().decode(bytes.slice(start - paragraph.start, end - paragraph.start));
  const nodes = [];
  let end = paragraph.start;
  for (const part of parts.sort((a, b) => a.start - b.start)) {
    const weight = part.weights[name];
    const width = Math.round((Math.abs(weight) / largest) * MARKS);
    if (!width) continue;
    const direction = weight > 0 ? "up" : "down";
    const title = `${name}: ${weighed(weight)}`;
    nodes.push(slice(end, part.start), make("span", { className: `mark ${direction} w${width}`, title, textContent: slice(part.start, part.end) }));
    end = part.end;
  }
  element.replaceChildren(...nodes, slice(end, paragraph.start + bytes.length));
}
