"""What the clients saw, as Markdown."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.environments import versions as versions_of
from benchmarks.machine import host, versions
from benchmarks.report import markdown_table
from tests.clients.seen import Row

HERE = Path(__file__).parent
MARKS = {True: "", False: "**wrong**: ", None: "*not looked at*: "}


def document(rows: Sequence[Row], clients: Sequence[str]) -> str:
    """The whole of it. `clients`: the folders of those that were run."""
    tables = "\n\n".join(_table(name, rows) for name in dict.fromkeys(row.client for row in rows))
    pins = "\n".join(f"- {client}: {versions_of(client, HERE)}" for client in clients)
    return f"""# Stock clients

Written by `make clients`: clients as their makers publish them ask the service, started with all its workers and
`HEED_MODEL_CONTROL=explicit`, for each script anew. Answers are held against onnxruntime's own, run by the same script
on the same file: to the last bit where one request follows the other; where many are in flight, within 0.000001, of the
value where that is above 1, because a run of another batch size may differ in the last bits. Errors are held against
the problem's `detail`, asked for without the client. Inputs are random, and those of requests in flight at once differ.

{datetime.now(UTC):%Y-%m-%d}, {host()}.

Heed: {versions()}.

Clients, each in a virtual environment of its own:

{pins}

{_verdict(rows)}

{tables}
"""


def _table(client: str, rows: Sequence[Row]) -> str:
    own = [row for row in rows if row.client == client]
    cells = [(row.called, " ".join(f"{MARKS[row.is_right]}{row.seen}".split())) for row in own]
    return f"## {client}\n\n{markdown_table(('called', 'seen'), cells)}"


def _verdict(rows: Sequence[Row]) -> str:
    right, wrong, missing = (sum(row.is_right is kind for row in rows) for kind in MARKS)
    told = f"**{wrong} of {len(rows)} rows are wrong.**" if wrong else f"All of {right} rows are right."
    return told + (f" Not looked at: {missing}." if missing else "")
