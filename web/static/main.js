// What every page has, and the part that belongs to the page at hand.
const root = document.documentElement;

function theme() {
  const button = document.getElementById("theme");
  const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", dark() ? "Use light colours" : "Use dark colours"); };
  try { const kept = localStorage.getItem("theme"); if (kept === "dark" || kept === "light") root.dataset.theme = kept; } catch { /* not kept then */ }
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* not kept then */ }
    name();
  });
  name();
  button.hidden = false;
}

function login() {
  const form = document.getElementById("login");
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) history.replaceState(null, "", location.pathname + location.search); // the secret stays nowhere
  if (form && token) {
    form.elements.token.value = token;
    form.requestSubmit();
  }
}

theme();
login();
const page = document.body.dataset.page;
if (page === "overview") (await import("./overview.js")).begin();
else if (page === "unit") (await import("./unit.js")).begin(document.body.dataset.unit);
else if (page === "problem") setTimeout(() => { if (document.querySelector(".warning")) location.reload(); }, 5000);
