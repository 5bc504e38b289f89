"""The deployment's S3 bucket, for the state of runs, their plans and the journals."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from janitor.function.state import FLEET
from janitor.journal.archive import PREFIX as JOURNALS

NONCURRENT_DAYS = 30
"""Days for which an overwritten or deleted object can be restored."""

UPLOAD_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class RunBucketArgs:
    """The arguments of a `RunBucket`.

    Attributes:
        bucket: The bucket's name, unique among all accounts.
        partition: The AWS partition, as in ARNs.
        writer: ARN of the only role that may write, as runs trust what they find there.
        journal_writer: ARN of a role that may write journals as well, and nothing else.
        fleet_writer: ARN of a role that may write journals as well, and alone may write the runs
            of the fleet.
        days: Days after which an object expires; with its journal goes the undo of a run.
    """

    bucket: str
    partition: str
    writer: str
    journal_writer: str | None = None
    fleet_writer: str | None = None
    days: int


class RunBucket(pulumi.ComponentResource):
    """A bucket that is private, encrypted (SSE-S3), versioned, accessible over TLS only, and
    writable by one role only (journals by others too, a fleet's runs only by the fleet's). Its
    objects expire. While it holds any, AWS refuses to delete it with the stack: it stays, with all
    that protects it.

    Attributes:
        bucket: The bucket's name, known once it exists.
    """

    bucket: pulumi.Output[str]

    def __init__(
        self, resource_name: str, args: RunBucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cloudwatch-janitor:index:Bucket", resource_name, None, opts)
        s3_bucket = aws.s3.Bucket(
            resource_name,
            bucket=args.bucket,
            force_destroy=False,
            opts=pulumi.ResourceOptions(parent=self),
        )
        bucket = s3_bucket.bucket
        # What protects the bucket goes only with the bucket, whose deletion may fail.
        child = pulumi.ResourceOptions(parent=self, deleted_with=s3_bucket)
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
            # Rules for noncurrent versions need versioning.
            opts=_after(child, versioning),
        )
        aws.s3.BucketPolicy(
            resource_name,
            bucket=bucket,
            policy=pulumi.Output.json_dumps(_policy(args)),
            # S3 refuses two concurrent changes of a bucket's access.
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
            # A delete marker stays once an object's last version has expired.
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
    writing = [_only("OneWriter", [args.writer, *others], Resource=f"{arn}/*")]
    if others:
        writing.append(_only("OneKeeper", [args.writer], NotResource=shared))
    if args.fleet_writer:
        writing.append(_only("OneFleet", [args.fleet_writer], Resource=f"{arn}/{FLEET}*"))
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


def _only(sid: str, writers: list[str], **where: object) -> dict[str, object]:
    """Return a statement that denies writing to everybody but the `writers`."""
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        **where,
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": writers}},
    }
