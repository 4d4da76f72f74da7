"""The loader's page of metrics."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from escalade.models.exposed import LoadedModels
from escalade.models.heads import Head
from escalade.services.catalogue import load_catalogue
from escalade.services.planning import plan_load

CONFIG = Path(__file__).parents[3] / "config"
PLAN = plan_load(load_catalogue(CONFIG / "models.yaml"), "gtx_1080", ["phi2_2.7b", "openvino_head"])


def samples(heads: list[Head], *, compatible: bool = False) -> dict[tuple[str, str], float]:
    registry = CollectorRegistry()
    registry.register(LoadedModels(PLAN, "gtx_1080", lambda: heads, compatible=compatible))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, sample.labels.get("model", "")): sample.value
        for family in families
        for sample in family.samples
    }


def test_models_of_the_plan_are_loaded_or_not_and_only_what_was_measured_has_a_size() -> None:
    found = samples([Head("phi2_2.7b", "medium", "head", 1_600_000_000, 1_700_000_000)])

    assert found["escalade_model_loaded", "phi2_2.7b"] == 1
    assert found["escalade_model_loaded", "openvino_head"] == 0
    assert found["escalade_model_measured_bytes", "phi2_2.7b"] == 1_700_000_000
    assert ("escalade_model_measured_bytes", "openvino_head") not in found
    assert found["escalade_models_memory_limit_bytes", ""] == 7_000_000_000


def test_the_name_of_the_first_dashboards_is_there_on_demand_only() -> None:
    assert ("swarm_model_loaded", "phi2_2.7b") not in samples([])
    assert samples([], compatible=True)["swarm_model_loaded", "phi2_2.7b"] == 0
