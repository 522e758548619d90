"""What the ledger and its channels cost."""

from __future__ import annotations

from mixpay import eip712
from mixpay.types import Amount
from scripts.gas.stage import TOKEN, Person, Stage

Figures = dict[str, int]


def measure(stage: Stage) -> Figures:
    """Every figure of Channels."""
    return ledger(stage) | channels(stage) | many(stage) | closing(stage)


def ledger(stage: Stage) -> Figures:
    """In and out of the ledger."""
    who, other = stage.rich(), stage.rich()
    return {
        "deposit": stage.do(who, "Channels", "deposit", 3 * TOKEN // 7),
        "withdraw": stage.do(who, "Channels", "withdraw", other.account, 3 * TOKEN // 11),
        "move": stage.do(who, "Channels", "move", other.account, 3 * TOKEN // 13),
    }


def channels(stage: Stage) -> Figures:
    """Opening, topping up, claiming."""
    payer, payee, poor = stage.rich(), stage.rich(), stage.person()
    figures = {
        "fund_open": stage.do(payer, "Channels", "fund", payee.account, 7 * TOKEN // 3),
        "fund_topup": stage.do(payer, "Channels", "fund", payee.account, 7 * TOKEN // 9),
    }
    stage.do(payer, "Channels", "fund", poor.account, 7 * TOKEN // 3)
    figures["claim_first"] = claim(stage, payer, poor, TOKEN // 7, 1)
    claim(stage, payer, payee, TOKEN // 7, 1)
    figures["claim_next"] = claim(stage, payer, payee, TOKEN // 3, 2)
    return figures


def voucher(stage: Stage, payer: Person, payee: Person, total: int, upto: int) -> bytes:
    """The payer's signature, 65 bytes."""
    message = eip712.Voucher(payer.account, payee.account, Amount(total), upto)
    return eip712.sign(payer.key, message.digest(stage.domain))


def claim(stage: Stage, payer: Person, payee: Person, total: int, upto: int) -> int:
    """The payee claims."""
    signed = voucher(stage, payer, payee, total, upto)
    return stage.do(payee, "Channels", "claim", payer.account, payee.account, total, upto, signed)


def many(stage: Stage) -> Figures:
    """Ten at a time; figures are of each of the ten."""
    payee, payers = stage.rich(), [stage.rich() for _ in range(10)]
    for payer in payers:
        stage.do(payer, "Channels", "fund", payee.account, 7 * TOKEN // 3)
        claim(stage, payer, payee, TOKEN // 7, 1)
    records = b"".join(_record(stage, payer, payee, TOKEN // 3, 2) for payer in payers)
    claimed = stage.do(payee, "Channels", "claimMany", payee.account, records)
    payees = [payer.account for payer in payers]
    opened = stage.do(payee, "Channels", "fundMany", payees, [7 * TOKEN // 3] * 10)
    return {"claim_many10_each": claimed // 10, "fund_many10_each": opened // 10}


def _record(stage: Stage, payer: Person, payee: Person, total: int, upto: int) -> bytes:
    signed = voucher(stage, payer, payee, total, upto)
    vs = int.from_bytes(signed[32:64], "big") | (signed[64] - 27) << 255
    number = total.to_bytes(12, "big") + upto.to_bytes(4, "big")
    return payer.account + number + signed[:32] + vs.to_bytes(32, "big")


def closing(stage: Stage) -> Figures:
    """The way out, of a channel that was claimed from."""
    payer, payee = stage.rich(), stage.rich()
    stage.do(payer, "Channels", "fund", payee.account, 7 * TOKEN // 3)
    claim(stage, payer, payee, TOKEN // 7, 1)
    figures = {"request_close": stage.do(payer, "Channels", "requestClose", payee.account)}
    stage.chain.advance_time(stage.deployment.parameters.notice)
    figures["finish_close"] = stage.do(payer, "Channels", "finishClose", payee.account)
    stage.do(payer, "Channels", "fund", payee.account, 7 * TOKEN // 3)
    figures["release"] = stage.do(payee, "Channels", "release", payer.account)
    return figures
