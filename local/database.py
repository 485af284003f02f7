"""A private MariaDB: MySQL's dialect without a server of the machine's."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pymysql

from local.errors import CannotRun
from local.loopback import ADDRESS
from local.packages import Program
from local.state import State, write_private
from local.supervisor import Service

SCHEMA = "anb"
COLLATION = "utf8mb4_unicode_520_ci"  # the newest that MySQL and MariaDB share

# MySQL 8.4's default, so that what it would refuse is refused here too
SQL_MODE = (
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)

# The scripts that mariadb-install-db runs, less the help texts; it is not used itself because it cannot cope
# with spaces in paths and wants programs from further packages. Names begin differently across versions.
SYSTEM_TABLES = (
    "m*_system_tables.sql",
    "m*_performance_tables.sql",
    "m*_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
)


@dataclass(frozen=True, kw_only=True)
class Database:
    """Where the database is, and its accounts."""

    port: int
    password: str
    admin_password: str

    @property
    def url(self) -> str:
        """For the application: its own schema and nothing else."""
        return f"mysql+pymysql://anb:{self.password}@{ADDRESS}:{self.port}/{SCHEMA}?charset=utf8mb4"

    @property
    def admin_url(self) -> str:
        """For tests: may do anything; names no schema."""
        return f"mysql+pymysql://admin:{self.admin_password}@{ADDRESS}:{self.port}/?charset=utf8mb4"

    def connect(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """A connection that may do anything."""
        return pymysql.connect(
            host=ADDRESS,
            port=self.port,
            user="admin",
            password=self.admin_password,
            autocommit=True,
            connect_timeout=2,
        )

    def is_ready(self) -> bool:
        """Whether it takes connections; raises what the driver raises when not."""
        self.connect().close()
        return True


def prepare(state: State, *, mariadbd: Program) -> tuple[Database, Service]:
    """The database of a state folder, created when there is none yet, and the service that runs it."""
    database = Database(
        port=state.port("database"),
        password=state.secret("database"),
        admin_password=state.secret("database-admin"),
    )
    folder = state.folder("database")
    data = _data(folder, mariadbd=mariadbd)
    service = Service(
        name="database",
        command=[
            *_command(mariadbd, folder=data),
            f"--bind-address={ADDRESS}",
            f"--port={database.port}",
            "--socket=",  # TCP only: the path of a socket could be too long
            f"--pid-file={folder / 'pid'}",
            f"--init-file={_accounts(folder, database)}",
            f"--tmpdir={state.folder('temp')}",
            "--character-set-server=utf8mb4",
            f"--collation-server={COLLATION}",
            f"--sql-mode={SQL_MODE}",
            "--transaction-isolation=READ-COMMITTED",
            "--default-time-zone=+00:00",
            "--innodb-flush-log-at-trx-commit=1",
            "--innodb-buffer-pool-size=64M",
            "--max-connections=150",
            "--performance-schema=OFF",
            "--key-buffer-size=1M",
            "--aria-pagecache-buffer-size=8M",
            "--table-open-cache=400",
            "--log-warnings=1",
            "--silent-startup",
        ],
        environment={**state.environment(), **mariadbd.environment},
        is_ready=database.is_ready,
        stop_within_seconds=20,
    )
    return database, service


def _command(mariadbd: Program, *, folder: Path) -> list[str]:
    return [
        str(mariadbd.path),
        "--no-defaults",
        *(["--user=root"] if os.geteuid() == 0 else []),  # it refuses to run as root unasked
        f"--basedir={mariadbd.prefix}",
        f"--lc-messages-dir={_scripts(mariadbd)}",
        f"--datadir={folder}",
        "--skip-name-resolve",
        "--innodb-log-file-size=16M",
        "--innodb-use-native-aio=OFF",  # containers often forbid it
    ]


def _scripts(mariadbd: Program) -> Path:
    """The folder with the messages and the scripts that make the system tables."""
    for name in ("mysql", "mariadb"):
        folder = mariadbd.prefix / "share" / name
        if (folder / "english" / "errmsg.sys").exists():
            return folder
    raise CannotRun(f"{mariadbd.path} lies without its messages; install MariaDB's server package again")


def _data(folder: Path, *, mariadbd: Program) -> Path:
    """The data folder, with the system tables in it."""
    data = folder / "data"
    if not data.exists():
        draft = folder / "data.new"
        try:
            _make_system_tables(draft, mariadbd=mariadbd)
        except CannotRun:
            # Where several servers began at once, one was seen to miss a table that it had just made
            _make_system_tables(draft, mariadbd=mariadbd)
        draft.rename(data)
    return data


def _make_system_tables(folder: Path, *, mariadbd: Program) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted run left
    folder.mkdir(mode=0o700)
    scripts = [script for name in SYSTEM_TABLES for script in sorted(_scripts(mariadbd).glob(name))]
    done = subprocess.run(
        [*_command(mariadbd, folder=folder), "--bootstrap", "--enforce-storage-engine=", "--log-warnings=0"],
        input=b"create database mysql;\nuse mysql;\nset @auth_root_socket='root';\n"
        + b"".join(script.read_bytes() for script in scripts)
        + b"\ndelete from proxies_priv;\n",  # names this machine, which it would warn about
        env={**os.environ, "TMPDIR": str(folder.parent), **mariadbd.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0:
        errors = [line for line in done.stdout.decode(errors="replace").splitlines() if "ERROR" in line]
        raise CannotRun(f"MariaDB could not make its system tables: {' '.join(errors) or done.returncode}")


def _accounts(folder: Path, database: Database) -> Path:
    """What the server runs at each start, before it listens; one statement per line."""
    file = folder / "accounts.sql"
    lines = [f"CREATE DATABASE IF NOT EXISTS {SCHEMA};"]
    for user, password, scope in (
        ("anb", database.password, f"{SCHEMA}.*"),
        ("admin", database.admin_password, "*.*"),
    ):
        account = f"'{user}'@'{ADDRESS}'"
        lines += [
            f"CREATE USER IF NOT EXISTS {account};",
            f"ALTER USER {account} IDENTIFIED BY '{password}';",
            f"GRANT ALL ON {scope} TO {account};",
        ]
    lines.append(f"GRANT GRANT OPTION ON *.* TO 'admin'@'{ADDRESS}';")
    write_private(file, "\n".join(lines) + "\n")
    return file
