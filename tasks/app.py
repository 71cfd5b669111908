"""The Celery application.  Why it is set up this way: docs/adr/0002 and the measurements it names."""

from __future__ import annotations

import gc
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_ready
from kombu import Queue

from lmigrate import log
from lmigrate.config import TlsSettings, settings
from lmigrate.ids import is_host_name

#: between two looks for what may be forgotten (sessions, audit), in seconds
TIDY_INTERVAL_S = 900.0


def transport_options(host: str) -> dict[str, Any]:
    """Options of the Redis transport; each host has keys of its own for messages in flight, so that an ACL can part them."""
    return {
        "global_keyprefix": settings().broker.key_prefix,
        "visibility_timeout": 86_400,
        "socket_timeout": 10,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        # the host's name at the end: at the beginning one host could be called so that its keys are another's
        "unacked_key": f"unacked.{host}",
        "unacked_index_key": f"unacked_index.{host}",
        "unacked_mutex_key": f"unacked_mutex.{host}",
        "priority_steps": [0],  # one list a queue: priorities are not used, and an ACL names each list
        # A publish that cannot be sent must say so soon: the row is there, and the reconciler sends it.
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.2,
        "interval_max": 0.5,
    }


def broker_tls(url: str, tls: TlsSettings) -> dict[str, Any] | None:
    """redis-py's options for a ``rediss://`` URL: Redis must show a certificate for its name, and is shown ours; None for any other URL."""
    if not url.startswith("rediss://"):
        return None
    files = {"ssl_ca_certs": tls.ca_file, "ssl_certfile": tls.cert_file, "ssl_keyfile": tls.key_file}
    chosen = {name: str(path) for name, path in files.items() if path is not None}
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": True, **chosen}


def make_app() -> Celery:
    """The application for this process."""
    url = settings().broker.url.get_secret_value()
    made = Celery("lmigrate", broker=url, set_as_current=True)
    made.conf.update(
        broker_use_ssl=broker_tls(url, settings().tls),
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        task_ignore_result=True,
        result_backend="tasks.backend:HintBackend",  # keeps nothing
        task_store_errors_even_if_ignored=False,
        task_reject_on_worker_lost=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        task_create_missing_queues=True,  # hosts come and go; names are checked by `queue`
        task_default_queue="conductor",
        task_serializer="json",
        accept_content=["json"],
        event_serializer="json",
        worker_send_task_events=True,
        worker_consumer="tasks.consumer:BatchingConsumer",
        task_send_sent_event=False,
        worker_enable_remote_control=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Flower's inspector holds a connection and waits for a second one in up to 16 threads: with 4 it stood still for ever.
        broker_pool_limit=20,
        broker_transport_options=transport_options(settings().host.name),
        task_publish_retry_policy={"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5},
        worker_hijack_root_logger=False,
        timezone="UTC",
        imports=["tasks.conductor", "tasks.host", "tasks.storage"],
        beat_schedule={
            "reconcile": {
                "task": "lmigrate.reconcile",
                "schedule": settings().conductor.reconcile_interval_s,
                "options": {"queue": "conductor"},
            },
            "tidy": {"task": "lmigrate.tidy", "schedule": TIDY_INTERVAL_S, "options": {"queue": "conductor"}},
            "sweep": {
                "task": "lmigrate.sweep_records",
                "schedule": settings().conductor.sweep_interval_s,
                "options": {"queue": "conductor"},
            },
            **{f"sweep_storage.{backend}": _sweep(backend) for backend in settings().storage.backends},
        },
    )
    return made


def _sweep(backend: str) -> dict[str, Any]:
    """A backend's entry in the schedule."""
    interval_s = settings().storage.sweep_interval_s
    return {"task": "lmigrate.sweep_storage", "schedule": interval_s, "options": {"queue": queue(f"storage.{backend}").name}}


def queue(name: str) -> Queue:
    """The queue of that name.

    Raises:
        ValueError: it is neither the conductor's nor that of a host.
    """
    place = name.removeprefix("storage.") if name.startswith("storage.") else name.removeprefix("host.").removesuffix(".migrate")
    if name != "conductor" and not (name.startswith(("host.", "storage.")) and is_host_name(place)):
        raise ValueError(f"no such queue: {name!r}")
    return Queue(name)


@worker_ready.connect
def _spare_what_stays(**_options: object) -> None:
    """What is loaded now stays for good: a collection that walks through it stops every step for tens of milliseconds."""
    gc.collect()
    gc.freeze()


@setup_logging.connect
def _configure_logging(**_options: object) -> None:
    log.configure(settings().log)


app = make_app()
