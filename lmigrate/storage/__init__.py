"""Files of guests on a host: probes, directories and disks, each with a mark of who made it."""
