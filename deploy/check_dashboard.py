#!/usr/bin/env python3
"""Ask Prometheus every question of the dashboard: deploy/check_dashboard.py http://127.0.0.1:9090.

Fails where one is answered without a number. The service must have been asked for all that the dashboard shows: with
attention, and wrongly too.
"""

import argparse
import json
import math
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).parent / "grafana" / "dashboards" / "heed.json"
LABEL_VALUES = re.compile(r"label_values\((?P<series>.+), *(?P<label>\w+)\)")
PATIENCE_SECONDS = 10


def main() -> int:
    """Print a line for each question; 0 where each has a number."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="of Prometheus")
    parser.add_argument("--dashboard", type=Path, default=DASHBOARD)
    parser.add_argument("--window", default="1m", help="in the place of $__rate_interval; four scrapes long")
    arguments = parser.parse_args()
    dashboard = json.loads(arguments.dashboard.read_text())
    silent = 0
    for title, question in questions(dashboard):
        found = answers(arguments.address, _filled(question, arguments.window))
        silent += not found
        print(f"{'ok ' if found else 'NO DATA'} {title}: {question}" + (f" → {found}" if found else ""))
    return 1 if silent else 0


def questions(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Title and question of every variable and panel, also of panels within closed rows."""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["query"]["query"]
    for row in dashboard["panels"]:
        for panel in (row, *row.get("panels", ())):
            for target in panel.get("targets", ()):
                yield panel["title"], target["expr"]


def _filled(question: str, window: str) -> str:
    filled = question.replace("$__rate_interval", window).replace("$model", ".*").replace("$version", ".*")
    if "$" in filled:
        sys.exit(f"a variable that is not known here: {filled}")
    return filled


def answers(address: str, question: str) -> int:
    """How many series, or values of a label, Prometheus has for it. NaN, nothing divided by nothing, is none."""
    label = LABEL_VALUES.fullmatch(question)
    if label:
        values = _asked(address, f"label/{label['label']}/values", {"match[]": label["series"]})
        return sum(value != "" for value in values)
    result = _asked(address, "query", {"query": question})["result"]
    return sum(not math.isnan(float(series["value"][1])) for series in result)


def _asked(address: str, path: str, parameters: dict[str, str]) -> Any:
    url = f"{address.rstrip('/')}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as refused:
        sys.exit(f"Prometheus refuses {parameters}: {refused.read().decode()}")
    except OSError as error:
        sys.exit(f"Prometheus does not answer at {address}: {error}")


if __name__ == "__main__":
    sys.exit(main())
