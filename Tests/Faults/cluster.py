"""One Muster of real processes, every connection of which leads through the proxy, with its fleets."""

import random
import subprocess
from pathlib import Path

from fleet import Fleet
from hub import Hub
from load import Load
from processes import Orchestrator, Process, eventually, free_port
from proxy import Link, Proxy
from queries import ADD_TWINS, HISTORY, LEADER, POLICY
from stores import Postgres, Redis
from watch import Watch

COORDINATORS, WORKERS, GATEWAYS, FLEETS = 2, 3, 2, 2
DEVICES_PER_FLEET = 250
TWINS = 10_000
START_LIMIT = 90


class Cluster:
    def __init__(self, binary: str, folder: Path, seed: int):
        self.binary, self.folder, self.seed = binary, folder, seed
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True)
        self.proxy = Proxy()
        self.proxy.start()
        self.postgres, self.redis = Postgres(folder), Redis(folder)
        self.gateway_ports = {f"gateway-{n}": free_port() for n in range(1, GATEWAYS + 1)}
        self.coordinator_ports = [free_port() for _ in range(COORDINATORS)]
        self.roles: dict[str, Process] = {}
        self.fleets: list[Fleet] = []

    # Starting

    def start(self) -> None:
        self.postgres.start()
        self.redis.start()
        self.postgres.create()
        self.muster("migrate")
        self.postgres.query(HISTORY)
        self.postgres.query(ADD_TWINS, (TWINS,))
        key = bytes(self.postgres.query(POLICY, ("iothubowner",))[0][0])
        self.hub = Hub(self.coordinator_ports, "iothubowner", key)
        for number, port in enumerate(self.coordinator_ports, 1):
            self._add(f"coordinator-{number}", "coordinator", "--listen", f"127.0.0.1:{port}")
        for number in range(1, WORKERS + 1):
            self._add(f"worker-{number}", "worker")
        for name, port in self.gateway_ports.items():
            self._add(name, "gateway", "--listen-mqtt", f"127.0.0.1:{port}", "--name", name)
        for process in self.roles.values():
            process.start()
        for process in self.all("coordinator"):
            process.event("listening", START_LIMIT)
        self._start_fleets()
        self.watch = Watch(self.postgres, self.redis, list(self.roles.values()))
        # Takeovers need a leader and one worker; a worker that is cut off is what others take over from.
        self.watch.links = [link for name, link in self.proxy.links.items() if name.startswith("coordinator")]
        self.watch.start()
        self.orchestrator = Orchestrator(list(self.roles.values()))
        self.orchestrator.start()

    def _add(self, name: str, role: str, *arguments: str) -> None:
        """Each process has ways of its own to PostgreSQL and to Redis, which faults can cut apart."""
        postgres = self.proxy.add(f"{name}/postgres", lambda: self.postgres.port)
        redis = self.proxy.add(f"{name}/redis", lambda: self.redis.port)
        environment = {"DATABASE_URL": self.postgres.url(postgres.port), "REDIS_URL": self.redis.url(redis.port)}
        self.roles[name] = Process(name, [self.binary, role, *arguments], self.logs, environment)

    def _start_fleets(self) -> None:
        connection = self.hub.connection_string(self.coordinator_ports[0])
        names = list(self.gateway_ports)
        for number in range(FLEETS):
            balancer = Balancer(self, names[number % len(names)])
            link = self.proxy.add(f"fleet{number}", balancer.port)
            link.balancer = balancer
            fleet = Fleet(
                self.binary, f"fleet{number}", DEVICES_PER_FLEET, link, connection, self.folder, self.seed + number
            )
            fleet.process.folder = self.logs
            self.fleets.append(fleet)
            fleet.start()
        for fleet in self.fleets:
            eventually(fleet.is_ready, START_LIMIT, f"{fleet.name} is ready")

    def load(self, generator: random.Random) -> Load:
        sizes = {"*": TWINS + FLEETS * DEVICES_PER_FLEET, "tags.kind = 'twin'": TWINS}
        # `--create` gives each tenth device the same site.
        sizes["tags.site IN ['s1', 's2', 's3', 's4']"] = FLEETS * DEVICES_PER_FLEET * 4 // 10
        for fleet in self.fleets:
            sizes[f"startswith(deviceId, '{fleet.name}-')"] = DEVICES_PER_FLEET
        return Load(self.hub, sizes, generator)

    # Using

    def muster(self, *arguments: str) -> str:
        """An operator's command, straight to the stores."""
        environment = {"DATABASE_URL": self.postgres.url(), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            [self.binary, *arguments], capture_output=True, text=True, env=environment, timeout=START_LIMIT
        )
        if done.returncode != 0:
            raise RuntimeError(f"muster {' '.join(arguments)} gave {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def all(self, role: str) -> list[Process]:
        return [process for name, process in self.roles.items() if name.startswith(role + "-")]

    def link(self, process: Process, store: str) -> Link:
        return self.proxy.links[f"{process.name}/{store}"]

    def worker_id(self, process: Process, life: int | None = None) -> str | None:
        """What the worker calls itself, from its log; None while it has not started."""
        started = [event for event in process.events(life) if event.get("event") == "worker_started"]
        return started[0]["worker"] if started else None

    def leader(self) -> tuple[Process | None, int]:
        """The coordinator whose log says that it took the term that is in force."""
        rows = self.postgres.query(LEADER)
        term = rows[0][1] if rows else 0
        for process in self.all("coordinator"):
            taken = [event["term"] for event in process.events() if event.get("event") == "leadership_taken"]
            if taken and taken[-1] == term:
                return process, term
        return None, term

    # Ending

    def heal(self) -> None:
        self.proxy.heal()
        for process in self.roles.values():
            process.is_held = False
            if process.is_stopped:
                process.go_on()

    def finish(self) -> None:
        """Whatever still runs is killed; a run that went well has ended everything in order before."""
        if hasattr(self, "orchestrator"):
            self.orchestrator.finish()
        if hasattr(self, "watch"):
            self.watch.finish()
        stores = [self.redis.process, self.postgres.process]
        for process in [fleet.process for fleet in self.fleets] + list(self.roles.values()) + stores:
            if process.is_alive:
                process.kill()
        self.proxy.finish()
        self.postgres.disk.unmount()


class Balancer:
    """Where a fleet's connections go: to its gateway, or to one that lives."""

    def __init__(self, cluster: Cluster, gateway: str):
        self.cluster, self.gateway = cluster, gateway

    def port(self) -> int | None:
        names = [self.gateway] + [name for name in self.cluster.gateway_ports if name != self.gateway]
        for name in names:
            process = self.cluster.roles[name]
            if process.is_alive and not process.is_held:
                return self.cluster.gateway_ports[name]
        return None

    def move(self) -> None:
        """To the next gateway, for new connections."""
        names = list(self.cluster.gateway_ports)
        self.gateway = names[(names.index(self.gateway) + 1) % len(names)]
