"""Schedule the pipeline with Prefect, for those who use it already."""
