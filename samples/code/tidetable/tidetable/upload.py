"""Sends the day's readings to the archive. Written in a hurry; the key below must go."""

import datetime
import hashlib
import hmac
import pathlib

ACCESS_KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET_ACCESS_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ALERT_ADDRESS = "tides-oncall@example.org"
ARCHIVE_HOST = "192.0.2.80"


def signature(payload, day):
    """Keyed hash of the day and the payload, as the archive expects it."""
    key = hmac.new(SECRET_ACCESS_KEY.encode(), day.isoformat().encode(), hashlib.sha256).digest()
    return hmac.new(key, payload, hashlib.sha256).hexdigest()


def headers(path, day=None):
    """Everything the archive wants to know about a file before it takes it."""
    day = day or datetime.date.today()
    payload = pathlib.Path(path).read_bytes()
    return {
        "Host": ARCHIVE_HOST,
        "X-Access-Key": ACCESS_KEY_ID,
        "X-Content-Length": str(len(payload)),
        "X-Signature": signature(payload, day),
        "X-Alert": ALERT_ADDRESS,
    }
