"""What a user says of the hardware: keys, the site's part, recipes; and no cell is another by it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from escalade.campaign.bounds import Bounds
from escalade.campaign.bounds_file import read_bound_inputs
from escalade.campaign.configuration import resolve_campaign
from escalade.campaign.plan import plan_campaign
from escalade.errors import InputError
from escalade.services.recipes import Recipe, load_recipe
from escalade.services.validation import validated

if TYPE_CHECKING:
    from escalade.campaign.models import Campaign

RECIPES = Path(__file__).parents[3] / "config" / "recipes"
CONTENT: dict[str, Any] = {
    "campaign": "small",
    "deployments": [{"name": "a", "recipe": "truth_server"}],
    "load": {"ladder": [{"target_qps": 2, "window_seconds": 5}]},
}


def campaign(**changes: Any) -> Campaign:
    return resolve_campaign({**CONTENT, **changes}, "my.yaml")


def test_what_is_usual_is_not_written() -> None:
    assert "bounds" not in campaign().model_dump(mode="json")
    assert campaign(bounds={"measure": False}).model_dump()["bounds"]["measure"] is False


def test_nothing_of_it_makes_another_cell() -> None:
    recipes = {"truth_server": load_recipe("truth_server", RECIPES)}
    other = campaign(bounds={"measure": False, "flops_per_second": 1e12})
    silent = {"truth_server": recipes["truth_server"].model_copy(update={"bounds": None})}

    hashes = {
        plan_campaign(each, known).cells[0].definition_hash
        for each in (campaign(), other)
        for known in (recipes, silent)
    }
    assert len(hashes) == 1


def test_figures_that_are_given_are_told_by_name() -> None:
    bounds = campaign(bounds={"link_bytes_per_second": 1.25e9}).bounds

    assert bounds.given == {"link_bytes_per_second": 1.25e9}
    assert Bounds().given == {}


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"flops_per_second": 0}, "flops_per_second"),
        ({"disk_bytes_per_second": -1}, "disk_bytes_per_second"),
        ({"memory_bandwidth_bytes_per_second": float("inf")}, "finite"),
        ({"bandwidth": 1}, "bandwidth"),
        (5, "bounds"),
    ],
)
def test_what_can_not_be_is_refused_in_words(bounds: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        campaign(bounds=bounds)


def test_the_site_gives_what_the_campaign_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = {
        "site": "here",
        "bounds": {"link_bytes_per_second": 12.5e9, "flops_per_second": 1e12},
    }
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(site))
    monkeypatch.setenv("ESCALADE_SITE", str(tmp_path / "site.yaml"))
    slurm = {"execution": {"launcher": "slurm"}}

    bounds = campaign(**slurm, bounds={"flops_per_second": 2e12}).bounds

    assert bounds.given == {"link_bytes_per_second": 12.5e9, "flops_per_second": 2e12}
    assert campaign().bounds == Bounds()  # on one machine no site plays a part


def own(**bounds: Any) -> Recipe:
    return validated(
        Recipe,
        {
            "name": "own",
            "description": "A service of one's own",
            "version": {"distribution": "escalade"},
            "command": ["{python}"],
            "probe": {"path": "/health", "timeout_seconds": 5},
            "workload": {"kind": "plain_http"},
            "parameters": {
                "copies": {"type": "integer", "default": 3, "description": "Copies."},
                "batch": {"type": "integer", "description": "Largest batch."},
                "index": {"type": "string", "default": "none", "description": "Kind of index."},
            },
            "bounds": bounds,
        },
        "own.yaml",
    )


def test_quantities_of_a_recipe_are_numbers_or_its_parameters() -> None:
    recipe = own(tokens={"model_bytes": 14e9, "sequences": "{batch}"}, replicas="{copies}")
    assert recipe.bounds is not None

    unset = recipe.bounds.settled(recipe.settled({}, 2))
    assert unset == {"tokens": {"device": "cpu", "model_bytes": 14e9}, "replicas": 3}
    batched = recipe.bounds.settled(recipe.settled({"batch": 64}, 2))
    assert batched["tokens"]["sequences"] == 64


@pytest.mark.parametrize(("index", "exact"), [("none", True), ("hnsw", False)])
def test_a_scan_is_exact_with_the_values_that_the_recipe_names(index: str, *, exact: bool) -> None:
    recipe = own(scan={"vectors": 1000, "dimensions": 8, "when": {"index": "none"}})
    assert recipe.bounds is not None

    found = recipe.bounds.settled(recipe.settled({"index": index}, 2))
    assert found["scan"] == {"exact": exact, "vectors": 1000, "dimensions": 8}


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"tokens": {"sequences": "{slots}"}}, "nothing is called 'slots'"),
        ({"tokens": {"sequences": "about {batch}"}}, "one parameter in braces"),
        ({"scan": {"vectors": 5, "dimensions": 0}}, "dimensions"),
        (
            {"scan": {"vectors": 5, "dimensions": 1, "when": {"kind": 1}}},
            "nothing is called 'kind'",
        ),
        ({"token": {}}, "token"),
    ],
)
def test_what_a_recipe_can_not_mean_is_refused(bounds: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        own(**bounds)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_says_what_bounds_its_service(path: Path) -> None:
    assert load_recipe(path.stem, RECIPES).bounds is not None


def test_a_cell_without_inputs_has_none(tmp_path: Path) -> None:
    assert read_bound_inputs(tmp_path / "bounds.json") == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "bounds.json"),
        ("{", "bounds.json"),
        ("[]", "expected schema 1"),
        ('{"schema": 2}', "expected schema 1"),
        ('{"schema": 1, "cpu": 5}', "is not what this Escalade wrote"),
        ('{"schema": 1, "recipe": ["tokens"]}', "is not what this Escalade wrote"),
    ],
)
def test_inputs_that_were_not_written_here_are_one_message(
    tmp_path: Path, content: str, said: str
) -> None:
    path = tmp_path / "bounds.json"
    path.write_text(content)

    with pytest.raises(InputError, match=said):
        read_bound_inputs(path)
