// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Channels} from "../../contracts/Channels.sol";
import {IReceiptCourt} from "../../contracts/interfaces/IReceiptCourt.sol";
import {AnyCourt} from "./AnyCourt.sol";
import {svm, vm} from "./Symbolic.sol";

/// @dev Arithmetic of the ledger, from any state that the invariants allow, for all inputs of full width. Signatures
/// are any 65 bytes, and what ecrecover makes of them is any function. No loops.
contract ChannelsCheck {
    uint40 private constant NOTICE = 2 days;

    /// @dev No account can hold more than there are tokens, and no token has more than 2^128 units.
    uint256 private constant MOST = type(uint128).max;

    struct State {
        uint96 deposit;
        uint96 claimed;
        uint40 closesAt;
        uint256 payerHas;
        uint256 payeeHas;
    }

    Channels private channels;
    AnyCourt private court;
    uint96 private judged;
    address private payer;
    address private payee;

    function setUp() public {
        judged = uint96(svm.createUint(96, "judged"));
        payer = svm.createAddress("payer");
        payee = svm.createAddress("payee");
        vm.assume(payer != payee);
        court = new AnyCourt(judged);
        channels = new Channels(IERC20(address(1)), NOTICE, IReceiptCourt(address(court)));
        svm.enableSymbolicStorage(address(channels));
    }

    // ---------------------------------------------------------------- claims

    /// @dev Paid once, never above the deposit or the voucher's total, credited to the payee and taken from nobody
    /// else.
    function check_claim(uint96 total, uint32 uptoBatch) public {
        State memory a = anyState();
        bytes memory signature = svm.createBytes(65, "signature");
        uint96 paid = channels.claim(payer, payee, total, uptoBatch, signature);
        checkPaid(a, state(), total, paid);
    }

    function check_claimJudgement() public {
        State memory a = anyState();
        uint96 paid = channels.claimJudgement(payer, payee);
        checkPaid(a, state(), judged, paid);
    }

    function checkPaid(State memory a, State memory b, uint96 total, uint96 paid) private pure {
        uint96 most = total < a.deposit ? total : a.deposit;
        uint96 expected = most > a.claimed ? most - a.claimed : 0;
        assert(paid == expected);
        assert(b.claimed == a.claimed + expected);
        assert(b.claimed <= b.deposit);
        assert(b.deposit == a.deposit);
        assert(b.closesAt == a.closesAt);
        assert(b.payeeHas == a.payeeHas + paid);
        assert(b.payerHas == a.payerHas);
    }

    // ---------------------------------------------------------------- fund

    function check_fund(uint96 amount) public {
        State memory a = anyState();
        vm.prank(payer);
        channels.fund(payee, amount);
        State memory b = state();
        assert(b.payerHas == a.payerHas - amount);
        assert(b.deposit == uint256(a.deposit) + amount);
        assert(b.claimed == a.claimed);
        assert(b.closesAt == 0);
        assert(b.payeeHas == a.payeeHas);
    }

    /// @dev It fails only without the money, for the zero payee, or past the width of a total.
    function check_fund_failsOnlyForAReason(uint96 amount) public {
        State memory a = anyState();
        vm.prank(payer);
        (bool done,) = address(channels).call(abi.encodeCall(channels.fund, (payee, amount)));
        bool reason = payee == address(0) || a.payerHas < amount || uint256(a.deposit) + amount > type(uint96).max;
        assert(done == !reason);
    }

    // ---------------------------------------------------------------- closing

    /// @dev The payer gets what is left, nothing is lost or made, and the payee is paid nothing but what is judged.
    function check_finishClose(uint40 time) public {
        State memory a = anyState();
        vm.warp(time);
        vm.prank(payer);
        channels.finishClose(payee);
        assert(a.closesAt != 0 && time >= a.closesAt);
        checkClosed(a, state());
    }

    function check_release() public {
        State memory a = anyState();
        vm.prank(payee);
        channels.release(payer);
        checkClosed(a, state());
    }

    /// @dev Once the court has marked a channel, closing pays all of the judgement that the deposit has, in each way
    /// of closing.
    function check_closing_paysWhatIsJudged(bool released, uint40 time) public {
        vm.prank(address(court));
        channels.markJudged(payer, payee);
        State memory a = anyState();
        vm.warp(time);
        vm.prank(released ? payee : payer);
        released ? channels.release(payer) : channels.finishClose(payee);
        assert(state().payeeHas == a.payeeHas + owed(a));
    }

    /// @dev Nobody can make a close fail once its time has come.
    function check_finishClose_cannotFailInTime(uint40 time) public {
        State memory a = anyState();
        vm.assume(a.closesAt != 0 && time >= a.closesAt);
        vm.warp(time);
        vm.prank(payer);
        (bool done,) = address(channels).call(abi.encodeCall(channels.finishClose, (payee)));
        assert(done);
    }

    function checkClosed(State memory a, State memory b) private view {
        uint96 paid = b.claimed - a.claimed;
        if (paid != 0) assert(paid == owed(a));
        assert(b.payeeHas == a.payeeHas + paid);
        assert(b.payerHas == a.payerHas + (a.deposit - b.claimed));
        assert(b.deposit == b.claimed);
        assert(b.closesAt == 0);
    }

    /// @dev What the judgement is worth now.
    function owed(State memory s) private view returns (uint96) {
        uint96 most = judged < s.deposit ? judged : s.deposit;
        return most > s.claimed ? most - s.claimed : 0;
    }

    // ---------------------------------------------------------------- state

    /// @dev The state now, which is any that keeps claimed <= deposit.
    function anyState() private view returns (State memory s) {
        s = state();
        vm.assume(s.claimed <= s.deposit);
        vm.assume(s.payerHas <= MOST && s.payeeHas <= MOST);
    }

    function state() private view returns (State memory s) {
        (s.deposit, s.claimed, s.closesAt) = channels.channel(payer, payee);
        s.payerHas = channels.balanceOf(payer);
        s.payeeHas = channels.balanceOf(payee);
    }
}
