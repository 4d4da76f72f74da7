// Views of which one is shown at a time: the metrics of the latency charts.

/** Set tabs over the views of a section; all of them stay there for paper. */
function makeTabs(container) {
  const views = [...container.querySelectorAll(":scope > [data-view]")];
  if (views.length < 2) return;
  const list = make("div", { role: "tablist", class: "tabs", "aria-label": container.dataset.views });
  const tabs = views.map((view) => {
    const name = view.dataset.view;
    const tab = make("button", { type: "button", role: "tab", id: `${view.id}-tab`, "aria-controls": view.id }, name);
    view.setAttribute("role", "tabpanel");
    view.setAttribute("aria-labelledby", tab.id);
    list.append(tab);
    return tab;
  });

  function select(chosen) {
    tabs.forEach((tab, place) => {
      tab.setAttribute("aria-selected", String(place === chosen));
      tab.tabIndex = place === chosen ? 0 : -1;
      views[place].hidden = place !== chosen;
    });
  }

  list.addEventListener("click", (event) => {
    const chosen = tabs.indexOf(event.target);
    if (chosen >= 0) select(chosen);
  });
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(document.activeElement), count = tabs.length;
    const moves = { ArrowLeft: at + count - 1, ArrowRight: at + 1, Home: 0, End: count - 1 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    select(moves[event.key] % count);
    tabs[moves[event.key] % count].focus();
  });
  const arrive = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    const chosen = views.findIndex((view) => target && view.contains(target));
    if (chosen < 0) return;
    select(chosen);
    target.scrollIntoView();
  };
  addEventListener("hashchange", arrive);
  container.prepend(list);
  select(0);
  arrive();
}
