"""Makers of panels: what all of them have in common stands here."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    gauge,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as queries

if TYPE_CHECKING:
    from escalade.monitoring.limits import Band

Panel: TypeAlias = timeseries.Panel | gauge.Panel | stat.Panel | statetimeline.Panel | table.Panel

SOURCE = looks.DataSourceRef(type_val="prometheus", uid="${datasource}")
"""The Prometheus that the reader of a dashboard chooses."""
WINDOW = "$__rate_interval"
"""Window of a rate: four scrapes at least, and no gap between two points of a chart."""
NO_DATA = "no data"
_GREEN, _YELLOW, _RED = "green", "yellow", "red"


@dataclass(frozen=True, slots=True)
class Query:
    """A query of a panel.

    Parameters
    ----------
    expression
        PromQL.
    legend
        Name of each series, with labels as in `{{instance}}`.
    """

    expression: str
    legend: str


def lines(
    title: str,
    description: str,
    unit: str,
    *asked: Query,
    limit: float | None = None,
    above: bool = True,
    most: float | None = None,
) -> timeseries.Panel:
    """Draw series over time, from 0 on.

    Parameters
    ----------
    limit
        Where a dashed line stands.
    above
        Whether what is above the limit is bad, or what is below.
    most
        Upper end of the axis.
    """
    panel = (
        timeseries.Panel()
        .min(0)
        .line_width(1)
        .fill_opacity(5)
        .show_points(looks.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .show_legend(show_legend=True)
            .display_mode(looks.LegendDisplayMode.LIST)
            .placement(looks.LegendPlacement.BOTTOM)
            .calcs([])
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(looks.TooltipDisplayMode.MULTI)
            .sort(looks.SortOrder.DESCENDING)
        )
    )
    if most is not None:
        panel = panel.max(most)
    if limit is not None:
        colours = (_GREEN, _RED) if above else (_RED, _GREEN)
        dashed = looks.GraphThresholdsStyleMode.DASHED
        panel = panel.thresholds(_steps((None, limit), colours)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(dashed)
        )
    _describe(panel, title, description, unit, asked)
    return panel


def two_axes(
    title: str, description: str, left: tuple[str, Query], right: tuple[str, Query], limit: float
) -> timeseries.Panel:
    """Draw a rate at the left axis and what may follow from it at the right one.

    Parameters
    ----------
    title, description
        Of the panel.
    left, right
        Unit and query of each axis.
    limit
        Of the left one: a dashed line.
    """
    (unit, rate), (other_unit, latency) = left, right
    panel = lines(title, description, unit, rate, latency, limit=limit)
    return panel.override_by_query(
        letter(1),
        [
            models.DynamicConfigValue("unit", other_unit),
            models.DynamicConfigValue("custom.axisPlacement", looks.AxisPlacement.RIGHT),
            models.DynamicConfigValue("custom.fillOpacity", 0),
            models.DynamicConfigValue("custom.thresholdsStyle", {"mode": "off"}),
        ],
    )


def dial(title: str, description: str, unit: str, *asked: Query, band: Band) -> gauge.Panel:
    """Show the latest figures on dials that turn yellow, then red, at a band's ends."""
    panel = (
        gauge.Panel()
        .min(0)
        .max(1.2 * band[1])
        .thresholds(_steps((None, *band), (_GREEN, _YELLOW, _RED)))
        .reduce_options(_latest())
        .show_threshold_labels(show_threshold_labels=False)
        .show_threshold_markers(show_threshold_markers=True)
    )
    _describe(panel, title, description, unit, asked)
    return panel


def figure(
    title: str, description: str, unit: str, *asked: Query, red_from: float | None = None
) -> stat.Panel:
    """Show the latest figures large, red from some value on."""
    steps: tuple[float | None, ...] = (None,) if red_from is None else (None, red_from)
    panel = (
        stat.Panel()
        .thresholds(_steps(steps, (_GREEN, _RED)[: len(steps)]))
        .reduce_options(_latest())
        .graph_mode(looks.BigValueGraphMode.AREA)
    )
    _describe(panel, title, description, unit, asked)
    return panel


def states(
    title: str, description: str, *asked: Query, names: dict[str, tuple[str, str]]
) -> statetimeline.Panel:
    """Show over time in which state each series was.

    Parameters
    ----------
    title, description, asked
        Of the panel.
    names
        Value of a state to its text and colour.
    """
    mapping = {
        value: models.ValueMappingResult(text=text, color=colour)
        for value, (text, colour) in names.items()
    }
    panel = (
        statetimeline.Panel()
        .mappings([models.ValueMap(options=mapping)])
        .show_value(looks.VisibilityMode.NEVER)
        .merge_values(merge_values=True)
    )
    _describe(panel, title, description, "short", asked)
    return panel


def rows(
    title: str, description: str, expression: str, columns: dict[str, str], value: str
) -> table.Panel:
    """List the series of a query, now.

    Parameters
    ----------
    title, description
        Of the panel.
    expression
        PromQL.
    columns
        Labels to the heads of their columns, in order; other labels are left out.
    value
        Head of the column of values.
    """
    shown = {**columns, "Value": value}
    panel = table.Panel().with_transformation(
        models.DataTransformerConfig(
            id_val="organize",
            options={
                "includeByName": dict.fromkeys(shown, True),
                "indexByName": {name: place for place, name in enumerate(shown)},
                "renameByName": shown,
            },
        )
    )
    _describe(panel, title, description, "short", ())
    return panel.with_target(
        prometheus.Dataquery()
        .datasource(SOURCE)
        .expr(expression)
        .instant()
        .format(queries.PromQueryFormat.TABLE)
        .editor_mode(queries.QueryEditorMode.CODE)
        .ref_id(letter(0))
    )


def _describe(
    panel: Panel, title: str, description: str, unit: str, asked: tuple[Query, ...]
) -> None:
    panel.title(title).description(description).unit(unit).datasource(SOURCE).no_value(NO_DATA)
    for place, query in enumerate(asked):
        panel.with_target(
            prometheus.Dataquery()
            .datasource(SOURCE)
            .expr(query.expression)
            .legend_format(query.legend)
            .range()
            .editor_mode(queries.QueryEditorMode.CODE)
            .ref_id(letter(place))
        )


def letter(place: int) -> str:
    """Name a query of a panel, as Grafana does."""
    return string.ascii_uppercase[place]


def _latest() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def _steps(
    values: tuple[float | None, ...], colours: tuple[str, ...]
) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps(
            [
                models.Threshold(value=value, color=colour)
                for value, colour in zip(values, colours, strict=True)
            ]
        )
    )
