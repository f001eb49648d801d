"""Start, stop and inspect the whole stack."""
