"""An S3 client that is not ours: boto3, driven by lines of JSON.

One request per line of standard input, one answer per line of standard output:
  {"op": "snapshot", "bucket": B, "prefix": P}  -> {"objects": {KEY: {"size", "sha256", "metadata", "content_type"}}}
  {"op": "put", "bucket": B, "key": K, "file": F, "metadata": M} -> {"etag": E}
  {"op": "get", "bucket": B, "key": K, "file": F}                -> {"etag": E}
  {"op": "delete", "bucket": B, "key": K}       -> {}
  {"op": "call", "method": M, "args": A}        -> what boto3's method M answers to A; {"__bytes__": BASE64} and
                                                   {"__time__": RFC3339} stand for bytes and times in both
An error is answered as {"error": TEXT}.
"""
import base64
import datetime
import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
import botocore.handlers
from botocore.config import Config

THREADS = 8
client = boto3.client("s3", endpoint_url=sys.argv[1], config=Config(
    s3={"addressing_style": "path"}, max_pool_connections=THREADS, retries={"total_max_attempts": 2}))
# After a PUT without a body against a Go server, the next request on the connection hangs: botocore
# takes the early reply to "Expect: 100-continue" for the next one's.
client.meta.events.unregister("before-call.s3", botocore.handlers.add_expect_header)


def describe(bucket, key):
    answer = client.get_object(Bucket=bucket, Key=key)
    digest, size = hashlib.sha256(), 0
    for chunk in answer["Body"].iter_chunks(1 << 20):
        digest.update(chunk)
        size += len(chunk)
    return key, {"size": size, "sha256": digest.hexdigest(), "metadata": answer["Metadata"],
                 "content_type": answer["ContentType"]}


def snapshot(bucket, prefix):
    keys = []
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        keys += [entry["Key"] for entry in page.get("Contents", [])]
    with ThreadPoolExecutor(THREADS) as pool:
        return {"objects": dict(pool.map(lambda key: describe(bucket, key), keys))}


def put(bucket, key, file, metadata):
    with open(file, "rb") as body:
        return {"etag": client.put_object(Bucket=bucket, Key=key, Body=body, Metadata=metadata or {})["ETag"]}


def get(bucket, key, file):
    answer = client.get_object(Bucket=bucket, Key=key)
    with open(file, "wb") as out:
        for chunk in answer["Body"].iter_chunks(1 << 20):
            out.write(chunk)
    return {"etag": answer["ETag"]}


def delete(bucket, key):
    client.delete_object(Bucket=bucket, Key=key)
    return {}


def decode(value):
    if isinstance(value, dict):
        if set(value) == {"__bytes__"}:
            return base64.b64decode(value["__bytes__"])
        if set(value) == {"__time__"}:
            return datetime.datetime.fromisoformat(value["__time__"].replace("Z", "+00:00"))
        return {k: decode(v) for k, v in value.items()}
    return [decode(v) for v in value] if isinstance(value, list) else value


def encode(value):
    if isinstance(value, dict):
        return {k: encode(v) for k, v in value.items() if k != "ResponseMetadata"}
    if isinstance(value, (list, tuple)):
        return [encode(v) for v in value]
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    if hasattr(value, "read"):
        value = value.read()
    return {"__bytes__": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def call(method, args):
    return encode(getattr(client, method)(**decode(args or {})))


operations = {"call": call, "snapshot": snapshot, "put": put, "get": get, "delete": delete}
for line in sys.stdin:
    request = json.loads(line)
    try:
        reply = operations[request.pop("op")](**request)
    except Exception as error:  # whatever it is, the test wants to read it
        reply = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(reply), flush=True)
