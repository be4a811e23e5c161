// Numbers and times as words, and elements from text: nothing here ever becomes HTML by itself.
const STATES = new Set(["active", "reloading", "inactive", "failed", "activating", "deactivating", "maintenance"]);

export const stateClass = (active) => (STATES.has(active) ? active : "unknown");

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "";
  let value = bytes;
  for (const unit of "BKMGTP") {
    if (value < 1024 || unit === "P") return (unit === "B" || value >= 100 ? value.toFixed(0) : value.toFixed(1)) + unit;
    value /= 1024;
  }
  return "";
}

export const percent = (cores) => (cores === null || cores === undefined ? "" : `${(cores * 100).toFixed(1)}%`);

export function ago(at) {
  if (!at) return "";
  const s = Math.max(0, Date.now() / 1000 - at);
  if (s < 60) return `${Math.floor(s)}s ago`;
  if (s < 300) return `${Math.floor(s / 60)}min ${Math.floor(s % 60)}s ago`;
  if (s < 3600) return `${Math.floor(s / 60)}min ago`;
  if (s < 21600) return `${Math.floor(s / 3600)}h ${Math.floor((s % 3600) / 60)}min ago`;
  if (s < 172800) return `${Math.floor(s / 3600)}h ago`;
  return `${Math.floor(s / 86400)} days ago`;
}

export const due = (at) => (at ? `in ${Math.max(0, at - Date.now() / 1000).toFixed(0)} s` : "");

export const clock = (at) => new Date(at * 1000).toLocaleTimeString([], { hour12: false });

export function element(name, attributes = {}, ...children) {
  const found = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
  found.append(...children);
  return found;
}

export function setText(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

export const link = (unit) => `/unit/${encodeURIComponent(unit)}`;
