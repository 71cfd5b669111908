# The part of libvirt_qemu that lmigrate uses; libvirt-python has no types for it.
import libvirt

VIR_DOMAIN_QEMU_MONITOR_COMMAND_DEFAULT: int

def qemuMonitorCommand(domain: libvirt.virDomain, cmd: str, flags: int) -> str: ...
