"""A private PostgreSQL and Redis of one run, with what faults do to them. Nothing of them outlives the suite."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import redis

from disk import Disk
from processes import Process, eventually, free_port

START_LIMIT = 60


def unprivileged(command: list) -> list:
    """PostgreSQL refuses to run as root; as root both stores run as the user `postgres`, as with `muster dev`."""
    if os.geteuid() != 0:
        return command
    user = pwd.getpwnam("postgres")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--", *command]


def own(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    if os.geteuid() == 0:
        shutil.chown(path, "postgres", "postgres")


def postgres_program(name: str) -> str:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    for folder in folders:
        if (folder / name).exists():
            return str(folder / name)
    found = shutil.which(name)
    assert found, f"{name} was not found; install a PostgreSQL server"
    return found


class Postgres:
    def __init__(self, folder: Path):
        self.data, self.password, self.port = folder / "postgres", secrets.token_hex(16), free_port()
        own(self.data)
        self.disk = Disk(folder / "tablespace")
        password_file = self.data.parent / "password"
        password_file.write_text(self.password)
        password_file.chmod(0o644)
        command = [
            postgres_program("initdb"), f"--pgdata={self.data}", "--username=muster", "--encoding=UTF8",
            "--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={password_file}", "--no-sync",
        ]
        subprocess.run(unprivileged(command), check=True, capture_output=True, cwd="/")
        password_file.unlink()
        # Killed processes lose nothing that the kernel already has, so fsync proves nothing here and costs minutes.
        settings = {
            "fsync": "off", "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.data,
            "max_connections": 200, "shared_buffers": "128MB", "log_min_duration_statement": "2000", "timezone": "UTC",
        }
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = unprivileged([postgres_program("postgres"), "-D", str(self.data), *arguments])
        self.process = Process("postgres", command, folder / "logs")

    def url(self, port: int | None = None, database: str = "muster") -> str:
        return f"postgresql://muster:{self.password}@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        self.process.start()
        eventually(self._answers, START_LIMIT, "PostgreSQL answers")

    def create(self) -> None:
        """The product's database, on a disk of its own if that can be."""
        with self.connect("postgres") as connection:
            if self.disk.is_mounted:
                connection.execute(f"CREATE TABLESPACE small LOCATION '{self.disk.path}'")
            connection.execute("CREATE DATABASE muster" + (" TABLESPACE small" if self.disk.is_mounted else ""))

    def connect(self, database: str = "muster") -> psycopg.Connection:
        return psycopg.connect(
            self.url(database=database), autocommit=True, application_name="suite", connect_timeout=5,
            options="-c statement_timeout=0",  # a fault sets another for everybody else
        )

    def query(self, text: str, parameters: tuple | None = None) -> list[tuple]:
        with self.connect() as connection:
            cursor = connection.execute(text, parameters)
            return cursor.fetchall() if cursor.description else []

    def is_up(self) -> bool:
        return self.process.is_alive and self._answers()

    def _answers(self) -> bool:
        try:
            self.connect("postgres").close()
            return True
        except psycopg.OperationalError:
            return False

    def restart(self, pause: float) -> None:
        """Immediate: every backend dies, and the server recovers from its log."""
        self.process.signal(signal.SIGQUIT)
        if self.process.wait(20) is None:
            self.process.kill()
        time.sleep(pause)
        self.start()


class Redis:
    def __init__(self, folder: Path):
        self.data, self.password, self.port = folder / "redis", secrets.token_hex(16), free_port()
        own(self.data)
        command = [
            shutil.which("redis-server") or shutil.which("valkey-server"), "--bind", "127.0.0.1", "--port",
            str(self.port), "--dir", str(self.data), "--requirepass", self.password, "--appendonly", "no", "--save",
            "", "--maxmemory-policy", "noeviction", "--daemonize", "no",
        ]
        self.process = Process("redis", unprivileged(command), folder / "logs")
        self.dump = self.data / "dump.rdb"
        self.old_dump = self.data / "old.rdb"

    def url(self, port: int | None = None) -> str:
        return f"redis://:{self.password}@127.0.0.1:{port or self.port}/0"

    def client(self, limit: float = 10) -> redis.Redis:
        return redis.Redis(port=self.port, password=self.password, socket_timeout=limit, decode_responses=True)

    def start(self) -> None:
        self.process.start()
        eventually(self.is_up, START_LIMIT, "Redis answers")

    def is_up(self) -> bool:
        try:
            return self.process.is_alive and self.client(limit=1).ping()
        except (redis.ConnectionError, redis.TimeoutError):
            return False

    def keep_dump(self) -> None:
        """What a later `restart(restoring=True)` comes back with."""
        self.client().save()
        shutil.copy2(self.dump, self.old_dump)
        if os.geteuid() == 0:
            shutil.chown(self.old_dump, "postgres", "postgres")
        self.dump.unlink()

    def restart(self, pause: float, restoring: bool = False) -> None:
        self.process.kill()
        if restoring and self.old_dump.exists():
            self.old_dump.rename(self.dump)
        time.sleep(pause)
        self.start()
        self.dump.unlink(missing_ok=True)
