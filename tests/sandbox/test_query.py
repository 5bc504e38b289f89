"""The query protocol, in which older botocores call CloudWatch."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

import botocore.session
from botocore.parsers import QueryParser

from janitor.sandbox.clocks import DAY_MS, HOUR_MS
from janitor.sandbox.wire import Request
from tests.sandbox.asking import ACCOUNT, NOW, REGION, add, empty_store, still


def test_query_protocol_is_answered_in_xml() -> None:
    """A GetMetricData as form fields is answered in the shape that older botocores read."""
    store = empty_store()
    group = add(store, "/a")
    store.add_stream(group, "s", created=NOW - DAY_MS, events=[(NOW - HOUR_MS, 4, 1)])
    stat = "MetricDataQueries.member.1.MetricStat"
    fields = {
        "Action": "GetMetricData",
        "Version": "2010-08-01",
        "MetricDataQueries.member.1.Id": "g0",
        f"{stat}.Metric.Namespace": "AWS/Logs",
        f"{stat}.Metric.MetricName": "IncomingLogEvents",
        f"{stat}.Metric.Dimensions.member.1.Name": "LogGroupName",
        f"{stat}.Metric.Dimensions.member.1.Value": "/a",
        f"{stat}.Period": "3600",
        f"{stat}.Stat": "Sum",
        "StartTime": datetime.fromtimestamp(NOW / 1000 - 86_400, UTC).isoformat(),
        "EndTime": datetime.fromtimestamp(NOW / 1000, UTC).isoformat(),
    }
    signed = f"AWS4-HMAC-SHA256 Credential=AKIA{ACCOUNT}/20270115/{REGION}/monitoring/aws4_request"
    headers = {
        "authorization": signed,
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
    }
    answer = still(store).handle(Request("POST", "/", headers, urlencode(fields).encode())).answer
    assert answer is not None
    model = botocore.session.Session().get_service_model("cloudwatch")
    shape = model.operation_model("GetMetricData").output_shape
    assert shape is not None
    told = {"body": answer.body, "headers": {}, "status_code": answer.status}
    [result] = QueryParser().parse(told, shape)["MetricDataResults"]
    assert (result["Id"], result["Values"], result["StatusCode"]) == ("g0", [4.0], "Complete")
    assert len(result["Timestamps"]) == 1
