"""The plan of the loader: what goes into which memory, in which order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.errors import InputError
from escalade.services.catalogue import BUCKETS, ModelCatalogue, load_catalogue
from escalade.services.planning import check_models, plan_load
from escalade.services.recipes import load_recipe
from escalade.services.validation import validated

CONFIG = Path(__file__).parents[3] / "config"
SHIPPED = load_catalogue(CONFIG / "models.yaml")
LLAMA = load_recipe("llama_cpp", CONFIG / "recipes")
TRUTH = load_recipe("truth_server", CONFIG / "recipes")


def catalogue(models: list[tuple[str, int]], budget: int, device: str = "gpu") -> ModelCatalogue:
    content: dict[str, Any] = {
        "location": "models.yaml",
        "models": [
            {"name": f"m{number}", "bucket": bucket, "declared_megabytes": megabytes}
            for number, (bucket, megabytes) in enumerate(models)
        ],
        "profiles": {"here": {"memory_megabytes": budget, "device": device}},
    }
    return validated(ModelCatalogue, content, "models.yaml")


@pytest.mark.parametrize(
    ("profile", "heads", "megabytes", "first_left_out"),
    [("gtx_1080", 8, 6472, "mistral_7b_instruct"), ("rtx_4070", 9, 9972, "llama2_70b_chat")],
)
def test_a_gpu_profile_takes_heads_until_the_first_that_would_spill(
    profile: str, heads: int, megabytes: int, first_left_out: str
) -> None:
    plan = plan_load(SHIPPED, profile)

    assert len(plan.loaded) == heads
    assert plan.declared_bytes == megabytes * 1_000_000
    assert plan.spilled[0].name == first_left_out
    assert "openvino_head" in [model.name for model in plan.skipped]


def test_nothing_is_loaded_after_the_first_that_would_spill() -> None:
    plan = plan_load(catalogue([("small", 6), ("small", 5), ("small", 1)], budget=10), "here")

    assert [model.name for model in plan.loaded] == ["m0"]
    assert [model.name for model in plan.spilled] == ["m1", "m2"]


def test_a_budget_may_be_filled_to_the_last_byte() -> None:
    plan = plan_load(catalogue([("small", 6), ("large", 4)], budget=10), "here")

    assert len(plan.loaded) == 2


def test_models_of_the_cpu_take_none_of_a_gpu_but_count_in_host_memory() -> None:
    models = [("cpu", 8), ("small", 5)]

    on_gpu = plan_load(catalogue(models, budget=10), "here")
    on_host = plan_load(catalogue(models, budget=10, device="cpu"), "here")

    assert [model.name for model in on_gpu.loaded] == ["m1"]
    assert [model.name for model in on_gpu.skipped] == ["m0"]
    assert [model.name for model in on_host.spilled] == ["m0"]


MODELS = st.lists(st.tuples(st.sampled_from(BUCKETS), st.integers(0, 50)), max_size=12)


@given(MODELS, st.integers(1, 200), st.sampled_from(["gpu", "cpu"]))
def test_a_plan_keeps_the_budget_and_the_order(
    models: list[tuple[str, int]], budget: int, device: str
) -> None:
    made = catalogue(models, budget, device)
    plan = plan_load(made, "here")
    everything = [*plan.loaded, *plan.spilled]

    assert plan.declared_bytes <= plan.budget_bytes == budget * 1_000_000
    assert sorted(map(str, [*everything, *plan.skipped])) == sorted(map(str, made.models))
    places = [(BUCKETS.index(model.bucket), made.models.index(model)) for model in everything]
    assert places == sorted(places)
    if plan.spilled:
        assert plan.declared_bytes + plan.spilled[0].declared_bytes > plan.budget_bytes


@given(MODELS, st.integers(1, 200), st.integers(0, 100))
def test_a_bigger_budget_only_adds_models_at_the_end(
    models: list[tuple[str, int]], budget: int, more: int
) -> None:
    smaller = plan_load(catalogue(models, budget), "here").loaded
    bigger = plan_load(catalogue(models, budget + more), "here").loaded

    assert bigger[: len(smaller)] == smaller


@given(MODELS, st.integers(1, 200), st.randoms(use_true_random=False))
def test_the_order_of_the_wish_does_not_matter(
    models: list[tuple[str, int]], budget: int, shuffler: Any
) -> None:
    made = catalogue(models, budget)
    wanted = [model.name for model in made.models]
    shuffled = list(wanted)
    shuffler.shuffle(shuffled)

    assert plan_load(made, "here", wanted) == plan_load(made, "here", shuffled)
    assert plan_load(made, "here", wanted) == plan_load(made, "here")


@pytest.mark.parametrize(
    ("profile", "models", "expected"),
    [
        ("laptop", (), "recipe llama_cpp takes 1 model, and models are: none"),
        ("laptop", ("smollm2-135m", "phi2_2.7b"), "takes 1 model"),
        ("laptop", ("smol",), "there is no model 'smol'"),
        ("desktop", ("smollm2-135m",), "there is no profile 'desktop'"),
        (
            "laptop",
            ("mixtral_8x7b",),
            "mixtral_8x7b (6500 MB declared) does not fit into profile laptop: 0 MB of 2000 MB",
        ),
        ("gtx_1080", ("smollm2-135m",), "runs on the CPU, and profile gtx_1080 is a GPU's"),
    ],
)
def test_models_that_can_not_be_served_are_refused_by_deployment(
    profile: str, models: tuple[str, ...], expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        check_models(SHIPPED, LLAMA, profile, models, "config.yaml: deployment 'a'")

    assert str(caught.value).startswith("config.yaml: deployment 'a': ")
    assert expected in str(caught.value)


def test_models_that_fit_are_fine() -> None:
    check_models(SHIPPED, LLAMA, "laptop", ["smollm2-135m"], "config.yaml")


def test_a_recipe_without_models_needs_no_profile() -> None:
    check_models(SHIPPED, TRUTH, "no-such-profile", [], "config.yaml")
    with pytest.raises(InputError, match="recipe truth_server takes no model"):
        check_models(SHIPPED, TRUTH, "laptop", ["smollm2-135m"], "config.yaml")
