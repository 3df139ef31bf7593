#!/usr/bin/env bash
# Terraform's AWS provider, built from its Go module with only the services that the modules under terraform/ use, and a
# CLI configuration that finds it without a network. Prints the path of that configuration:
#   export TF_CLI_CONFIG_FILE=$(scripts/terraform-provider.sh)
# Resource schemas are the real provider's; resources of other services are absent. Five to nine minutes on two cores and
# 3 GB of Go caches, once: kept outside of the clone, in ~/.cache/streamify. Where Terraform's own registry can be reached
# nothing of this is needed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/go.sh"

module=github.com/hashicorp/terraform-provider-aws@v1.60.1-0.20260602190131-5f2286d6d836
version=6.47.1
services=(acm apigatewayv2 appautoscaling budgets cloudfront cloudwatch dynamodb ec2 ecr ecs elbv2 events iam kafka kms
  lambda logs meta rds route53 s3 s3control secretsmanager servicediscovery sns ssm sts wafv2)

key=$(printf '%s\n' "$module" "${services[@]}" | sha256sum | cut -c1-12)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/streamify/terraform-provider-$version-$key
mirror=$cache/mirror/registry.terraform.io/hashicorp/aws/$version/linux_amd64
program=$mirror/terraform-provider-aws_v${version}_x5
configuration=$cache/terraformrc

build() {
  local source
  source=$("$go" mod download -json "$module" | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
  mkdir source
  cp "$source"/{go.mod,go.sum,main.go,LICENSE} source
  cp -r --no-preserve=mode "$source"/{internal,names,version} source
  chmod -R u+w source
  python3 "$here/terraform-provider-trim.py" "$go" "$work/source" "${services[@]}"
  cd source
  GOFLAGS="-mod=mod -buildvcs=false" "$go" build -trimpath \
    -ldflags="-s -w -X github.com/hashicorp/terraform-provider-aws/version.ProviderVersion=$version" \
    -o "$work/$(basename "$program")" .
}

build_once terraform-provider "Terraform's AWS provider $version (five to nine minutes, once)" "$cache" "$program" build
if [ ! -e "$configuration" ]; then
  cat >"$configuration.new" <<CONFIGURATION
disable_checkpoint = true
provider_installation {
  filesystem_mirror {
    path    = "$cache/mirror"
    include = ["registry.terraform.io/hashicorp/aws"]
  }
  direct {
    exclude = ["registry.terraform.io/hashicorp/aws"]
  }
}
CONFIGURATION
  mv "$configuration.new" "$configuration"
fi
echo "$configuration"
