"""Guests of the lab: they count in memory and tell on the serial port what they saw."""

from lmigrate.lab.guests.guest import Guest
from lmigrate.lab.guests.report import Report
from lmigrate.lab.guests.spec import DiskSpec, GuestSpec
from lmigrate.lab.guests.start import start_guest

__all__ = ["DiskSpec", "Guest", "GuestSpec", "Report", "start_guest"]
