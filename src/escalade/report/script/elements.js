// Making elements, and numbers as the page writes them.

/** Make an HTML element with attributes and what is inside it. */
function make(name, attributes = {}, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}

/** Make an SVG element. */
function draw(name, attributes = {}) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** Write a number with three significant digits: "0.0123", "12.3", "12 345", "−3", "2.78e−16". */
function plain(value) {
  if (!Number.isFinite(value)) return "—";
  const size = Math.abs(value);
  if (size > 0 && size < 1e-6) {
    return (value < 0 ? "−" : "") + String(Number(size.toPrecision(3)).toExponential()).replace("-", "−");
  }
  const rounded = size >= 1000 ? Math.round(size) : Number(size.toPrecision(3));
  const [whole, rest] = rounded.toLocaleString("en", { maximumFractionDigits: 12 }).split(".");
  const text = whole.replaceAll(",", "\u202f") + (rest ? `.${rest}` : "");
  return (value < 0 && rounded ? "−" : "") + text;
}

/** Keep a number between two others. */
const between = (low, value, high) => Math.min(Math.max(value, low), high);
