"""Serve the four deployments to the Prefect server that `PREFECT_API_URL` names."""

from prefect import serve

from cclake_flows.flows import cclake

DEPLOYMENTS = {
    "hourly": {"parameters": {"mode": "incremental"}, "cron": "0 * * * *"},
    "daily": {"parameters": {"mode": "daily"}, "cron": "30 3 * * *"},
    "adhoc": {"parameters": {"mode": "incremental"}},
    "backfill": {"parameters": {"mode": "backfill"}},
}
"""The command and the schedule of each deployment; without a schedule, on request."""


def main() -> None:
    """Serve until interrupted, one run at a time."""
    serve(
        *(cclake.to_deployment(name, **how) for name, how in DEPLOYMENTS.items()),
        limit=1,
    )


if __name__ == "__main__":
    main()
