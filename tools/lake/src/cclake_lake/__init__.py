"""Find the Iceberg table."""
