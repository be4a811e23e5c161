// The page of one unit.
import { begin as beginActions } from "./actions.js";
import { draw } from "./charts.js";
import { ago, due, element, percent, setText, size, stateClass } from "./format.js";
import { connect, get, show } from "./live.js";
import { add, begin as beginOutput } from "./output.js";

const LINES = 200;
const EVENTS = 200;
const KEPT = 300;
const find = (id) => document.getElementById(id);
let row;
let samples = [];
let refreshing;

function fill(found) {
  row = found;
  find("state").className = `state ${stateClass(row.active)}`;
  setText(find("state"), row.active);
  setText(find("sub"), row.sub + (row.job ? ` (${row.job})` : ""));
  setText(find("result"), row.result);
  setText(find("pid"), row.main_pid ? String(row.main_pid) : "–");
  setText(find("restarts"), String(row.restarts));
  setText(find("text"), row.status_text || "–");
  times();
}

function times() {
  if (!row || document.hidden) return;
  setText(find("since"), ago(row.since));
  setText(find("next"), due(row.next_restart) || "–");
}

function charts() {
  const last = samples.at(-1);
  if (!last) return;
  setText(find("cpu"), percent(last[0]));
  setText(find("memory"), size(last[1]));
  setText(find("cpu-now"), percent(last[0]));
  setText(find("memory-now"), size(last[1]));
  if (document.hidden) return;
  draw(find("cpu-chart"), samples.map((s) => s[0]), 480, 80, true);
  draw(find("memory-chart"), samples.map((s) => s[1]), 480, 80, true);
}

function processes(list) {
  find("processes").replaceChildren(...list.map((p) => element("li", { "data-depth": String(p.depth) },
    element("span", { class: "pid" }, String(p.pid)), " ", element("code", {}, "  ".repeat(p.depth) + p.cmdline))));
  find("no-processes").hidden = list.length > 0;
}

async function detail(unit) {
  const found = await get(`/api/v1/units/${encodeURIComponent(unit)}`);
  fill(found.unit);
  processes(found.processes);
}

// An event is followed by others, and processes come a little later: one question for all of them.
function soon(unit) {
  clearTimeout(refreshing);
  refreshing = setTimeout(() => detail(unit).catch(() => {}), 250);
}

function happened(event) {
  const words = [event.kind, event.active ?? event.type ?? event.what ?? event.text, event.sub ?? event.state ?? event.reason, event.result].filter(Boolean);
  const at = new Date((event.time || Date.now() / 1000) * 1000).toLocaleString([], { hour12: false });
  const place = find("events");
  place.prepend(element("li", {}, element("span", { class: "at" }, at), " ", words.join(" ")));
  while (place.childElementCount > EVENTS) place.lastElementChild.remove();
}

async function load(unit) {
  try {
    const [stats] = await Promise.all([get(`/api/v1/units/${encodeURIComponent(unit)}/stats`), detail(unit)]);
    samples = (stats.units[unit] ?? []).map((s) => [s.cpu, s.memory]);
    charts();
  } catch (error) {
    if (error.status !== 404) show("reconnecting");
  }
}

export async function begin(unit) {
  beginOutput();
  beginActions(unit);
  setInterval(times, 1000);
  connect({ units: unit, stats: "1", logs: String(LINES) }, document.body.dataset.cursor, {
    reset: () => load(unit), log: add, event: happened,
    unit: (found) => { fill(found); soon(unit); },
    stats: (data) => {
      const sample = data[unit];
      if (!sample) return;
      samples.push([sample[1], sample[2]]);
      if (samples.length > KEPT) samples.shift();
      charts();
    },
  });
  await load(unit);
}
