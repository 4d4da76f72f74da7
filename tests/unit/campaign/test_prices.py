"""Prices of a site or a campaign: keys, whose table counts, and no cell is another by them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from escalade.analysis.verdicts.prices import Prices
from escalade.campaign.configuration import resolve_campaign
from escalade.campaign.plan import plan_campaign
from escalade.errors import InputError
from escalade.services.recipes import load_recipe

if TYPE_CHECKING:
    from escalade.campaign.models import Campaign

RECIPES = Path(__file__).parents[3] / "config" / "recipes"
CONTENT: dict[str, Any] = {
    "campaign": "small",
    "deployments": [{"name": "a", "recipe": "truth_server"}],
    "load": {"ladder": [{"target_qps": 2, "window_seconds": 5}]},
}
TABLE = {"currency": "CHF", "node_hour": {"gpu": 5.0}}


def campaign(**changes: Any) -> Campaign:
    return resolve_campaign({**CONTENT, **changes}, "my.yaml")


@pytest.fixture
def priced_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump({"site": "mine", "prices": TABLE}), encoding="utf-8")
    monkeypatch.setenv("ESCALADE_SITE", str(path))


def test_without_prices_nothing_is_written_and_no_currency_is_made_up() -> None:
    assert "prices" not in campaign().model_dump(mode="json")
    assert campaign().prices.judged == Prices()
    assert campaign(prices={"currency": "CHF"}).prices.judged.currency == ""


def test_prices_make_no_other_cell() -> None:
    recipes = {"truth_server": load_recipe("truth_server", RECIPES)}

    hashes = {
        plan_campaign(each, recipes).cells[0].definition_hash
        for each in (campaign(), campaign(prices=TABLE))
    }
    assert len(hashes) == 1


@pytest.mark.usefixtures("priced_site")
def test_the_sites_table_counts_where_the_campaign_has_none_of_its_own() -> None:
    slurm = {"execution": {"launcher": "slurm"}}

    assert campaign(**slurm).prices.judged == Prices("CHF", {"gpu": 5.0}, {})
    own = campaign(**slurm, prices={"node_hour": {"cpu": 1.0}}).prices.judged
    assert own == Prices("EUR", {"cpu": 1.0}, {})


@pytest.mark.parametrize(
    "prices",
    [{"currency": "euro"}, {"node_hour": {"gpu": 0}}, {"node_hour": {"gpu": "dear"}}, {"hour": 1}],
)
def test_prices_that_can_not_be_are_refused_by_their_key(prices: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="prices"):
        campaign(prices=prices)
