// Buttons that do something: first what will happen is shown, then it is done.
import { element, link, setText } from "./format.js";
import { get } from "./live.js";

const dialog = document.getElementById("confirm");
const outcome = document.getElementById("outcome");

function plan(preview) {
  const list = document.getElementById("plan");
  list.replaceChildren(...preview.jobs.map((job) => element("li", {}, `${job.type} `, element("a", { href: link(job.unit) }, job.unit))));
  const notes = preview.notes.length ? preview.notes.join(" ") : preview.jobs.length ? "This will be done:" : "There is nothing to do.";
  setText(document.getElementById("plan-note"), notes);
}

async function post(unit, action, body) {
  const answer = await fetch(`/api/v1/units/${encodeURIComponent(unit)}/${action}`, {
    method: "POST", headers: { "Content-Type": "application/json", Accept: "application/json" }, body: JSON.stringify(body),
  });
  const found = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(found.error?.message ?? answer.statusText), { hint: found.error?.hint ?? "" });
  return found;
}

async function ask(unit, action) {
  const signal = document.getElementById("signal");
  const instances = document.getElementById("instances");
  document.getElementById("signal-label").hidden = action !== "kill";
  document.getElementById("instances-label").hidden = action !== "scale";
  setText(document.getElementById("question"), `${action[0].toUpperCase()}${action.slice(1)} ${unit}?`);
  const query = () => new URLSearchParams(action === "kill" ? { signal: signal.value } : action === "scale" ? { instances: instances.value } : {});
  const refresh = async () => plan(await get(`/api/v1/units/${encodeURIComponent(unit)}/preview/${action}?${query()}`));
  await refresh();
  signal.onchange = instances.onchange = () => refresh().catch((error) => setText(document.getElementById("plan-note"), error.message));
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue !== "yes") return null;
  return action === "kill" ? { signal: signal.value } : action === "scale" ? { instances: Number(instances.value) } : {};
}

export function begin(unit) {
  const place = document.getElementById("actions");
  if (!place) return;
  place.hidden = false;
  place.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-action]");
    if (!button) return;
    const { action } = button.dataset;
    setText(outcome, "");
    try {
      const body = await ask(unit, action);
      if (!body) return;
      button.disabled = true;
      const done = await post(unit, action, body);
      setText(outcome, done.message || `${action}: asked for.`);
    } catch (error) {
      setText(outcome, `${error.message}${error.hint ? ` (${error.hint})` : ""}`);
    } finally {
      button.disabled = false;
      button.focus();
    }
  });
}
