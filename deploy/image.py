"""A container image, built from a folder, in a repository of its own."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pulumi_docker_build as docker_build

UNTAGGED_DAYS = 7
LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": f"Images that a newer one replaced {UNTAGGED_DAYS} days ago",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": UNTAGGED_DAYS,
            },
            "action": {"type": "expire"},
        }
    ]
}
TAG = "current"


@dataclass(frozen=True, kw_only=True)
class ContainerImageArgs:
    """The arguments of a `ContainerImage`.

    Attributes:
        repository: Name of the ECR repository.
        context: Build context: a folder with a Dockerfile.
    """

    repository: pulumi.Input[str]
    context: Path


class ContainerImage(pulumi.ComponentResource):
    """An ECR repository and the image in it, for linux/arm64.

    Attributes:
        image_uri: `<repository>@<digest>`: exactly this build.
    """

    image_uri: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        args: ContainerImageArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("cloudwatch-janitor:index:ContainerImage", resource_name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        repository = aws.ecr.Repository(
            resource_name,
            name=args.repository,
            image_scanning_configuration={"scan_on_push": True},
            # One tag moves to each new build, so that the lifecycle policy below spares the image
            # in use and expires the ones before. What runs is pinned by digest, which no push can
            # change, so the tag need not be immutable.
            image_tag_mutability="MUTABLE",
            force_delete=True,  # a repository that holds images would outlive the stack
            opts=child,
        )
        aws.ecr.LifecyclePolicy(
            resource_name,
            repository=repository.name,
            policy=json.dumps(LIFECYCLE),
            opts=child,
        )
        image = docker_build.Image(
            resource_name,
            # Relative, as the provider compares paths as text: another checkout would rebuild.
            context={"location": os.path.relpath(args.context)},
            platforms=[docker_build.Platform.LINUX_ARM64],
            tags=[pulumi.Output.concat(repository.repository_url, ":", TAG)],
            push=True,
            build_on_preview=False,
            registries=[_credentials(repository)],
            opts=child,
        )
        self.image_uri = pulumi.Output.concat(repository.repository_url, "@", image.digest)
        self.register_outputs({"image_uri": self.image_uri})


def _credentials(repository: aws.ecr.Repository) -> docker_build.RegistryArgsDict:
    """Return credentials for 12 hours; they are new in each run, and never count as a change."""
    token = aws.ecr.get_authorization_token_output(registry_id=repository.registry_id)
    return {
        "address": repository.repository_url,
        "username": token.user_name,
        "password": pulumi.Output.secret(token.password),
    }
