"""Fakes: real behaviour without the real thing."""
