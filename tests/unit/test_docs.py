"""What is written down is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from escalade.campaign.configuration import read_configuration, resolve_campaign
from escalade.cli.campaigns import report_schema_text, schema_text
from escalade.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
CAMPAIGNS = [
    ROOT / "config" / "config.yaml",
    *sorted((ROOT / "config" / "examples").glob("*.yaml")),
]


def test_the_stored_schema_is_the_models_own() -> None:
    stored = (ROOT / "config" / "schema.json").read_text(encoding="utf-8")

    assert stored == schema_text(), "run: escalade schema > config/schema.json"


def test_the_stored_schema_of_reports_is_the_models_own() -> None:
    stored = (ROOT / "config" / "report.schema.json").read_text(encoding="utf-8")

    assert stored == report_schema_text(), (
        "run: escalade schema --report > config/report.schema.json"
    )


@pytest.mark.parametrize("path", CAMPAIGNS, ids=lambda path: path.name)
def test_every_shipped_campaign_can_be_used(path: Path) -> None:
    assert resolve_campaign(read_configuration(path), str(path)).campaign == path.stem.replace(
        "config", "demo"
    )


def test_every_judged_step_of_the_demo_plans_enough_for_its_interval() -> None:
    campaign = resolve_campaign(read_configuration(CAMPAIGNS[0]), "config/config.yaml")

    assert [slo.stat for slo in campaign.slos] == ["p90"]
    for step in campaign.load.ladder:
        assert round(step.target_qps * step.window_seconds) >= 36


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert len(COMMANDS) > 4
    for name in COMMANDS:
        assert f"escalade {name}" in readme


def test_the_example_in_the_readme_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", readme, flags=re.DOTALL)

    assert resolve_campaign(yaml.safe_load(block), "README.md").repetitions == 3


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_links_inside_the_docs_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_fault_in_the_reliability_page_has_its_test() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))

    named = re.findall(r"`(test_[a-z_]+?)_?…?`", page)
    assert len(named) > 8
    for name in named:
        assert f"def {name}" in tests, name
