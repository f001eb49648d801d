"""Extract new documents from MongoDB into an Apache Iceberg table."""
