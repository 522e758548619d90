"""`python -m relay.cli`: the same as `mixpay-relay`."""

import sys

from relay.cli import main

sys.exit(main())
