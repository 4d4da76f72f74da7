// Tables that can be sorted by any column, by the number behind the text.

const FACTORS = {
  µs: 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600,
  B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4,
  mJ: 1e-3, J: 1, kJ: 1e3, Wh: 3600, kWh: 3.6e6, mW: 1e-3, W: 1, kW: 1e3,
};
const NUMBER = /^(?:at least |at most |about )?[≥≤~<>+]?\s?([−-]?[\d,\u202f]*\.?\d+(?:e[−+-]?\d+)?)\s?([µA-Za-z]*)/;

/** Give the number that a field begins with, in its base unit; NaN where there is none. */
function numberIn(text) {
  const found = NUMBER.exec(text);
  if (!found) return NaN;
  const digits = found[1].replaceAll("−", "-").replace(/[,\u202f]/g, "");
  return Number(digits) * (FACTORS[found[2]] ?? 1);
}

const missing = (text) => /^(?:[—–-]|—.*|)$/.test(text);

/** Order the rows of a table by a column; what is missing stands last either way. */
function sortedRows(rows, column, direction) {
  const texts = rows.map((row) => row.cells[column].textContent.trim());
  const there = texts.filter((text) => !missing(text));
  const numeric = there.every((text) => Number.isFinite(numberIn(text)));
  const compare = (a, b) =>
    numeric ? numberIn(texts[a]) - numberIn(texts[b]) : texts[a].localeCompare(texts[b], "en", { numeric: true });
  return rows
    .map((_, place) => place)
    .sort((a, b) =>
      Number(missing(texts[a])) - Number(missing(texts[b]))
      || (missing(texts[a]) ? 0 : direction * compare(a, b))
      || a - b)
    .map((place) => rows[place]);
}

/** Put a button into every heading: ascending, descending, and as it was. */
function makeSortable(table) {
  const body = table.tBodies[0], rows = [...body.rows];
  if (rows.length < 2) return;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = make("button", { type: "button", class: "sort" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = { ascending: "descending", descending: null }[head.getAttribute("aria-sort")];
      const order = next === undefined ? "ascending" : next;
      for (const other of heads) other.removeAttribute("aria-sort");
      if (order) head.setAttribute("aria-sort", order);
      body.append(...(order ? sortedRows(rows, column, order === "ascending" ? 1 : -1) : rows));
    });
  });
}
