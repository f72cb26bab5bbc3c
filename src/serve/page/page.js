"use strict";

// The page talks to /v1/model and /v1/classify of its own server, and to nothing else. Texts are set as text, never as HTML.

const find = (id) => document.getElementById(id);
const make = (name, properties = {}, ...children) => {
  const element = document.createElement(name);
  Object.assign(element, properties);
  element.append(...children);
  return element;
};
const shape = (name, attributes) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};
const signed = (code) => (code > 0 ? `+${code}` : `${code}`);
const percent = (probability) => (probability === null ? "–" : `${(probability * 100).toFixed(1)} %`);

let answer = null; // what was labelled last
let isHtml = false; // whether the text in the box came from an HTML file
let labelling = null; // the request whose labels are waited for; a newer one takes its place
let reading = null; // the file that is being read into the box

const headers = () => {
  const key = find("key").value.trim();
  return key ? { Authorization: `Bearer ${key}` } : {};
};

const say = (message, isBad = false) => {
  find("status").textContent = message;
  find("status").classList.toggle("bad", isBad);
};

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
  } catch {
    throw new Error("The server cannot be reached.");
  }
  const body = await response.json().catch(() => null);
  if (!response.ok) throw new Error(body?.error ?? `The server answered ${response.status}.`);
  if (!body) throw new Error("The server's answer broke off.");
  return body;
}

async function showModel() {
  try {
    const model = await ask("/v1/model");
    find("model").textContent = `${model.id}, validated for ${model.languages.join(" ")}.`;
  } catch (error) {
    find("model").textContent = error.message;
  }
}

async function label(event) {
  event?.preventDefault();
  const text = find("text").value;
  if (!text.trim()) {
    say("There is no text to label.", true);
    find("text").focus();
    return;
  }
  labelling?.abort();
  const mine = new AbortController();
  labelling = mine;
  find("go").disabled = true;
  say("Labelling …");
  try {
    const document_ = isHtml || /^\s*<(!doctype|html)/i.test(text) ? { html: text } : { text };
    const begun = performance.now();
    const found = await ask("/v1/classify", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ document: document_ }),
      signal: mine.signal,
    });
    if (labelling !== mine) return;
    answer = found;
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    show();
    say(`${answer.paragraphs.length} paragraphs labelled in ${seconds} s.`);
    find("result").focus();
  } catch (error) {
    if (labelling === mine) say(error.message, true);
  } finally {
    if (labelling === mine) find("go").disabled = false;
  }
}

const isBoilerplate = (paragraph) => paragraph.boilerplate?.applies === true;
const expected = (paragraph) => (isBoilerplate(paragraph) ? null : (paragraph.scale?.expected ?? null));

/** The colour class of a level: quarters of the way to the farthest one. */
const tint = (scale, code) => `e${Math.round((4 * code) / Math.max(...scale.levels.map((level) => Math.abs(level.code)), 1))}`;

function colour({ scale, ...paragraph }) {
  if (isBoilerplate(paragraph)) return "boilerplate";
  return scale && scale.level !== null ? tint(scale, scale.level) : "plain";
}

function show() {
  find("result").hidden = false;
  find("summary").textContent = summary();
  find("paragraphs").replaceChildren(...answer.paragraphs.map(item));
  hide();
  strip();
}

/** Hides boilerplate, or shows it again, as the box says. */
function hide() {
  for (const element of document.querySelectorAll(".para.boilerplate")) element.hidden = find("hide").checked;
}

