// What a figure tells: the value of a mark, and of all lines at one time.

/** Lay over a figure what takes the keyboard: a slider that says where it stands. */
function reader(figure, label) {
  const plot = figure.querySelector(".plot");
  const made = make("div", {
    class: "reader", role: "slider", tabindex: "0", "aria-label": label,
    "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": "0",
    "aria-valuetext": "nothing chosen: use the arrow keys",
  });
  plot.append(made);
  return { plot, picture: plot.querySelector("svg"), slider: made };
}

/** Give the place of a pointer in the coordinates of a picture. */
function placeIn(picture, event) {
  const box = picture.getBoundingClientRect(), drawn = picture.viewBox.baseVal;
  return [
    ((event.clientX - box.left) * drawn.width) / box.width,
    ((event.clientY - box.top) * drawn.height) / box.height,
  ];
}

/** Show the value of the mark that the pointer is near, or that the arrow keys came to. */
function tellPoints(figure, series) {
  const { plot, picture, slider } = reader(figure, `Values of ${titleOf(figure)}`);
  const rows = series.map(([name, points]) => [name, [...points].sort((a, b) => a[0] - b[0])]);
  const all = rows.flatMap(([, points], row) => points.map((_, place) => [row, place]));
  const ring = draw("circle", { class: "ring", r: "9", visibility: "hidden" });
  const tip = make("div", { class: "tip", hidden: "" });
  let chosen = null;
  picture.append(ring);
  figure.append(tip);
  slider.setAttribute("aria-valuemin", "1");
  slider.setAttribute("aria-valuemax", String(all.length));
  slider.setAttribute("aria-valuenow", "1");

  function show(row, place) {
    const [name, points] = rows[row], [x, y, text] = points[place];
    chosen = [row, place];
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y);
    ring.setAttribute("visibility", "visible");
    tip.replaceChildren(make("strong", {}, name), ` ${text}`);
    tip.hidden = false;
    const box = picture.getBoundingClientRect(), around = figure.getBoundingClientRect();
    const scale = box.width / picture.viewBox.baseVal.width;
    const left = box.left - around.left + x * scale - tip.offsetWidth / 2;
    const above = box.top - around.top + y * scale - tip.offsetHeight - 14;
    tip.style.left = `${between(0, left, around.width - tip.offsetWidth)}px`;
    tip.style.top = `${above < 0 ? above + tip.offsetHeight + 28 : above}px`;
    const at = all.findIndex(([r, p]) => r === row && p === place);
    slider.setAttribute("aria-valuenow", String(at + 1));
    slider.setAttribute("aria-valuetext", `${name}: ${text}`);
  }

  function hide() {
    ring.setAttribute("visibility", "hidden");
    tip.hidden = true;
  }

  function nearest(x, y, reach = Infinity) {
    const far = ([row, place]) => Math.hypot(rows[row][1][place][0] - x, rows[row][1][place][1] - y);
    const found = all.reduce((best, each) => (far(each) < far(best) ? each : best));
    return far(found) <= reach ? found : null;
  }

  function point(event) {
    const found = nearest(...placeIn(picture, event), 45);
    if (found) show(...found);
    else hide();
  }

  plot.addEventListener("pointermove", point);
  plot.addEventListener("pointerdown", point);
  for (const element of [plot, tip]) {
    element.addEventListener("pointerleave", (event) => {
      if (!tip.contains(event.relatedTarget) && !plot.contains(event.relatedTarget)) hide();
    });
  }
  slider.addEventListener("focus", () => {
    if (slider.matches(":focus-visible")) show(...(chosen ?? all[0]));
  });
  slider.addEventListener("blur", hide);
  slider.addEventListener("keydown", (event) => {
    const [row, place] = chosen ?? [0, 0];
    const aside = (by) => {
      const other = (row + by + rows.length) % rows.length, x = rows[row][1][place][0];
      const far = rows[other][1].map((point) => Math.abs(point[0] - x));
      return [other, far.indexOf(Math.min(...far))];
    };
    const last = rows[row][1].length - 1;
    const moves = {
      ArrowLeft: () => [row, Math.max(place - 1, 0)],
      ArrowRight: () => [row, Math.min(place + 1, last)],
      ArrowUp: () => aside(1),
      ArrowDown: () => aside(-1),
      Home: () => [row, 0],
      End: () => [row, last],
    };
    if (event.key === "Escape") hide();
    if (!(event.key in moves)) return;
    event.preventDefault();
    show(...moves[event.key]());
  });
}

/** Take the lines of a panel out of the drawing: pieces of [x, y], broken where samples are missing. */
function piecesOf(identifier) {
  const path = document.getElementById(identifier)?.querySelector("path");
  return (path?.getAttribute("d") ?? "")
    .split("M")
    .slice(1)
    .map((piece) => {
      const numbers = piece.match(/-?[\d.]+/g).map(Number);
      return numbers.filter((_, at) => at % 2 === 0).map((x, at) => [x, numbers[2 * at + 1]]);
    });
}

/** Read a line where it crosses x: null in a gap; after a step its later value. */
function heightAt(pieces, x) {
  for (const piece of pieces) {
    const next = piece.findIndex(([at]) => at > x);
    const before = next < 0 ? piece.length - 1 : next - 1;
    if (before < 0) continue;
    const [left, y] = piece[before];
    if (left === x || next < 0) {
      if (left === x) return y;
      continue;
    }
    const [right, then] = piece[next];
    return y + ((then - y) * (x - left)) / (right - left);
  }
  return null;
}

