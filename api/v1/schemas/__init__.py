"""Requests and answers of ``/v1``."""