function summary() {
  const content = answer.paragraphs.filter((paragraph) => !isBoilerplate(paragraph));
  const parts = [`${answer.paragraphs.length} paragraphs, ${answer.paragraphs.length - content.length} of them boilerplate`];
  const values = content.map(expected).filter((value) => value !== null);
  if (values.length) {
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const peak = content.reduce((best, one) => (expected(one) > expected(best) ? one : best));
    parts.push(`${content[0].scale.name}: mean ${signed(+mean.toFixed(2))}, highest ${signed(+expected(peak).toFixed(2))} in paragraph ${peak.index + 1}`);
  }
  const topics = (content[0]?.topics ?? []).map(({ name }, place) => {
    const count = content.filter((paragraph) => paragraph.topics[place].applies).length;
    return `${name} ${count}`;
  });
  if (topics.length) parts.push(`topics: ${topics.join(", ")}`);
  return `${parts.join("; ")}. Bundle ${answer.bundle}.`;
}

function item(paragraph) {
  const chips = make("div", { className: "chips" });
  const chip = (text, more = "") => chips.append(make("span", { className: `chip ${more}`, textContent: text }));
  if (isBoilerplate(paragraph)) chip("boilerplate");
  else {
    if (paragraph.scale) {
      const { level, level_name: name } = paragraph.scale;
      chip(level === null ? "level withheld" : `${signed(level)} ${name}`, "level");
    }
    paragraph.topics.filter((topic) => topic.applies).forEach((topic) => chip(topic.name));
  }
  if (paragraph.language !== "und") chip(paragraph.language_validated ? paragraph.language : `${paragraph.language}, not validated`);
  const text = make("p", { textContent: paragraph.text, dir: "auto" });
  const known = paragraph.language !== "und";
  if (known) text.lang = paragraph.language;
  const element = make("li", { className: `para ${colour(paragraph)}`, tabIndex: 0, id: `p${paragraph.index}` }, text, chips, why(paragraph, text), numbers(paragraph));
  const mark = (isHere) => find("strip").querySelector(`[data-index="${paragraph.index}"]`)?.classList.toggle("here", isHere);
  for (const event of ["mouseenter", "focus"]) element.addEventListener(event, () => mark(true));
  for (const event of ["mouseleave", "blur"]) element.addEventListener(event, () => mark(false));
  return element;
}

