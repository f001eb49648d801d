"""Usage and cost reports in the terminal, from gold."""
