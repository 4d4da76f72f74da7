"""A dashboard as it is put together: rows, panels on the grid, marks in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import dashboard, prometheus
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from escalade.monitoring.dashboards.panels import SOURCE
from escalade.monitoring.promql import above_rate, selector, total

if TYPE_CHECKING:
    from escalade.monitoring.dashboards.panels import Panel
    from escalade.monitoring.limits import Limits
    from escalade.monitoring.service_names import ServiceNames

TAG = "escalade"
SOURCE_UID = "escalade-prometheus"
"""Of the data source that is provisioned with the dashboards."""
INSTANCE = 'instance=~"$instance"'
"""The targets that the reader of a dashboard chooses."""

_HEIGHT = 8
_MARK_SECONDS = "5s"


class Board:
    """Puts a dashboard together.

    Parameters
    ----------
    uid
        Its name in links; never changes.
    title, description
        As Grafana shows them.
    """

    def __init__(self, uid: str, title: str, description: str) -> None:
        self.uid = uid
        self._last_id = 0
        self._dashboard = (
            dashboard.Dashboard(title)
            .uid(uid)
            .description(description)
            .tags([TAG])
            .refresh("5s")
            .time("now-30m", "now")
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .with_variable(
                dashboard.DatasourceVariable("datasource")
                .label("Prometheus")
                .type("prometheus")
                .current(models.VariableOption(text="Escalade", value=SOURCE_UID))
            )
            .link(
                dashboard.DashboardLink("Escalade")
                .type(models.DashboardLinkType.DASHBOARDS)
                .tags([TAG])
                .keep_time(keep_time=True)
                .icon("dashboard")
                .tooltip("The other dashboards, at the same time")
            )
        )

    def choose_instance(self, *names: str) -> None:
        """Let the reader choose among the targets that have one of some metrics."""
        query = f"label_values({selector(names)}, instance)"
        self._dashboard.with_variable(
            dashboard.QueryVariable("instance")
            .label("Target")
            .datasource(SOURCE)
            .query({"query": query, "refId": "instance"})
            .definition(query)
            .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(models.VariableSort.ALPHABETICAL_ASC)
            .multi(multi=True)
            .include_all(include_all=True)
            .all_value(".*")
            .current(models.VariableOption(text=["All"], value=["$__all"]))
        )

    def mark_steps(self) -> None:
        """Mark the steps of a ladder while they run, by number and planned rate."""
        planned = f"round({total('escalade_load_target_qps', 'step')}, 0.01)"
        self._mark(
            "Steps",
            f'count_values by (step) ("planned_qps", {planned})',
            "blue",
            "Step {{step}}: {{planned_qps}} requests/s planned",
        )

    def mark_rate(self, limits: Limits, names: ServiceNames) -> None:
        """Mark the time in which more requests came than the threshold says."""
        above = f"more than {limits.rate_qps:g} requests/s"
        asked = above_rate(limits, names)
        self._mark(above.capitalize(), asked, "red", f"Fragmentation risk: {above}")

    def row(self, title: str) -> None:
        """Begin a row of panels under a title."""
        self._dashboard.with_row(dashboard.Row(title).id(self._next_id()))

    def add(self, panel: Panel, width: int, height: int = _HEIGHT) -> None:
        """Place a panel at the right of the one before, or below where there is no room.

        Parameters
        ----------
        panel
            From `panels`.
        width, height
            In cells of the grid, which is 24 wide.
        """
        self._dashboard.with_panel(panel.id(self._next_id()).span(width).height(height))

    def to_json(self) -> str:
        """Give the dashboard as Grafana reads it; the same panels give the same bytes."""
        text: str = JSONEncoder(indent=1, sort_keys=True).encode(self._dashboard.build())
        return f"{text}\n"

    def _mark(self, name: str, expression: str, colour: str, title: str) -> None:
        """Have times marked at which a query has a value above 0, one mark from first to last.

        Grafana reads the query in `target` since version 11, beside the name before.
        """
        self._dashboard.annotation(
            dashboard.AnnotationQuery()
            .name(name)
            .datasource(SOURCE)
            .enable(enable=True)
            .icon_color(colour)
            .expr(expression)
            .step(_MARK_SECONDS)
            .title_format(title)
            .target(prometheus.Dataquery().expr(expression).interval(_MARK_SECONDS).ref_id("Anno"))
        )

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id
