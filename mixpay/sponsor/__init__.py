"""The sponsor's issuer: signs passes for users, and turns what entry relays hand in into pool vouchers.

    import asyncio
    from pathlib import Path
    from mixpay import sponsor

    class Members:  # a policy of one's own: who names a member gets passes
        name = kind = "members"
        quotas = sponsor.Quotas(entry=2, mailbox=1)  # for one identity, of one period

        def __init__(self, members: set[str]) -> None:
            self.members = members

        def terms(self) -> dict[str, str]:
            return {}

        async def identify(self, asked: sponsor.Asked) -> sponsor.Identified:
            if asked.credential not in self.members:
                raise sponsor.PolicyRefusal("identity_refused", "you are no member")
            return sponsor.Identified(self.name, asked.credential.encode(), self.quotas)

        async def close(self) -> None:
            pass

    def prepare(folder: str, password: str, rpc: str, deployment: str) -> sponsor.Home:
        home = sponsor.Home(Path(folder))
        account = sponsor.init(home, password, rpc, Path(deployment))
        input(f"send ether and 5,000 tokens to 0x{account.hex()}, then press enter")
        sponsor.create(home, password, sponsor.Caps(period=1_000 * sponsor.TOKEN, relay=100 * sponsor.TOKEN))
        sponsor.fund(home, password, 5_000 * sponsor.TOKEN)
        return home

    async def serve(home: sponsor.Home, password: str, members: set[str]) -> None:
        async with sponsor.running(home, password, policies=[Members(members)]) as url:
            print(f"passes at {url}")
            await asyncio.Event().wait()  # the rest of one's program

    if __name__ == "__main__":
        made = prepare("sponsor", "a password", "http://127.0.0.1:8545", "network.json")
        asyncio.run(serve(made, "a password", {"alice"}))

Whatever fails raises a `MixpayError` with a text for people. `docs/sponsoring.md` has the way to a first
message; `mixpay.sponsor.policies` the policies that there are, and how a package ships another.

api.py        what is asked and answered over HTTP (JSON); clients and relays use these types too
policy.py     who gets a pass, and how many
keys.py       blind-signing keys: made ahead, deleted after their period
registrar.py  registers them on the chain
store/        counts, keys, credits and vouchers in a database; nothing that links a pass to its issue
rules.py      which campaign, and how a request is refused
issuer.py     the rules of signing, without HTTP and without the chain
redeeming.py  the rules of redeeming, likewise
signing.py    gathers requests for signatures into batches
signer.py     the process that signs
service.py    HTTP around the issuer
remote.py     the other end of it: how users and relays ask
config.py     a sponsor's folder and settings
campaigns.py  create and fund a campaign, take its money back
app.py        the running service: chain, keys, HTTP
loops.py      what it does again and again
counter.py    one campaign of it, in one release

What the sponsor is told:

movements.py        what moved the budget, from the pool's events    campaign_reader.py   read from the chain
tallies.py          sums over the database                           facts.py             both, together
report.py           all figures: pure                                report_records.py    what they are
report_text.py      as text, as JSON                                 metrics.py           for Prometheus
invoice.py          payments as CSV                                  refusals.py          what was refused
accountant.py       makes reports                                    admin.py             HTTP on loopback
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixpay.lazy import names_of

if TYPE_CHECKING:
    from mixpay.errors import MixpayError as MixpayError
    from mixpay.errors import UserError as UserError
    from mixpay.keystore import Kdf as Kdf
    from mixpay.parameters import TOKEN as TOKEN
    from mixpay.sponsor.app import running as running
    from mixpay.sponsor.app import serve as serve
    from mixpay.sponsor.campaigns import Caps as Caps
    from mixpay.sponsor.campaigns import Created as Created
    from mixpay.sponsor.campaigns import Withdrawal as Withdrawal
    from mixpay.sponsor.campaigns import create as create
    from mixpay.sponsor.campaigns import fund as fund
    from mixpay.sponsor.campaigns import init as init
    from mixpay.sponsor.campaigns import withdraw as withdraw
    from mixpay.sponsor.config import Home as Home
    from mixpay.sponsor.policy import Asked as Asked
    from mixpay.sponsor.policy import Identified as Identified
    from mixpay.sponsor.policy import Policy as Policy
    from mixpay.sponsor.policy import PolicyRefusal as PolicyRefusal
    from mixpay.sponsor.policy import Quotas as Quotas
    from mixpay.sponsor.policy import Share as Share

_TABLE = {
    "MixpayError": "mixpay.errors",
    "UserError": "mixpay.errors",
    "Kdf": "mixpay.keystore",
    "TOKEN": "mixpay.parameters",
    "running": "mixpay.sponsor.app",
    "serve": "mixpay.sponsor.app",
    "Caps": "mixpay.sponsor.campaigns",
    "Created": "mixpay.sponsor.campaigns",
    "Withdrawal": "mixpay.sponsor.campaigns",
    "create": "mixpay.sponsor.campaigns",
    "fund": "mixpay.sponsor.campaigns",
    "init": "mixpay.sponsor.campaigns",
    "withdraw": "mixpay.sponsor.campaigns",
    "Home": "mixpay.sponsor.config",
    "Asked": "mixpay.sponsor.policy",
    "Identified": "mixpay.sponsor.policy",
    "Policy": "mixpay.sponsor.policy",
    "PolicyRefusal": "mixpay.sponsor.policy",
    "Quotas": "mixpay.sponsor.policy",
    "Share": "mixpay.sponsor.policy",
}

__getattr__ = names_of(__name__, _TABLE)
