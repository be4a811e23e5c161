// The stream of events: shows how the connection is, comes back by itself, and goes on where it broke off.
import { setText } from "./format.js";

const WORDS = { live: "live", reconnecting: "reconnecting…", connecting: "connecting…" };

export function show(state) {
  const place = document.getElementById("connection");
  place.className = `connection ${WORDS[state] ? state : "reconnecting"}`;
  setText(place, WORDS[state] ?? state);
}

export async function get(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  if (answer.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.error?.message ?? answer.statusText), { hint: body.error?.hint ?? "", status: answer.status });
  return body;
}

// `handlers`: name of an event -> function of its data. `cursor`: the place to begin after.
export function connect(parameters, cursor, handlers) {
  let last = cursor;
  let source;
  let wait = 500;
  const open = () => {
    source = new EventSource(`/api/v1/events?${new URLSearchParams({ ...parameters, since: last })}`);
    source.onerror = () => {
      show("reconnecting");
      if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
      source.close();
      setTimeout(async () => {
        try { await get("/api/v1/jobs"); } catch { /* a lost session goes to the log-in; anything else is tried again */ }
        open();
      }, wait);
      wait = Math.min(wait * 2, 10000);
    };
    for (const name of ["connection", "reset", "unit", "gone", "event", "stats", "log"]) {
      source.addEventListener(name, (event) => {
        wait = 500;
        if (event.lastEventId) last = event.lastEventId;
        const data = JSON.parse(event.data);
        if (name === "connection") show(data.state);
        handlers[name]?.(data);
      });
    }
  };
  open();
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
}
