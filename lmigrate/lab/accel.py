"""KVM or TCG: decided by trying, not by the presence of a device."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from dataclasses import dataclass

_KVM_GET_API_VERSION = 0xAE00
_KVM_CREATE_VM = 0xAE01
_KVM_GET_VCPU_MMAP_SIZE = 0xAE04
_KVM_CREATE_VCPU = 0xAE41
_KVM_SET_USER_MEMORY_REGION = 0x4020AE46
_KVM_RUN = 0xAE80
_KVM_SET_REGS = 0x4090AE82
_KVM_GET_SREGS = 0x8138AE83
_KVM_SET_SREGS = 0x4138AE84
_EXIT_HLT = 5
_EXIT_REASON_OFFSET = 8  # struct kvm_run
_SREGS_SIZE = 312
_HLT = b"\xf4"
_ENTRY = 0x1000


@dataclass(frozen=True)
class Accelerator:
    """``name`` is ``kvm`` or ``tcg``; ``reason`` says why, for people."""

    name: str
    reason: str

    @property
    def is_kvm(self) -> bool:
        """Whether guests run on KVM."""
        return self.name == "kvm"


def choose(wanted: str, device: str = "/dev/kvm") -> Accelerator:
    """The accelerator to use when ``wanted`` is ``auto``, ``kvm`` or ``tcg``.

    Raises:
        OSError: ``kvm`` is wanted and does not work.
    """
    if wanted == "tcg":
        return Accelerator("tcg", "as asked for")
    try:
        run_one_instruction(device)
    except OSError as error:
        if wanted == "kvm":
            raise
        return Accelerator("tcg", f"KVM does not work here: {error}")
    return Accelerator("kvm", "a virtual machine ran an instruction")


def run_one_instruction(device: str = "/dev/kvm") -> None:
    """Make a virtual machine with one vCPU and let it execute HLT.

    Raises:
        OSError: any part of that failed.
    """
    handles: list[int] = []
    try:
        kvm = _keep(handles, os.open(device, os.O_RDWR | os.O_CLOEXEC))
        fcntl.ioctl(kvm, _KVM_GET_API_VERSION)
        vm = _keep(handles, fcntl.ioctl(kvm, _KVM_CREATE_VM, 0))
        with mmap.mmap(-1, 2 * mmap.PAGESIZE) as memory:
            _give_memory(vm, memory)
            vcpu = _keep(handles, fcntl.ioctl(vm, _KVM_CREATE_VCPU, 0))
            reason = _run(vcpu, fcntl.ioctl(kvm, _KVM_GET_VCPU_MMAP_SIZE, 0))
        if reason != _EXIT_HLT:
            raise OSError(f"the virtual CPU stopped for reason {reason} instead of executing HLT")
    finally:
        for handle in reversed(handles):
            os.close(handle)


def _keep(handles: list[int], handle: int) -> int:
    handles.append(handle)
    return handle


def _give_memory(vm: int, memory: mmap.mmap) -> None:
    import ctypes  # noqa: PLC0415 - only here is an address of our own memory needed

    memory[: len(_HLT)] = _HLT
    view = (ctypes.c_char * len(memory)).from_buffer(memory)
    region = struct.pack("IIQQQ", 0, 0, _ENTRY, len(memory), ctypes.addressof(view))
    del view
    fcntl.ioctl(vm, _KVM_SET_USER_MEMORY_REGION, region)


def _run(vcpu: int, run_size: int) -> int:
    """Start at ``_ENTRY`` in real mode; why the vCPU stopped."""
    sregs = bytearray(_SREGS_SIZE)
    fcntl.ioctl(vcpu, _KVM_GET_SREGS, sregs)
    struct.pack_into("QIH", sregs, 0, 0, 0xFFFF, 0)  # code segment: base, limit, selector
    fcntl.ioctl(vcpu, _KVM_SET_SREGS, bytes(sregs))
    registers = [0] * 16 + [_ENTRY, 2]  # rip, rflags
    fcntl.ioctl(vcpu, _KVM_SET_REGS, struct.pack("18Q", *registers))
    with mmap.mmap(vcpu, run_size) as run:
        fcntl.ioctl(vcpu, _KVM_RUN, 0)
        return int(struct.unpack_from("I", run, _EXIT_REASON_OFFSET)[0])
