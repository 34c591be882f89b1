"""An S3 server on loopback behind a proxy that breaks answers, and an environment that finds it."""

import contextlib
import os
import urllib.request
from collections.abc import Iterator

import pytest
from tests.s3_faults import FaultyProxy


@contextlib.contextmanager
def s3_server(bucket: str = "bucket") -> Iterator[FaultyProxy]:
    """A server with one empty bucket; processes that are started meanwhile find it, too."""
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs: pip install 'corpusmill[s3]'")
    moto = pytest.importorskip("moto.server", reason="needs moto: pip install 'moto[server]'")

    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
            patch.delenv(name)
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            patch.setenv(name, value)
        backend = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        backend.start()
        host, port = backend.get_host_and_port()
        # Servers of one process share what they hold: buckets of an earlier one are still there.
        with urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b""):
            pass
        proxy = FaultyProxy(host, port)
        patch.setenv("AWS_ENDPOINT_URL", proxy.url)
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir(bucket)
        yield proxy
        s3fs.S3FileSystem.clear_instance_cache()
        proxy.close()
        backend.stop()
