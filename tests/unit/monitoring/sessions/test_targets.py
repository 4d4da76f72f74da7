"""What may be registered, and what becomes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.errors import InputError
from escalade.monitoring.renderer import render
from escalade.monitoring.sessions import pages, targets
from escalade.monitoring.sessions.record import Client, Page, Record


def a_record(*registered: Page) -> Record:
    return Record(
        id="s",
        created_at=0.0,
        prom_host="localhost",
        port=0,
        scrape_interval_seconds=1.0,
        clients=(Client(id="c1", node="nodeA"), Client(id="c2", node="nodeA")),
        pages=registered,
    )


def a_page(name: str = "triton", host: str = "nodeA", **changes: object) -> Page:
    values: dict[str, object] = {
        "kind": "service",
        "name": name,
        "client_id": "c1",
        "given": f"http://{host}:8000/metrics",
        "hosts": (host,),
        "port": 8000,
    }
    return Page(**{**values, **changes})


@pytest.mark.parametrize(
    ("text", "host", "port", "path", "job"),
    [
        ("http://nodeA:8000/metrics", "nodeA", 8000, "/metrics", None),
        ("nodeA:8000", "nodeA", 8000, "/metrics", None),
        ("http://nodeA:8000/", "nodeA", 8000, "/metrics", None),
        ("http://10.0.0.7:8000/a/b", "10.0.0.7", 8000, "/a/b", None),
        ("http://nodeA/metrics", "nodeA", 9100, "/metrics", None),
        ("nodeA", "nodeA", 9100, "/metrics", None),
        ("http://[::1]:8000/metrics", "[::1]", 8000, "/metrics", None),
        ("http://[2001:DB8:0::7]:8000/metrics", "[2001:db8::7]", 8000, "/metrics", None),
        ("job:1234:8000", "", 8000, "/metrics", "1234"),
        ("http://job:1234:8000/m", "", 8000, "/m", "1234"),
        ("1234:8000", "", 8000, "/metrics", "1234"),
        ("http://1234:8000/metrics", "", 8000, "/metrics", "1234"),
        ("HTTP://NODEA:8000/metrics", "nodea", 8000, "/metrics", None),
    ],
)
def test_an_endpoint_is_read(text: str, host: str, port: int, path: str, job: str | None) -> None:
    read = targets.read_endpoint(text, "--endpoint", 9100)

    assert (read.host.lower(), read.port, read.path, read.job) == (host.lower(), port, path, job)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no host name"),
        ("http://", "no host name"),
        ("https://nodeA:8000/metrics", "scheme 'https'"),
        ("ftp://nodeA:8000/metrics", "scheme 'ftp'"),
        ("http://user:secret@nodeA:8000/metrics", "user and password"),
        ("http://nodeA:8000/metrics?name=a", "query"),
        ("http://nodeA:8000/metrics#top", "fragment"),
        ("http://nodeA:0/metrics", "port"),
        ("http://nodeA:65536/metrics", "port"),
        ("http://nodeA:eight/metrics", "port"),
        ("http://node A:8000/metrics", "blanks"),
        ("http://nodeA:8000/met\nrics", "blanks, control"),
        ("http://nodeÄ:8000/metrics", "beyond ASCII"),
        ("http://nodeA:8000/../etc", "path"),
        ("http://nodeA:8000/{x}", "path"),
        ("http://999.1.1.1:8000/metrics", "no IPv4 address"),
        ("http://[::g]:8000/metrics", ""),
        ("http://0.0.0.0:8000/metrics", "all addresses"),
        ("http://-a:8000/metrics", "no host name"),
    ],
)
def test_what_is_no_endpoint_is_refused_with_what_was_expected(text: str, why: str) -> None:
    with pytest.raises(InputError, match=r"(?s)--endpoint .*Expected http://HOST:PORT") as refused:
        targets.read_endpoint(text, "--endpoint")
    assert why in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_port_has_to_be_said_where_none_is_usual() -> None:
    with pytest.raises(InputError, match="it has no port"):
        targets.read_endpoint("http://nodeA/metrics", "--endpoint")


@given(st.text(max_size=40))
def test_any_text_is_an_endpoint_or_an_input_error(text: str) -> None:
    try:
        read = targets.read_endpoint(text, "--endpoint", 80)
    except InputError:
        return
    page = a_page(host=read.host or "nodeA", port=read.port, path=read.path)
    registry = targets.registry_of(a_record(page), {}, {})
    assert len(registry.targets) == 1


@given(st.text(min_size=1, max_size=40))
def test_any_name_that_is_taken_arrives_in_the_configuration_or_is_refused(name: str) -> None:
    try:
        targets.checked_service(name)
    except InputError:
        return
    registry = targets.registry_of(a_record(a_page(name)), {}, {})

    assert [target.labels["service"] for target in registry.targets] == [name]
    assert render(registry).startswith("global:")


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "\x1b[31m", "x" * 129, "node", "gpu"])
def test_names_that_break_a_terminal_or_mean_an_exporter_are_refused(name: str) -> None:
    with pytest.raises(InputError):
        targets.checked_service(name)


def test_a_page_of_an_exporter_that_two_clients_share_is_one_target() -> None:
    shared = {"kind": "node", "hosts": ("nodeA",), "port": 9100, "node": "nodeA"}
    record = a_record(a_page("nodeA", **shared), a_page("nodeA", **{**shared, "client_id": "c2"}))

    [target] = targets.registry_of(record, {}, {}).targets

    assert (target.job, target.address, target.labels["client_id"]) == ("node", "nodeA:9100", "c1")


def test_a_page_that_is_two_services_is_refused() -> None:
    with pytest.raises(InputError, match="would count twice"):
        targets.registry_of(a_record(a_page("one"), a_page("two")), {}, {})


def test_the_same_again_changes_nothing_and_something_else_under_its_name_is_refused() -> None:
    record = a_record(a_page())

    assert pages.added(record, [a_page()], None) == record
    with pytest.raises(InputError, match="is registered as http://nodeA:8000/metrics already"):
        pages.added(record, [a_page(host="nodeB")], None)


def test_a_client_that_is_not_connected_has_no_services() -> None:
    with pytest.raises(InputError, match=r"'c9' is not connected.*connected: c1, c2"):
        pages.added(a_record(), [a_page(client_id="c9")], None)


def test_a_client_does_not_move_to_another_node() -> None:
    with pytest.raises(InputError, match="connected from node 'nodeA', not 'nodeB'"):
        pages.added(a_record(), [], Client(id="c1", node="nodeB"))


def test_a_client_goes_with_its_pages() -> None:
    gone, after = pages.without(a_record(a_page(), a_page("x", client_id="c2")), None, "c1")

    assert [page.name for page in gone] == ["triton"]
    assert [page.name for page in after.pages] == ["x"]
    assert [client.id for client in after.clients] == ["c2"]
