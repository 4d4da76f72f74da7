"""The throw-away cluster is one: what tests of the Slurm launcher rely on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from slurm import accounting, warden
from slurm.cluster import LOGIN, Cluster, Mode, Site, missing
from slurm.network import namespaces_allowed
from support import require_or_skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from slurm.fixtures import Clusters

TESTS = Path(__file__).parents[2]
CPUS = os.cpu_count() or 1
FREE = Site()
CONFINED = Site(nodes=2, cpus=CPUS, cpu_nodes=1, gpus=1, affinity=True, second_network=True)
WHOLE_NODES = Site(nodes=1, exclusive=True, preemption="CANCEL")
REQUEUING = Site(nodes=1, preemption="REQUEUE")
COUNT_CPUS = (sys.executable, "-c", "import os; print(len(os.sched_getaffinity(0)))")
FETCH = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode())"
CONNECT = "import os, sys, socket; print(os.strerror(socket.socket().connect_ex((sys.argv[1], 9))))"
NODE_AND_GPUS = ("sh", "-c", "echo $SLURMD_NODENAME ${CUDA_VISIBLE_DEVICES:-none}")
HETEROGENEOUS = """\
#!/bin/sh
#SBATCH --partition=cpu --cpus-per-task=2 --nodelist=node1
#SBATCH hetjob
#SBATCH --partition=gpu --gpus=2 --nodelist=node2
srun --het-group=0 sh -c 'echo client $SLURMD_NODENAME ${CUDA_VISIBLE_DEVICES:-none}'
srun --het-group=1 sh -c 'echo service $SLURMD_NODENAME ${CUDA_VISIBLE_DEVICES:-none}'
"""
OWN_CLUSTER = """\
import sys, time
from pathlib import Path
from slurm.cluster import Cluster
cluster = Cluster(Path(sys.argv[1]), mode=sys.argv[2])
cluster.up()
cluster.run("login", ["srun", "--nodes=3", "sh", "-c", "setsid sleep 300 >/dev/null 2>&1 &"])
print("up", flush=True)
time.sleep(300)
"""


@pytest.fixture
def hosts(cluster: Cluster) -> Cluster:
    """Give a cluster whose nodes are hosts of their own."""
    if cluster.mode != "hosts":
        require_or_skip("namespaces", "hosts of their own need root, unshare, nsenter and ip")
    return cluster


@pytest.fixture(params=["hosts", "ports"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Each mode that is possible here."""
    if reason := missing():
        require_or_skip("slurm", reason)
    if request.param == "hosts" and not namespaces_allowed():
        require_or_skip("namespaces", "hosts of their own need root, unshare, nsenter and ip")
    chosen: Mode = request.param
    return chosen


@pytest.fixture
def idle(cluster: Cluster) -> Iterator[Cluster]:
    """Give a cluster whose jobs are cancelled after the test."""
    yield cluster
    cluster.run(LOGIN, ["scancel", "--name=wrap"])
    cluster.await_nodes()


def submit(cluster: Cluster, *options: str) -> str:
    """Submit a job that sleeps; give its id."""
    command = ["sbatch", "--parsable", "--output=/dev/null", *options, "--wrap=sleep 300"]
    return cluster.run(LOGIN, command).stdout.strip()


def refusal(cluster: Cluster, *options: str) -> str:
    """Submit a job that has to be refused; give what sbatch says."""
    done = cluster.run(LOGIN, ["sbatch", *options, "--wrap=true"], check=False)
    assert done.returncode == 1
    return done.stderr


def shown(cluster: Cluster, job: str, field: str) -> str:
    """Give a field of a job as squeue prints it: %T, its state; %r, why it waits."""
    command = ["squeue", "--noheader", "--states=all", f"--jobs={job}", f"--format={field}"]
    return cluster.run(LOGIN, command, check=False).stdout.strip()


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    """Read the first line that a process writes."""
    assert process.stdout is not None
    return process.stdout.readline()


