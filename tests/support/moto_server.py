"""moto's server with what Terraform's AWS provider asks and moto 5.2 does not answer: MSK, and tags of auto scaling."""

import json
import sys

import moto_kafka  # noqa: F401  plays more of MSK
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.server import main

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

main(sys.argv[1:])
