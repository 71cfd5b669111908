"""The hypervisor: the only package that imports libvirt."""
