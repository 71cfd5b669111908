"""Nova's compute API, as far as live migration needs it."""
