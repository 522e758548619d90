"""ReceiptCourt, typed: see `contracts` and contracts/interfaces/IReceiptCourt.sol."""

from __future__ import annotations

from mixpay.chain.contract import Contract
from mixpay.chain.records import Call
from mixpay.chain.views import Case, CaseBatch, Judgement
from mixpay.types import Account, Amount, Epoch, RelayId, Value


class ReceiptCourt(Contract):
    """Judgements on receipts, and on relays that sign two keys."""

    NAME = "ReceiptCourt"

    def judgement(self, payer: Account, payee: Account) -> Judgement:
        """The newest one; all zero when there is none."""
        return Judgement(*self._read("judgement", payer, payee))

    def open_case(self, payer: Account, payee: Account) -> tuple[bytes, bytes]:
        """Hash of the open case (32 zero bytes: none is open), and its seed (32 zero bytes: not recorded)."""
        case_hash, seed = self._read("openCase", payer, payee)
        return bytes(case_hash), bytes(seed)

    def open(
        self,
        payer: Account,
        base: tuple[Amount, int, bytes],
        batch: CaseBatch,
        signature: bytes,
        receipts_root: bytes,
        amount: Value,
    ) -> Call:
        """Opens a case for the caller as payee, who leaves the bond. `base`: what was owed before, up to what
        batch, and the payer's signature over both (empty for the newest judgement, and for nothing: 0 up to
        batch 0); `signature`: the payer's over the batch; `amount`: not more than the batch's value. A batch
        is judged once: none up to the newest judgement's is taken."""
        return self._write("open", payer, base, batch.fields(), signature, receipts_root, amount)

    def record(self, case: Case) -> Call:
        """Records the seed. Anyone."""
        return self._write("record", case.fields())

    def answer(self, case: Case, cumulative: Amount, upto_batch: int, signature: bytes) -> Call:
        """Ends a case by the payer's voucher up to its batch; shown by the payee, up to a later one too. By
        others, that spares the payer the costs. Anyone within the answer window, the payee until the end.
        """
        return self._write("answer", case.fields(), cumulative, upto_batch, signature)

    def finish(self, case: Case, samples: bytes) -> Call:
        """Proves a case; see mixpay.court. Anyone who has the samples."""
        return self._write("finish", case.fields(), samples)

    def expire(self, case: Case) -> Call:
        """Gives the bond of a case that was not proven in time to the payer. Anyone."""
        return self._write("expire", case.fields())

    def collect_stake(self, payer: Account, payee: Account) -> Call:
        """Takes what the channel lacks of a judgement from the payer's stake. Anyone."""
        return self._write("collectStake", payer, payee)

    def prove_equivocation(
        self, relay: RelayId, epoch: Epoch, keys: tuple[bytes, bytes], signatures: tuple[bytes, bytes]
    ) -> Call:
        """Shows two packet keys that a relay's operator signed for one epoch. Anyone, for a bounty."""
        return self._write("proveEquivocation", relay, epoch, keys, *signatures)
