"""Domain XML: read, and rewritten for the destination.  Pure."""