/** The distribution, as bars with their numbers. */
function numbers(paragraph) {
  const list = make("dl", { className: "numbers" });
  const row = (name, probability, colours = "plain") => {
    const bar = shape("svg", { class: `bar ${colours}`, viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
    bar.append(shape("rect", { class: "track", width: 100, height: 10 }));
    bar.append(shape("rect", { class: "value", width: (probability ?? 0) * 100, height: 10 }));
    list.append(make("dt", { textContent: name }), bar, make("dd", { textContent: percent(probability) }));
  };
  for (const level of paragraph.scale?.levels ?? []) row(`${signed(level.code)} ${level.name}`, level.probability, tint(paragraph.scale, level.code));
  for (const topic of paragraph.topics) row(topic.name, topic.probability);
  if (paragraph.boilerplate) row("boilerplate", paragraph.boilerplate.probability);
  return list;
}

function strip() {
  const svg = find("strip").querySelector("svg");
  const codes = answer.paragraphs.find((paragraph) => paragraph.scale)?.scale.levels.map((level) => level.code);
  find("strip").hidden = !codes;
  if (!codes) return;
  const most = Math.max(...codes.map(Math.abs), 1);
  const lengths = answer.paragraphs.map((paragraph) => Math.max([...paragraph.text].length, 20));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  svg.setAttribute("viewBox", `0 ${-most} ${total} ${2 * most}`);
  const title = svg.querySelector("title");
  title.textContent = `Strip chart: ${summary()}`;
  let x = 0;
  const bars = answer.paragraphs.map((paragraph, place) => {
    const value = expected(paragraph);
    const height = value === null ? 0 : Math.max(Math.abs(value), most / 40);
    const bar = shape("rect", {
      class: colour(paragraph), x, y: value > 0 ? -height : 0, width: lengths[place], height, "data-index": paragraph.index,
    });
    x += lengths[place];
    bar.addEventListener("click", () => find(`p${paragraph.index}`).focus());
    return bar;
  });
  svg.replaceChildren(title, ...bars, shape("line", { x1: 0, x2: total, y1: 0, y2: 0 }));
}

function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = make("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** The columns of `detente classify --format csv`, as far as the answer has them. */
function csv() {
  // A cell that a spreadsheet would take for a formula is kept from being one.
  const cell = (value) => {
    const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "");
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const rows = answer.paragraphs.map((paragraph) => {
    const row = { paragraph: paragraph.index, start: paragraph.start, end: paragraph.end, text: paragraph.text };
    row.language = paragraph.language;
    row.language_validated = paragraph.language_validated;
    if (paragraph.boilerplate) {
      row.boilerplate = paragraph.boilerplate.applies;
      row.boilerplate_probability = paragraph.boilerplate.probability;
    }
    row.topics = paragraph.topics.filter((topic) => topic.applies).map((topic) => topic.name).join(";");
    for (const topic of paragraph.topics) row[`${topic.name}_probability`] = topic.probability;
    if (paragraph.scale) {
      const { name, level, level_name, levels } = paragraph.scale;
      Object.assign(row, { [name]: level, [`${name}_name`]: level_name, [`${name}_expected`]: paragraph.scale.expected });
      for (const one of levels) row[`${name}_probability_${one.code}`] = one.probability;
    }
    return { ...row, windows: paragraph.windows, tokens: paragraph.tokens, bundle: answer.bundle };
  });
  const names = Object.keys(rows[0]);
  return [names, ...rows.map((row) => names.map((name) => row[name]))].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

async function open(file) {
  reading = file;
  let bytes;
  try {
    bytes = await file.arrayBuffer();
  } catch {
    if (reading === file) say(`${file.name} cannot be read.`, true);
    return;
  }
  if (reading !== file) return;
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    say(`${file.name} is not valid UTF-8; convert it, or label it with the command line.`, true);
    return;
  }
  fill(text, /\.html?$/i.test(file.name) || file.type === "text/html");
  say(`${file.name} was read.`);
  await label();
}

/** Puts a text into the box in the place of what is there. */
function fill(text, isFromHtml) {
  find("text").value = text;
  isHtml = isFromHtml;
}

/** Whether a text is dragged over the box, which takes it in by itself, where it is let go. */
const isForBox = (event) => event.target === find("text") && !event.dataTransfer.types.includes("Files");

function move(event) {
  const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
  let next = event.target.closest(".para");
  do next = step > 0 ? next?.nextElementSibling : next?.previousElementSibling;
  while (next?.hidden);
  if (next) {
    next.focus();
    event.preventDefault();
  }
}

find("form").addEventListener("submit", label);
// Who changes a page keeps a page; who puts something else in its place does not.
find("text").addEventListener("input", () => (isHtml &&= find("text").value.trimStart().startsWith("<")));
find("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) label(event);
});
find("file").addEventListener("change", (event) => {
  const file = event.target.files[0];
  event.target.value = ""; // so that the same file can be chosen again
  if (file) open(file);
});
find("key").addEventListener("change", showModel);
find("paragraphs").addEventListener("keydown", move);
find("hide").addEventListener("change", hide);
find("csv").addEventListener("click", () => download("labels.csv", "text/csv;charset=utf-8", "\ufeff" + csv()));
find("json").addEventListener("click", () => download("labels.json", "application/json", JSON.stringify(answer, null, 2) + "\n"));
document.addEventListener("dragover", (event) => {
  if (isForBox(event)) {
    document.body.classList.remove("dropping");
    return;
  }
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
document.addEventListener("drop", (event) => {
  document.body.classList.remove("dropping");
  if (isForBox(event)) return;
  event.preventDefault();
  const file = event.dataTransfer.files[0];
  if (file) open(file);
  else if (event.dataTransfer.getData("text")) {
    fill(event.dataTransfer.getData("text"), false);
    label();
  }
});
showModel();
