#!/usr/bin/env python3
"""Trims a copy of the AWS provider's source to the services that are named, so that it builds in minutes.

Usage: terraform-provider-trim.py GO FOLDER SERVICE...

Two generated files name every service: the list of service packages, and the functions that make a client. Packages that
are not named go from the first; then go from the second the functions that nothing calls any more, and the imports that
only those used.
"""

import os
import re
import subprocess
import sys

MODULE = "github.com/hashicorp/terraform-provider-aws"
PACKAGES = "internal/provider/sdkv2/service_packages_gen.go"
CLIENTS = "internal/conns/awsclient_gen.go"


def keep_packages(keep):
    with open(PACKAGES) as file:
        text = file.read()

    def kept(match):
        return match.group(0) if match.group(1) in keep else ""

    text = re.sub(rf'\t(?:\w+ )?"{re.escape(MODULE)}/internal/service/(\w+)"\n', kept, text)
    text = re.sub(r"\t\t(\w+)\.ServicePackage\(ctx\),\n", kept, text)
    with open(PACKAGES, "w") as file:
        file.write(text)


def clients_in_use(go):
    listed = subprocess.run(
        [go, "list", "-deps", "-f", "{{.ImportPath}}\t{{.Dir}}", "."],
        check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "GOFLAGS": "-mod=mod"},
    )
    used = set()
    for line in listed.stdout.splitlines():
        path, folder = line.split("\t")
        if not path.startswith(MODULE):
            continue
        for name in os.listdir(folder):
            if name.endswith(".go") and name != os.path.basename(CLIENTS):
                with open(os.path.join(folder, name)) as file:
                    used |= set(re.findall(r"\.(\w+Client)\(ctx", file.read()))
    return used


def keep_clients(used):
    with open(CLIENTS) as file:
        head, body = file.read().split("func (c *AWSClient)", 1)
    functions = re.findall(r"func \(c \*AWSClient\) .*?\n}\n", "func (c *AWSClient)" + body, flags=re.S)
    kept = [each for each in functions if re.match(r"func \(c \*AWSClient\) (\w+)\(", each).group(1) in used]
    text = "\n".join(kept)

    def imported(match):
        path = match.group(2)
        name = (match.group(1) or "").strip() or path.split("/")[-1]
        # A major version at the end of a path is not the package's name.
        if re.fullmatch(r"v\d+", name):
            name = path.split("/")[-2]
        return match.group(0) if re.search(rf"\b{re.escape(name)}\.", text) else ""

    head = re.sub(r'\t(\w+ )?"([^"]+)"\n', imported, head)
    with open(CLIENTS, "w") as file:
        file.write(head + text)


def main():
    go, folder, *services = sys.argv[1:]
    os.chdir(folder)
    keep_packages(set(services))
    keep_clients(clients_in_use(go))


main()
