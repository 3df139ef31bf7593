"""moto's server with what Terraform's AWS provider asks and moto 5.2 does not answer or forgets."""

import json
import re
import sys

import moto_kafka  # noqa: F401  plays more of MSK
import xmltodict
from moto.applicationautoscaling.models import ApplicationAutoscalingBackend
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.rds.models import DBInstance, DBParameterGroup
from moto.s3.models import FakeBucket
from moto.s3.responses import S3Response
from moto.secretsmanager.models import SecretsManagerBackend
from moto.server import main

# Tags of auto scaling.
tags: dict[str, dict[str, str]] = {}
register = ApplicationAutoScalingResponse.register_scalable_target


def register_with_tags(self):
    answer = register(self)
    given = self._get_param("Tags")
    if given:
        arn = json.loads(answer)["ScalableTargetARN"]
        tags.setdefault(arn, {}).update(given)
    return answer


def list_tags(self):
    return json.dumps({"Tags": tags.get(self._get_param("ResourceARN"), {})})


def tag(self):
    tags.setdefault(self._get_param("ResourceARN"), {}).update(self._get_param("Tags"))
    return "{}"


def untag(self):
    of_resource = tags.get(self._get_param("ResourceARN"), {})
    for key in self._get_param("TagKeys"):
        of_resource.pop(key, None)
    return "{}"


ApplicationAutoScalingResponse.register_scalable_target = register_with_tags
ApplicationAutoScalingResponse.list_tags_for_resource = list_tags
ApplicationAutoScalingResponse.tag_resource = tag
ApplicationAutoScalingResponse.untag_resource = untag
# Services may be played by another server.
ApplicationAutoscalingBackend._ecs_service_exists_for_target = lambda self, resource_id: True


# Descriptions of rules whose other end is no range of addresses.
def description(self):
    return (self.ip_range or self.source_group or self.prefix_list_id or {}).get("Description")


SecurityGroupRule.description = property(description)


# What of a database watches it: the name when it is made, and when it is told.
WATCHING = {
    "monitoring_interval": "monitoring_interval",
    "monitoring_role_arn": "monitoring_role_arn",
    "enable_performance_insights": "performance_insights_enabled",
    "performance_insights_kms_key_id": "performance_insights_kms_key_id",
    "performance_insights_retention_period": "performance_insights_retention_period",
}
make_database = DBInstance.__init__


def make_watched_database(self, *arguments, **named):
    make_database(self, *arguments, **named)
    for asked, told in WATCHING.items():
        if asked in named:
            setattr(self, told, named[asked])


DBInstance.__init__ = make_watched_database


# Who has set a parameter: a client asks for those of users alone.
update_parameters = DBParameterGroup.update_parameters


def update_parameters_of_user(self, new_parameters):
    update_parameters(self, [{**parameter, "Source": "user"} for parameter in new_parameters])


DBParameterGroup.update_parameters = update_parameters_of_user


# Tags that a bucket is born with.
put_bucket = S3Response._bucket_response_put


def put_bucket_with_tags(self, request, bucket_name, querystring):
    answer = put_bucket(self, request, bucket_name, querystring)
    if not querystring and self.body:
        given = xmltodict.parse(self.body, force_list={"Tag"})["CreateBucketConfiguration"].get("Tags")
        if given:
            self.backend.put_bucket_tagging(bucket_name, {tag["Key"]: tag["Value"] for tag in given["Tag"]})
    return answer


S3Response._bucket_response_put = put_bucket_with_tags


# How many old versions a bucket's rule keeps.
set_lifecycle = FakeBucket.set_lifecycle
serialized = S3Response.serialized


def set_whole_lifecycle(self, rules):
    set_lifecycle(self, rules)
    for given, rule in zip(rules, self.rules):
        rule.versions_kept = (given.get("NoncurrentVersionExpiration") or {}).get("NewerNoncurrentVersions")


def serialized_whole(self, result):
    told = result.result.get("Rules", []) if isinstance(result.result, dict) else []
    if self.data.get("Action") == "GetBucketLifecycleConfiguration":
        for rule, kept in zip(told, self.backend.get_bucket(self.bucket_name).rules):
            if kept.versions_kept:
                rule["NoncurrentVersionExpiration"]["NewerNoncurrentVersions"] = kept.versions_kept
    return serialized(self, result)


FakeBucket.set_lifecycle = set_whole_lifecycle
S3Response.serialized = serialized_whole


# What refuses requests without TLS: all that arrive here are of that kind.
TLS = re.compile("aws:SecureTransport|s3:TlsVersion")
get_permission = FakeBucket.get_permission


def get_permission_without_tls(self, action, resource):
    whole = self.policy
    try:
        if whole:
            policy = json.loads(whole)
            policy["Statement"] = [one for one in policy["Statement"] if not TLS.search(json.dumps(one))]
            self.policy = json.dumps(policy).encode() if policy["Statement"] else None
        return get_permission(self, action, resource)
    finally:
        self.policy = whole


FakeBucket.get_permission = get_permission_without_tls


# The rotation of a secret that another service owns has no function.
cancel_rotate_secret = SecretsManagerBackend.cancel_rotate_secret


def cancel_any_rotation(self, secret_id):
    secret = self.secrets.get(secret_id) if self._is_valid_identifier(secret_id) else None
    if secret is None or secret.is_deleted() or secret.rotation_lambda_arn:
        return cancel_rotate_secret(self, secret_id)
    secret.rotation_enabled = False
    return secret.to_short_dict()


SecretsManagerBackend.cancel_rotate_secret = cancel_any_rotation

main(sys.argv[1:])
