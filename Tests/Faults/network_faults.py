"""Faults of the network, each between one pair: a process and a store, or a fleet and its gateway."""

import time

from fault import Busy, Fault


class LinkFault(Fault):
    """Disturbs one link for some seconds."""

    shortest, longest = 1.0, 10.0

    def inject(self, cluster, targets, draw):
        name = draw.choice(sorted(cluster.proxy.links))
        seconds = draw.uniform(self.shortest, self.longest)
        link = cluster.proxy.links[name]
        with targets.take(f"link:{name}"):
            try:
                what = self.disturb(link, draw)
                time.sleep(seconds)
            finally:
                link.heal()
        return f"{name}{what}, {seconds:.1f} s"

    def disturb(self, link, draw) -> str:
        raise NotImplementedError


class CutLink(LinkFault):
    name = "network-cut"
    effect = "connections of one pair are reset and new ones refused"

    def disturb(self, link, draw):
        link.cut()
        return ""


class DelayedLink(LinkFault):
    name = "network-delayed"
    effect = "everything between one pair takes longer, messages between worker and gateway among them"

    def disturb(self, link, draw):
        link.delay = draw.uniform(0.05, 1.0)
        return f" by {link.delay * 1000:.0f} ms"


class HalvedLink(LinkFault):
    name = "network-halved"
    effect = "one direction of one pair stops; what was sent arrives when it heals"
    longest = 14.0

    def disturb(self, link, draw):
        direction = draw.choice(["up", "down"])
        link.stall(direction)
        return f" {direction}"


class StalledLink(LinkFault):
    name = "network-stalled"
    effect = "both directions of one pair stop; what was sent arrives when it heals, as a retransmission does"
    longest = 14.0

    def disturb(self, link, draw):
        link.stall()
        return ""


class LostReply(Fault):
    """The write is performed and its reply is lost with the connection: to the caller its outcome is unknown (I10)."""

    name = "reply-lost"
    effect = "a store performs a write and its caller hears of a failure: resolved by reading, never repeated blindly"
    STATEMENTS = {
        "worker": ["patch_batch", "record_results", "claim_batches", "insert_dispatches", "return_batches", "park_items"],
        "coordinator": ["insert_selected_chunk", "insert_listed_chunk", "start_jobs", "insert_job", "finish_job",
                        "end_batches", "acquire_leadership", "complete_expansion"],
    }
    PATIENCE = 8.0

    def inject(self, cluster, targets, draw):
        role = draw.choice(sorted(self.STATEMENTS))
        statement = draw.choice(self.STATEMENTS[role])
        with targets.process(role, draw) as process:
            link = cluster.link(process, "postgres")
            with targets.take(f"link:{link.name}"):
                before = link.lost_replies
                link.lose_reply(statement.encode())
                deadline = time.monotonic() + self.PATIENCE
                while link.lost_replies == before and time.monotonic() < deadline and process.is_alive:
                    time.sleep(0.05)
                lost = link.lost_replies - before
                link.heal()
        if not lost:
            raise Busy(f"{process.name} ran no {statement}")
        return f"{process.life_name}, {statement}"


class LostRedisReply(LostReply):
    name = "redis-reply-lost"
    effect = "a Redis script runs and its caller hears of a failure: leases, offers and messages go out of step and mend"

    def inject(self, cluster, targets, draw):
        role, lost = draw.choice(["worker", "gateway", "coordinator"]), 0
        with targets.process(role, draw) as process:
            link = cluster.link(process, "redis")
            with targets.take(f"link:{link.name}"):
                before = link.lost_replies
                for _ in range(5):
                    link.lose_reply(b"EVALSHA")
                    time.sleep(0.4)
                lost = link.lost_replies - before
                link.heal()
        return f"{process.life_name}, {lost} replies"


FAULTS = [CutLink, DelayedLink, HalvedLink, StalledLink, LostReply, LostRedisReply]
