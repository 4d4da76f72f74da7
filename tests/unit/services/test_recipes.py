"""Recipes: those that ship, and what is refused in one that a user writes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from escalade.errors import InputError, ToolMissingError
from escalade.services.recipes import Recipe, ServedModel, load_recipe
from escalade.services.validation import validated
from escalade.services.versions import covers

RECIPES = Path(__file__).parents[3] / "config" / "recipes"
PAGES = Path(__file__).parents[2] / "data" / "metrics"
MODEL = ServedModel("tiny", Path("/models/tiny model.gguf"))

MINIMAL: dict[str, Any] = {
    "name": "own",
    "description": "A service of one's own",
    "version": {"distribution": "escalade"},
    "command": ["{python}", "-m", "own", ["--port", "{port}"]],
    "probe": {"path": "/health", "timeout_seconds": 5},
    "workload": {"kind": "plain_http"},
}


def recipe(**changes: Any) -> Recipe:
    return validated(Recipe, {**MINIMAL, **changes}, "own.yaml")


def metrics_of(page: Path) -> set[str]:
    lines = page.read_text().splitlines()
    return {line.partition(" ")[0].partition("{")[0] for line in lines if not line.startswith("#")}


def pages() -> list[Path]:
    recipes = {path.stem for path in RECIPES.glob("*.yaml")}
    return [page for page in sorted(PAGES.glob("*.prom")) if page.stem.partition("-")[0] in recipes]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_every_metric_of_a_recipe_is_on_the_recorded_page_of_that_version(page: Path) -> None:
    name, _, version = page.stem.partition("-")

    names = load_recipe(name, RECIPES).metric_names(version)

    assert names
    assert set(names.values()) - metrics_of(page) == set()


SILENT = ("nanio", "pgvector", "pgvector_external", "s3")
"""Recipes of stores that show no metrics of their own."""
MUTE = (*SILENT, "transformers")
TELLING = [path for path in sorted(RECIPES.glob("*.yaml")) if path.stem not in MUTE]


@pytest.mark.parametrize("name", SILENT)
def test_a_store_without_metrics_prepares_what_is_measured(name: str) -> None:
    shipped = load_recipe(name, RECIPES)

    assert shipped.metrics is None
    assert shipped.prepare is not None
    assert shipped.prepare.module.startswith("escalade.load.stores.prepare_")


@pytest.mark.parametrize("path", TELLING, ids=lambda path: path.stem)
def test_all_metric_names_of_a_shipped_recipe_are_checked_against_a_recorded_page(
    path: Path,
) -> None:
    shipped = load_recipe(path.stem, RECIPES)
    recorded = [page.stem.partition("-")[2] for page in pages() if page.stem.startswith(path.stem)]

    assert shipped.metrics is not None
    for entry in shipped.metrics.by_version:
        assert any(covers(entry.versions, version) for version in recorded)


@pytest.mark.parametrize("path", TELLING, ids=lambda path: path.stem)
def test_a_shipped_recipe_declares_what_client_and_service_agree_on(path: Path) -> None:
    shipped = load_recipe(path.stem, RECIPES)

    assert shipped.agreement is not None
    assert shipped.agreement.metric in shipped.metric_names(shipped.installed_version())


def test_llama_cpp_gets_its_model_its_slots_and_a_thread_per_cpu() -> None:
    made = load_recipe("llama_cpp", RECIPES).make_command(
        {"slots": 2}, port=8080, models=[MODEL], service_cpus=3
    )

    assert made.argv[:3] == (sys.executable, "-m", "escalade.services.llama_server")
    options = dict(zip(made.argv[3::2], made.argv[4::2], strict=True))
    assert options["--model"] == "/models/tiny model.gguf"
    assert options["--alias"] == "tiny"
    assert (options["--port"], options["--slots"], options["--threads"]) == ("8080", "2", "3")
    assert "--chat-template" not in options
    assert made.environment == {
        "OMP_NUM_THREADS": "3",
        "OMP_WAIT_POLICY": "passive",
        "GOMP_SPINCOUNT": "0",
    }


def test_vllm_reserves_four_fifths_of_a_gpu_unless_told_otherwise() -> None:
    vllm = load_recipe("vllm", RECIPES)

    made = vllm.make_command({"max_model_len": 4096}, port=8000, models=[MODEL], gpus=1)

    assert made.argv[1:5] == ("-m", "vllm.entrypoints.cli.main", "serve", str(MODEL.path))
    options = dict(zip(made.argv[5::2], made.argv[6::2], strict=True))
    assert options["--served-model-name"] == MODEL.name
    assert options["--gpu-memory-utilization"] == "0.8"
    assert options["--max-model-len"] == "4096"
    assert "--dtype" not in options
    assert made.environment["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize(
    ("version", "name"),
    [("0.33.0", "vllm:kv_cache_usage_perc"), ("0.8.2", "vllm:gpu_cache_usage_perc")],
)
def test_vllm_renamed_the_usage_of_its_cache(version: str, name: str) -> None:
    assert load_recipe("vllm", RECIPES).metric_names(version)["kv_cache_usage_ratio"] == name


def test_transformers_is_asked_by_the_path_that_it_was_started_with() -> None:
    recipe_ = load_recipe("transformers", RECIPES)

    made = recipe_.make_command({}, port=8000, models=[MODEL])

    assert made.argv[3:5] == ("serve", str(MODEL.path))
    assert recipe_.workload_parameters([MODEL])["model"] == str(MODEL.path)


@pytest.mark.parametrize("name", ["transformers", "vllm"])
def test_the_settings_of_the_allocator_are_a_factor_of_a_campaign(name: str) -> None:
    shipped = load_recipe(name, RECIPES)

    def set_to(**given: str) -> str | None:
        made = shipped.make_command(given, port=1, models=[MODEL])
        return made.environment.get("PYTORCH_CUDA_ALLOC_CONF")

    assert set_to() is None
    assert set_to(cuda_alloc_conf="max_split_size_mb:128") == "max_split_size_mb:128"


def test_the_truth_server_gets_only_the_faults_that_were_asked_for() -> None:
    truth = load_recipe("truth_server", RECIPES)

    plain = truth.make_command({}, port=1).argv
    failing = truth.make_command({"never_ready": True, "die_after_requests": 7}, port=1).argv

    assert failing[: len(plain)] == plain
    assert failing[len(plain) :] == ("--never-ready", "--die-after-requests", "7")


def test_workload_parameters_name_the_model() -> None:
    shipped = load_recipe("llama_cpp", RECIPES)

    assert shipped.workload_parameters([MODEL])["model"] == "tiny"


def test_an_unknown_recipe_is_answered_with_those_there_are() -> None:
    with pytest.raises(InputError) as caught:
        load_recipe("lama_cpp", RECIPES)

    assert "Did you mean 'llama_cpp'? Valid: llama_cpp, nanio, pgvector, " in str(caught.value)


def test_a_recipe_is_not_looked_for_outside_its_folder() -> None:
    with pytest.raises(InputError, match="There is no recipe"):
        load_recipe("../models", RECIPES)


def test_a_broken_recipe_is_told_by_its_file(tmp_path: Path) -> None:
    content = {key: value for key, value in MINIMAL.items() if key not in {"name", "probe"}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({**content, "prob": {}}))

    with pytest.raises(InputError) as caught:
        load_recipe("own", tmp_path)

    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'own.yaml'} can't be used, 2 problems:")
    assert "prob: unknown key. Did you mean 'probe'?" in said
    assert "probe: is missing. Expected: How to know that it is ready." in said


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"command": ["{prt}"]}, "nothing is called 'prt'. Did you mean 'port'?"),
        ({"command": ["{model_path}"]}, "nothing is called 'model_path'"),
        ({"command": ["{port:>5}"]}, "expected a name in braces, as in {port}"),
        ({"command": []}, "command: is missing"),
        ({"command": [{"when": "quiet", "words": ["-q"]}]}, "no parameter 'quiet'"),
        (
            {
                "command": ["{depth}"],
                "parameters": {"depth": {"type": "integer", "description": "Depth."}},
            },
            "depth may have no value; write {when: depth, words: […]}",
        ),
        (
            {"parameters": {"port": {"type": "integer", "default": 1, "description": "Port."}}},
            "the name stands for something else already",
        ),
        ({"agreement": {"quantity": "requests", "metric": "requests_total"}}, "agreement.metric"),
        ({"metrics": {"by_version": []}}, "metrics.by_version"),
        (
            {"metrics": {"by_version": [{"names": {"requests": "x"}}]}},
            "expected 'requests_total'",
        ),
        (
            {"metrics": {"by_version": [{"versions": "2", "names": {"requests_total": "x"}}]}},
            "expected versions as in '>=2026.10,<2027'",
        ),
        ({"version": {}}, "expected either a distribution, a command or a tool"),
        ({"probe": {"path": "health", "timeout_seconds": 1}}, "probe.path"),
        ({"probe": {"path": "/", "timeout_seconds": 0}}, "expected more than 0"),
    ],
)
def test_a_recipe_that_can_not_work_is_refused_when_it_is_loaded(
    changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        recipe(**changes)

    assert expected in str(caught.value)


def test_a_variable_whose_parameter_is_unset_is_left_out() -> None:
    depth = {"type": "integer", "description": "Depth."}
    made = recipe(parameters={"depth": depth}, environment={"DEPTH": "{depth}", "A": "b"})

    assert made.make_command({}, port=1).environment == {"A": "b"}
    assert made.make_command({"depth": 2}, port=1).environment == {"DEPTH": "2", "A": "b"}


def test_each_version_has_its_own_metric_names() -> None:
    made = recipe(
        metrics={
            "by_version": [
                {"versions": ">=2", "names": {"requests_total": "new"}},
                {"versions": "<2", "names": {"requests_total": "old"}},
            ]
        }
    )

    assert made.metric_names("2.0.1") == {"requests_total": "new"}
    assert made.metric_names("1.9") == {"requests_total": "old"}
    assert made.metric_names(None) == {"requests_total": "new"}


@pytest.mark.parametrize("version", ["1.0", "b4567"])
def test_a_version_without_metric_names_is_an_error_and_not_an_empty_result(version: str) -> None:
    made = recipe(metrics={"by_version": [{"versions": ">=2", "names": {"requests_total": "n"}}]})

    with pytest.raises(InputError, match=f"no metric names for version {version} .*>=2"):
        made.metric_names(version)


def test_a_service_without_metrics_has_no_names() -> None:
    assert recipe().metric_names("1.0") == {}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"distribution": "no-such-distribution"}, None),
        ({"command": ["{python}", "-c", "print('tool v3.14.15 (linux)')"]}, "3.14.15"),
        ({"command": ["{python}", "-c", "print('none')"]}, None),
        ({"command": ["/no/such/program"]}, None),
    ],
)
def test_the_version_is_what_is_installed_or_unknown(
    source: dict[str, Any], expected: str | None
) -> None:
    assert recipe(version=source).installed_version() == expected


def test_what_is_not_installed_is_named_with_the_way_to_get_it() -> None:
    needs = {"modules": ["json", "no_such"], "programs": ["no-such"], "install": "apt install it"}

    with pytest.raises(ToolMissingError) as caught:
        recipe(needs=needs).check_needs()

    assert str(caught.value) == (
        "Recipe own needs what is not installed: Python module no_such, program no-such. "
        "apt install it, then start again."
    )
    recipe(needs={"modules": ["json"], "programs": ["sh"]}).check_needs()


def test_what_defines_a_measurement_does_not_change_with_words_or_metric_names() -> None:
    depth = {"type": "integer", "default": 1, "description": "Depth."}
    plain = recipe(parameters={"depth": depth})
    reworded = recipe(
        description="Other words",
        parameters={"depth": depth | {"description": "How deep."}},
        probe={"path": "/ready", "timeout_seconds": 9},
        metrics={"by_version": [{"names": {"requests_total": "x"}}]},
    )
    other = recipe(parameters={"depth": depth | {"default": 2}})

    assert plain.defining() == reworded.defining()
    assert plain.defining() != other.defining()


EXTERNAL: dict[str, Any] = {
    "name": "theirs",
    "description": "A service that is there already",
    "url": "{endpoint}",
    "parameters": {
        "endpoint": {"type": "string", "required": True, "description": "Where it is."},
        "k": {"type": "integer", "default": 10, "description": "How many."},
        "extra": {"type": "string", "description": "Something else."},
    },
    "probe": {"timeout_seconds": 5},
    "workload": {
        "kind": "pgvector",
        "parameters": {"k": "{k}", "file": "{prepared}/x", "extra": "{extra}", "fixed": 3},
    },
}


def test_a_recipe_without_command_is_of_a_service_that_is_there() -> None:
    theirs = validated(Recipe, EXTERNAL, "theirs.yaml")

    assert theirs.external
    assert not recipe().external
    assert theirs.address({"endpoint": "postgresql://db:5432/x"}) == "postgresql://db:5432/x"
    assert theirs.installed_version() is None


def test_a_parameter_reaches_the_workload_as_it_is_and_one_that_is_not_set_does_not() -> None:
    theirs = validated(Recipe, EXTERNAL, "theirs.yaml")
    settled = theirs.settled({"endpoint": "x"}, 1)

    told = theirs.workload_parameters([], settled, {"prepared": "/cell"})
    assert told == {"k": 10, "file": "/cell/x", "fixed": 3}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"url": "http://{host}:{port}"}, "command: is missing"),
        ({"url": "http://{host}:80"}, "nothing is called 'host'"),
        ({"models": {"minimum": 1, "maximum": 1}}, "command: is missing"),
        ({"url": "{extra}"}, "may have no value"),
        ({"workload": {"kind": "x", "parameters": {"a": "{nothing}"}}}, "called 'nothing'"),
        ({"probe": {"timeout_seconds": 1, "answers": [200]}}, "answers goes with a path"),
        ({"prepare": {"module": "a b", "timeout_seconds": 1}}, "prepare.module"),
        ({"needs": {"tools": ["mysql"]}}, "needs.tools"),
    ],
)
def test_a_recipe_of_a_service_that_is_there_is_checked_too(
    changes: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InputError) as caught:
        validated(Recipe, {**EXTERNAL, **changes}, "theirs.yaml")
    assert expected in str(caught.value)


def test_a_recipe_that_starts_something_says_where_its_version_is() -> None:
    with pytest.raises(InputError, match="version: is missing"):
        recipe(version=None)


def test_cells_of_recipes_without_the_new_keys_keep_their_definition() -> None:
    defined = recipe().defining()

    assert not {"url", "prepare", "container"} & set(defined)
    assert "prepare" in recipe(prepare={"module": "own", "timeout_seconds": 1}).defining()


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    theirs = validated(Recipe, EXTERNAL, "theirs.yaml")

    with pytest.raises(InputError, match="the address holds a password") as caught:
        theirs.check_parameters({"endpoint": "postgresql://me:hidden@db/x"}, "own.yaml")
    assert "hidden" not in str(caught.value)
    theirs.check_parameters({"endpoint": "postgresql://me@db/x"}, "own.yaml")
