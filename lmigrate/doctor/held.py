"""For each reason to hold a migration: what to look at, and the ways out.  Pure; one function a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lmigrate.doctor.advice import Advice, Command, Way, cli, state, virsh
from lmigrate.migration.verdict import Seen
from lmigrate.states import HoldReason, PowerState


@dataclass(frozen=True)
class Held:
    """A held migration as far as the advice needs it."""

    migration_id: int
    instance_uuid: str
    source: str
    destination: str
    source_seen: Seen | None  # None: nothing is known
    destination_seen: Seen | None
    is_switched_over: bool = False
    fenced: str | None = None  # this one of the two is off, an operator has said
    elsewhere: str | None = None  # a third host runs it, where somebody has moved it by hand

    @property
    def running_on_source(self) -> Command:
        """The last command of a way back."""
        return self._resolve(self.source, "undoes what was made on the destination; the migration ends as failed", self.fenced)

    @property
    def running_on_destination(self) -> Command:
        """The last command of a way forward."""
        return self._resolve(self.destination, "does the last steps; the migration ends as completed", self.fenced)

    def fencing(self, host: str, running_on: str) -> Command:
        """The last command when one of the two is off."""
        what = f"ends it without {host}: what is left there is reported when it comes back"
        return self._resolve(running_on, what, host)

    def _resolve(self, host: str, what: str, fenced: str | None) -> Command:
        is_back = fenced == host == self.destination  # it cannot be off and run the guest
        off = () if fenced is None or is_back else ("--fenced", fenced)
        return cli(what, "migration", "resolve", str(self.migration_id), "--running-on", host, *off)


def advise(reason: HoldReason, held: Held) -> Advice:
    """The advice for a migration that is held for ``reason``."""
    return _ADVICE[reason](held)


def _two_copies(held: Held) -> Advice:
    return Advice(
        (*_looks(held), *_consoles(held)),
        (
            Way(f"{held.source} has the right copy: its console, its clients and its disks say so", _keep_source(held)),
            Way(f"{held.destination} has the right copy", _keep_destination(held)),
        ),
    )


def _stopped_at_switchover(held: Held) -> Advice:
    if _may_have_ended_unseen(held):
        return _ended_or_never_ran(held)
    ways = [Way(f"the copy on {held.destination} has never run: it is still waiting for memory, or is not there", _keep_source(held))]
    if held.destination_seen is not None and held.destination_seen.exists:
        ways.append(Way(f"the copy on {held.destination} is complete: its status does not say inmigrate", _keep_destination(held)))
    return Advice((*_looks(held), *_incoming_status(held)), tuple(ways))


def _may_have_ended_unseen(held: Held) -> bool:
    """A transient guest leaves no definition where it ends."""
    source, destination = held.source_seen, held.destination_seen
    return source is not None and not source.is_persistent and destination is not None and not destination.exists


def _ended_or_never_ran(held: Held) -> Advice:
    log = Command("how it ended there", f"tail -n 3 $(grep -l {held.instance_uuid} /var/log/libvirt/qemu/*.log)", held.destination)
    end = virsh(held.source, "gives up the older memory", "destroy", held.instance_uuid)
    ways = (
        Way(f"{held.destination}'s log has reason=failed or none: it has never run there", (held.running_on_source,)),
        Way("the log has reason=shutdown or crashed: it ran there and has ended, its disks are newer", (end, held.running_on_source)),
    )
    return Advice((*_looks(held), log), ways)


def _not_handed_over(held: Held) -> Advice:
    gone = "the guest's memory is lost; it starts anew from its disks" if not _is_defined(held.source_seen) else "start the guest anew"
    ways = (
        Way(f"the copy on {held.destination} is complete: its status does not say inmigrate", _keep_destination(held)),
        Way(f"its status says inmigrate: {gone}", (*_keep_source(held), *_start_at_source(held))),
    )
    return Advice((*_looks(held), *_incoming_status(held)), ways)


def _on_neither_host(held: Held) -> Advice:
    if held.elsewhere is not None:
        there = f"it runs on {held.elsewhere}, where somebody has moved it: start it nowhere else"
        return Advice((*_looks(held), state(held.elsewhere, held.instance_uuid)), (Way(there, (held.running_on_source,)),))
    ended = "it was ended on purpose, or is to start anew"
    if held.destination_seen is None or not held.destination_seen.has_run:
        return Advice(_looks(held), (Way(ended, (held.running_on_source, *_start_at_source(held))),))
    ways = (
        Way(f"the copy on {held.destination} was the last to run: its disks are the newest", _keep_destination(held)),
        Way(f"{held.source} has the right copy, its disks say so: {ended}", (*_keep_source(held), *_start_at_source(held))),
    )
    return Advice(_looks(held), ways)


def _foreign_domain(held: Held) -> Advice:
    origin = virsh(held.destination, "whose it is: metadata, disks", "dumpxml", held.instance_uuid)
    ways = [Way(f"somebody moved or started this guest on {held.destination}, and it shall stay there", _keep_destination(held))]
    if held.source_seen is not None and held.source_seen.exists:  # else it may be the only copy that there is
        ways.append(Way(f"the domain on {held.destination} does not belong there: {held.source} has the guest", _keep_source(held)))
    return Advice((*_looks(held), origin), tuple(ways))


def _post_copy_broken(held: Held) -> Advice:
    file = f"{held.instance_uuid}.xml"
    keep = Command("keeps the definition", f"virsh -c qemu:///system dumpxml --inactive {held.instance_uuid} > {file}")
    anew = (
        Command(keep.what, keep.command, held.destination),
        virsh(held.source, "gives up its part of the memory", "destroy", held.instance_uuid),
        virsh(held.destination, "gives up the other part", "destroy", held.instance_uuid),
        virsh(held.destination, "defines it there", "define", file),
        virsh(held.destination, "starts the guest anew from its disks", "start", held.instance_uuid),
        held.running_on_destination,
    )
    return Advice(
        (*_looks(held), virsh(held.source, "whether its job can be resumed", "domjobinfo", held.instance_uuid)),
        (
            Way(
                "the link between the hosts is back: it is resumed, so that the guest runs on the destination again",
                (held.running_on_destination,),
            ),
            Way("it cannot be resumed: destroy neither before you are sure; what was only in memory is lost", anew),
        ),
    )


def _source_silent(held: Held) -> Advice:
    off = f"{held.source} is off for good: you have cut its power, and nobody will switch it on with this guest"
    ways = [
        _bring_back(held.source),
        Way(
            f"{off}; the guest runs on {held.destination}",
            (state(held.destination, held.instance_uuid), _without_source(held, forward=True)),
        ),
    ]
    if not held.is_switched_over:
        ways.append(Way(f"{off}; the guest went down with it", (_without_source(held, forward=False),)))
    return Advice((cli("why it is down", "host", "show", held.source), state(held.destination, held.instance_uuid)), tuple(ways))


def _without_source(held: Held, *, forward: bool) -> Command:
    return held.fencing(held.source, held.destination if forward else held.source)


def _destination_silent(held: Held) -> Advice:
    off = f"{held.destination} is off for good: you have cut its power, and nobody will switch it on with this guest"
    ways = [_bring_back(held.destination)]
    if not held.is_switched_over:
        ways.append(
            Way(
                f"{off}; the guest is on {held.source}",
                (state(held.source, held.instance_uuid), held.fencing(held.destination, held.source)),
            )
        )
    return Advice((cli("why it is down", "host", "show", held.destination), state(held.source, held.instance_uuid)), tuple(ways))


def _source_still_active(held: Held) -> Advice:
    if held.destination_seen is not None and not held.destination_seen.exists:
        return Advice((*_looks(held), *_consoles(held)), (Way(f"somebody has moved it back to {held.source}", _forth_again(held)),))
    end = virsh(held.source, "ends the copy that was left", "destroy", held.instance_uuid)
    way = Way(f"the guest runs on {held.destination}, as it was seen to", (end, held.running_on_destination))
    return Advice((*_looks(held), *_consoles(held)), (way,))


def _forth_again(held: Held) -> tuple[Command, ...]:
    """The only copy is where the migration would remove it: it goes once more, by hand."""
    is_stopped = held.source_seen is not None and not held.source_seen.is_active
    start = (virsh(held.source, "starts it", "start", held.instance_uuid),) if is_stopped else ()
    target = f"qemu+tls://{held.destination}/system"
    options = ("--live", "--p2p", "--tls", "--persistent", held.instance_uuid, target)
    again = virsh(held.source, "moves it; with --copy-storage-all if its disks are not shared", "migrate", *options)
    return (*start, again, held.running_on_destination)


def _vanished(held: Held) -> Advice:
    file = f"{held.instance_uuid}.xml"
    dump = f"virsh -c qemu:///system dumpxml --inactive {held.instance_uuid} > {file}"
    again = (
        Command("keeps the source's definition", dump, held.source),
        Command("brings it over", f"scp {held.source}:{file} {file}", held.destination),
        virsh(held.destination, "defines it", "define", file),
        virsh(held.destination, "starts the guest anew from its disks", "start", held.instance_uuid),
        held.running_on_destination,
    )
    return Advice(_looks(held), (Way(f"somebody undefined it on {held.destination} while it was still arriving", again),))


def _forward_fails(held: Held) -> Advice:
    return Advice(_looks(held), (Way("what the last error names is out of the way", (held.running_on_destination,)),))


def _looks(held: Held) -> tuple[Command, ...]:
    journal = cli("the journal and what was decided", "migration", "show", str(held.migration_id))
    return journal, state(held.source, held.instance_uuid), state(held.destination, held.instance_uuid)


def _consoles(held: Held) -> tuple[Command, ...]:
    sides = ((held.source, held.source_seen), (held.destination, held.destination_seen))
    return tuple(
        virsh(host, "which disks it writes to, and how much", "domstats", "--block", held.instance_uuid)
        for host, seen in sides
        if seen is not None and seen.is_active
    )


def _incoming_status(held: Held) -> tuple[Command, ...]:
    if held.destination_seen is None or not held.destination_seen.is_active:
        return ()
    what = "inmigrate: it still waits for memory; paused: it has all of it"
    return (virsh(held.destination, what, "qemu-monitor-command", "--hmp", held.instance_uuid, "info status"),)


def _keep_source(held: Held) -> tuple[Command, ...]:
    """The destination's copy goes, if it has run; one that waits for memory is removed by the undo."""
    seen, removal = held.destination_seen, []
    if seen is not None and seen.is_active and not (seen.is_incoming and seen.is_ours):
        removal.append(virsh(held.destination, "ends this copy", "destroy", held.instance_uuid))
    if seen is not None and seen.is_persistent and not seen.is_incoming:
        what = "removes its definition; the disks that the migration made for it go with the next command"
        removal.append(virsh(held.destination, what, "undefine", "--keep-nvram", held.instance_uuid))
    return (*removal, held.running_on_source)


