"""Every KPI, gate and statistical method has tests: one worked out by hand, one of properties."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import pytest

from escalade.analysis.kpis.catalogue import METRICS

TESTS = Path(__file__).parent
ANALYSIS = TESTS.parents[2] / "src" / "escalade" / "analysis"

KPIS = {
    "kpis/test_request_kpis.py::test_rates_by_hand": (
        "target_qps offered_qps arrival_rate_qps throughput_qps goodput_qps error_ratio"
    ),
    "kpis/test_request_kpis.py::test_gap_variation_by_hand": "gap_cv planned_gap_cv",
    "kpis/test_request_kpis.py::test_offered_load_is_rate_times_service_time_from_the_send": (
        "offered_load_erlangs"
    ),
    "kpis/test_request_kpis.py::test_latency_has_its_percentiles_mean_and_maximum": (
        "latency_seconds"
    ),
    "kpis/test_request_kpis.py::test_times_of_a_stream_by_hand": (
        "ttft_seconds itl_seconds tpot_seconds output_tokens output_tokens_per_second input_tokens"
    ),
    "kpis/test_request_kpis.py::test_cached_tokens_are_a_ratio_of_totals": "cached_token_ratio",
    "kpis/test_request_kpis.py::test_requests_in_flight_are_sent_and_not_ended": (
        "requests_in_flight requests_in_system"
    ),
    "kpis/test_request_kpis.py::test_a_request_never_sent_is_late": (
        "late_ratio dispatch_lag_seconds"
    ),
    "kpis/test_request_kpis.py::test_the_client_tells_on_itself": (
        "client_cpu_ratio event_loop_lag_seconds client_backlog client_suspended_seconds"
        " steal_ratio client_resolution_seconds"
    ),
    "kpis/test_clocks.py::test_the_largest_error_is_told_and_one_node_has_none": (
        "client_clock_error_seconds"
    ),
    "kpis/test_loop_kpis.py::test_latency_counts_from_the_send_and_says_what_it_hides": (
        "concurrency"
    ),
    "kpis/test_loop_kpis.py::test_samples_at_once_are_counted_from_the_first_send_to_the_last_end": (
        "samples samples_per_second"
    ),
    "kpis/test_loop_kpis.py::test_a_query_takes_as_long_as_the_last_of_its_samples": (
        "query_latency_seconds"
    ),
    "kpis/test_loop_kpis.py::test_the_turnaround_is_the_clients_own_share_of_the_loop": (
        "turnaround_seconds turnaround_ratio"
    ),
    "test_conversation.py::test_what_became_due_is_offered_and_the_rest_is_counted_apart": (
        "turns_not_due"
    ),
    "test_abandonment.py::test_what_clients_leave_counts_apart": "abandoned_ratio",
    "kpis/test_clue_kpis.py::test_failed_requests_are_counted_by_class": "failed_requests",
    "kpis/test_clue_kpis.py::test_memory_that_grows_has_its_slope_with_an_interval_above_zero": (
        "service_memory_growth_bytes_per_second"
    ),
    "kpis/test_clue_kpis.py::test_gaps_while_a_long_prompt_is_read_are_held_against_the_others_of_the_same_answer": (
        "long_prompt_slowdown_ratio"
    ),
    "scenarios/test_standards.py::test_the_trimmed_mean_is_what_a_hand_computes_and_says_what_it_leaves_out": (
        "latency_trimmed_seconds"
    ),
    "kpis/test_interactivity.py::test_tokens_are_shared_among_the_cores_of_the_service_where_it_has_no_gpu": (
        "output_tokens_per_second_per_core"
    ),
    "kpis/test_interactivity.py::test_the_pace_of_a_user_is_the_inverse_of_the_time_per_token_with_its_interval_turned": (
        "output_tokens_per_second_per_user"
    ),
    "kpis/test_interactivity.py::test_what_tokens_are_shared_among": (
        "output_tokens_per_second_per_gpu output_tokens_per_second_per_node"
    ),
    "kpis/test_noted_kpis.py::test_recall_is_a_mean_over_good_answers_and_a_failure_is_no_zero": (
        "recall_at_k"
    ),
    "kpis/test_noted_kpis.py::test_bytes_count_when_a_good_answer_ends_inside_the_window": (
        "received_bytes_per_second sent_bytes_per_second"
    ),
    "kpis/test_noted_kpis.py::test_operations_have_latencies_of_their_own": (
        "operation_latency_seconds"
    ),
    "kpis/test_noted_kpis.py::test_figures_of_ones_own_have_a_row_for_each_name": "noted",
    "kpis/test_series_kpis.py::test_cpu_of_the_service_is_its_own_process_tree": (
        "service_cpu_cores prometheus_cpu_cores"
    ),
    "kpis/test_series_kpis.py::test_memory_is_the_largest_sample": "service_memory_bytes",
    "kpis/test_series_kpis.py::test_the_queue_is_found_under_the_recipes_name": "queue_length",
    "kpis/test_series_kpis.py::test_server_side_rates_come_from_counters": (
        "server_output_tokens_per_second server_input_tokens_per_second server_requests_per_second"
    ),
    "kpis/test_series_kpis.py::test_cpu_of_the_node_leaves_out_idle_waiting_and_steal": (
        "node_cpu_ratio"
    ),
    "kpis/test_series_kpis.py::test_memory_of_the_node_is_what_is_not_available": (
        "node_memory_used_bytes"
    ),
    "kpis/test_series_kpis.py::test_every_target_has_its_own_coverage": (
        "scrape_coverage_ratio scrape_gap_seconds"
    ),
    "kpis/test_series_kpis.py::test_every_gpu_has_its_own_rows": "gpu_utilization_ratio",
    "kpis/test_series_kpis.py::test_memory_and_power_of_a_gpu_by_hand": (
        "gpu_memory_used_bytes gpu_power_watts"
    ),
    "kpis/test_series_kpis.py::test_client_and_server_agree_from_idle_to_idle": (
        "client_server_agreement_ratio"
    ),
    "kpis/test_series_kpis.py::test_the_start_of_the_service_belongs_to_the_whole_cell": (
        "ready_seconds model_memory_declared_bytes model_memory_measured_bytes"
    ),
    "kpis/test_replicas.py::test_shares_are_averaged_and_the_fullest_copy_is_the_maximum": (
        "requests_running kv_cache_usage_ratio"
    ),
    "kpis/test_cache_kpis.py::test_hits_and_misses_of_the_window_make_the_ratio_of_each_mode": (
        "cache_hit_ratio cache_lookups cache_expired"
    ),
    "kpis/test_fragmentation_kpis.py::test_events_of_the_window_are_told_apart_by_what_became_of_them": (
        "cuda_fragmentation_events cuda_capacity_events"
    ),
    "kpis/test_fragmentation_kpis.py::test_the_share_in_pieces_has_mean_and_maximum_of_each_device": (
        "cuda_fragmentation_ratio"
    ),
    "kpis/test_neighbours.py::test_what_the_service_did_not_use_of_its_cpus_was_used_by_neighbours": (
        "neighbour_cpu_ratio"
    ),
    "scenarios/test_contention.py::test_a_stressor_that_was_asked_for_is_no_neighbour": (
        "stressor_cpu_cores"
    ),
    "kpis/test_energy.py::test_energy_per_request_and_per_token_gross_and_net": (
        "power_watts energy_joules_per_request energy_joules_per_token idle_power_watts"
    ),
    "gates/test_calibration.py::test_a_cell_shows_its_calibration_in_gates_and_kpis": (
        "calibration_qps client_ceiling_qps client_added_seconds"
    ),
}
"""Tests by hand, with the KPIs whose values they work out."""

OF_ALL_KPIS = (
    "kpis/test_every_kpi.py::test_every_row_is_a_number_within_its_bounds_or_says_why_it_is_none",
    "kpis/test_every_kpi.py::test_no_kpi_depends_on_the_order_of_the_rows",
    "kpis/test_every_kpi.py::test_no_kpi_depends_on_the_date",
)
"""Properties of cells in which every KPI has a value, which a test there makes sure of."""

GATES = {
    "gates/test_table.py::test_a_step_that_was_not_measured_has_one_gate": "step_measured",
    "gates/test_table.py::test_one_percent_may_be_late": "late_ratio",
    "gates/test_table.py::test_a_client_that_falls_behind_fails_on_its_rate": "arrival_rate",
    "gates/test_table.py::test_a_client_that_sends_in_bursts_fails_on_its_gaps": "gap_cv",
    "gates/test_table.py::test_a_pile_of_unsent_requests_fails_on_backlog": "client_backlog",
    "gates/test_table.py::test_a_client_that_fills_its_core_invalidates": "client_cpu",
    "gates/test_table.py::test_a_suspended_client_invalidates": "client_suspended",
    "gates/test_table.py::test_a_step_after_one_that_did_not_drain_is_invalid": (
        "started_idle drained"
    ),
    "gates/test_table.py::test_holes_in_the_samples_invalidate": "scrape_coverage scrape_gap",
    "gates/test_table.py::test_client_and_server_have_to_agree_within_one_percent": (
        "client_server_agreement"
    ),
    "gates/test_table.py::test_a_rate_that_changes_within_the_window_is_flagged": "constant_rate",
    "gates/test_table.py::test_live_counters_that_are_missing_or_wrong_flag_and_never_invalidate": (
        "live_metrics"
    ),
    "gates/test_gpu_samples.py::test_a_gpu_that_is_lost_for_three_seconds_invalidates": "gpu_samples",
    "gates/test_gpu_headroom.py::test_a_fifth_of_the_fullest_gpus_memory_is_to_be_free": (
        "gpu_headroom"
    ),
    "kpis/test_neighbours.py::test_neighbours_may_use_a_tenth_of_the_services_cpus": "neighbours",
    "kpis/test_loop_kpis.py::test_the_turnaround_is_the_clients_own_share_of_the_loop": (
        "turnaround"
    ),
    "kpis/test_loop_kpis.py::test_a_loop_that_ran_out_of_requests_is_invalid": "enough_requests",
    "gates/test_state_gates.py::test_steal_flags_above_five_percent": "steal",
    "gates/test_state_gates.py::test_over_saturation_is_seen_and_only_flags": "over_saturation",
    "gates/test_state_gates.py::test_the_backlog_grows_by_what_is_offered_beyond_the_capacity": (
        "backlog_slope"
    ),
    "gates/test_state_gates.py::test_the_sample_floor_is_that_of_the_strictest_judged_percentile": (
        "sample_floor"
    ),
    "gates/test_state_gates.py::test_a_start_three_times_as_slow_says_that_the_warm_up_was_too_short": (
        "warm_up"
    ),
    "gates/test_state_gates.py::test_latency_that_doubles_over_the_window_drifts": "steadiness",
    "gates/test_state_gates.py::test_littles_law_holds_in_a_steady_step_and_not_when_answers_pile_up": (
        "littles_law"
    ),
    "gates/test_calibration.py::test_a_client_that_is_late_fails_and_its_ceiling_is_what_it_sent": (
        "client_calibration"
    ),
}
"""Tests by hand, with the gates whose outcome they work out."""

OF_ALL_GATES = (
    "gates/test_every_gate.py::test_a_gate_passes_exactly_within_its_limit",
    "gates/test_every_gate.py::test_what_was_not_reported_is_unknown_and_never_passed",
    "gates/test_every_gate.py::test_a_step_that_was_not_measured_passes_nothing",
)

METHODS = {
    "stats/distributions.py": (
        "stats/test_distributions.py::test_the_binomial_cdf_is_worked_out_by_hand",
        "stats/test_distributions.py::test_students_quantiles_agree",
    ),
    "stats/dependence.py": (
        "stats/test_dependence.py::test_effective_size_by_hand",
        "stats/test_dependence.py::test_effective_size_by_ranks_is_between_one_and_all",
    ),
    "stats/intervals.py": (
        "stats/test_intervals.py::test_the_sample_floor_is_where_both_bounds_begin_to_exist",
        "stats/test_intervals.py::test_an_interval_contains_its_point",
    ),
    "stats/clusters.py": (
        "stats/test_clusters.py::test_the_point_is_that_of_all_gaps",
        "stats/test_clusters.py::test_an_interval_holds_its_point_and_knows_neither_order_nor_unit",
    ),
    "stats/sampled.py": (
        "stats/test_sampled.py::test_samples_that_alternate_are_worth_all_of_them_and_have_students_interval",
        "stats/test_sampled.py::test_an_interval_holds_its_mean_and_keeps_its_bounds",
    ),
    "stats/shift.py": (
        "stats/test_shift.py::test_p_counts_the_arrangements",
        "stats/test_shift.py::test_the_effect_lies_in_its_interval_and_p_in_its_range",
    ),
    "stats/signed_rank.py": (
        "stats/test_signed_rank.py::test_three_differences_of_one_sign",
        "stats/test_signed_rank.py::test_p_is_that_of_scipy",
    ),
    "stats/pair_sizes.py": (
        "stats/test_signed_rank.py::test_so_many_pairs_are_the_fewest_that_can_decide",
        "scenarios/test_pairs.py::test_a_verdict_needs_the_interval_and_the_margin",
    ),
    "stats/sample_floors.py": (
        "stats/test_sample_floors.py::test_one_observation_less_may_all_lie_on_one_side",
        "stats/test_sample_floors.py::test_the_highest_share_is_the_last_whose_floor_so_many_reach",
    ),
    "stats/slope.py": (
        "scenarios/test_stability.py::test_the_slope_is_the_median_of_all_pairs",
        "scenarios/test_stability.py::test_slopes_follow_shift_and_scale_and_lie_in_their_intervals",
    ),
    "stats/truncation.py": (
        "stats/test_truncation.py::test_a_slow_start_is_cut_off_where_it_ends",
        "stats/test_truncation.py::test_the_point_is_that_of_the_definition",
    ),
    "stats/change_points.py": (
        "stats/test_change_points.py::test_the_divergence_is_that_worked_out_by_hand",
        "stats/test_change_points.py::test_divergences_are_those_of_the_definition",
    ),
    "stats/scalability.py": (
        "stats/test_scalability.py::test_the_peak_and_where_it_lies_by_hand",
        "stats/test_scalability.py::test_the_law_is_found_in_throughputs_that_follow_it",
    ),
    "stats/steadiness.py": (
        "stats/test_steadiness.py::test_drift_by_hand",
        "stats/test_steadiness.py::test_a_trend_follows_what_is_added_to_it",
    ),
}
"""Each module of statistics, with a test by hand and one of properties."""


@functools.cache
def functions(path: Path) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def of_properties(node: str) -> bool:
    """Tell whether hypothesis draws what a test is given."""
    file, _, name = node.partition("::")
    decorators = functions(TESTS / file)[name].decorator_list
    words = [ast.unparse(each) for each in decorators]
    return any(word.startswith("given(") or word == "CELLS" for word in words)


def words(table: dict[str, str]) -> list[str]:
    return [name for names in table.values() for name in names.split()]


def gates_in_the_code() -> set[str]:
    """Collect the names of gates from the calls that make them."""
    found = set()
    for path in sorted(ANALYSIS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name, first = ast.unparse(node.func), node.args[0]
            if name in ("Gate", "not_applicable") and isinstance(first, ast.Constant):
                found.add(str(first.value))
    return found


def test_every_kpi_has_a_test_by_hand() -> None:
    assert sorted(words(KPIS)) == sorted(metric.name for metric in METRICS)


def test_every_gate_has_a_test_by_hand() -> None:
    known = words(GATES)

    assert len(known) == len(set(known))
    assert gates_in_the_code() <= set(known)


def test_every_module_of_statistics_has_both() -> None:
    modules = {f"stats/{path.name}" for path in (ANALYSIS / "stats").glob("[!_]*.py")}

    assert modules == set(METHODS)
    for by_hand, properties in METHODS.values():
        assert not of_properties(by_hand)
        assert of_properties(properties), properties


@pytest.mark.parametrize("node", [*OF_ALL_KPIS, *OF_ALL_GATES])
def test_what_holds_for_all_is_a_property(node: str) -> None:
    assert of_properties(node)


@pytest.mark.parametrize("node", [*KPIS, *GATES])
def test_the_tests_by_hand_are_there(node: str) -> None:
    file, _, name = node.partition("::")

    assert name in functions(TESTS / file)
    assert not of_properties(node)
