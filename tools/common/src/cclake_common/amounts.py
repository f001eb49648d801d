"""Format money and tokens in few characters."""


def amount(value: float, unit: str) -> str:
    """Return an amount with its unit: `$12.30`, `4.5M tokens`."""
    return f"${value:,.2f}" if unit == "usd" else f"{short(value)} tokens"


def short(count: float) -> str:
    """Return a large number in few characters: `830`, `12.3k`, `4.5M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}" if count < 1e12 else f"{count:.2g}"
    return f"{count:.0f}"
