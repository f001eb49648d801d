"""Gold on a distributed engine: the dbt project on Sail, over Spark Connect."""
