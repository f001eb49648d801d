"""The pipeline under Prefect, for those who have one already."""
