"""The chain of the pricing fixture."""

from chainfixtures import pricing

__all__ = ["pricing"]
