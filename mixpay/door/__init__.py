"""Who may come in: every port that strangers reach takes connections through here.

crowd.py   how many at once, how many of one address, how fast: pure
door.py    accepts, refuses before any work is done, shakes hands (TLS)
web.py     HTTP behind it: how long one may ask nothing

Addresses are counted while they matter and never written down: no log, no label has one.
"""

from mixpay.door.crowd import Crowd, CrowdLimits
from mixpay.door.door import Arrival, Door
from mixpay.door.web import HTTP_LOG, WebDoor, WebTimes

__all__ = ["HTTP_LOG", "Arrival", "Crowd", "CrowdLimits", "Door", "WebDoor", "WebTimes"]
