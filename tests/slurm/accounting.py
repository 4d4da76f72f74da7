"""slurmdbd with a private MariaDB, and the accounts and QOS of a site like MeluXina."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slurm.cluster import Cluster

ACCOUNT = "p200000"
"""The account that the user of the tests belongs to."""
FOREIGN_ACCOUNT = "p200001"
"""An account that exists, for others."""
FOREIGN_QOS = "large"
"""A QOS that exists, for others."""
QOS = {
    "default": ("MaxWall=2-00:00:00",),
    "short": ("MaxWall=06:00:00", "Flags=DenyOnLimit"),  # refused when too long
    "dev": ("MaxWall=06:00:00", "MaxJobsPerUser=1", "MaxTRESPerUser=node=1"),  # else: waits
    "test": ("MaxWall=00:30:00", "MaxJobsPerUser=1", "MaxSubmitJobsPerUser=2"),
}
"""What the user may ask for, with the limits."""

_DATABASE = "slurm_acct_db"


def start(cluster: Cluster, user: str, host: str, port: int) -> None:
    """Start the database and slurmdbd, and tell it who may do what.

    Parameters
    ----------
    cluster
        With munged, without slurmctld yet.
    user
        Whom the daemons and the tests run as.
    host, port
        Where slurmdbd listens.
    """
    _start_database(cluster, user)
    configuration = cluster.folder / "etc" / "slurmdbd.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(slurmdbd_conf(cluster, user, host, port), encoding="ascii")
    socket = cluster.folder / "run" / "mysql.sock"
    cluster.start("slurmdbd", "-D", environment={"MYSQL_UNIX_PORT": str(socket)})
    cluster.await_success("sacctmgr", "list", "cluster")
    for command in associations(user):
        cluster.run("login", ["sacctmgr", "-i", *command])


def slurmdbd_conf(cluster: Cluster, user: str, host: str, port: int) -> str:
    """Render slurmdbd.conf."""
    folder = cluster.folder
    keys = {
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder}/run/munge.sock",
        "DbdHost": "localhost",
        "DbdAddr": host,
        "DbdPort": port,
        "SlurmUser": user,
        "LogFile": f"{folder}/log/slurmdbd.log",
        "PidFile": f"{folder}/run/slurmdbd.pid",
        "StorageType": "accounting_storage/mysql",
        "StorageHost": "localhost",
        "StorageUser": "slurm",
        "StoragePass": "slurm",
        "StorageLoc": _DATABASE,
    }
    return "".join(f"{key}={value}\n" for key, value in keys.items())


def associations(user: str) -> list[list[str]]:
    """Give the commands of sacctmgr that make accounts, QOS and the user known."""
    allowed = ",".join(QOS)
    return [
        ["add", "cluster", "throwaway"],
        *(["add", "qos", name, *limits] for name, limits in QOS.items()),
        ["add", "qos", FOREIGN_QOS],
        ["add", "account", f"{ACCOUNT},{FOREIGN_ACCOUNT}", "cluster=throwaway"],
        ["add", "user", user, f"account={ACCOUNT}", f"qos={allowed}", "defaultqos=default"],
        ["modify", "user", user, "set", f"defaultaccount={ACCOUNT}"],  # root has another one
    ]


def _start_database(cluster: Cluster, user: str) -> None:
    data, run = cluster.folder / "db", cluster.folder / "run"
    cluster.run(
        "login",
        [
            cluster.program("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={data}",
            f"--user={user}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ],
    )
    cluster.start(
        "mariadbd",
        "--no-defaults",
        f"--datadir={data}",
        f"--user={user}",
        f"--socket={run}/mysql.sock",
        f"--pid-file={run}/mysql.pid",
        "--skip-networking",
        "--innodb-flush-log-at-trx-commit=0",  # nothing of it outlives the test
        "--innodb-log-file-size=32M",
        "--innodb-lock-wait-timeout=900",  # slurmdbd asks for it
    )
    account = "'slurm'@'localhost'"
    sql = (
        f"create database {_DATABASE}; create user {account} identified by 'slurm'; "
        f"grant all on {_DATABASE}.* to {account}"
    )
    client = [
        cluster.program("mariadb"),
        "--no-defaults",
        f"--socket={run}/mysql.sock",
        "--user=root",
    ]
    cluster.await_success(*client, "--execute=select 1")
    cluster.run("login", [*client, f"--execute={sql}"])
