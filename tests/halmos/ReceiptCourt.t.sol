// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IChannels} from "../../contracts/interfaces/IChannels.sol";
import {IReceiptCourt} from "../../contracts/interfaces/IReceiptCourt.sol";
import {IRelayRegistry} from "../../contracts/interfaces/IRelayRegistry.sol";
import {ReceiptCourt} from "../../contracts/ReceiptCourt.sol";
import {AnyLedger} from "./AnyLedger.sol";
import {svm, vm} from "./Symbolic.sol";

/// @dev The court's totals and bonds, from any state, for all inputs of full width. Signatures are any 65 bytes, and
/// what ecrecover makes of them is any function. No loops: the walk of `finish` is left to tests; the total it judges
/// is the one that `check_open` shows to fit.
contract ReceiptCourtCheck {
    uint40 private constant ANSWER = 1 days;
    uint40 private constant FINISH = 12 hours;
    uint40 private constant GRACE = 1 days;

    AnyLedger private ledger;
    ReceiptCourt private court;
    uint96 private cost;

    function setUp() public {
        cost = uint96(svm.createUint(96, "cost"));
        ledger = new AnyLedger(uint96(svm.createUint(96, "deposited")));
        court = new ReceiptCourt(
            IChannels(address(ledger)),
            IRelayRegistry(address(ledger)),
            IReceiptCourt.Parameters(ANSWER, FINISH, GRACE, cost)
        );
        svm.enableSymbolicStorage(address(court));
    }

    /// @dev What can be opened can be judged: base + amount + cost fits a total, so that no later step fails for its
    /// width. It is no more than the batch is worth, of a batch after all that were judged. The bond is half of the
    /// amount, and whoever opens pays it.
    function check_open(
        address payer,
        address payee,
        IReceiptCourt.Batch calldata batch,
        uint64 amount,
        uint96 total,
        uint32 uptoBatch
    ) public {
        IReceiptCourt.Base memory base = IReceiptCourt.Base(total, uptoBatch, svm.createBytes(65, "base"));
        bytes memory signature = svm.createBytes(65, "batch");
        uint32 judged = court.judgement(payer, payee).number;
        vm.prank(payee);
        court.open(payer, base, batch, signature, bytes32(uint256(2)), amount);
        uint256 claimed = uint256(amount) * batch.price;
        assert(uint256(total) + claimed + cost <= type(uint96).max);
        assert(ledger.bondFrom() == payee);
        assert(2 * uint256(ledger.bond()) == claimed + claimed % 2);
        assert(claimed != 0);
        assert(uptoBatch < batch.number && judged < batch.number);
        assert(amount <= batch.value);
    }

    /// @dev An answer that ends a case judges the voucher, or leaves a larger judgement alone, and the payee has its bond
    /// back. One up to a later batch, by anyone else, changes neither judgement nor bond.
    function check_answer(IReceiptCourt.Case calldata c, uint96 cumulative, uint32 uptoBatch, address by, uint40 time)
        public
    {
        vm.warp(time);
        uint256 claimed = uint256(c.amount) * c.batch.price;
        vm.assume(uint256(c.base) + claimed + cost <= type(uint96).max); // check_open
        uint96 before = court.judgement(c.payer, c.payee).total;
        vm.prank(by);
        court.answer(c, cumulative, uptoBatch, svm.createBytes(65, "signature"));
        assert(by == c.payee || time < uint256(c.openedAt) + ANSWER);
        assert(cumulative >= uint256(c.base) + claimed && uptoBatch >= c.batch.number);
        uint256 later = court.judgement(c.payer, c.payee).total;
        if (uptoBatch != c.batch.number && by != c.payee) {
            assert(later == before);
            assert(ledger.movedTo() == address(0));
        } else {
            assert(later == (cumulative > before ? cumulative : before));
            checkReturned(c, c.payee, claimed);
        }
    }

    /// @dev A case that runs out gives the bond to the payer and judges nothing.
    function check_expire(IReceiptCourt.Case calldata c, uint40 time, uint64 number) public {
        vm.warp(time);
        vm.roll(number);
        uint256 claimed = uint256(c.amount) * c.batch.price;
        vm.assume(uint256(c.base) + claimed + cost <= type(uint96).max);
        uint96 before = court.judgement(c.payer, c.payee).total;
        court.expire(c);
        assert(court.judgement(c.payer, c.payee).total == before);
        checkReturned(c, c.payer, claimed);
    }

    function checkReturned(IReceiptCourt.Case calldata c, address to, uint256 claimed) private view {
        assert(ledger.movedTo() == to);
        assert(2 * uint256(ledger.moved()) == claimed + claimed % 2);
        (bytes32 caseHash, bytes32 seed) = court.openCase(c.payer, c.payee);
        assert(caseHash == 0 && seed == 0);
    }
}
