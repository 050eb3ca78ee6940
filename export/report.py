"""The report beside a model: its figures as JSON, and pictures of how it was trained and where it looks."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from export.datasets.dataset import Dataset
from export.figures import Figures, gate_statistics
from export.recipes import Recipe
from export.training import Trained
from models.grids import grid
from models.look import ABOVE, BELOW, GROUND, INK, WEIGHT, Spec, document
from models.maps import map_over, photograph
from models.panels import bars
from models.pictures import PLACE, received
from models.rendering import png
from models.se_cnn import SECNNSizes

MAPS = 8
MAP_PIXELS = 150
HISTOGRAM_BINS = 40


def write_report(
    folder: Path,
    recipe: Recipe,
    trained: Trained,
    figures: Figures,
    others: dict[str, Figures],
    details: dict[str, Any],
) -> None:
    """Write figures.json and the pictures. `others`: the same recipe with other gates, by gate, where they were trained
    for comparison; `details`: what the checks measured."""
    folder.mkdir()
    data = recipe.data
    gates = gate_statistics(figures.outputs)
    compared = {
        gate: {"accuracy": other.accuracy, "gates": gate_statistics(other.outputs)} for gate, other in others.items()
    }
    told = {
        **figures.card,
        "training_seconds": round(trained.seconds, 1),
        "epochs": trained.curve,
        **({"mean_weights": figures.weights} if figures.weights is not None else {}),
        **({"gates": gates} if gates else {}),
        **details,
        **({"other_gates": compared} if compared else {}),
    }
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    (folder / "figures.json").write_bytes(orjson.dumps(told, option=options))
    pictures = {"learning_curve": learning_curve(trained.curve), "confusion_matrix": confusion_matrix(data, figures)}
    if figures.weights is not None:
        pictures["mean_weights"] = mean_weights(figures)
    if isinstance(recipe.sizes, SECNNSizes):
        pictures["gates"] = gate_distributions({recipe.sizes.gate: figures, **others})
        pictures["contribution_maps"] = contribution_maps(data, figures)
    for number, log in enumerate(trained.logs):
        shutil.copy(log, folder / f"training_log_{number}.csv")
    for name, spec in pictures.items():
        draw(spec, folder / f"{name}.png")


def draw(spec: Spec, path: Path) -> None:
    """Render a picture as PNG, at twice the pixels of a plain screen."""
    path.write_bytes(png(document(spec)))


def mean_weights(figures: Figures) -> Spec:
    """The bar plot of the text: weights averaged over the units, then over 300 fresh samples."""
    assert figures.weights is not None
    column = figures.card["attention_column"]
    title = f"Mean attention weight over 300 samples; step {column} tells the label"
    weights = grid(figures.weights.tolist(), ("time",), ("time",), len(figures.weights))
    panel = bars(weights, "attention weight", (0, float(figures.weights.max())), 34 * len(figures.weights))
    panel["encoding"]["color"] = {"condition": {"test": f"datum.x === {column}", "value": ABOVE}, "value": WEIGHT}
    return {**panel, "title": title, "height": 200}


def learning_curve(curve: list[dict[str, float]]) -> Spec:
    """Loss and accuracy of every epoch."""
    rows = [
        {"epoch": epoch["epoch"], "figure": name.replace("_", " "), "value": value}
        for epoch in curve
        for name, value in epoch.items()
        if name != "epoch"
    ]

    def lines(word: str, scale: Spec) -> Spec:
        return {
            "width": 300,
            "height": 200,
            "transform": [{"filter": f"indexof(datum.figure, '{word}') >= 0"}],
            "mark": {"type": "line", "point": {"size": 18}, "strokeWidth": 1.5},
            "encoding": {
                "x": {"field": "epoch", "type": "quantitative", "axis": {"tickMinStep": 1}},
                "y": {"field": "value", "type": "quantitative", "title": word, "scale": scale},
                "color": {"field": "figure", "type": "nominal", "title": None, "scale": {"range": [BELOW, ABOVE]}},
            },
        }

    return {
        "title": "Learning curve",
        "data": {"values": rows},
        "hconcat": [lines("loss", {"zero": True}), lines("accuracy", {"zero": False})],
        "resolve": {"scale": {"color": "independent"}},
    }


def confusion_matrix(data: Dataset, figures: Figures) -> Spec:
    """Held-out samples by their label and by the predicted one."""
    counts = np.zeros((len(data.labels),) * 2, int)
    np.add.at(counts, (figures.samples.targets, figures.outputs["logits"].argmax(axis=1)), 1)
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    rows = [
        {"label": label, "predicted": predicted, "count": int(counts[i, j]), "share": float(shares[i, j])}
        for i, label in enumerate(data.labels)
        for j, predicted in enumerate(data.labels)
    ]
    order: Spec = {"type": "ordinal", "sort": None}
    return {
        "title": f"Confusion matrix: {figures.accuracy:.4f} of {len(figures.samples):,} right",
        "width": {"step": 38},
        "height": {"step": 26},
        "data": {"values": rows},
        "encoding": {
            "x": {"field": "predicted", **order, "axis": {"labelAngle": 0 if len(data.labels[0]) < 3 else -35}},
            "y": {"field": "label", **order},
        },
        "layer": [
            {
                "mark": "rect",
                "encoding": {
                    "color": {
                        "field": "share",
                        "type": "quantitative",
                        "scale": {"domain": [0, 1], "range": [GROUND, WEIGHT], "interpolate": "rgb"},
                        "legend": None,
                    }
                },
            },
            {
                "transform": [{"filter": "datum.count > 0"}],
                "mark": {"type": "text", "fontSize": 10},
                "encoding": {
                    "text": {"field": "count"},
                    "color": {"condition": {"test": "datum.share > 0.5", "value": GROUND}, "value": INK},
                },
            },
        ],
    }


def gate_distributions(by_gate: dict[str, Figures]) -> Spec:
    """Histograms of every block's gates; `by_gate` names each network, where there are several to compare."""
    rows = []
    for gate, figures in by_gate.items():
        for name, gates in figures.outputs.items():
            if not name.startswith("gates_"):
                continue
            counts, edges = np.histogram(gates, HISTOGRAM_BINS)
            rows += [
                {
                    "gate": gate.replace("_", "-"),
                    "block": name.replace("_", " "),
                    "from": low,
                    "to": high,
                    "share": share,
                }
                for share, low, high in zip(counts / counts.sum(), edges[:-1], edges[1:], strict=True)
            ]
    facet: Spec = {"column": {"field": "block", "type": "nominal", "title": None}}
    if len(by_gate) > 1:
        facet["row"] = {"field": "gate", "type": "nominal", "title": None}
    return {
        "title": "Channel gates over the held-out samples (1: the channel passes unchanged)",
        "data": {"values": orjson.loads(orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY))},
        "facet": facet,
        "resolve": {"scale": {"x": "independent", "y": "independent"}},
        "spec": {
            "width": 180,
            "height": 120,
            "layer": [
                {
                    "mark": {"type": "bar", "binSpacing": 0},
                    "encoding": {
                        "x": {"field": "from", "type": "quantitative", "title": "gate", "bin": {"binned": True}},
                        "x2": {"field": "to"},
                        "y": {"field": "share", "type": "quantitative", "title": "share of gates"},
                        "color": {"condition": {"test": "datum.to <= 0", "value": BELOW}, "value": WEIGHT},
                    },
                },
            ],
        },
    }


def contribution_maps(data: Dataset, figures: Figures) -> Spec:
    """Held-out pictures, each under the map of what its cells contribute to the predicted label's logit."""
    pictures = figures.samples.first(MAPS)
    maps = []
    for row, (picture, target) in enumerate(zip(pictures.inputs, pictures.targets, strict=True)):
        body = data.request_body(picture)["image"]
        rows, columns, _ = picture.shape
        predicted = int(figures.outputs["logits"][row].argmax())
        told = grid(figures.outputs["contributions"][row, predicted].tolist(), PLACE, PLACE, max(rows, columns))
        image = {"width": columns, "height": rows, "region": [0, 0, columns, rows]}
        shown = received(image, f"data:image/png;base64,{body}")
        layer = map_over(shown, told, "contribution", told.around_zero)
        title = f"{data.labels[predicted]} (is {data.labels[target]})"
        maps.append({"title": title, **photograph(shown, MAP_PIXELS, [layer])})
    return {
        "title": {"text": "Contributions to the predicted label: orange for it, blue against it", "offset": 14},
        "columns": 4,
        "concat": maps,
        "resolve": {"scale": {"color": "independent"}},
    }
