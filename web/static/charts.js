// Lines over time as SVG.
const NS = "http://www.w3.org/2000/svg";

function svg(name, attributes) {
  const found = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
  return found;
}

function points(values, width, height) {
  const top = Math.max(...values, 1e-9);
  const step = width / (values.length - 1);
  return values.map((v, i) => `${(i * step).toFixed(1)},${(height - 1 - ((height - 2) * Math.max(0, v)) / top).toFixed(1)}`).join(" ");
}

// Draws into `place`, and again into the same elements.
export function draw(place, values, width, height, area = false) {
  if (values.length < 2) return;
  let picture = place.querySelector("svg");
  if (!picture || area !== !!picture.querySelector(".area")) {
    picture?.remove();
    picture = svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    if (area) picture.setAttribute("preserveAspectRatio", "none");
    else { picture.setAttribute("width", width); picture.setAttribute("height", height); }
    if (area) picture.append(svg("polygon", { class: "area" }));
    picture.append(svg("polyline", {}));
    place.prepend(picture);
  }
  const line = points(values, width, height);
  picture.querySelector("polyline").setAttribute("points", line);
  picture.querySelector(".area")?.setAttribute("points", `0,${height} ${line} ${width},${height}`);
}
