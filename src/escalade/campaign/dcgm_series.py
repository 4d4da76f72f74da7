"""What DCGM's exporter told of GPUs, by our own names, units and labels: where it enters, once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from escalade.gpu.compat import DCGM_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAMES = tuple(name.name for name in DCGM_NAMES)
"""What is asked of Prometheus."""
_KEPT = ("job", "instance", "node", "place")
"""Labels that Prometheus gives."""


def by_our_names(series: pd.DataFrame, gpus: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rename DCGM's samples of the service's GPUs, and leave those of other GPUs out.

    Parameters
    ----------
    series
        metric, labels (JSON), timestamp, value, and whatever else.
    gpus
        Those of the service: `index`, `uuid` and `name` of each.

    Returns
    -------
    DataFrame
        The same columns, sorted by metric, labels, timestamp.
    """
    foreign = series["metric"].isin(NAMES)
    if not foreign.any():
        return series
    known = {str(gpu["uuid"]): gpu for gpu in gpus}
    parts = [series[~foreign]]
    for name in DCGM_NAMES:
        rows = series[series["metric"] == name.name]
        labels = {text: _labels(text, known, name.labels) for text in rows["labels"].unique()}
        mine = rows[rows["labels"].map(labels).notna()]
        parts.append(
            mine.assign(
                metric=name.own,
                labels=mine["labels"].map(labels),
                value=(mine["value"] / name.factor).astype("float64"),
            )
        )
    order = ["metric", "labels", "timestamp"]
    return pd.concat(parts).sort_values(order, kind="stable", ignore_index=True)


def _labels(
    text: str, known: Mapping[str, Mapping[str, Any]], further: Mapping[str, str]
) -> str | None:
    """Give our labels of a series in place of DCGM's; None of a GPU that is not the service's."""
    labels = json.loads(text)
    gpu = known.get(labels.get("UUID", ""))
    if gpu is None:
        return None
    own = {"gpu": str(gpu["index"]), "uuid": gpu["uuid"], "name": gpu["name"], **further}
    kept = {key: labels[key] for key in _KEPT if key in labels}
    return json.dumps({**kept, **own}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
