"""Deadlines for libvirt calls, which have none of their own; what hangs ends when keepalive closes the connection."""

from __future__ import annotations

from lmigrate import deadline
from lmigrate.errors import HypervisorNotAsked, HypervisorTimeout


class Deadlines(deadline.Deadlines):
    """For the libvirtd of one host."""

    def __init__(self, host: str, deadline_s: float) -> None:
        super().__init__(f"libvirt of {host}", deadline_s)
        self.host = host

    def silence(self, call: str, deadline_s: float) -> HypervisorTimeout:
        """No answer."""
        return HypervisorTimeout(host=self.host, call=call, deadline_s=f"{deadline_s:g}")

    def refusal(self, reason: str) -> HypervisorNotAsked:
        """Not asked."""
        return HypervisorNotAsked(host=self.host, reason=reason)