def until(condition: Callable[[], object], timeout: float = 60) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def await_state(cluster: Cluster, job: str, *states: str) -> None:
    """Wait until a job is in one of these states."""
    until(lambda: shown(cluster, job, "%T") in states)


def namespaces(folder: Path) -> set[str]:
    """Find the network namespaces of the cluster in a folder."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            if os.fsencode(folder) in command and any(b"init.py" in word for word in command):
                found.add(str((process / "ns/net").readlink()))
        except OSError:
            continue
    return found


def inhabitants(namespaces: set[str], folder: Path) -> list[str]:
    """Find the processes in these namespaces, or with the configuration in this folder."""
    found = [
        str(pid) for pid in warden.marked(b"SLURM_CONF=%b/etc/slurm.conf" % os.fsencode(folder))
    ]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str((process / "ns/net").readlink()) in namespaces:
                found.append(process.name)
        except OSError:
            continue
    return found


def test_a_step_runs_on_every_node(cluster: Cluster) -> None:
    done = cluster.run(LOGIN, ["srun", "--nodes=3", *NODE_AND_GPUS])

    assert sorted(done.stdout.splitlines()) == ["node1 none", "node2 none", "node3 none"]


def test_every_node_has_a_name_and_an_address_of_its_own(hosts: Cluster) -> None:
    done = hosts.run(LOGIN, ["srun", "--nodes=3", "sh", "-c", "echo $(hostname) $(hostname -I)"])

    own = [f"{node} {hosts.address(node)}" for node in hosts.nodes]
    assert sorted(line.strip() for line in done.stdout.splitlines()) == own
    assert len({hosts.address(host) for host in (LOGIN, *hosts.nodes)}) == 4


def test_http_crosses_from_host_to_host(hosts: Cluster) -> None:
    directory = str(hosts.folder / "etc")
    server = hosts.popen(
        "node1",
        [sys.executable, "-m", "http.server", "8000", "--directory", directory],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def fetched(client: str, server: str) -> str:
        command = [sys.executable, "-c", FETCH, f"http://{server}:8000/gres.conf"]
        return hosts.run(client, command, check=False).stdout

    until(lambda: fetched("node1", "localhost"))
    assert "Name=gpu" in fetched(LOGIN, "node1")
    assert "Name=gpu" in fetched("node2", hosts.address("node1"))
    assert fetched("node2", "localhost") == ""
    server.kill()
    server.wait()


def test_a_second_network_leads_nowhere(hosts: Cluster, clusters: Clusters) -> None:
    wired = clusters(CONFINED)
    addresses = wired.run("node1", ["hostname", "-I"]).stdout.split()
    other = next(address for address in addresses if address != wired.address("node1"))
    connect = (sys.executable, "-c", CONNECT)

    assert "refused" in wired.run("node1", [*connect, other]).stdout
    assert "unreachable" in wired.run(LOGIN, [*connect, other]).stdout
    assert "refused" in wired.run(LOGIN, [*connect, wired.address("node1")]).stdout


def test_a_process_and_a_local_file_are_seen_on_their_own_host_only(hosts: Cluster) -> None:
    sleeper = hosts.popen("node1", ["sh", "-c", "echo $$; exec sleep 300"], stdout=subprocess.PIPE)
    pid = first_line(sleeper).decode().strip()
    hosts.run("node1", ["touch", str(hosts.local / "mine")])

    assert hosts.run("node1", ["cat", f"/proc/{pid}/comm"]).stdout == "sleep\n"
    names = hosts.run("node2", ["sh", "-c", "cat /proc/[0-9]*/comm"], check=False).stdout.split()
    assert "slurmd" in names
    assert "sleep" not in names
    assert hosts.run("node2", ["ls", str(hosts.local)]).stdout == ""
    assert hosts.run("node1", ["ls", str(hosts.local)]).stdout == "mine\n"
    boots = {
        hosts.run(host, ["cat", "/proc/sys/kernel/random/boot_id"]).stdout for host in hosts.nodes
    }
    assert len(boots) == 3
    sleeper.kill()
    sleeper.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_command_on_a_host_gets_the_signals_and_its_end_is_seen(
    hosts: Cluster, number: signal.Signals
) -> None:
    command = hosts.popen("node1", ["sh", "-c", "echo up; exec sleep 300"], stdout=subprocess.PIPE)
    first_line(command)

    command.send_signal(number)

    assert command.wait() == -number
    assert first_line(command) == b""  # nobody has its output open any more


def test_a_command_that_is_not_there_fails_as_in_a_shell(hosts: Cluster) -> None:
    done = hosts.run("node1", ["no-such-program"], check=False)

    assert done.returncode == 127
    assert done.stderr == "no-such-program: No such file or directory\n"


def test_steps_see_the_gpus_that_they_ask_for(cluster: Cluster) -> None:
    done = cluster.run(
        LOGIN, ["srun", "--partition=gpu", "--nodelist=node2", "--gpus=2", *NODE_AND_GPUS]
    )

    assert done.stdout == "node2 0,1\n"


def test_a_heterogeneous_job_runs_both_components(idle: Cluster, tmp_path: Path) -> None:
    output = tmp_path / "output"

    idle.run(LOGIN, ["sbatch", f"--output={output}"], input=HETEROGENEOUS)

    until(lambda: output.exists() and output.read_text().count("\n") == 2)
    assert output.read_text() == "client node1 none\nservice node2 0,1\n"


def test_partitions_split_the_nodes_where_the_site_does(clusters: Clusters) -> None:
    split = clusters(CONFINED)

    done = split.run(LOGIN, ["sinfo", "--noheader", "--format=%R %N %G"])

    assert sorted(done.stdout.splitlines()) == ["cpu node1 (null)", "gpu node2 gpu:1"]


def test_whole_nodes_are_given_where_the_site_is_exclusive(clusters: Clusters) -> None:
    whole = clusters(WHOLE_NODES)

    done = whole.run(LOGIN, ["srun", "sh", "-c", "echo $SLURM_JOB_CPUS_PER_NODE"])

    assert done.stdout == "8\n"


@pytest.mark.parametrize(
    ("site", "asked", "expected"),
    [
        (FREE, ["--cpus-per-task=1"], CPUS),
        (CONFINED, [], 1),
        (CONFINED, ["--cpu-bind=none"], 1),
        (CONFINED, [f"--cpus-per-task={CPUS}"], CPUS),
    ],
)
def test_a_step_may_use_the_cpus_that_it_asks_for_where_the_site_confines_it(
    clusters: Clusters, site: Site, asked: list[str], expected: int
) -> None:
    done = clusters(site).run(LOGIN, ["srun", *asked, *COUNT_CPUS])

    assert int(done.stdout) == expected


@pytest.mark.parametrize(
    ("site", "outcome"),
    [
        (WHOLE_NODES, "PREEMPTED"),
        pytest.param(REQUEUING, "PENDING", marks=pytest.mark.slow),
    ],
)
def test_an_urgent_job_displaces_another(clusters: Clusters, site: Site, outcome: str) -> None:
    busy = clusters(site)
    displaced = submit(busy, "--requeue", "--exclusive")
    await_state(busy, displaced, "RUNNING")

    urgent = submit(busy, "--partition=urgent", "--exclusive")

    await_state(busy, urgent, "RUNNING")
    await_state(busy, displaced, outcome)


def test_a_node_that_goes_down_takes_its_job_along(idle: Cluster) -> None:
    job = submit(idle, "--no-requeue", "--nodelist=node3")
    await_state(idle, job, "RUNNING")

    idle.set_node_down("node3")

    await_state(idle, job, "NODE_FAIL")
    assert idle.run(LOGIN, ["sinfo", "-hn", "node3", "-pcpu", "-o%t"]).stdout == "down\n"
    idle.resume_node("node3")


def test_a_job_tells_when_it_ran_while_it_runs_and_after_it(idle: Cluster) -> None:
    """What a window of time is made of: by the clock of the machine that asks."""
    ask = "import sys; from escalade.runtime.slurm.commands import Slurm as S\n"
    ask += "t = S().times(sys.argv[1]); print(t.began, t.ended)"
    command = [sys.executable, "-c", ask]
    before = time.time()
    job = submit(idle, "--partition=cpu")
    until(lambda: shown(idle, job, "%T") == "RUNNING")
    began, ended = idle.run(LOGIN, [*command, job]).stdout.split()

    assert before - 2 < float(began) <= time.time()
    assert ended == "None"
    idle.run(LOGIN, ["scancel", job])
    until(lambda: shown(idle, job, "%T") == "CANCELLED")
    again, ended = idle.run(LOGIN, [*command, job]).stdout.split()
    assert again == began
    assert float(began) <= float(ended) <= time.time()


@pytest.mark.slow
def test_jobs_outlive_the_controller(idle: Cluster) -> None:
    job = submit(idle)
    await_state(idle, job, "RUNNING")

    idle.stop_controller()
    unreachable = idle.run(LOGIN, ["scontrol", "ping"], check=False)
    idle.start_controller()

    assert "DOWN" in unreachable.stdout
    await_state(idle, job, "RUNNING")


def test_a_step_outlives_the_daemon_of_its_node(idle: Cluster) -> None:
    job = submit(idle, "--nodelist=node2")
    await_state(idle, job, "RUNNING")

    idle.kill_node("node2")
    idle.start_node("node2")

    idle.run(LOGIN, ["scancel", job])
    await_state(idle, job, "CANCELLED")


@pytest.mark.slow
def test_accounts_and_qos_are_enforced(clusters: Clusters) -> None:
    strict = clusters(Site(nodes=1, accounting=True))

    assert "Invalid account" in refusal(strict, "--account=nobody-has-it")
    assert "Invalid account" in refusal(strict, f"--account={accounting.FOREIGN_ACCOUNT}")
    assert "Invalid qos" in refusal(strict, "--qos=nobody-has-it")
    assert "Invalid qos" in refusal(strict, f"--qos={accounting.FOREIGN_QOS}")
    assert "QOSMaxWallDuration" in refusal(strict, "--qos=short", "--time=7:00:00")
    running = submit(strict, "--qos=dev", f"--account={accounting.ACCOUNT}")
    await_state(strict, running, "RUNNING")
    waiting = submit(strict, "--qos=dev")
    until(lambda: shown(strict, waiting, "%r") == "QOSMaxJobsPerUserLimit")
    strict.run(LOGIN, ["scancel", running, waiting])
    ended = ["sacct", "-X", "--noheader", "--parsable2", f"--jobs={running}"]
    recorded = f"CANCELLED by {os.getuid()}|{accounting.ACCOUNT}\n"
    until(lambda: strict.run(LOGIN, [*ended, "--format=State,Account"]).stdout == recorded)


def test_down_leaves_nothing_behind(mode: Mode, short: Path) -> None:
    before = Path("/proc/net/dev").read_text().count("\n"), Path("/proc/mounts").read_text()
    with Cluster(short / "c", mode=mode) as cluster:
        cluster.run(LOGIN, ["srun", "--nodes=3", "sh", "-c", "setsid sleep 300 >/dev/null 2>&1 &"])
        inside = namespaces(cluster.folder)
        assert len(inhabitants(inside, cluster.folder)) > 5
        assert (len(inside) == 4) is (mode == "hosts")

    assert inhabitants(inside, cluster.folder) == []
    assert (
        Path("/proc/net/dev").read_text().count("\n"),
        Path("/proc/mounts").read_text(),
    ) == before


def test_nothing_is_left_of_a_cluster_whose_test_was_killed(mode: Mode, short: Path) -> None:
    folder = short / "c"
    test = subprocess.Popen(
        [sys.executable, "-c", OWN_CLUSTER, str(folder), mode],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
    )
    assert first_line(test) == b"up\n"
    inside = namespaces(folder)
    assert inhabitants(inside, folder)

    test.kill()

    test.wait()
    until(lambda: not inhabitants(inside, folder))
