"""Decide who may read which sessions: a team's users, their rights, and the audit."""
