"""Table care: few files, few snapshots, no leftovers."""
