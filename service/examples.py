"""What /openapi.json shows as bodies: the models that Heed brings answer them as they stand."""

from typing import Any

# Ten steps of two features; the third step decides.
SERIES: list[list[float]] = [
    [20.38, 3.98],
    [-0.28, -8.9],
    [1, 1],
    [11.07, 20.01],
    [7.59, -1.73],
    [-9.86, -2.97],
    [-11.88, 14.5],
    [6.03, -8.92],
    [7.9, -9.05],
    [1.39, 13.89],
]
# A seven, as PNG in base64.
PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAACgAAAAoCAAAAACpleexAAAAwElEQVR42u3SzQoBYRTG8f+8g0kRJfnY+IhIWVopK1fgAlybi6CsLEUN"
    "KRspQpMkJqKYxLiD991K86x/PZ3TOeDlN6MBFNoVgE5XAn0gorXY8xyM3B/IoV5vaGOrktodZVCAqMY3veHLmViKRve27K9DAdu8KuDb"
    "9C8pG4eXdGsdXMspNOsl4dhPeSNEWkUwcquLCiaScJuae1TQOYUXs4GN5kpnBH/8Mx8d5CcUAOnsebhDCTU9k39vvbf38pf5AjLpODlw"
    "TmNdAAAAAElFTkSuQmCC"
)
INFERENCE: dict[str, Any] = {
    "id": "42",
    "inputs": [{"name": "sequence", "shape": [1, 10, 2], "datatype": "FP32", "data": [SERIES]}],
    "outputs": [{"name": "probabilities"}, {"name": "attention"}],
}
