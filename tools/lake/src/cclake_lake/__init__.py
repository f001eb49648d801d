"""Where the Iceberg table lives."""
