"""What is archived in MongoDB and not yet published, shown beside the export."""
