"""One small driver for each kind of shared block storage."""
