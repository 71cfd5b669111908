"""Whose turn it is at what only one process at a time should do."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from lmigrate.db.base import Base


class Turn(Base):
    """The lock of one kind of work, as a lease: it comes free by itself when its owner dies."""

    __tablename__ = "turns"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)  # reconcile
    owner: Mapped[str] = mapped_column(String(36))
    until: Mapped[datetime]
