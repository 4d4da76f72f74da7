// Without this script the page shows everything; with it, it answers.

const content = JSON.parse(document.getElementById("report-data").textContent);
document.documentElement.classList.add("scripted");
document.querySelectorAll("[data-views]").forEach(makeTabs);
document.querySelectorAll("table.plain").forEach(makeSortable);
tellFigures(content.figures);
exploreLimits(content.limits);
