"""Log text, which is hostile, as safe HTML."""
