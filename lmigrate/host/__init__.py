"""The daemon beside each libvirtd: it registers the host, shows that it lives, finds the guests and keeps the workers running."""
