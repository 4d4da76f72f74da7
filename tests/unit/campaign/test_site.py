"""The site file: where it is, what it may say, and what comes before what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from escalade.campaign.configuration import canonical, resolve_campaign
from escalade.campaign.site import load_site, merge_slurm, read_site, shipped_sites, site_file
from escalade.errors import InputError

if TYPE_CHECKING:
    from escalade.campaign.models import Campaign

BASE: dict[str, Any] = {
    "campaign": "small",
    "deployments": [{"name": "a", "recipe": "truth_server"}],
    "load": {"ladder": [{"target_qps": 2, "window_seconds": 10}]},
}
OWN: dict[str, Any] = {
    "site": "here",
    "account": "p1",
    "qos": "normal",
    "slurm": {"service": {"partition": "gpu", "gpus": 4}, "client": {"partition": "cpu"}},
    "storage": ["/project"],
    "apptainer_module": "Apptainer/1.3",
    "setup": ["module load Python"],
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty folder of user-level configuration."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("ESCALADE_SITE", raising=False)
    return tmp_path


def write_site(home: Path, **changes: Any) -> Path:
    path = home / "escalade" / "site.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({**OWN, **changes}), encoding="utf-8")
    return path


def resolved(launcher: str = "slurm", **slurm: Any) -> Campaign:
    execution = {"launcher": launcher, "slurm": slurm}
    return resolve_campaign({**BASE, "execution": execution}, "my.yaml")


def test_the_file_is_where_the_xdg_specification_says(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert site_file() == home / "escalade" / "site.yaml"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert site_file() == Path.home() / ".config" / "escalade" / "site.yaml"
    monkeypatch.setenv("ESCALADE_SITE", "/other/site.yaml")
    assert site_file() == Path("/other/site.yaml")


def test_the_site_fills_what_the_campaign_leaves_out(home: Path) -> None:
    write_site(home)

    slurm = resolved().execution.slurm

    assert (slurm.service.partition, slurm.service.gpus) == ("gpu", 4)
    assert (slurm.client.partition, slurm.client.gpus) == ("cpu", 0)
    assert {slurm.client.account, slurm.service.account, slurm.all.account} == {"p1"}
    assert slurm.setup == ("module load Python", "module load Apptainer/1.3")
    assert slurm.binds == ("/project",)
    assert slurm.lease_seconds == 300  # neither says so: built in


def test_the_campaign_comes_before_the_site_key_by_key(home: Path) -> None:
    write_site(home)

    slurm = resolved(service={"gpus": 1, "qos": "short"}, setup=["true"]).execution.slurm

    assert (slurm.service.partition, slurm.service.gpus, slurm.service.qos) == ("gpu", 1, "short")
    assert slurm.client.qos == "normal"
    assert slurm.setup == ("true",)


def test_the_site_does_not_touch_a_campaign_on_one_machine(home: Path) -> None:
    write_site(home, slurm={"service": {"partition": 7}})  # not even read

    assert resolved("local").execution.slurm.service.partition is None


def test_the_resolved_campaign_gives_itself_when_resolved_again(home: Path) -> None:
    write_site(home)
    once = resolved(client={"cpus": 4})

    again = resolve_campaign(once.model_dump(mode="json"), "campaign.resolved.yaml")

    assert canonical(again) == canonical(once)


def test_the_shared_component_is_the_service_s_with_the_cpus_and_memory_of_both() -> None:
    site = {"client": {"cpus": 8, "memory_mb": 1000}, "service": {"partition": "gpu", "gpus": 4}}

    merged = merge_slurm(site, {"service": {"cpus": 24, "memory_mb": 0, "partition": "a100"}})

    assert merged["all"] == {"partition": "a100", "gpus": 4, "cpus": 32, "memory_mb": 0}


def test_the_shared_component_has_no_cpus_when_one_side_leaves_them_open() -> None:
    assert merge_slurm({}, {"service": {"cpus": 24}})["all"]["cpus"] is None


def test_what_the_shared_component_says_itself_counts() -> None:
    own = {"all": {"cpus": 5, "partition": "x"}, "service": {"cpus": 2}, "client": {"cpus": 2}}

    assert merge_slurm({}, own)["all"] == {"cpus": 5, "partition": "x", "memory_mb": None}


def test_without_a_file_nothing_is_assumed() -> None:
    site = load_site()

    assert site.site == "generic"
    assert site.limits.partitions == {}
    assert resolved().execution.slurm.service.account is None


def test_a_named_site_without_a_file_is_the_shipped_one() -> None:
    site = load_site("meluxina")

    assert site.limits.partitions["gpu"].gpus == 4
    assert site.account is None


def test_a_file_about_another_site_does_not_count_for_the_one_that_is_named(home: Path) -> None:
    write_site(home)

    assert load_site("meluxina").site == "meluxina"
    assert load_site("here").site == "here"
    assert load_site().site == "here"


def test_an_unknown_site_is_answered_with_those_that_are_there(home: Path) -> None:
    write_site(home)

    with pytest.raises(InputError, match=r"'meluxena'.*about 'here'.*Did you mean 'meluxina'"):
        load_site("meluxena")


def test_the_variable_names_a_file_that_counts_whatever_site_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("site: mine\n")
    monkeypatch.setenv("ESCALADE_SITE", str(path))

    assert load_site("meluxina").site == "mine"


def test_the_variable_must_name_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESCALADE_SITE", "/nowhere/site.yaml")

    with pytest.raises(InputError, match=r"/nowhere/site\.yaml does not exist"):
        resolved()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected a mapping"),
        ("- 1\n", "expected a mapping"),
        ("\x00\x01", "no valid YAML"),
        ("site: here\nslurm: {service: {partition: gp", "no valid YAML"),
        ("account: p1\n", "site: is missing"),
        ("site: here\nacount: p1\n", "Did you mean 'account'"),
        ("site: here\naccount: 200000\n", "account: 200000 is not accepted"),
        ("site: here\nslurm: {service: {gpu: 1}}\n", "slurm.service.gpu: unknown key"),
        ("site: here\nlimits: {qos: {short: {max_hours: -1}}}\n", "limits.qos.short.max_hours"),
    ],
)
def test_a_site_file_that_can_not_be_used_is_one_message(
    home: Path, text: str, expected: str
) -> None:
    path = write_site(home)
    path.write_text(text)

    with pytest.raises(InputError) as refused:
        resolved()

    assert str(path) in str(refused.value)
    assert expected in str(refused.value)


@pytest.mark.parametrize("slurm", [None, 3, [], {"service": None}, {"client": "cpu"}])
def test_what_is_no_mapping_in_the_campaign_is_named_there(home: Path, slurm: Any) -> None:
    write_site(home)
    content = {**BASE, "execution": {"launcher": "slurm", "slurm": slurm}}

    with pytest.raises(InputError, match=r"my\.yaml(.|\n)*execution\.slurm"):
        resolve_campaign(content, "my.yaml")


def test_every_shipped_site_can_be_read_and_names_no_account() -> None:
    sites = {name: read_site(path) for name, path in shipped_sites().items()}

    assert set(sites) == {"generic", "meluxina"}
    assert {site.account for site in sites.values()} == {None}
