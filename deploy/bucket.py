"""The deployment's S3 bucket: the state of its runs, their plans, and the journals."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from janitor.function.state import FLEET
from janitor.journal.archive import PREFIX as JOURNALS

NONCURRENT_DAYS = 30
"""Days for which an object that was overwritten or deleted can be had back."""

UPLOAD_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class RunBucketArgs:
    """What is made.

    Attributes:
        bucket: The bucket's name, which no other bucket of any account may have.
        partition: The AWS partition, as ARNs name it.
        writer: ARN of the role that alone may write: what a run finds there it believes.
        journal_writer: ARN of the role that may write journals as well, and nothing else.
        fleet_writer: ARN of the role that may write journals as well, and alone what belongs to
            runs of the fleet.
        days: Days after which an object expires: the undo of a run lasts as long as its journal.
    """

    bucket: str
    partition: str
    writer: str
    journal_writer: str | None = None
    fleet_writer: str | None = None
    days: int


class RunBucket(pulumi.ComponentResource):
    """A bucket that is private, encrypted (SSE-S3), versioned, read and written over TLS only,
    written by one role only (journals by others besides, a fleet's runs by the fleet's), and whose
    objects expire. One that holds any is not deleted with the stack: AWS refuses to. Then it stays
    as it is, with all that protects it.

    Attributes:
        bucket: The bucket's name, known once it exists.
    """

    bucket: pulumi.Output[str]

    def __init__(
        self, resource_name: str, args: RunBucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cloudwatch-janitor:index:Bucket", resource_name, None, opts)
        made = aws.s3.Bucket(
            resource_name,
            bucket=args.bucket,
            force_destroy=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        bucket = made.bucket
        # A destroy leaves what protects the bucket to the deletion of the bucket, which may fail.
        child = pulumi.ResourceOptions(parent=self, deleted_with=made)
        blocked = aws.s3.BucketPublicAccessBlock(
            resource_name,
            bucket=bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketOwnershipControls(
            resource_name,
            bucket=bucket,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            resource_name,
            bucket=bucket,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=child,
        )
        versioning = aws.s3.BucketVersioning(
            resource_name,
            bucket=bucket,
            versioning_configuration={"status": "Enabled"},
            opts=child,
        )
        aws.s3.BucketLifecycleConfiguration(
            resource_name,
            bucket=bucket,
            rules=_expiry(args.days),
            # Rules for noncurrent versions need versions.
            opts=_after(child, versioning),
        )
        aws.s3.BucketPolicy(
            resource_name,
            bucket=bucket,
            policy=pulumi.Output.json_dumps(_policy(args)),
            # S3 refuses two changes of a bucket's access at the same time.
            opts=_after(child, blocked),
        )
        self.bucket = bucket
        self.register_outputs({"bucket": self.bucket})


def _after(opts: pulumi.ResourceOptions, other: pulumi.Resource) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[other]))


def _expiry(days: int) -> list[aws.s3.BucketLifecycleConfigurationRuleArgsDict]:
    everything: aws.s3.BucketLifecycleConfigurationRuleFilterArgsDict = {"prefix": ""}
    return [
        {
            "id": "expire",
            "status": "Enabled",
            "filter": everything,
            "expiration": {"days": days},
            "noncurrent_version_expiration": {"noncurrent_days": NONCURRENT_DAYS},
            "abort_incomplete_multipart_upload": {"days_after_initiation": UPLOAD_DAYS},
        },
        {
            # What is left of an object once its last version has expired.
            "id": "delete-markers",
            "status": "Enabled",
            "filter": everything,
            "expiration": {"expired_object_delete_marker": True},
        },
    ]


def _policy(args: RunBucketArgs) -> dict[str, object]:
    arn = f"arn:{args.partition}:s3:::{args.bucket}"
    others = [role for role in (args.journal_writer, args.fleet_writer) if role]
    shared = [f"{arn}/{JOURNALS}*", *([f"{arn}/{FLEET}*"] if args.fleet_writer else [])]
    writing = [_sole("OneWriter", [args.writer, *others], Resource=f"{arn}/*")]
    if others:
        writing.append(_sole("OneKeeper", [args.writer], NotResource=shared))
    if args.fleet_writer:
        writing.append(_sole("OneFleet", [args.fleet_writer], Resource=f"{arn}/{FLEET}*"))
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            *writing,
        ],
    }


def _sole(sid: str, writers: list[str], **where: object) -> dict[str, object]:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        **where,
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": writers}},
    }
