"""Only another workload, GPU or CPU makes two deployments not comparable; all else is listed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from escalade.analysis.compare.comparability import changes, hardware_of, why_not, workload_hash
from unit.analysis.builders import Step, cell

if TYPE_CHECKING:
    from escalade.analysis.measured.cell import CellData

GPU = {"index": 0, "uuid": "GPU-1", "name": "NVIDIA A100", "driver_version": "550.1"}


def made(
    repetition: int = 1, environment: dict[str, Any] | None = None, **definition: Any
) -> CellData:
    """Give a cell with a definition and an environment, changed where asked for."""
    facts = {
        "protocol": 1,
        "workload": {"kind": "openai_chat", "input_tokens": 10},
        "load": {"arrivals": "poisson", "ladder": [{"target_qps": 1.0}], "workers": 1},
        "seed": repetition,
        "deployment": {"recipe": "vllm", "parameters": {"slots": 2}},
        "recipe": {"command": ["vllm", "serve"]},
        **definition,
    }
    node = {"cpu_model": "AMD EPYC 7742", "kernel": "6.1"}
    found = cell(Step(), repetition=repetition, **{"node": node, **(environment or {})})
    return replace(found, cell={**found.cell, "definition": facts})


def test_equal_deployments_are_comparable_and_differ_in_nothing() -> None:
    assert why_not([made()], [made()]) == []
    assert changes(([made()], {}), ([made()], {})) == []


def test_another_workload_is_named_by_what_differs() -> None:
    other = made(workload={"kind": "openai_chat", "input_tokens": 500})

    assert workload_hash([made()]) != workload_hash([other])
    assert why_not([made()], [other]) == ["another workload: workload.input_tokens differs"]
    assert why_not([made()], [made(protocol=2)]) == ["another workload: protocol differs"]


def test_objectives_of_a_search_are_part_of_its_workload() -> None:
    def sought(limit: float) -> CellData:
        return made(load={"arrivals": "poisson", "search": {}}, slos=[{"limit": limit}])

    assert why_not([sought(1.0)], [sought(1.0)]) == []
    assert why_not([sought(1.0)], [sought(2.0)]) == ["another workload: slos differs"]


def test_ladder_workers_and_seed_are_no_other_workload_but_listed() -> None:
    load = {"arrivals": "poisson", "ladder": [{"target_qps": 2.0}], "workers": 4}
    other = made(load=load, seed=7)

    assert why_not([made()], [other]) == []
    assert [each["what"] for each in changes(([made()], {}), ([other], {}))] == [
        "load.ladder",
        "load.workers",
        "seed",
    ]


def test_more_repetitions_are_no_other_seed() -> None:
    assert changes(([made(1), made(2)], {}), ([made(1)], {})) == []


def test_another_cpu_or_gpu_model_is_not_comparable() -> None:
    other = made(environment={"node": {"cpu_model": "Intel Xeon"}})
    fast = made(environment={"gpus": [GPU]})
    faster = made(environment={"gpus": [{**GPU, "name": "NVIDIA H100"}]})

    assert why_not([made()], [other]) == ["another CPU: AMD EPYC 7742 against Intel Xeon"]
    assert why_not([fast], [faster]) == ["another GPU: NVIDIA A100 against NVIDIA H100"]
    assert why_not([made()], [fast]) == ["another GPU: none against NVIDIA A100"]
    assert why_not([fast, faster], [fast]) == [
        "another GPU: NVIDIA A100 and NVIDIA H100 against NVIDIA A100"
    ]
    assert hardware_of([fast]).row == {"cpu": ["AMD EPYC 7742"], "gpu": ["NVIDIA A100"]}


def test_a_cpu_that_nobody_could_read_is_not_another_one() -> None:
    unknown = made(environment={"node": {"cpu_model": None}})

    assert why_not([made()], [unknown]) == []


def test_driver_kernel_image_and_versions_are_possible_causes() -> None:
    before = made(
        environment={
            "gpus": [GPU],
            "service": {
                "version": "0.6",
                "image": "vllm:0.6",
                "models": [{"name": "m", "sha256": "a"}],
            },
            "prometheus": {"version": "2.42"},
        }
    )
    after = made(
        environment={
            "node": {"cpu_model": "AMD EPYC 7742", "kernel": "6.8"},
            "gpus": [{**GPU, "driver_version": "560.2"}],
            "service": {
                "version": "0.7",
                "image": "vllm:0.7",
                "models": [{"name": "m", "sha256": "b"}],
            },
            "prometheus": {"version": "2.53"},
        },
        deployment={"recipe": "vllm", "parameters": {"slots": 4}},
    )
    provenance = [
        {"software": {"escalade": v, "packages": {"locust": "2.43"}}} for v in ("0.1", "0.2")
    ]

    assert why_not([before], [after]) == []
    found = changes(([before], provenance[0]), ([after], provenance[1]))
    assert {each["what"]: (each["baseline"], each["candidate"]) for each in found} == {
        "deployment.parameters.slots": ("2", "4"),
        "gpu.driver_version": ("550.1", "560.2"),
        "machine.kernel": ("6.1", "6.8"),
        "model.m": ("a", "b"),
        "prometheus": ("2.42", "2.53"),
        "service.image": ("vllm:0.6", "vllm:0.7"),
        "service.version": ("0.6", "0.7"),
        "software.escalade": ("0.1", "0.2"),
    }


def test_packages_come_after_all_that_is_more_likely_the_cause() -> None:
    facts = [{"software": {"packages": {"a": v}}, "source": {"commit": v}} for v in ("1", "2")]

    found = changes(([made()], facts[0]), ([made()], facts[1]))
    assert [each["what"] for each in found] == ["source.commit", "software.packages.a"]


def test_what_one_side_lacks_is_a_dash() -> None:
    other = made(environment={"exporters": {"node": {"version": "1.5"}}})

    assert changes(([made()], {}), ([other], {})) == [
        {"what": "exporter.node.version", "baseline": "–", "candidate": "1.5"}
    ]
