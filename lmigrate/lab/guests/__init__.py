"""Guests of the lab: they count in memory and tell on the serial port what they saw."""
