"""Live migration of running KVM guests between plain libvirt hosts."""

__version__ = "0.1.0"
