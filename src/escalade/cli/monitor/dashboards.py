"""`escalade monitor dashboards` and `rules`: what Grafana and Prometheus read, written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from escalade.campaign.project import project_root
from escalade.errors import InputError
from escalade.files import write_text
from escalade.monitoring.limits import Band, Bands, Limits
from escalade.monitoring.rules import alerts, render
from escalade.monitoring.service_names import ServiceNames
from escalade.services.recipes import load_recipe

_GIGABYTE = 1e9
_LIMITS, _BANDS = Limits(), Bands()
_DURATION = re.compile(r"[1-9][0-9]*(ms|s|m|h)")
_URL = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")

Rate = Annotated[float, typer.Option(help="Requests per second from which a service is at risk.")]
Vram = Annotated[float, typer.Option(help="Share of a GPU's memory that has to be free.")]
Queue = Annotated[float, typer.Option(help="Requests that may wait at one service.")]
Hits = Annotated[
    float,
    typer.Option(help="Share that a cache has to answer, where its service states no target."),
]
Recipes = Annotated[
    Path | None,
    typer.Option(help="Folder of recipes, which name the services' metrics; the project's own."),
]


def _gigabytes(band: Band) -> Band:
    yellow, red = band
    return yellow / _GIGABYTE, red / _GIGABYTE


_VRAM, _RAM = _gigabytes(_BANDS.vram_bytes), _gigabytes(_BANDS.ram_bytes)


def dashboards(
    *,
    out: Annotated[Path, typer.Option(help="Folder for dashboards/ and provisioning/.")],
    datasource: Annotated[
        str, typer.Option(help="URL of Prometheus, as Grafana reaches it.")
    ] = "http://127.0.0.1:9090",
    scrape_interval: Annotated[
        str, typer.Option(help="Of that Prometheus, as in 1s or 15s.")
    ] = "1s",
    seen_at: Annotated[
        str | None,
        typer.Option(help="Path of OUT where Grafana runs, as in /etc/escalade of a container."),
    ] = None,
    rate_threshold: Rate = _LIMITS.rate_qps,
    vram_headroom: Vram = _LIMITS.vram_free_ratio,
    queue_length: Queue = _LIMITS.queue_length,
    cache_hit_rate: Hits = _LIMITS.cache_hit_ratio,
    vram: Annotated[Band, typer.Option(help="GB of VRAM used: yellow from, red from.")] = _VRAM,
    ram: Annotated[Band, typer.Option(help="GB of RAM used: yellow from, red from.")] = _RAM,
    temperature: Annotated[
        Band, typer.Option(help="°C of a GPU: yellow from, red from.")
    ] = _BANDS.temperature_celsius,
    recipes: Recipes = None,
) -> None:
    """Write dashboards of node, GPU, service and campaign for Grafana, and how it finds them."""
    if not _URL.fullmatch(datasource):
        raise InputError(f"--datasource {datasource}: expected a URL as in http://host:9090.")
    if not _DURATION.fullmatch(scrape_interval):
        raise InputError(f"--scrape-interval {scrape_interval}: expected a time as in 1s or 15s.")
    limits = Limits(rate_threshold, vram_headroom, queue_length, cache_hit_rate)
    bands = Bands(_bytes(vram), _bytes(ram), temperature)
    from escalade.monitoring.dashboards import (  # noqa: PLC0415 - a large library, for this only
        boards,
        provisioning,
    )

    written = provisioning.write_boards(
        boards(limits, bands, recipe_names(recipes)),
        out,
        prometheus=datasource,
        scrape_interval=scrape_interval,
        seen_at=seen_at or str(out.resolve()),
    )
    for path in written:
        typer.echo(path)


def rules(
    *,
    out: Annotated[Path, typer.Option(help="File, for rule_files of prometheus.yml.")],
    rate_threshold: Rate = _LIMITS.rate_qps,
    vram_headroom: Vram = _LIMITS.vram_free_ratio,
    queue_length: Queue = _LIMITS.queue_length,
    cache_hit_rate: Hits = _LIMITS.cache_hit_ratio,
    cache_requests: Annotated[
        int, typer.Option(help="Requests in ten minutes below which a cache is not judged.")
    ] = _LIMITS.cache_lookups,
    recipes: Recipes = None,
) -> None:
    """Write the alerting rules of Prometheus: targets, VRAM, queue, rate, fragmentation, caches."""
    limits = Limits(rate_threshold, vram_headroom, queue_length, cache_hit_rate, cache_requests)
    write_text(out, render(alerts(limits, recipe_names(recipes))))
    typer.echo(out)


def recipe_names(folder: Path | None) -> ServiceNames:
    """Gather what all recipes call their metrics, in whatever version."""
    folder = folder or project_root() / "config" / "recipes"
    stems = sorted(path.stem for path in folder.glob("*.yaml"))
    if not stems:
        raise InputError(f"{folder} has no recipes (*.yaml): name their folder by --recipes.")
    known = [recipe.metrics for stem in stems if (recipe := load_recipe(stem, folder)).metrics]
    return ServiceNames.of(
        {str(metric): own for metric, own in entry.names.items()}
        for metrics in known
        if metrics is not None
        for entry in metrics.by_version
    )


def _bytes(gigabytes: Band) -> Band:
    yellow, red = gigabytes
    return yellow * _GIGABYTE, red * _GIGABYTE
