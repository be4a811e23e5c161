// Output as it comes. It may come fast: lines are collected and shown once a frame, and only the last ones are kept.
import { clock, element, setText } from "./format.js";

const KEPT = 1000;
const place = document.getElementById("log");
const note = document.getElementById("log-note");
const search = document.getElementById("search");
const stream = document.getElementById("stream");
const pause = document.getElementById("pause");
let lines = [];
let fresh = [];
let waiting = 0;
let paused = false;
let drawn = false;
let begun = false;

function fits(line) {
  if (line.skipped) return true;
  if (stream.value && line.stream !== stream.value) return false;
  return !search.value || line.text.toLowerCase().includes(search.value.toLowerCase());
}

function words(text) {
  const found = element("span", { class: "words" });
  const wanted = search.value.toLowerCase();
  let from = 0;
  for (let at = wanted ? text.toLowerCase().indexOf(wanted) : -1; at >= 0; at = text.toLowerCase().indexOf(wanted, from)) {
    found.append(text.slice(from, at), element("mark", {}, text.slice(at, at + wanted.length)));
    from = at + wanted.length;
  }
  found.append(text.slice(from));
  return found;
}

function make(line) {
  if (line.skipped) return element("div", { class: "line skipped" }, line.skipped > 0 ? `… ${line.skipped} lines are not shown …` : "… more lines than can be shown …");
  return element("div", { class: `line ${line.stream}` }, element("span", { class: "at" }, clock(line.realtime)), " ", words(line.text));
}

function draw() {
  drawn = false;
  const bottom = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
  const batch = document.createDocumentFragment();
  for (const line of fresh.slice(-KEPT)) if (fits(line)) batch.append(make(line));
  fresh = [];
  place.append(batch);
  while (place.childElementCount > KEPT) place.firstElementChild.remove();
  if (!bottom) return;
  place.scrollTop = place.scrollHeight;
  requestAnimationFrame(() => { place.scrollTop = place.scrollHeight; }); // long lines have their height only when they are seen
}

function plan() {
  if (drawn) return;
  drawn = true;
  requestAnimationFrame(draw);
}

function again() {
  fresh = paused ? lines.slice(0, lines.length - Math.min(waiting, lines.length)) : lines.slice();
  place.replaceChildren();
  place.scrollTop = place.scrollHeight;
  plan();
}

export function add({ lines: more, skipped }) {
  if (!begun) { begun = true; place.replaceChildren(); lines = []; }
  const list = skipped ? [{ skipped }, ...more] : more;
  lines.push(...list);
  if (lines.length > KEPT) lines.splice(0, lines.length - KEPT);
  if (paused) {
    waiting += list.length;
    setText(note, `${waiting} new lines`);
    return;
  }
  fresh.push(...list);
  if (fresh.length > KEPT) fresh.splice(0, fresh.length - KEPT);
  plan();
}

export function begin() {
  document.getElementById("log-tools").hidden = false;
  place.scrollTop = place.scrollHeight;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    setText(pause, paused ? "Resume" : "Pause");
    setText(note, "");
    if (!paused && waiting) { waiting = 0; again(); }
  });
  search.addEventListener("input", again);
  stream.addEventListener("change", again);
}
