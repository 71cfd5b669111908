"""The HTTP API: Nova's wire under ``/v2.1``, lmigrate's own under ``/v1``.  Thin: routes, shapes, errors."""
