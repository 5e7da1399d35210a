"""Faults of Redis and PostgreSQL themselves."""

import time

import psycopg

from fault import Busy, Fault


class EmptyRedis(Fault):
    name = "redis-restarted-empty"
    also = ", `TakeoverSignTests.anEmptyRedisIsFilledAgain`"
    effect = "Redis is killed and comes back empty: leases are re-created, batches offered and routes published again"

    def inject(self, cluster, targets, draw):
        pause = draw.uniform(0.2, 5.0)
        with targets.disturb("redis"):
            cluster.redis.restart(pause)
        return f"away for {pause:.1f} s"


class FlushedRedis(Fault):
    name = "redis-flushed"
    also = ", `LeaseTests.everyLossOfRedisHasAName`"
    effect = "FLUSHALL: as a restart, but its clients stay connected"

    def inject(self, cluster, targets, draw):
        with targets.disturb("redis"):
            cluster.redis.client().flushall()
        return ""


class OldRedis(Fault):
    name = "redis-restored"
    effect = "Redis is killed and comes back with what it held some seconds before: old leases, offers and messages"

    def inject(self, cluster, targets, draw):
        age, pause = draw.uniform(1.0, 8.0), draw.uniform(0.2, 3.0)
        with targets.disturb("redis"):
            cluster.redis.keep_dump()
            time.sleep(age)
            cluster.redis.restart(pause, restoring=True)
        return f"with content of {age:.1f} s before"


class PausedRedis(Fault):
    name = "redis-paused"
    also = ", `StallTests.aGatewayOutlivesAStalledRedis`"
    effect = "CLIENT PAUSE: every command waits; dispatch stops, and the sweep judges nothing"

    def inject(self, cluster, targets, draw):
        seconds = draw.uniform(2.0, 9.0)
        with targets.disturb("redis"):
            client = cluster.redis.client()
            client.execute_command("CLIENT", "PAUSE", int(seconds * 1000), "ALL")
            time.sleep(seconds)
        return f"{seconds:.1f} s"


class FullRedis(Fault):
    name = "redis-out-of-memory"
    effect = "maxmemory is reached: Redis refuses to write and goes on reading"

    def inject(self, cluster, targets, draw):
        seconds = draw.uniform(2.0, 8.0)
        with targets.disturb("redis"):
            client = cluster.redis.client()
            client.config_set("maxmemory", "1mb")
            time.sleep(seconds)
            client.config_set("maxmemory", "0")
        return f"{seconds:.1f} s"


class LostMessages(Fault):
    name = "messages-lost"
    also = ", `TakeoverTests.whatWasNeverHandedOverIsSentOnce`"
    effect = "the inboxes of gateways and workers are deleted again and again: senders find out by their timeouts"
    INTERVAL = 0.02

    def inject(self, cluster, targets, draw):
        seconds, lost = draw.uniform(2.0, 5.0), 0
        with targets.take("inboxes"):
            client = cluster.redis.client()
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                for key in client.keys("*:inbox:*"):
                    lost += client.llen(key)
                    client.delete(key)
                time.sleep(self.INTERVAL)
        return f"about {lost} messages in {seconds:.1f} s"


class RestartedPostgres(Fault):
    name = "postgres-restarted"
    effect = "immediate shutdown of PostgreSQL and recovery: what was committed is there, all else is repeated"

    def inject(self, cluster, targets, draw):
        pause = draw.uniform(0.2, 4.0)
        # It cannot recover while its disk is full, and gives up.
        with targets.disturb("postgres", "disk"):
            cluster.postgres.restart(pause)
        return f"away for {pause:.1f} s"


class TerminatedBackends(Fault):
    name = "postgres-terminated"
    also = ", `PostgresFailureTests`"
    effect = "pg_terminate_backend of every connection, three times: statements fail midway and are resolved by reading"
    TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name NOT IN ('suite', '')"

    def inject(self, cluster, targets, draw):
        ended = 0
        with targets.disturb("postgres"):
            for _ in range(3):
                ended += len(cluster.postgres.query(self.TERMINATE))
                time.sleep(draw.uniform(0.2, 1.0))
        return f"{ended} connections"


class CancelledStatements(Fault):
    name = "postgres-cancelled"
    effect = "pg_cancel_backend of whatever runs, as a statement timeout does: the statement is repeated or given back"
    CANCEL = """SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                WHERE application_name NOT IN ('suite', '') AND state = 'active'"""

    def inject(self, cluster, targets, draw):
        ended = 0
        with targets.disturb("postgres"):
            for _ in range(30):
                ended += len(cluster.postgres.query(self.CANCEL))
                time.sleep(0.05)
        return f"{ended} statements"


class StatementTimeouts(Fault):
    name = "postgres-statement-timeout"
    effect = "new connections get a statement_timeout of 30 ms: many statements fail and are repeated"
    # Between the time of an easy statement and that of a batch.
    SET = "ALTER ROLE muster SET statement_timeout = '30ms'"
    RESET = "ALTER ROLE muster RESET statement_timeout"

    def inject(self, cluster, targets, draw):
        seconds = draw.uniform(2.0, 5.0)
        with targets.disturb("postgres"):
            cluster.postgres.query(self.SET)
            cluster.postgres.query(TerminatedBackends.TERMINATE)
            time.sleep(seconds)
            cluster.postgres.query(self.RESET)
            cluster.postgres.query(TerminatedBackends.TERMINATE)
        return f"{seconds:.1f} s"


class LockedRow(Fault):
    name = "postgres-row-locked"
    effect = "somebody else holds a lock on a row that everybody needs: who waits gives up in time, and the rest goes on"
    HOT = {
        "the leader's row": "SELECT 1 FROM leaders FOR UPDATE",
        "the newest job": "SELECT 1 FROM jobs ORDER BY job DESC LIMIT 1 FOR UPDATE",
        "a counter": "SELECT 1 FROM job_counters ORDER BY job DESC LIMIT 1 FOR UPDATE",
        "a twin": "SELECT 1 FROM twins WHERE device_id = 'fleet0-7' FOR UPDATE",
        "a batch": "SELECT 1 FROM work_batches WHERE state = 'claimed' ORDER BY job DESC LIMIT 1 FOR UPDATE",
    }

    def inject(self, cluster, targets, draw):
        seconds, what = draw.uniform(3.0, 9.0), draw.choice(sorted(self.HOT))
        with targets.disturb(f"lock:{what}"), cluster.postgres.connect() as connection:
            try:
                with connection.transaction():
                    connection.execute(self.HOT[what])
                    time.sleep(seconds)
            except psycopg.OperationalError:
                return f"{what}, until PostgreSQL ended it"
        return f"{what}, {seconds:.1f} s"


class FullDisk(Fault):
    name = "postgres-disk-full"
    effect = "the disk under PostgreSQL's tablespace is full: what needs room fails and is repeated once there is some"

    def inject(self, cluster, targets, draw):
        seconds = draw.uniform(2.0, 6.0)
        disk = cluster.postgres.disk
        if not disk.is_mounted:
            raise Busy("only root may mount the file system that this needs")
        with targets.disturb("disk"):
            deadline = time.monotonic() + seconds
            try:
                while time.monotonic() < deadline:
                    taken = disk.fill()
                    time.sleep(0.1)
            finally:
                disk.empty()
        return f"{taken >> 20} MB taken for {seconds:.1f} s"


FAULTS = [
    FullDisk, EmptyRedis, FlushedRedis, OldRedis, PausedRedis, FullRedis, LostMessages, RestartedPostgres, TerminatedBackends,
    CancelledStatements, StatementTimeouts, LockedRow,
]
