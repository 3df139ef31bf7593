"""MSK as Terraform's AWS provider asks for it, over what moto 5.2 plays.

moto's clusters never leave CREATING, have ARNs of a form that MSK does not use, tell no brokers, end with an error 500 once
they are deleted, and there are no configurations. Shapes are those of the MSK API reference.
"""

import base64
import binascii
import json
from datetime import datetime, timezone
from urllib.parse import unquote

from moto.kafka import models, urls
from moto.kafka.exceptions import BadRequestException, KafkaException
from moto.kafka.models import FakeKafkaCluster, KafkaBackend
from moto.kafka.responses import KafkaResponse
from moto.utilities.utils import get_partition

# Port of SASL by IAM over TLS.
IAM_PORT = 9098

configurations: dict[str, dict] = {}


class NotFound(KafkaException):
    """With the code 404 that the provider takes for what is gone; moto's own has 400."""

    code = 404

    def __init__(self, message: str):
        super().__init__("NotFoundException", message)


def cluster_arn(self) -> str:
    partition = get_partition(self.region_name)
    end = "s1" if self.cluster_type == "SERVERLESS" else "1"
    return f"arn:{partition}:kafka:{self.region_name}:{self.account_id}:cluster/{self.cluster_name}/{self.cluster_id}-{end}"


def born_active(init):
    def wrapped(self, *arguments, **named):
        named["state"] = "ACTIVE"
        init(self, *arguments, **named)

    return wrapped


def known(describe):
    def wrapped(self, cluster_arn):
        if cluster_arn not in self.clusters:
            raise NotFound(f"The cluster {cluster_arn} does not exist")
        return describe(self, cluster_arn)

    return wrapped


def with_shape(describe):
    """Without operations that nobody began, and without parts that a client would take for set."""

    def wrapped(self, cluster_arn):
        info = describe(self, cluster_arn)
        info.pop("activeOperationArn", None)
        info.pop("openMonitoring", None)
        info["creationTime"] = info["creationTime"].split(".")[0] + "Z"
        cluster = self.clusters[cluster_arn]
        given = cluster.configuration_info or {}
        if "currentBrokerSoftwareInfo" in info and given:
            info["currentBrokerSoftwareInfo"]["configurationArn"] = given["arn"]
            info["currentBrokerSoftwareInfo"]["configurationRevision"] = given["revision"]
        return info

    return wrapped


def get_bootstrap_brokers(self) -> str:
    arn = unquote(self.parsed_url.path.split("/clusters/")[-1].removesuffix("/bootstrap-brokers"))
    cluster = self.kafka_backend.clusters.get(arn)
    if cluster is None:
        raise NotFound(f"The cluster {arn} does not exist")
    domain = f"{cluster.cluster_name}.kafka.{cluster.region_name}.amazonaws.com"
    count = cluster.number_of_broker_nodes or 1
    hosts = [f"b-{number}.{domain}:{IAM_PORT}" for number in range(1, count + 1)]
    if cluster.cluster_type == "SERVERLESS":
        hosts = [f"boot-{cluster.cluster_id[:8]}.{domain}:{IAM_PORT}"]
    return json.dumps({"bootstrapBrokerStringSaslIam": ",".join(hosts)})


def configuration(self) -> dict:
    arn = unquote(self.parsed_url.path.split("/configurations/")[-1]).split("/revisions")[0]
    if arn not in configurations:
        raise BadRequestException("Configuration ARN does not exist")
    return configurations[arn]


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def revised(self, held: dict) -> None:
    properties = self._get_param("serverProperties")
    try:
        base64.b64decode(properties, validate=True)
    except binascii.Error as error:
        raise BadRequestException(f"serverProperties are no base64: {error}") from error
    held["revisions"].append(
        {"revision": len(held["revisions"]) + 1, "creationTime": now(), "description": self._get_param("description") or ""}
    )
    held["properties"].append(properties)


def told(held: dict) -> dict:
    fields = {key: held[key] for key in ("arn", "name", "creationTime", "kafkaVersions", "state")}
    return {**fields, "description": held["revisions"][-1]["description"], "latestRevision": held["revisions"][-1]}


def create_configuration(self) -> str:
    name = self._get_param("name")
    if any(held["name"] == name for held in configurations.values()):
        raise BadRequestException(f"A configuration named {name} exists")
    backend = self.kafka_backend
    arn = f"arn:{get_partition(self.region)}:kafka:{self.region}:{backend.account_id}:configuration/{name}/{models.uuid.uuid4()}-1"
    held = {"arn": arn, "name": name, "creationTime": now(), "kafkaVersions": self._get_param("kafkaVersions") or []}
    held |= {"state": "ACTIVE", "revisions": [], "properties": []}
    revised(self, held)
    configurations[arn] = held
    return json.dumps(told(held))


def describe_configuration(self) -> str:
    return json.dumps(told(configuration(self)))


def update_configuration(self) -> str:
    held = configuration(self)
    revised(self, held)
    return json.dumps({"arn": held["arn"], "latestRevision": held["revisions"][-1]})


def describe_configuration_revision(self) -> str:
    held = configuration(self)
    number = int(self.parsed_url.path.split("/revisions/")[-1])
    return json.dumps({"arn": held["arn"], **held["revisions"][number - 1], "serverProperties": held["properties"][number - 1]})


def delete_configuration(self) -> str:
    held = configuration(self)
    used = any((cluster.configuration_info or {}).get("arn") == held["arn"] for cluster in self.kafka_backend.clusters.values())
    if used:
        raise BadRequestException("Configuration is in use by one or more clusters")
    del configurations[held["arn"]]
    return json.dumps({"arn": held["arn"], "state": "DELETING"})


FakeKafkaCluster._generate_arn = cluster_arn
FakeKafkaCluster.__init__ = born_active(FakeKafkaCluster.__init__)
KafkaBackend.describe_cluster = known(with_shape(KafkaBackend.describe_cluster))
KafkaBackend.describe_cluster_v2 = known(with_shape(KafkaBackend.describe_cluster_v2))
for answer in (
    get_bootstrap_brokers,
    create_configuration,
    describe_configuration,
    update_configuration,
    describe_configuration_revision,
    delete_configuration,
):
    setattr(KafkaResponse, answer.__name__, answer)
urls.url_paths |= {
    "{0}/v1/configurations$": KafkaResponse.dispatch,
    "{0}/v1/configurations/(?P<arn>.+)$": KafkaResponse.dispatch,
}
