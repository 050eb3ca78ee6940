"""The manifests say of the service what is true of it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.kubernetes.check import FOLDER, manifests
from service.admission import PROBES
from service.runtime_directory import SHARED_MEMORY
from service.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent.parent
MANIFESTS = {f"{path.parent.name} {manifest['kind']}": manifest for path, manifest in manifests(FOLDER)}
DEPLOYMENT, RUNTIME = MANIFESTS["service Deployment"], MANIFESTS["kserve ServingRuntime"]
# How Heed runs in either way: its pod, and what is said of the pod elsewhere.
PODS = {
    "service": DEPLOYMENT["spec"]["template"]["spec"],
    "kserve": RUNTIME["spec"] | MANIFESTS["kserve InferenceService"]["spec"]["predictor"],
    "models": MANIFESTS["models Job"]["spec"]["template"]["spec"],
}
SERVICES = ("service", "kserve")


def _container(pod: str) -> Any:
    (container,) = PODS[pod]["containers"]
    return container


def _environment(pod: str) -> dict[str, str]:
    return {one["name"]: one["value"] for one in _container(pod)["env"]}


def _mounts(pod: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    volumes = {volume["name"]: volume for volume in PODS[pod]["volumes"]}
    for mount in _container(pod)["volumeMounts"]:
        yield mount["mountPath"], volumes[mount["name"]]


@pytest.mark.parametrize("pod", SERVICES)
def test_every_variable_is_a_setting(pod: str) -> None:
    """A misspelt one would be a line in the log and nothing else."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}

    assert set(_environment(pod)) <= known


@pytest.mark.parametrize("pod", SERVICES)
def test_no_service_of_the_cluster_becomes_a_setting(pod: str) -> None:
    """A Service named heed gives pods HEED_PORT=tcp://…, which stops the start."""
    assert PODS[pod]["enableServiceLinks"] is False


@pytest.mark.parametrize("pod", SERVICES)
def test_probes_ask_what_the_service_answers(pod: str) -> None:
    """Live and ready, at the port that Heed listens to."""
    container = _container(pod)
    live, ready = PROBES
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}

    assert {name: it["path"] for name, it in asked.items()} == {"startup": live, "readiness": ready, "liveness": live}
    expected = int(_environment(pod).get("HEED_PORT", "8000"))
    assert {ports.get(it["port"], it["port"]) for it in asked.values()} == {expected}


@pytest.mark.parametrize("pod", SERVICES)
def test_an_old_pod_has_the_time_to_answer(pod: str) -> None:
    """The pause before SIGTERM and the service's own patience fit into the grace period."""
    pause = int(_container(pod)["lifecycle"]["preStop"]["exec"]["command"][1])
    patience = int(_environment(pod)["HEED_SHUTDOWN_TIMEOUT_SECONDS"])

    assert PODS[pod]["terminationGracePeriodSeconds"] > pause + patience


def test_a_rolling_update_leaves_no_gap() -> None:
    """A new pod is ready before an old one goes."""
    strategies = [DEPLOYMENT["spec"]["strategy"], PODS["kserve"]["deploymentStrategy"]]

    assert [it["rollingUpdate"] for it in strategies] == [{"maxUnavailable": 0, "maxSurge": 1}] * 2


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_is_confined(pod: str) -> None:
    """As in compose.yaml: no root, nothing to be written but what is mounted, no capabilities."""
    (user,) = set(re.findall(r"useradd --uid (\d+)", (ROOT / "Dockerfile").read_text()))
    context = PODS[pod].get("securityContext", {}) | _container(pod)["securityContext"]

    assert context["runAsNonRoot"] is context["readOnlyRootFilesystem"] is True
    assert context["runAsUser"] == int(user)
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert PODS[pod]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("pod", SERVICES)
def test_workers_share_memory(pod: str) -> None:
    """Their counts lie there, and how they find one another."""
    volume = dict(_mounts(pod))[str(SHARED_MEMORY)]

    assert volume["emptyDir"]["medium"] == "Memory"


@pytest.mark.parametrize("pod", SERVICES)
def test_memory_is_what_compose_gives_to_as_many_workers(pod: str) -> None:
    """The same processes run in it."""
    (given,) = re.findall(
        r"^    mem_limit: (\d+)g\n    cpus: 2\n.*\n    stop_grace", (ROOT / "compose.yaml").read_text(), re.M
    )

    assert _container(pod)["resources"]["limits"] == {"cpu": "2", "memory": f"{given}Gi"}
    assert _environment(pod)["HEED_WORKERS"] == "2"


def test_the_service_reads_what_the_export_writes() -> None:
    """One claim; only the export may write."""
    name = MANIFESTS["models PersistentVolumeClaim"]["metadata"]["name"]

    assert dict(_mounts("models"))["/model_repository"]["persistentVolumeClaim"] == {"claimName": name}
    assert dict(_mounts("service"))["/model_repository"]["persistentVolumeClaim"] == {
        "claimName": name,
        "readOnly": True,
    }
    assert PODS["kserve"]["model"]["storageUri"] == f"pvc://{name}/"


def test_what_belongs_together_has_the_same_labels() -> None:
    """Service, budget and spread mean the Deployment's pods, and never the export's."""
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    selectors = [
        DEPLOYMENT["spec"]["selector"]["matchLabels"],
        MANIFESTS["service Service"]["spec"]["selector"],
        MANIFESTS["service PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        PODS["service"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]

    assert selectors == [labels] * 4
    assert MANIFESTS["models Job"]["spec"]["template"]["metadata"]["labels"] != labels


def test_the_autoscaler_reads_a_series_of_the_service() -> None:
    """Its name is part of the interface."""
    spec = MANIFESTS["service HorizontalPodAutoscaler"]["spec"]
    (metric,) = spec["metrics"]

    sources = "".join(path.read_text() for path in (ROOT / "service").glob("*.py"))
    assert f'"{metric["pods"]["metric"]["name"]}"' in sources
    assert spec["scaleTargetRef"]["name"] == DEPLOYMENT["metadata"]["name"]
