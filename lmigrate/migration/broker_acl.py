"""What each daemon may do in Redis: a user for every host, for every storage backend, and one for the centre.

A host takes messages from its own two queues only, and sees no other's; it may put messages into any, since a
chain goes on from host to host (what a forged message does is decided by the journal in SQL: nothing).  No user may
empty, configure, watch or stop Redis.  A broken rule shows in ``ACL LOG``.
"""

from __future__ import annotations

from dataclasses import dataclass

from lmigrate.migration.dispatch import Address

CENTRE = "centre"
#: to log in and to be healthy; not all of Redis' @connection, which can end the connections of others
_LINK = "+auth +hello +ping +select +quit +client|setname +client|id +info"
#: what kombu does with a queue that it takes from
_TAKE = (
    "+multi +exec +discard +watch +unwatch +brpop +rpop +lpush +rpush +llen +exists +del +pexpire +hset +hget +hdel +hlen "
    "+zadd +zrem +zrange +zrangebyscore +zrevrangebyscore +set +get +pttl +time +sadd +smembers +srem "
    "+eval +evalsha +script|load +script|exists"
)


@dataclass(frozen=True)
class BrokerUser:
    """A user of Redis and its rules, all but the password."""

    name: str
    rules: str

    def line(self, password_sha256: str) -> str:
        """A line of Redis' ``aclfile``; the password itself is not in it."""
        return f"user {self.name} on #{password_sha256} {self.rules}"


def host_user(host: str, prefix: str) -> BrokerUser:
    """The daemon of ``host`` and its workers; Redis' keys begin with ``prefix``."""
    return _worker(f"host.{host}", [Address(host).queue, Address(host, is_long=True).queue], host, prefix)


def storage_user(backend: str, machine: str, prefix: str) -> BrokerUser:
    """The storage daemon of ``backend``, which runs on ``machine``."""
    return _worker(f"storage.{backend}", [Address(backend, is_storage=True).queue], machine, prefix)


def centre_user(prefix: str) -> BrokerUser:
    """Conductors, the beat, the API and Flower: every queue of lmigrate, and nothing else in that Redis."""
    return BrokerUser(
        CENTRE, f"resetkeys ~{prefix}* resetchannels &* -@all {_LINK} {_TAKE} +publish +subscribe +psubscribe +unsubscribe +punsubscribe"
    )


def _worker(name: str, queues: list[str], machine: str, prefix: str) -> BrokerUser:
    bindings = [f"_kombu.{kind}.{queue}" for queue in queues for kind in ("binding", "binding_permanent")]
    own = [*queues, *bindings, *(f"{key}.{machine}" for key in ("unacked", "unacked_index", "unacked_mutex"))]
    keys = " ".join(f"%RW~{prefix}{key}" for key in own)
    others = " ".join(f"~{prefix}{kind}" for kind in ("conductor", "host.*", "storage.*"))
    events = f"&{prefix}/*.celeryev/* +publish"
    # LPUSH and LLEN, and nothing that takes; kombu declares a queue, with its binding, whenever it puts a message into it
    to_others = f"(+lpush +llen {others}) (+sadd +smembers ~{prefix}_kombu.binding.* ~{prefix}_kombu.binding_permanent.*)"
    return BrokerUser(name, f"resetkeys {keys} resetchannels -@all {_LINK} {_TAKE} {events} {to_others}")
