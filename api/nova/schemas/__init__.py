"""Requests and answers of Nova's wire, each field with the microversions that have it."""
