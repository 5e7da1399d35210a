"""Faults of processes: killed, stopped for longer than a lease, asked to end under load."""

import signal
import time

from cluster import Cluster
from fault import TAKEOVER, Busy, Fault
from processes import STOP_LIMIT, Process, eventually
from queries import LEFT_BEHIND

# A lease lasts 6 s and the sweep looks each second: after this a stopped process has lost everything it held.
BEYOND_THE_LEASE = 9.0
# Exit code after a second SIGTERM.
SECOND_SIGNAL = 130


def strike(cluster: Cluster, process: Process, number: int) -> None:
    """Sends a signal that ends or stops the process, and has its takeover measured."""
    worker = cluster.worker_id(process) if process.name.startswith("worker") else None
    leader, term = cluster.leader() if process.name.startswith("coordinator") else (None, 0)
    if number == signal.SIGSTOP:
        process.stop()
    else:
        process.signal(number)
        process.wait(10)
    cluster.watch.worker_is_gone(process, worker)
    if leader is process:
        cluster.watch.leader_is_gone(process, term)


class KillWorker(Fault):
    name = "kill-worker"
    also = ", `TakeoverTests`, `TakeoverSignTests`"
    effect = "SIGKILL of a worker: its leases run out, its batches are claimed by others under a higher fence"
    bound = TAKEOVER

    def inject(self, cluster, targets, draw):
        with targets.process("worker", draw) as worker:
            life = worker.life_name
            strike(cluster, worker, signal.SIGKILL)
        return life


class KillLeader(Fault):
    name = "kill-leader"
    also = ", `LeaderTests`"
    effect = "SIGKILL of the leading coordinator: the other one leads"
    bound = "the new leader's term begins within 10 s"

    def inject(self, cluster, targets, draw):
        leader, _ = cluster.leader()
        if leader is None:
            raise Busy("there is no leader")
        with targets.process("coordinator", draw, only=leader):
            life = leader.life_name
            strike(cluster, leader, signal.SIGKILL)
        return life


class KillFollower(Fault):
    name = "kill-follower"
    effect = "SIGKILL of a coordinator that does not lead: its clients go to the other one"
    bound = "the leader notices nothing"

    def inject(self, cluster, targets, draw):
        leader, _ = cluster.leader()
        others = [process for process in cluster.all("coordinator") if process is not leader]
        with targets.process("coordinator", draw, only=draw.choice(others)) as follower:
            life = follower.life_name
            strike(cluster, follower, signal.SIGKILL)
        return life


class KillGateway(Fault):
    name = "kill-gateway"
    also = ", `UnknownOutcomeTests`"
    effect = "SIGKILL of a gateway: calls that it may have sent end as OutcomeUnknown and are not sent again"
    bound = "its devices come back through the other one; unknown outcomes only of its incarnation"

    def inject(self, cluster, targets, draw):
        with targets.process("gateway", draw) as gateway:
            life = gateway.life_name
            strike(cluster, gateway, signal.SIGKILL)
        return life


class KillWorkerAndGateway(Fault):
    name = "kill-both"
    also = ", `TakeoverTests.aGoneGatewayLeavesTheOutcomeUnknown`"
    effect = "SIGKILL of a worker and a gateway at the same moment: who takes over finds the dispatches, and the gateway gone"
    bound = TAKEOVER

    def inject(self, cluster, targets, draw):
        with targets.process("worker", draw) as worker, targets.process("gateway", draw) as gateway:
            lives = f"{worker.life_name}, {gateway.life_name}"
            gateway.signal(signal.SIGKILL)
            strike(cluster, worker, signal.SIGKILL)
            gateway.wait(10)
        return lives


class StopWorker(Fault):
    name = "stop-worker"
    also = ", `ZombieTests`"
    effect = "SIGSTOP of a worker beyond its lease, then SIGCONT: what it held is done by others, and it can record nothing"
    bound = TAKEOVER + "; no outcome is written by who does not own the batch"

    def inject(self, cluster, targets, draw):
        with targets.process("worker", draw) as worker:
            strike(cluster, worker, signal.SIGSTOP)
            time.sleep(BEYOND_THE_LEASE)
            worker.go_on()
            return worker.life_name


class StopGateway(Fault):
    name = "stop-gateway"
    also = ", `ZombieTests.aGatewayThatSleptSendsNothing`"
    effect = "SIGSTOP of a gateway beyond the lease, its inbox filling, then SIGCONT: it sends nothing whose time has passed"
    bound = "no device is called twice; unknown outcomes only of its incarnation"

    def inject(self, cluster, targets, draw):
        with targets.process("gateway", draw) as gateway:
            gateway.stop()
            time.sleep(BEYOND_THE_LEASE)
            gateway.go_on()
            return gateway.life_name


class StopLeader(Fault):
    name = "stop-leader"
    also = ", `TakeoverSignTests.aSilentLeaderIsReplaced`"
    effect = "SIGSTOP of the leader beyond its term, then SIGCONT: the other one leads, and the old one changes nothing"
    bound = "the new leader's term begins within 10 s"

    def inject(self, cluster, targets, draw):
        leader, _ = cluster.leader()
        if leader is None:
            raise Busy("there is no leader")
        with targets.process("coordinator", draw, only=leader):
            strike(cluster, leader, signal.SIGSTOP)
            time.sleep(BEYOND_THE_LEASE)
            leader.go_on()
            return leader.life_name


