// "What if" the limit of an objective were another: by the stored intervals, never a verdict.

const SIGNS = { PASS: "✓", FAIL: "✗", INCONCLUSIVE: "?", INVALID: "⊘", NOT_RUN: "–" };
const POSITIONS = 400;

/** Decide as the analysis does: the whole interval on one side, and nothing in the way. */
function decide(step, limit, objective) {
  if (step.members?.length && step.members.every((member) => decide(member, limit, objective)[0] === "FAIL")) {
    return ["FAIL", "each repetition fails on its own"];
  }
  if (step.fixed) return [step.fixed, step.reason];
  const known = step.low !== null || step.high !== null;
  if (!known) return ["INCONCLUSIVE", step.lacking || "there is no interval"];
  const low = step.low ?? -Infinity, high = step.high ?? Infinity, atLeast = objective.at_least;
  if (atLeast ? high < limit : low > limit) {
    return step.no_fail ? ["INCONCLUSIVE", step.no_fail] : ["FAIL", ""];
  }
  if (atLeast ? low >= limit : high <= limit) {
    if (step.no_pass) return ["INCONCLUSIVE", step.no_pass];
    return limit < (step.least_limit ?? 0)
      ? ["INCONCLUSIVE", "the limit is under ten times the client's resolution"]
      : ["PASS", ""];
  }
  return ["INCONCLUSIVE", step.lacking || "the limit lies within the interval"];
}

/** An objective on a rate is not asked of steps that were sent less. */
const applies = (step, limit, objective) => !objective.rate || !(step.qps < limit);

function chip(verdict) {
  const name = verdict.replace("_", " ");
  return make("span", { class: `chip ${verdict.toLowerCase()}` }, `${SIGNS[verdict] ?? ""} ${name}`);
}

/** Set the field, the slider and the table of one objective. */
function exploreLimit(box, objective, place) {
  const { factor, unit } = objective, given = objective.limit;
  const bounds = objective.steps.flatMap(({ low, high, value }) => [low, high, value]);
  const shown = [...bounds, given].filter((bound) => bound > 0);
  const floor = Math.min(...shown, 1) / 2, ceiling = Math.max(...shown, floor) * 1.5;
  const toLimit = (position) => floor * (ceiling / floor) ** (position / POSITIONS);
  const toPosition = (limit) => (POSITIONS * Math.log(between(floor, limit, ceiling) / floor)) / Math.log(ceiling / floor);

  const slider = make("input", { type: "range", id: `limit-slider-${place}`, min: "0", max: String(POSITIONS), step: "1" });
  const field = make("input", { type: "number", id: `limit-field-${place}`, min: "0", step: "any" });
  const back = make("button", { type: "button" }, "Back to the objective's limit");
  const said = make("p", { class: "small", role: "status" });
  const body = make("tbody");
  const heads = ["Deployment", objective.column, "At this limit (exploratory)", "At the objective's limit", objective.what, "Why"];
  box.append(
    make("p", { class: "limit" },
      make("label", { for: field.id }, `Limit${unit ? ` (${unit})` : ""}`), field,
      make("label", { for: slider.id, class: "unseen" }, "Limit, by slider"), slider, back),
    said,
    make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": `What if, ${objective.title}` },
      make("table", {},
        make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))), body)));
  const behind = new Set(objective.steps.flatMap((step) => step.members ?? []));
  const rows = objective.steps.map((step) => {
    const now = make("td"), why = make("td", { class: "why" });
    const given = make("td", {}, step.given ? chip(step.given) : "not judged here");
    body.append(make("tr", {}, make("td", {}, step.where), make("td", {}, step.load), now, given,
      make("td", {}, step.told), why));
    return { step, now, why };
  });

  function update(limit) {
    const held = new Map();
    for (const { step, now, why } of rows) {
      const told = !behind.has(step);  // of repetitions that a verdict over all stands for, only that one
      told && !held.has(step.where) && held.set(step.where, []);
      if (!applies(step, limit, objective)) {
        now.replaceChildren("not asked of it");
        why.textContent = "fewer requests were sent";
        continue;
      }
      const [verdict, reason] = decide(step, limit, objective);
      now.replaceChildren(chip(verdict));
      why.textContent = reason;
      if (told && verdict === "PASS") held.get(step.where).push(step.load);
    }
    const told = `${plain(limit * factor)}${unit ? `\u00a0${unit}` : ""}`;
    slider.setAttribute("aria-valuetext", told);
    const passing = [...held].map(([where, loads]) => `${where}: ${loads.length ? loads.join(", ") : "no step"}`);
    said.textContent = `Exploratory, with a limit of ${told}. Steps that pass: ${passing.join("; ")}.`;
    back.disabled = limit === given;
  }

  const toField = (limit) => { field.value = String(Number((limit * factor).toPrecision(4))); };
  function reset() {
    toField(given);
    slider.value = String(toPosition(given));
    update(given);
  }
  slider.addEventListener("input", () => {
    const limit = Number((toLimit(Number(slider.value)) * factor).toPrecision(3)) / factor;
    toField(limit);
    update(limit);
  });
  field.addEventListener("input", () => {
    const limit = field.valueAsNumber / factor;
    if (!Number.isFinite(limit) || limit < 0) return;
    slider.value = String(toPosition(limit));
    update(limit);
  });
  back.addEventListener("click", () => {
    reset();
    field.focus();
  });
  reset();
}

/** Offer every objective; with several, one is chosen first. */
function exploreLimits(objectives) {
  const place = document.getElementById("what-if");
  if (!place || !objectives?.length) return;
  for (const objective of objectives) {
    for (const step of objective.steps) step.members = step.members?.map((at) => objective.steps[at]);
  }
  const boxes = objectives.map((objective, at) => {
    const box = make("div", { class: "explored" });
    exploreLimit(box, objective, at);
    return box;
  });
  const choice = make("select", { id: "limit-objective" },
    ...objectives.map(({ title }, at) => make("option", { value: String(at) }, title)));
  choice.addEventListener("change", () => boxes.forEach((box, at) => { box.hidden = at !== Number(choice.value); }));
  boxes.forEach((box, at) => { box.hidden = at > 0; });
  if (boxes.length > 1) place.append(make("p", { class: "limit" }, make("label", { for: choice.id }, "Objective"), choice));
  place.append(...boxes);
  place.hidden = false;
}