def _keep_destination(held: Held) -> tuple[Command, ...]:
    """The source's copy ends, then the destination's runs: never both."""
    commands = []
    if held.source_seen is not None and held.source_seen.is_active:
        commands.append(virsh(held.source, "ends this copy; its definition and its disks stay", "destroy", held.instance_uuid))
    there = held.destination_seen
    if there is not None and there.power_state is PowerState.PAUSED:
        commands.append(virsh(held.destination, "lets it run", "resume", held.instance_uuid))
    elif there is not None and there.exists and not there.is_active:
        commands.append(virsh(held.destination, "starts it", "start", held.instance_uuid))
    return (*commands, held.running_on_destination)


def _start_at_source(held: Held) -> tuple[Command, ...]:
    """After the migration has ended: until then nobody may start it."""
    if not _is_defined(held.source_seen) or held.fenced == held.source:
        return ()
    ended = cli("waits for its end", "migration", "watch", str(held.migration_id))
    return ended, virsh(held.source, "starts it", "start", held.instance_uuid)


def _is_defined(seen: Seen | None) -> bool:
    return seen is not None and seen.exists and seen.is_persistent and not seen.is_active


def _bring_back(host: str) -> Way:
    return Way(
        f"{host} can be brought back: the migration goes on by itself as soon as it answers",
        (
            Command("its libvirtd and its daemon", "systemctl status libvirtd lmigrate-host", host),
            Command("starts what is not running", "systemctl start libvirtd lmigrate-host", host),
        ),
    )


_ADVICE: dict[HoldReason, Callable[[Held], Advice]] = {
    HoldReason.RUNS_ON_BOTH: _two_copies,
    HoldReason.COPY_HAS_RUN: _two_copies,
    HoldReason.STOPPED_ON_BOTH: _two_copies,
    HoldReason.STOPPED_AT_SWITCHOVER: _stopped_at_switchover,
    HoldReason.NOT_HANDED_OVER: _not_handed_over,
    HoldReason.ON_NEITHER_HOST: _on_neither_host,
    HoldReason.FOREIGN_DOMAIN: _foreign_domain,
    HoldReason.POST_COPY_BROKEN: _post_copy_broken,
    HoldReason.SOURCE_SILENT: _source_silent,
    HoldReason.DESTINATION_SILENT: _destination_silent,
    HoldReason.SOURCE_STILL_ACTIVE: _source_still_active,
    HoldReason.VANISHED_AT_DESTINATION: _vanished,
    HoldReason.FORWARD_FAILS: _forward_fails,
}