class MoveThenKill(Fault):
    name = "move-then-kill"
    also = ", `TakeoverTests.aDeviceThatMovedIsFoundAtItsNewGateway`"
    effect = "the devices of a fleet move to the other gateway and then a worker is killed: the new gateway never called, " \
        "the old one is asked"
    bound = TAKEOVER

    def inject(self, cluster, targets, draw):
        link = draw.choice(cluster.fleets).link
        with targets.process("worker", draw) as worker:
            link.balancer.move()
            link.drop()
            time.sleep(draw.uniform(0.0, 1.0))
            life = worker.life_name
            strike(cluster, worker, signal.SIGKILL)
        return f"{link.name} to {link.balancer.gateway}, {life}"


class KillBeforeNotices(Fault):
    name = "kill-before-notices"
    also = ", `NoticeTests.theSweepTellsWhatADeadWorkerDidNot`"
    effect = "SIGKILL of a worker while batches are committed whose devices have not been told: the sweep tells them"
    bound = "every connected device knows its newest desired version in the end"
    PATIENCE = 10.0
    MARKED = "SELECT worker FROM work_batches WHERE to_notify AND worker IS NOT NULL LIMIT 1"

    def inject(self, cluster, targets, draw):
        deadline = time.monotonic() + self.PATIENCE
        while time.monotonic() < deadline:
            rows = cluster.postgres.query(self.MARKED)
            marked = [worker for worker in cluster.all("worker") if rows and cluster.worker_id(worker) == rows[0][0]]
            if marked:
                with targets.process("worker", draw, only=marked[0]) as worker:
                    life = worker.life_name
                    strike(cluster, worker, signal.SIGKILL)
                return life
            time.sleep(0.02)
        raise Busy("no batch was marked")


def drain(cluster: Cluster, process: Process) -> int | None:
    """Ends a process in order; a worker must not leave anything that waits for a lease to run out."""
    life, worker = process.life_name, cluster.worker_id(process)
    process.is_held = True
    try:
        code = process.end()
        if code != 0:
            cluster.problems.append(f"{life} ended with {code} after SIGTERM")
        held = cluster.postgres.query(LEFT_BEHIND, (worker,)) if worker else []
        # A store that another fault took away may keep it from handing back.
        was_disturbed = any(str(event.get("event")).endswith("_failed") for event in process.events())
        if held and not was_disturbed:
            cluster.problems.append(f"{life} drained and still holds {held}")
    finally:
        process.is_held = False
    return code


class TerminateWorker(Fault):
    name = "terminate-worker"
    also = ", `DrainTests`"
    effect = "SIGTERM of a worker under load: it drains, hands the rest back and exits with 0"
    bound = "exit within 45 s, exit code 0, no batch is left to wait for its lease's end"
    role = "worker"

    def inject(self, cluster, targets, draw):
        with targets.process(self.role, draw) as process:
            life, begun = process.life_name, time.monotonic()
            code = drain(cluster, process)
        return f"{life}, exit code {code} after {time.monotonic() - begun:.1f} s"


class TerminateGateway(TerminateWorker):
    name = "terminate-gateway"
    also = ", `CallDrainTests`"
    bound = "exit within 45 s, exit code 0"
    effect = "SIGTERM of a gateway under load: its sessions end in order and its devices connect elsewhere"
    role = "gateway"


class TerminateLeader(TerminateWorker):
    name = "terminate-leader"
    also = ""
    bound = "exit within 45 s, exit code 0"
    effect = "SIGTERM of the leader under load: it resigns, and the other one leads at once"
    role = "coordinator"


class SignalTwice(Fault):
    name = "terminate-twice"
    also = ", `DrainTests.whatDoesNotFinishIsHandedOver`"
    effect = "SIGTERM of a worker under load and a second one at once: it exits without draining, still safely"
    bound = "exit within 2 s; " + TAKEOVER

    def inject(self, cluster, targets, draw):
        with targets.process("worker", draw) as worker:
            life, number = worker.life_name, cluster.worker_id(worker)
            worker.expected_codes.add(SECOND_SIGNAL)
            worker.signal(signal.SIGTERM)
            time.sleep(draw.uniform(0.0, 0.2))
            worker.signal(signal.SIGTERM)
            begun = time.monotonic()
            code = worker.wait(STOP_LIMIT)
            took = time.monotonic() - begun
            cluster.watch.worker_is_gone(worker, number)
            if took > 2:
                cluster.problems.append(f"{life} took {took:.1f} s to exit after a second SIGTERM")
        return f"{life}, exit code {code} after {took:.1f} s"


class RollingRestart(Fault):
    name = "rolling-restart"
    also = ", `DrainTests.allWorkersAreReplacedUnderRunningJobs`"
    effect = "all workers are restarted one after the other by SIGTERM under load"
    bound = "exit code 0 each, no batch is left to wait for its lease's end"

    def inject(self, cluster, targets, draw):
        done = 0
        for worker in cluster.all("worker"):
            with targets.process("worker", draw, only=worker):
                life = worker.life
                drain(cluster, worker)
                # The orchestrator starts it again.
                eventually(lambda: worker.life > life and worker.is_alive, STOP_LIMIT, f"{worker.name} is back", 0.2)
                worker.event("worker_started")
            done += 1
        return f"{done} workers"


FAULTS = [
    SignalTwice, RollingRestart, KillWorker, KillLeader, KillFollower, KillGateway, KillWorkerAndGateway, StopWorker, StopGateway, StopLeader,
    MoveThenKill, KillBeforeNotices, TerminateWorker, TerminateGateway, TerminateLeader,
]
