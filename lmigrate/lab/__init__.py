"""Real libvirt hosts on one machine, in namespaces: the demo, the test bed and what a newcomer tries first."""
