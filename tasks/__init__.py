"""Celery: the application, its queues, and task bodies of a few lines."""