/** Give the value that stands at a height of a panel, no finer than the drawing is. */
function valueAt(panel, y) {
  const share = 1 - (y - panel.box[1]) / panel.box[3];
  const [low, high] = panel.log ? panel.y.map(Math.log) : panel.y;
  const value = low + share * (high - low);
  if (panel.log) return Math.exp(value);
  const grain = (high - low) / 1000;
  return Math.abs(value) < grain ? 0 : value;
}

/** Run one cursor over all panels that share a clock, in all their figures. */
function tellTimes(figures) {
  const [first, last] = figures[0].panels[0].x;
  const shown = figures.map(({ figure, panels }) => {
    const { plot, picture, slider } = reader(figure, `Time in ${titleOf(figure)}, in seconds`);
    const top = Math.min(...panels.map((panel) => panel.box[1]));
    const bottom = Math.max(...panels.map((panel) => panel.box[1] + panel.box[3]));
    const group = draw("g", { class: "cursor", visibility: "hidden" });
    const line = draw("line", { y1: top, y2: bottom });
    group.append(line);
    const texts = panels.map((panel) => {
      const text = draw("text", { y: panel.box[1] + 12 });
      group.append(text);
      return text;
    });
    picture.append(group);
    slider.setAttribute("aria-valuemin", String(Math.round(first)));
    slider.setAttribute("aria-valuemax", String(Math.round(last)));
    return { panels, plot, picture, slider, group, line, texts };
  });
  const lines = new Map();
  const pieces = (identifier) => {
    if (!lines.has(identifier)) lines.set(identifier, piecesOf(identifier));
    return lines.get(identifier);
  };
  let now = first;

  /** Read a panel: [name, value] of every line. */
  function read(panel, x) {
    return panel.lines.map(([identifier, label]) => {
      const y = heightAt(pieces(identifier), x);
      return [label, y === null ? "no sample" : plain(valueAt(panel, y))];
    });
  }

  /** Say it beside the cursor: the unit once, the name where there are several. */
  function shortly(panel, read) {
    if (read.length === 1) return read[0][1] + (read[0][1] === "no sample" ? "" : panel.unit);
    return read.map((each) => each.join(" ")).join(" · ") + panel.unit;
  }

  function show(time) {
    now = between(first, time, last);
    for (const { panels, slider, group, line, texts } of shown) {
      const spoken = [];
      panels.forEach((panel, place) => {
        const [left, , width] = panel.box;
        const x = left + (width * (now - panel.x[0])) / (panel.x[1] - panel.x[0]);
        const values = read(panel, x), flipped = x > left + width / 2;
        const words = shortly(panel, values);
        line.setAttribute("x1", x);
        line.setAttribute("x2", x);
        texts[place].setAttribute("x", flipped ? x - 6 : x + 6);
        texts[place].setAttribute("text-anchor", flipped ? "end" : "start");
        texts[place].textContent = place ? words : `${plain(now)} s: ${words}`;
        spoken.push(...values.map(([label, value]) => `${label} ${value}${value === "no sample" ? "" : panel.unit}`));
      });
      group.setAttribute("visibility", "visible");
      slider.setAttribute("aria-valuenow", String(Math.round(now)));
      slider.setAttribute("aria-valuetext", `${plain(now)} s: ${spoken.join(", ")}`);
    }
  }

  const hide = () => shown.forEach(({ group }) => group.setAttribute("visibility", "hidden"));

  for (const { panels, plot, picture, slider } of shown) {
    const [left, , width] = panels[0].box;
    const point = (event) => {
      const share = (placeIn(picture, event)[0] - left) / width;
      if (share >= 0 && share <= 1) show(first + share * (last - first));
      else hide();
    };
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointerleave", () => {
      if (document.activeElement !== slider) hide();
    });
    slider.addEventListener("focus", () => {
      if (slider.matches(":focus-visible")) show(now);
    });
    slider.addEventListener("blur", hide);
    slider.addEventListener("keydown", (event) => {
      const step = (last - first) / 200;
      const moves = {
        ArrowLeft: now - step, ArrowDown: now - step, ArrowRight: now + step, ArrowUp: now + step,
        PageDown: now - 10 * step, PageUp: now + 10 * step, Home: first, End: last,
      };
      if (event.key === "Escape") hide();
      if (!(event.key in moves)) return;
      event.preventDefault();
      show(moves[event.key]);
    });
  }
}

const titleOf = (figure) => figure.querySelector("h3, h4").textContent;

/** Make every figure tell what was recorded when it was drawn. */
function tellFigures(recorded) {
  const clocks = new Map();
  for (const [key, { points, panels }] of Object.entries(recorded)) {
    const figure = document.getElementById(`figure-${key}`);
    if (!figure) continue;
    if (points) tellPoints(figure, points);
    for (const clock of new Set((panels ?? []).map((panel) => panel.clock))) {
      const mine = panels.filter((panel) => panel.clock === clock);
      clocks.set(clock, [...(clocks.get(clock) ?? []), { figure, panels: mine }]);
    }
  }
  for (const figures of clocks.values()) tellTimes(figures);
}
