// The table of all units: one row each, changed in place as events come.
import { draw } from "./charts.js";
import { ago, due, element, link, percent, setText, size, stateClass } from "./format.js";
import { connect, get, show } from "./live.js";

const KEPT = 60;
const rows = new Map();
const samples = new Map();
const shown = new Map(); // unit -> its rows in the table, one for each group
const table = document.getElementById("units");
const filter = document.getElementById("filter");
const group = document.getElementById("group");
const every = document.getElementById("all");
let planned = false;

const words = () => filter.value.toLowerCase().split(/\s+/).filter(Boolean);
const counted = (row) => every.checked || !row.built_in || row.active === "failed";
const fits = (row, wanted) => {
  if (!counted(row)) return false;
  const text = [row.unit, row.description, row.active, row.sub, row.load, row.template, ...row.targets].join(" ").toLowerCase();
  return wanted.every((word) => text.includes(word));
};

function keys(row) {
  if (group.value === "target") return row.targets.length ? row.targets : ["no target"];
  if (group.value === "template") return [row.template || "no template"];
  return [group.value === "type" ? row.type : ""];
}

function make(row) {
  const about = element("span", { class: "about" });
  const made = element("tr", { "data-unit": row.unit },
    element("th", { scope: "row" }, element("a", { href: link(row.unit) }, row.unit), about),
    element("td", { "data-label": "State" }, element("span"), " ", element("span", { class: "dim" })),
    element("td", { "data-label": "Since" }),
    element("td", { "data-label": "CPU", class: "number" }, element("span")),
    element("td", { "data-label": "Memory", class: "number" }, element("span")),
    element("td", { "data-label": "Restarts", class: "number" }),
    element("td", { "data-label": "Next restart" }));
  fill(made, row);
  return made;
}

function fill(place, row) {
  const [name, state, since, , , restarts, next] = place.children;
  setText(name.lastChild, row.description === row.unit ? "" : row.description);
  const badge = state.children[0];
  if (badge.textContent && badge.textContent !== row.active) {
    place.classList.remove("changed");
    requestAnimationFrame(() => place.classList.add("changed"));
  }
  badge.className = `state ${stateClass(row.active)}`;
  setText(badge, row.active);
  setText(state.children[1], row.sub + (row.job ? ` (${row.job})` : ""));
  setText(since, ago(row.since));
  setText(restarts, String(row.restarts));
  setText(next, due(row.next_restart));
  next.classList.toggle("blank", !row.next_restart);
  usage(place, row);
}

function usage(place, row) {
  const [, , , cpu, memory] = place.children;
  setText(cpu.lastChild, percent(row.cpu));
  setText(memory.lastChild, size(row.memory));
  const kept = samples.get(row.unit);
  if (kept && row.active !== "inactive") {
    draw(cpu, kept.map((s) => s[0]), 90, 22);
    draw(memory, kept.map((s) => s[1]), 90, 22);
  }
}

function render() {
  planned = false;
  const wanted = words();
  const groups = new Map();
  let count = 0;
  for (const row of [...rows.values()].sort((a, b) => (a.unit < b.unit ? -1 : 1))) {
    if (!fits(row, wanted)) continue;
    count += 1;
    for (const key of keys(row)) groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const focused = document.activeElement?.closest?.("tr[data-unit]")?.dataset.unit;
  shown.clear();
  const order = [...groups.keys()].sort((a, b) => a.startsWith("no ") - b.startsWith("no ") || (a < b ? -1 : 1));
  const bodies = order.map((key) => {
    const body = element("tbody");
    if (key) body.append(element("tr", { class: "heading" }, element("th", { colspan: "7", scope: "rowgroup" }, key, " ", element("span", { class: "dim" }, `(${groups.get(key).length})`))));
    for (const row of groups.get(key)) {
      const made = make(row);
      shown.set(row.unit, [...(shown.get(row.unit) ?? []), made]);
      body.append(made);
    }
    return body;
  });
  for (const body of [...table.tBodies]) body.remove();
  table.append(...bodies);
  if (focused) shown.get(focused)?.[0]?.querySelector("a").focus();
  tally(count);
}

function tally(count) {
  const states = {};
  for (const row of rows.values()) if (counted(row)) states[row.active] = (states[row.active] ?? 0) + 1;
  const text = Object.keys(states).sort().map((state) => ` · ${states[state]} ${state}`).join("");
  setText(document.getElementById("counts"), `${count ?? shown.size} shown${text}`);
  document.getElementById("none")?.remove();
}

function plan() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(render);
}

function changed(row) {
  const old = rows.get(row.unit);
  rows.set(row.unit, row);
  const places = shown.get(row.unit);
  const same = old && places && fits(row, words()) && keys(row).join() === keys(old).join();
  if (same) { for (const place of places) fill(place, row); tally(); } else if (places || fits(row, words())) plan();
}

function sampled(data) {
  for (const [unit, [, cpu, memory]] of Object.entries(data)) {
    const kept = samples.get(unit) ?? [];
    kept.push([cpu, memory]);
    if (kept.length > KEPT) kept.shift();
    samples.set(unit, kept);
    const row = rows.get(unit);
    if (!row) continue;
    row.cpu = cpu;
    row.memory = memory;
    if (!document.hidden) for (const place of shown.get(unit) ?? []) usage(place, row);
  }
}

async function load() {
  try {
    const [all, stats] = await Promise.all([get("/api/v1/snapshot"), get("/api/v1/stats")]);
    rows.clear();
    for (const row of all.units) rows.set(row.unit, row);
    samples.clear();
    for (const [unit, list] of Object.entries(stats.units)) samples.set(unit, list.slice(-KEPT).map((s) => [s.cpu, s.memory]));
    show(all.state);
    render();
    return all.cursor;
  } catch {
    show("reconnecting"); // the stream says when there is something again
    return "";
  }
}

export async function begin() {
  document.querySelector("#tools button").hidden = true;
  document.getElementById("tools").addEventListener("submit", (event) => event.preventDefault());
  const remember = () => {
    const query = new URLSearchParams();
    if (filter.value) query.set("q", filter.value);
    if (group.value !== "none") query.set("group", group.value);
    if (every.checked) query.set("all", "1");
    history.replaceState(null, "", `/${query.size ? `?${query}` : ""}`);
    plan();
  };
  filter.addEventListener("input", remember);
  group.addEventListener("change", remember);
  every.addEventListener("change", remember);
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    filter.focus();
  });
  setInterval(() => {
    if (document.hidden) return;
    for (const [unit, places] of shown) {
      const row = rows.get(unit);
      if (row) for (const place of places) { setText(place.children[2], ago(row.since)); setText(place.children[6], due(row.next_restart)); }
    }
  }, 1000);
  const cursor = await load();
  connect({ stats: "1" }, cursor || document.body.dataset.cursor, {
    reset: load, stats: sampled, unit: changed,
    gone: ({ unit }) => { rows.delete(unit); plan(); },
  });
}
