"""Serve the four deployments to the Prefect server that `PREFECT_API_URL` names."""

from prefect import serve

from cclake_flows.flows import cclake

DEPLOYMENTS = {
    "hourly": {"parameters": {"mode": "incremental"}, "cron": "0 * * * *"},
    "daily": {"parameters": {"mode": "daily"}, "cron": "30 3 * * *"},
    "adhoc": {"parameters": {"mode": "incremental"}},
    "backfill": {"parameters": {"mode": "backfill"}},
}
"""What each deployment runs, and when; without a schedule, only on request."""


def main() -> None:
    """Serve until interrupted, one run at a time."""
    serve(
        *(cclake.to_deployment(name, **how) for name, how in DEPLOYMENTS.items()),
        limit=1,
    )


if __name__ == "__main__":
    main()
