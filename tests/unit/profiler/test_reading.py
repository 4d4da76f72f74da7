"""The columns of the profiler are what the exporter serves."""

from escalade.gpu import readings
from escalade.profiler.reading import BANDWIDTH, FIGURES, NVLINK, Reading


def test_every_column_names_a_metric_of_the_exporter_and_what_counts_ends_in_total() -> None:
    for figure in FIGURES:
        assert figure.metric in readings.METRICS
        assert figure.counts == figure.metric.endswith("_total")


def test_no_two_columns_have_the_same_name_or_the_same_samples() -> None:
    assert len({figure.name for figure in FIGURES}) == len(FIGURES)
    assert len({(it.metric, *it.labels.values()) for it in FIGURES}) == len(FIGURES)
    assert {*BANDWIDTH, *NVLINK} < {figure.name for figure in FIGURES if figure.counts}


def test_a_gpu_is_named_by_host_index_and_model() -> None:
    reading = Reading(1.0, "node3", 2, "NVIDIA H100 80GB HBM3", "GPU-1", {})

    assert reading.device == "node3:2:NVIDIA H100 80GB HBM3"


def test_parts_of_one_gpu_have_names_of_their_own() -> None:
    parts = [Reading(1.0, "node3", 0, "NVIDIA A100 MIG 1g.5gb", f"MIG-{it}", {}) for it in "ab"]

    assert len({part.device for part in parts}) == 2
