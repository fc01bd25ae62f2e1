"""Where things are in the repository."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
PAYLOADS = Path(__file__).with_name("payloads")
TEMPLATE = ROOT / "frontend_templates" / "runway_fashion.xml"
